"""The campaign fails when the network does: each line of a run, and what is wrong with it.

The lines are those of runs in docs/network.md, with their figures.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.network.judging import Bounds, wrong

CALM = {
    "calm": {
        "seconds": 600, "blocks": 300, "block_seconds": 2.0, "lag_median": 1, "lag_p95": 1, "lag_most": 1,
        "validator_mb": 316, "archive_mb": 360,
    }
}  # fmt: skip
ONE = {
    "seed": 0, "fault": "one killed", "nodes": ["dave"], "finalised_during": 9, "worst_lag": 2,
    "back_seconds": 24.0, "seconds": 67.0, "finalised": 31, "accepted": 4, "stalls": 0, "workers": 2,
}  # fmt: skip
TWO = ONE | {
    "seed": 1, "fault": "two killed", "nodes": ["alice", "bob"], "finalised_during": 0, "worst_lag": 11,
    "stalls": 2,
}  # fmt: skip
PARTED = TWO | {"seed": 2, "fault": "parted 2|2", "worst_lag": 16, "back_seconds": 10.0}
DATABASE = ONE | {"seed": 3, "fault": "database deleted"}
JOBS = {
    "seeds": 20,
    "jobs": {
        "submitted": 71, "accepted": 71, "accepted_twice": 0, "lost": 0, "lapsed": 0, "rejected": 0,
        "submissions_held_back": {"chain-stalled": 12}, "stalls_logged": 20, "resumptions_logged": 20,
    },
}  # fmt: skip


def calm(**changes: Any) -> dict[str, Any]:
    return {"calm": CALM["calm"] | changes}


def jobs(**changes: Any) -> dict[str, Any]:
    return {"seeds": 20, "jobs": JOBS["jobs"] | changes}  # type: ignore[operator]


@pytest.mark.parametrize(
    "line", [CALM, ONE, TWO, PARTED, DATABASE, JOBS, {"seed": 6, "left out": "not root"}], ids=str
)
def test_a_run_that_held_is_called_so(line: dict[str, Any]) -> None:
    assert wrong(line) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (calm(lag_p95=3), "3 blocks behind"),
        (calm(block_seconds=2.2), "a block takes 2.2 s"),
        (calm(validator_mb=351), "the greatest validator has 351 MB"),
        (calm(archive_mb=401), "the greatest archive has 401 MB"),
        (calm(archive_mb=0), "the greatest archive has 0 MB"),
        (ONE | {"worst_lag": 5}, "5 blocks behind with three of four"),
        (ONE | {"finalised_during": 0}, "finality stood with three of four"),
        (ONE | {"back_seconds": 44.0}, "back after 44.0 s"),
        (ONE | {"accepted": 0}, "the stream stands"),
        (DATABASE | {"back_seconds": None}, "did not come back"),
        (TWO | {"finalised_during": 1}, "two of four finalised"),
        (TWO | {"stalls": 1}, "1 of 2 workers"),
        (PARTED | {"finalised_during": 3}, "two of four finalised"),
        ({"seed": 4, "error": "nobody answers", "accepted": 1}, "not seen to its end"),
        (jobs(lost=1), "1 jobs were lost"),
        (jobs(accepted_twice=2), "2 jobs were accepted twice"),
        (jobs(lapsed=1), "1 jobs were lapsed"),
        (jobs(submitted=19), "the stream stood"),
        (jobs(resumptions_logged=19), "20 stalls were logged, 19"),
        ({"seed": 5, "fault": "three killed"}, "no known kind"),
    ],
    ids=str,
)
def test_a_run_that_did_not_hold_is_called_so(line: dict[str, Any], said: str) -> None:
    found = wrong(line)
    assert len(found) == 1
    assert said in found[0]


def test_a_busy_machine_may_take_longer_to_come_back_and_for_nothing_else() -> None:
    slow = Bounds(back_seconds=120.0)
    assert wrong(ONE | {"back_seconds": 88.0}, slow) == []
    assert wrong(ONE | {"back_seconds": 88.0, "worst_lag": 5}, slow) != []
