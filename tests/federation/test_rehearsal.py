"""A whole study on one machine: three hospitals with files, one of which refuses; and its transcript."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from proofward_federation.errors import FederationError
from proofward_federation.transcript import Told, Transcript, audit
from tests.federation.world import POLICY, UNITS, folder_of, study_of

pytest.importorskip("opendp", reason="make federation installs OpenDP")
pytest.importorskip("flwr", reason="make federation installs Flower")

from proofward_federation.folder import read_site
from proofward_federation.rehearsal import Rehearsed, rehearse

STRICT = POLICY.replace("noise = 2.0", "noise = 9.0")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    at = tmp_path_factory.mktemp("study")
    sites = [read_site(folder_of(at, place, policy=STRICT if place == 2 else POLICY)) for place in range(3)]
    return rehearse(study_of(), sites)


def test_a_study_is_learnt_by_those_who_admit_it(run: Rehearsed, tmp_path: Path) -> None:
    assert run.weights[0] > 0.1, "old age is learnt"
    assert [list(refused) for refused in run.refused] == [["Hospital 2"]] * 3
    assert all("policy-noise" in refused["Hospital 2"] for refused in run.refused)
    run.transcript.save(tmp_path / "t.json")
    lines = audit(Transcript.load(tmp_path / "t.json"))
    assert sum("exactly the sum of 2 sites" in line for line in lines) == 3


def _first(change: Callable[[Told], Told]) -> Callable[[Transcript], Transcript]:
    return lambda said: replace(said, rounds=(change(said.rounds[0]), *said.rounds[1:]))


FAULTS: dict[str, Callable[[Transcript], Transcript]] = {
    "one unit more": _first(lambda one: replace(one, values=(one.values[0] + 1, *one.values[1:]))),
    "a site left out, unnamed": _first(lambda one: replace(one, parts=one.parts[:1])),
    "a site twice": _first(lambda one: replace(one, parts=(*one.parts, one.parts[0]))),
    "a site named as absent, and in the sum": _first(lambda one: replace(one, absent=(1,))),
    "a tighter length than was proved": _first(
        lambda one: replace(one, parts=(replace(one.parts[0], most=1), *one.parts[1:]))
    ),
    "another's proof of length": _first(
        lambda one: replace(one, parts=(replace(one.parts[0], proof=one.parts[1].proof), *one.parts[1:]))
    ),
    "other noise": lambda said: _first(lambda one: replace(one, noise=said.rounds[1].noise))(said),
    "another block": _first(lambda one: replace(one, block="00" * 32)),
    "a round twice": lambda said: replace(said, rounds=(said.rounds[0], said.rounds[0])),
    "another study": lambda said: replace(said, document=study_of(rate=1).document().hex()),
    "a smaller budget": lambda said: replace(said, document=study_of(budget=UNITS).document().hex()),
    "no rounds": lambda said: replace(said, rounds=()),
    "no hexadecimal": _first(lambda one: replace(one, receipt_key="zz")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_transcript_that_was_changed_does_not_hold(run: Rehearsed, fault: str) -> None:
    with pytest.raises(FederationError) as refused:
        audit(FAULTS[fault](run.transcript))
    assert refused.value.code in ("transcript-refused", "bad-study")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rounds": [{}]}', '{"rounds": 3}'])
def test_what_is_no_transcript_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(FederationError) as refused:
        Transcript.load(tmp_path / "t.json")
    assert refused.value.code == "bad-transcript"


@pytest.mark.parametrize(
    ("header", "first"), [("age,chol,num", "1,2,0"), ("record,age,chol,num", "1.5,1,2,0")]
)
def test_records_without_numbers_of_their_own_are_refused(header: str, first: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 0)
    (folder / "records.csv").write_text(f"{header}\n{first}\n{first}\n")
    with pytest.raises(FederationError) as refused:
        read_site(folder)
    assert refused.value.code == "bad-records"
