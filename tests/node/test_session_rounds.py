"""What a block brings for sessions, whatever else is wrong: their bonds are down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proofward.chain import Event
from proofward.chain.pallets import sessions as pallet
from proofward.chain.pallets.sessions import Drawn, Offer, SessionRecord, Terms, WindowRecord
from proofward.chain.values import Call
from proofward_node.enclave_link import EnclaveDown
from proofward_node.metrics import Metrics
from proofward_node.ports import Head
from proofward_node.registration import RegistrationRefused
from proofward_node.session_journal import SessionJournal
from proofward_node.sessions import OFFERS_EVERY_BLOCKS, WAIVE_BLOCKS, SessionPolicy, Sessions
from tests.node.test_node import Enclave as NodeEnclave
from tests.node.test_node import _daemon
from tests.node.test_session_proving import MODEL, Enclave, record, window
from tests.node.world import ACCOUNT, GENESIS, World

TERMS = Terms(price=1, bond=1, capacity=4, most_sampled=10_000, least_window=120)


@dataclass
class Chain:
    """Tables of sessions, windows and offers, and what a worker sent."""

    records: dict[bytes, SessionRecord] = field(default_factory=dict)
    open_windows: dict[bytes, dict[int, WindowRecord]] = field(default_factory=dict)
    offers: dict[bytes, Offer] = field(default_factory=dict)
    sent: list[tuple[str, Call]] = field(default_factory=list)
    height: int = 50
    account: bytes = ACCOUNT
    genesis: bytes = GENESIS

    async def ask(self, action: Callable[[Any], Any]) -> Any:
        return action(self)

    async def serving(self) -> dict[bytes, int]:
        return {MODEL: 1}

    async def finalised(self) -> Head:
        return Head(self.height, bytes(32), self.height * 1000)

    async def send(self, key: str, call: Call) -> Any:
        self.sent.append((key, call))
        session = call.args.get("session", b"")
        if call.name == "offer":
            terms = Terms(**call.args["terms"])
            self.offers[call.args["model"]] = Offer(terms, terms.capacity, 0)
        elif call.name == "withdraw":
            del self.offers[call.args["model"]]
        if call.name == "waive":
            del self.records[session], self.open_windows[session]
        elif call.name == "finish":
            one = self.records[session]
            del self.open_windows[session][one.oldest]
            self.records[session] = replace(one, oldest=one.oldest + 1)
        return SimpleNamespace(error=None, block=self.height, event=lambda *_: None)

    def finalised_head(self) -> Head:
        return Head(self.height, bytes(32), self.height * 1000)

    def block_hash(self, number: int) -> bytes:
        return number.to_bytes(32, "big")

    def events(self, _: bytes) -> list[Event]:
        return [Event(pallet.PALLET, "Waived", {"session": record().id, "refunded": 0}, 0)]

    @property
    def names(self) -> list[str]:
        return [call.name for _, call in self.sent]


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    def windows(client: Chain, one: SessionRecord) -> Mapping[int, WindowRecord]:
        return dict(client.open_windows.get(one.id, {}))

    monkeypatch.setattr(pallet, "get", lambda client, name, at=None: client.records.get(name))
    monkeypatch.setattr(pallet, "of_worker", lambda client, _, at=None: list(client.records.values()))
    monkeypatch.setattr(pallet, "windows", windows)
    monkeypatch.setattr(pallet, "floor", lambda *_: 1)
    monkeypatch.setattr(pallet, "offer_of", lambda client, model, _, at=None: client.offers.get(model))
    return Chain()


def keeper(chain: Chain, folder: Path, enclave: Enclave) -> Sessions:
    """Sessions over an enclave that holds every session of the chain's, while it is `up`."""
    policy = SessionPolicy(TERMS, 8, 1024, 1, 100)
    journal = SessionJournal(folder / "sessions.sqlite")
    made = Sessions(chain, Path(), journal, policy, Metrics())  # type: ignore[arg-type]
    made._proving._link = lambda: enclave  # type: ignore[assignment, return-value]

    async def ask(method: str, **_: Any) -> dict[str, Any]:
        if not enclave.up:
            raise EnclaveDown("nobody answers")
        return {"sessions": list(chain.records), "bytes": 0, "vouchers": []}

    made._ask = ask  # type: ignore[method-assign]
    return made


async def quiet(made: Sessions) -> None:
    """Until nothing goes on beside the blocks."""
    while tasks := [one for one in (*made._tasks.values(), *made._proving._provers, *made._proving._others)
                    if not one.done()]:  # fmt: skip
        await asyncio.wait(tasks)


def drawn(due: int, *pages: int) -> WindowRecord:
    return replace(window(due, *pages), drawn=Drawn(bytes(32), 1))


