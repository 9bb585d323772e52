"""What a hospital does of itself with an answer that it kept, or that another member took for its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proofward.chain import DispatchError, dev_keypair
from proofward.chain.pallets import federation
from proofward_federation.network.hospital import Answered, CommitmentTaken, Hospital
from tests.federation.world import STUDY, folder_of

NOISE, LATER = bytes([1]) * 32, bytes([2]) * 32


def _answer(name: str, noise: bytes) -> Answered:
    return Answered(0, name, "cc", 32, "", "", noise.hex())


class Alone(Hospital):
    """Without chain and aggregator: `made` are its answers in turn, `refuses` what the chain says to each."""

    def __init__(self, at: Path, made: list[Answered], refuses: list[str]) -> None:
        super().__init__(
            cast(Any, None), dev_keypair("//Eve"), folder_of(at, 0), STUDY, url="", measurement=b""
        )
        self.made, self.refuses = made, refuses
        self.sent: list[str] = []
        self.delivered: list[str] = []

    def _answer(self, _record: Any, waiting: Any) -> Answered:
        answered = self.made.pop(0)
        self._file(waiting.number).write_text(json.dumps(asdict(answered)))
        return answered

    def _asked(self, _record: Any) -> Any:
        return None, None

    def _consents(self, _study: Any) -> None:
        return None

    def _registered(self) -> Any:
        return SimpleNamespace(consents=SimpleNamespace(root=bytes.fromhex("cc")))

    def _commit(self, answered: Answered) -> None:
        self.sent.append(answered.commitment)
        if self.refuses:
            raise DispatchError(federation.PALLET, self.refuses.pop(0))

    def _deliver(self, answered: Answered) -> None:
        self.delivered.append(answered.commitment)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Any]:
    """A study whose first round waits under a noise."""

    def begin(noise: bytes) -> Any:
        waiting = SimpleNamespace(number=0, noise=noise, ending=None, committed=())
        monkeypatch.setattr(federation, "round_of", lambda *_: waiting)
        return SimpleNamespace(next=1, open=True)

    return begin


def test_a_commitment_that_another_member_copied_first_is_made_anew(
    tmp_path: Path, waits: Callable[[bytes], Any]
) -> None:
    study = waits(NOISE)
    hospital = Alone(tmp_path, [_answer("aa", NOISE), _answer("bb", NOISE)], ["BadCommitment"])
    with pytest.raises(CommitmentTaken):
        hospital.look(study)
    hospital.look(study)
    assert hospital.sent == ["aa", "bb"]
    assert hospital.delivered == ["bb"]


@pytest.mark.parametrize(("noise", "sent"), [(NOISE, "aa"), (LATER, "bb")], ids=["death", "reopened"])
def test_an_answer_that_was_kept_goes_into_its_own_round_alone(
    noise: bytes, sent: str, tmp_path: Path, waits: Callable[[bytes], Any]
) -> None:
    hospital = Alone(tmp_path, [_answer("bb", noise)], [])
    hospital._file(0).write_text(json.dumps(asdict(_answer("aa", NOISE))))
    hospital.look(waits(noise))
    assert hospital.sent == hospital.delivered == [sent]
