"""An aggregator's host that starts while what it sent before its death is not in a finalised block yet."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proofward.chain import DispatchError, Inclusion, dev_keypair
from proofward.chain.pallets import federation
from proofward.chain.pallets.federation import Consents, Failed, Published
from proofward.protocol.federation import values_hash
from proofward_federation.errors import FederationError
from proofward_federation.network import host as module
from proofward_federation.network.host import Host, Logged
from proofward_federation.network.ledger import posted_consents
from proofward_federation.transcript import Told
from tests.federation.world import STUDY, study_of

VALUES = (1, 2, 3, 4)
OPENED, LANDED = 5, 9
TOLD = Told(0, "", 1, "", "", "", (), (), VALUES, "", "")


@dataclass
class Round:
    """Of the chain, as far as a start looks at it."""

    ending: Published | Failed | None = None
    number: int = 0
    next: int = 1
    id: bytes = STUDY

    @property
    def open(self) -> bool:
        return self.ending is None


@dataclass
class Chain:
    """One round that waits at the finalised head. `first`: how it ends before a call of ours is included;
    `refuses`: the calls that are refused of themselves.
    """

    first: dict[str, Published | Failed] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    round: Round = field(default_factory=Round)
    sent: list[str] = field(default_factory=list)

    def send(self, call: Any) -> Inclusion:
        self.sent.append(call.name)
        self.round.ending = self.round.ending or self.first.get(call.name)
        if self.round.ending is not None:
            raise DispatchError(federation.PALLET, "UnknownRound")
        if call.name in self.refuses:
            raise DispatchError(federation.PALLET, self.refuses[call.name])
        self.round.ending = _sum(VALUES) if call.name == "publish" else Failed()
        return cast(Inclusion, type("Inclusion", (), {"block": LANDED}))


def _sum(values: tuple[int, ...]) -> Published:
    return Published(values_hash(values), b"", b"", True, ())


def _start(chain: Chain, at: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A process's start, as `run` begins it, with what the last one wrote down."""
    host = Host(cast(Any, None), dev_keypair("//Dave"), cast(Any, None), study_of(), state=at)
    host.attend(STUDY)
    monkeypatch.setattr(host, "_send", chain.send)
    monkeypatch.setattr(federation, "rounds", lambda *_: [Round(chain.round.ending)])
    monkeypatch.setattr(federation, "round_of", lambda *_: chain.round)
    monkeypatch.setattr(module, "announced", lambda *_: chain.round)
    monkeypatch.setattr(module, "published_in", lambda *_: LANDED)
    if not host._file().exists():
        host._log = [Logged(TOLD, OPENED)]
        host._save()
        host._log = []
    host._load(cast(Any, chain.round))
    return host


def _kept(host: Host) -> list[int]:
    return [one["published"] for one in json.loads(host._file().read_text())["rounds"]]


@pytest.mark.parametrize(
    ("chain", "sent"),
    [
        (Chain({"publish": _sum(VALUES)}), ["publish"]),
        (Chain({"fail": _sum(VALUES)}, {"publish": "CohortTooSmall"}), ["publish", "fail"]),
    ],
    ids=["before it is sent again", "before the round is given up"],
)
def test_a_sum_that_comes_through_after_its_sender_s_death_is_kept(
    chain: Chain, sent: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):  # the second start has a finalised head that shows it
        host = _start(chain, tmp_path, monkeypatch)
        assert [one.published for one in host.logged] == _kept(host) == [LANDED]
        assert host.told().values == {0: VALUES}
    assert chain.sent == sent


def test_a_round_that_was_failed_by_another_meanwhile_stops_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain({"publish": Failed()})
    for _ in range(2):
        assert _kept(_start(chain, tmp_path, monkeypatch)) == []
    assert chain.sent == ["publish"]


def test_a_round_that_nobody_wrote_down_and_that_ended_meanwhile_stops_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"study-{STUDY.hex()[:16]}.json").write_text('{"rounds": []}')
    chain = Chain({"fail": Failed()})
    for _ in range(2):
        assert _kept(_start(chain, tmp_path, monkeypatch)) == []
    assert chain.sent == ["fail"]


@pytest.mark.parametrize(
    ("chain", "code"),
    [
        (Chain({"publish": _sum((9, 9, 9, 9))}), "bad-state"),
        (Chain(refuses={"publish": "CohortTooSmall", "fail": "NotAggregator"}), "dispatch-error"),
    ],
    ids=["another sum is there", "it cannot be given up"],
)
def test_a_sum_is_forgotten_only_when_its_round_is_given_up(
    chain: Chain, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((FederationError, DispatchError)) as refused:
        _start(chain, tmp_path, monkeypatch)
    assert refused.value.code == code
    saved = json.loads((tmp_path / f"study-{STUDY.hex()[:16]}.json").read_text())["rounds"]
    assert [tuple(one["told"]["values"]) for one in saved] == [VALUES]


def test_a_tree_that_is_posted_before_the_delivery_loses_no_round(monkeypatch: pytest.MonkeyPatch) -> None:
    trees = [Consents(bytes([block]) * 32, live, block) for block, live in ((3, 64), (5, 32), (9, 96))]

    def site(_client: Any, _account: bytes, at: bytes | None = None) -> Any:
        last = 12 if at is None else at[0]
        posted = [one for one in trees if one.at <= last]
        return SimpleNamespace(consents=posted[-1] if posted else None)

    monkeypatch.setattr(federation, "site", site)
    chain = cast(Any, SimpleNamespace(block_hash=lambda number: bytes([number]) * 32))
    for one in trees:
        assert posted_consents(chain, STUDY, one.root, one.live)
        assert not posted_consents(chain, STUDY, one.root, one.live + 32)
    assert not posted_consents(chain, STUDY, bytes(32), 32)


def test_the_cohort_that_a_site_registered_goes_with_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: dict[bytes, Any] = {b"a": 2, b"b": 16, b"c": None}

    def site(_client: Any, account: bytes) -> Any:
        cohort = registered[account]
        return cohort and SimpleNamespace(rules=SimpleNamespace(cohort=cohort))

    monkeypatch.setattr(federation, "site", site)
    host = Host(cast(Any, None), dev_keypair("//Dave"), cast(Any, None), study_of(), state=Path("unused"))
    committed = [SimpleNamespace(site=account) for account in registered]
    assert host._cohorts(cast(Any, SimpleNamespace(committed=committed))) == bytes([2, 16, 0])
