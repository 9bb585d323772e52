"""Keys, quote and record follow each other; a refused renewal never costs the registered keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from proofward.chain import Call
from proofward.chain.pallets.workers import WorkerRecord
from proofward.protocol import sha256
from proofward_node.journal import Journal
from proofward_node.ports import Head, Sent
from proofward_node.registration import Registration, RegistrationRefused, RivalWorker
from tests.node.world import ACCOUNT, GENESIS, WORKER, FakeChain, World

HEAD = Head(100, b"b" * 32, 1_000_000)


@dataclass
class Registry(FakeChain):
    """A chain that keeps one worker's record, and refuses what it is told to."""

    record: WorkerRecord | None = None
    missing: bool = False
    refuse: list[str] = field(default_factory=list)
    sent: list[Call] = field(default_factory=list)
    past: int | None = None

    async def worker(self) -> WorkerRecord | None:
        return self.record

    async def last_epoch(self) -> int | None:
        return self.past

    async def collateral_missing(self, quote: bytes) -> bool:
        return self.missing

    async def send(self, key: str, call: Call) -> Sent:
        self.sent.append(call)
        if self.refuse:
            return Sent(1, self.refuse.pop(0))
        if call.pallet == "Workers":
            self.record = replace(
                WORKER,
                epoch=call.args["epoch"],
                hpke_key=call.args["hpke_key"],
                receipt_key=call.args["receipt_key"],
                expires_at=HEAD.time_ms + 86_400_000,
            )
        return Sent(1, None)


