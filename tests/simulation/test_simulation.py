"""Two workers, a client and somebody hostile under faults at every await, by seed: each job ends once, no
bond is lost by who was up, money is conserved, and all ends in peace. `make soak` runs ten thousand seeds.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.actors import KINDS
from tests.simulation.run import run

SEEDS = 40


def test_nothing_is_lost_and_nothing_stuck_under_any_faults() -> None:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        reports = list(pool.map(run, range(1, SEEDS + 1), chunksize=10))
    wrong = [report for report in reports if report.wrong]
    assert not wrong, f"{len(wrong)} of {SEEDS} seeds; the first: {wrong[0]}"
    struck = {kind for report in reports for _, _, kind, _ in report.hits}
    assert struck == set(KINDS), "a kind of fault never struck"
    assert sum(report.ended["Accepted"] for report in reports) > 2 * SEEDS, "hardly a job was done"


@pytest.mark.parametrize("seed", [1, 7])
def test_a_seed_gives_the_same_events_again(seed: int) -> None:
    first, second = run(seed), run(seed)
    assert (first.hits, first.ended, first.extrinsics) == (second.hits, second.ended, second.extrinsics)


def test_without_faults_every_job_of_an_honest_worker_is_done() -> None:
    report = run(3, ())
    assert not report.wrong
    assert not report.bonds
    assert report.ended["Accepted"] >= 3