async def test_owed_pages_are_proved_while_the_registration_is_refused(chain: Chain, tmp_path: Path) -> None:
    node = _daemon(tmp_path, World(), NodeEnclave(World()))
    enclave, one = Enclave(), record(worker=ACCOUNT, window=40, oldest=0, next=1)
    chain.records[one.id], chain.open_windows[one.id] = one, {0: drawn(90, 3, 5)}
    node.sessions = keeper(chain, tmp_path, enclave)

    async def ensure(_: Head) -> Any:
        raise RegistrationRefused("out of date", error="TcbNotAllowed")

    node.registration.ensure = ensure  # type: ignore[assignment, method-assign]
    await node._round(await chain.finalised(), asyncio.Event())
    await quiet(node.sessions)
    assert enclave.asked == [3, 5]
    assert chain.names == ["prove"]
    node.sessions.journal.close()


async def test_an_enclave_that_stays_away_is_waived_before_the_window_ends(
    chain: Chain, tmp_path: Path
) -> None:
    """A window that is proved is paid all the same, and one that comes back in time is not waived."""
    node_enclave = NodeEnclave(World())
    node_enclave.up = False
    node = _daemon(tmp_path, World(), node_enclave)
    enclave, one = Enclave(up=False), record(worker=ACCOUNT, window=40, oldest=0, next=2)
    chain.records[one.id], chain.open_windows[one.id] = one, {0: drawn(60), 1: drawn(90, 5)}
    node.sessions = made = keeper(chain, tmp_path, enclave)
    while chain.height < 90 - WAIVE_BLOCKS:
        assert "waive" not in chain.names
        await node._round(await chain.finalised(), asyncio.Event())
        await quiet(made)
        chain.height += 1
    assert chain.names == ["finish"]
    await node._round(await chain.finalised(), asyncio.Event())
    await quiet(made)
    assert chain.names == ["finish", "waive"]
    assert chain.sent[-1][0].endswith(":waive:1")
    enclave.up = True
    await node._round(await chain.finalised(), asyncio.Event())
    assert made._there == {}
    assert made.metrics.session_windows.labels("waived")._value.get() == 1
    made.journal.close()


async def test_a_place_that_a_waived_session_took_is_offered_again(chain: Chain, tmp_path: Path) -> None:
    """Places and sessions that run are never more than the operator's capacity, whatever became of some."""
    made = keeper(chain, tmp_path, Enclave())
    served: Any = {MODEL: SimpleNamespace(retired=False, batch=16)}

    async def looked() -> int:
        chain.height += OFFERS_EVERY_BLOCKS
        await made.offer(await chain.finalised(), served)
        return chain.offers[MODEL].free

    assert await looked() == TERMS.capacity
    one, other = (record(bytes([at]) * 32, worker=ACCOUNT) for at in (1, 2))
    chain.records = {one.id: one, other.id: other}
    chain.offers[MODEL] = replace(chain.offers[MODEL], free=2)
    assert await looked() == 2
    assert chain.names == ["offer"]  # two places are free and two taken: nothing to do
    del chain.records[one.id]  # waived: the chain gives no place back
    assert await looked() == 3
    del chain.records[other.id]  # settled: the offer is of three, and takes no more by itself
    assert await looked() == TERMS.capacity
    assert chain.names == ["offer"] * 3
    # Fewer than run: none is free until some have ended.
    chain.records = {bytes([at]): record(bytes([at]) * 32) for at in range(5)}
    chain.height += OFFERS_EVERY_BLOCKS
    await made.offer(await chain.finalised(), served)
    assert chain.names == [*["offer"] * 3, "withdraw"]
    made.journal.close()


async def test_without_the_section_the_offer_is_withdrawn(chain: Chain, tmp_path: Path) -> None:
    """And a session that runs is seen to its end all the same."""
    node = _daemon(tmp_path, World(), NodeEnclave(World()))
    assert node.sessions is None
    one = record(worker=ACCOUNT)
    chain.offers[MODEL], chain.records[one.id] = Offer(TERMS, 4, 0), one
    node.chain = chain  # type: ignore[assignment]
    await node._without_sessions()
    assert chain.names == ["withdraw"]
    assert node.sessions is not None
    await node.sessions.offer(await chain.finalised(), {MODEL: SimpleNamespace(retired=False)})
    assert (chain.names, chain.offers) == (["withdraw"], {})
    node.sessions.journal.close()
    # With nothing offered and nothing running there is nobody to keep.
    node.sessions, chain.records = None, {}
    await node._without_sessions()
    assert (chain.names, node.sessions) == (["withdraw"], None)