@dataclass
class Keys:
    """An enclave's epochs, as the real one keeps them: two, and the same number twice gives the same keys."""

    epoch: int | None = None
    generation: int = 1
    up: bool = True
    restored: bool = False
    erased: list[int] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)

    async def call(self, method: str, params: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        if method == "status":
            return {"epoch": self.epoch, "restored": self.restored}
        number = params["epoch"]
        if number != self.epoch:
            self.restored = False
            self.begun.append(number)
            self.erased = self.begun[:-2]
        self.epoch = number
        name = b"%d" % number
        return {
            "hpke_key": sha256(b"h" + name),
            "receipt_key": sha256(b"r" + name),
            "possession": b"p" * 64,
            "quote": b"q" + name,
            "collateral": b"c",
        }


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite", GENESIS + ACCOUNT)
    yield journal
    journal.close()


async def _no_collateral(quote: bytes) -> bytes:
    raise RegistrationRefused("no collateral anywhere")


def _registration(chain: Registry, keys: Keys, journal: Journal) -> Registration:
    return Registration(chain, keys, journal, "", 3600, 600, _no_collateral)


def _names(chain: Registry) -> list[str]:
    return [call.name for call in chain.sent]


async def test_registers_once_and_then_rests(journal: Journal) -> None:
    chain, keys = Registry(World(), missing=True), Keys()
    registration = _registration(chain, keys, journal)
    first = await registration.ensure(HEAD)
    chain.missing = False
    assert await registration.ensure(HEAD) == first
    assert _names(chain) == ["refresh_collateral", "register"]


@pytest.mark.parametrize(
    ("why", "change"),
    [
        ("a new process", lambda chain, keys: setattr(keys, "epoch", None)),
        (
            "expires soon",
            lambda chain, keys: setattr(
                chain, "record", replace(chain.record, expires_at=HEAD.time_ms + 500_000)
            ),
        ),
        (
            "other keys",
            lambda chain, keys: setattr(chain, "record", replace(chain.record, receipt_key=b"z" * 32)),
        ),
    ],
)
async def test_renews_when(why: str, change: Any, journal: Journal) -> None:
    chain, keys = Registry(World()), Keys()
    registration = _registration(chain, keys, journal)
    await registration.ensure(HEAD)
    change(chain, keys)
    after = await registration.ensure(HEAD)
    assert _names(chain) == ["register", "renew"], why
    assert after.epoch == 2


async def test_rotates_when_the_epoch_is_over(journal: Journal) -> None:
    chain, keys = Registry(World()), Keys()
    registration = _registration(chain, keys, journal)
    await registration.ensure(HEAD)
    later = replace(HEAD, time_ms=HEAD.time_ms + 3_600_000)
    assert (await registration.ensure(later)).epoch == 2


async def test_a_refused_renewal_costs_neither_the_registration_nor_its_keys(journal: Journal) -> None:
    chain, keys = Registry(World()), Keys()
    registration = _registration(chain, keys, journal)
    first = await registration.ensure(HEAD)
    for attempt, error in enumerate(("BlockTooOld", "TcbNotAllowed", "MeasurementNotAllowed"), start=1):
        chain.refuse = [error]
        later = replace(HEAD, time_ms=HEAD.time_ms + 3_600_000 + attempt**2 * 20_000)
        assert await registration.ensure(later) == first
        sent = len(chain.sent)
        assert await registration.ensure(later) == first
        assert len(chain.sent) == sent
    assert keys.erased == []
    assert (await registration.ensure(replace(later, time_ms=later.time_ms + 60_000))).epoch == 2


async def test_a_refused_renewal_is_tried_again_after_twice_the_time(journal: Journal) -> None:
    chain, keys = Registry(World()), Keys()
    registration = _registration(chain, keys, journal)
    await registration.ensure(HEAD)
    chain.refuse = ["TcbNotAllowed"] * 100
    for second in range(3600, 3720):
        await registration.ensure(replace(HEAD, time_ms=HEAD.time_ms + second * 1000))
    assert len(chain.sent) == 1 + 4  # at 0, 15, 45 and 105 s


async def test_who_is_renewed_against_twice_leaves_the_account_to_the_other(journal: Journal) -> None:
    chain, keys = Registry(World()), Keys()
    registration = _registration(chain, keys, journal)
    await registration.ensure(HEAD)
    for rival in (2, 4):
        assert chain.record is not None
        chain.record = replace(chain.record, epoch=rival, receipt_key=b"z" * 32)
        if rival == 2:
            assert (await registration.ensure(HEAD)).epoch == 3
    with pytest.raises(RivalWorker, match="another process registers"):
        await registration.ensure(HEAD)
    assert _names(chain) == ["register", "renew"]


async def test_a_new_process_without_a_registration_of_its_own_gets_no_jobs(journal: Journal) -> None:
    chain, keys = Registry(World()), Keys()
    registration = _registration(chain, keys, journal)
    await registration.ensure(HEAD)
    keys.epoch, keys.generation = None, 2
    chain.refuse = ["MeasurementNotAllowed"]
    with pytest.raises(RegistrationRefused, match="MeasurementNotAllowed"):
        await registration.ensure(HEAD)


async def test_stale_collateral_is_refreshed_and_the_registration_tried_again(journal: Journal) -> None:
    chain, keys = Registry(World(), refuse=["CollateralExpired"]), Keys()
    assert (await _registration(chain, keys, journal).ensure(HEAD)).epoch == 1
    assert _names(chain) == ["register", "refresh_collateral", "register"]


async def test_attack_old_epoch_an_account_that_comes_back_goes_on_with_its_epochs(journal: Journal) -> None:
    chain, keys = Registry(World(), past=6), Keys()
    assert (await _registration(chain, keys, journal).ensure(HEAD)).epoch == 7


@pytest.mark.parametrize(
    ("state", "says"), [({"retired_at": 5}, "worker withdraw"), ({"banned": True}, "has banned")]
)
async def test_a_worker_that_may_not_work_pays_for_nothing(
    journal: Journal, state: dict[str, Any], says: str
) -> None:
    chain, keys = Registry(World()), Keys()
    chain.record = replace(WORKER, **state)
    with pytest.raises(RegistrationRefused, match=says):
        await _registration(chain, keys, journal).ensure(HEAD)
    assert chain.sent == []


@pytest.mark.parametrize("sessions", [False, True])
async def test_kept_keys_stay_registered_but_where_sessions_want_fresh_ones(
    journal: Journal, sessions: bool
) -> None:
    chain, keys = Registry(World()), Keys()
    await _registration(chain, keys, journal).ensure(HEAD)
    keys.generation, keys.restored = 2, True  # a new process, with the keys of the one before
    registration = _registration(chain, keys, journal)
    registration.fresh_keys = sessions
    after = await registration.ensure(HEAD)
    assert _names(chain) == ["register", "renew"] if sessions else ["register"]
    assert after.epoch == (2 if sessions else 1)
    assert await registration.ensure(HEAD) == after
