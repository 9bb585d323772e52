"""A chain of sessions made of tables, and an enclave that holds some: for one `Sessions`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from proofward.chain import Call, Event
from proofward.chain.errors import RpcError
from proofward.chain.pallets import sessions
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.sessions import SessionRecord, Terms, WindowRecord
from proofward.protocol import Level
from proofward_node.enclave_link import EnclaveDown
from proofward_node.metrics import Metrics
from proofward_node.ports import Head, Sent
from proofward_node.session_journal import SessionJournal, Vouched
from proofward_node.sessions import SessionPolicy, Sessions
from tests.node.world import ACCOUNT, CLIENT, GENESIS, MODEL

SESSION = b"s" * 32


def record(**changes: Any) -> SessionRecord:
    """A session of `tests.node.world`'s worker, without a window."""
    made = SessionRecord(
        id=SESSION, client=CLIENT, worker=ACCOUNT, model=MODEL.id, voucher_key=bytes(32),
        receipt_key=bytes(32), epoch=1, level=Level.SIMULATED, min_level=Level.SIMULATED, price=1,
        sample=10_000, window=10, opened_at=10, end=1000, escrow=1000, owed=0, bond=7, deposit=0, oldest=0,
        next=0, pages=0, records=0, paid=0,
    )  # fmt: skip
    return replace(made, **changes)


def vouched(number: int = 0, session: bytes = SESSION) -> Vouched:
    """A voucher that nobody checks."""
    return Vouched(session, number, bytes(32), 8, 8, bytes(64), bytes(64))


def window(due: int, *, first: int = 0) -> WindowRecord:
    """One of eight pages, of which the beacon picked none yet."""
    return WindowRecord(bytes(32), first, 8, 8, 8, due - 30, due, due, None, (), False)


@dataclass
class Ledger:
    """The chain, as the node's port to it and as its client. `kept`: the oldest block with a state."""

    account: bytes = ACCOUNT
    genesis: bytes = GENESIS
    height: int = 10
    kept: int = 0
    records: dict[bytes, SessionRecord] = field(default_factory=dict)
    windows: dict[tuple[bytes, int], WindowRecord] = field(default_factory=dict)
    floors: dict[bytes, int] = field(default_factory=dict)
    offered: list[Terms] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    sent: list[Call] = field(default_factory=list)
    reads: int = 0
    _past: dict[int, frozenset[bytes]] = field(default_factory=dict)
    _events: dict[int, list[Event]] = field(default_factory=dict)

    def block(self, count: int = 1) -> None:
        """So many blocks more."""
        for _ in range(count):
            self._past[self.height] = frozenset(self.records)
            self.height += 1

    def end(self, name: str, session: bytes = SESSION, **fields: Any) -> None:
        """Anybody's call takes a session out of state in a block of its own."""
        self.block()
        del self.records[session]
        event = Event(sessions.PALLET, name, {"session": session, **fields}, 0)
        self._events.setdefault(self.height, []).append(event)

    # as the port ----------------------------------------------------------------------------------

    async def ask(self, action: Callable[[Any], Any]) -> Any:
        return action(self)

    async def finalised(self) -> Head:
        return self.finalised_head()

    async def send(self, key: str, call: Call) -> Sent:
        self.sent.append(call)
        if (error := self.refuse.get(call.name)) is not None:
            return Sent(self.height, error)
        session = call.args.get("session", b"")
        if call.name == "checkpoint":
            one = self.records[session]
            self.records[session] = replace(one, next=one.next + 1)
            self.windows[session, one.next] = window(self.height + 40, first=8 * one.next)
        elif call.name == "finish":
            one = self.records[session]
            del self.windows[session, one.oldest]
            self.records[session] = replace(one, oldest=one.oldest + 1, paid=one.paid + 8)
        elif call.name == "close":
            self.records[session] = replace(self.records[session], end=self.height)
        elif call.name == "waive":
            self.end("Waived", session, refunded=0)
        elif call.name == "settle":
            self.end("Settled", session, paid=self.records[session].paid, refunded=0)
        return Sent(self.height, None)

    # as its client --------------------------------------------------------------------------------

    def finalised_head(self) -> Head:
        return Head(self.height, self.block_hash(self.height), self.height * 1000)

    def block_hash(self, number: int) -> bytes:
        return number.to_bytes(32, "big")

    def events(self, block: bytes) -> list[Event]:
        return self._events.get(self._at(block), [])

    def _at(self, block: bytes | None) -> int:
        number = self.height if block is None else int.from_bytes(block, "big")
        self.reads += 1
        if number < self.kept:
            raise RpcError("state_getStorage", 4003, "State already discarded")
        return number

    def query(self, pallet: str, item: str, *keys: Any, at: bytes | None = None) -> Any:
        number = self._at(at)
        if item == "Floors":
            price = self.floors.get(keys[0])
            return None if price is None else {"price": price}
        if item == "Offers":
            if not self.offered:
                return None
            return {"terms": asdict(self.offered[-1]), "free": 1, "deposit": 0}
        assert item == "Sessions"
        here = self.records if number >= self.height else self._past.get(number, frozenset())
        if keys[0] not in here:
            return None
        told = asdict(self.records.get(keys[0], record(id=keys[0])))
        del told["id"]
        levels = {name: told[name].name.capitalize() for name in ("level", "min_level")}
        return {**told, **levels}

    def query_many(self, pallet: str, item: str, keys: Iterable[Any], at: bytes | None = None) -> list[Any]:
        if item == "Windows":
            found = (self.windows.get(key) for key in keys)
            return [one and asdict(one) for one in found]
        return [self.query(pallet, item, *key, at=at) for key in keys]

    def keys(self, pallet: str, item: str, *keys: Any, limit: int, at: bytes | None = None) -> Iterator[Any]:
        yield from ((self.account, name) for name in list(self.records)[:limit])


class Nobody:
    """A link to an enclave that makes no proofs."""

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        raise EnclaveDown("no proofs are made here")

    def close(self) -> None:
        pass


class Keeper(Sessions):
    """`Sessions` over an enclave that is a set of ids: `holds`, unless it is down."""

    holds: set[bytes]
    down = False

    async def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        if self.down:
            raise EnclaveDown("gone")
        return {"bytes": 0, "sessions": list(self.holds), "vouchers": []}

    def link(self) -> Any:
        return Nobody()


def keeper(ledger: Ledger, folder: Path, **more: Any) -> Keeper:
    """A worker of sessions in a folder, whose enclave holds the chain's sessions."""
    policy = SessionPolicy(Terms(1, 7, 4, 500_000, 10), 8, 1024, 1, 100)
    journal = SessionJournal(folder / "sessions.sqlite")
    made = Keeper(ledger, folder, journal, policy, Metrics(), **more)  # type: ignore[arg-type]
    made.holds = set(ledger.records)
    return made


async def step(
    worker: Sessions, ledger: Ledger, *, served: tuple[ModelRecord, ...] = (), blocks: int = 1
) -> None:
    """So many blocks, each seen, with all that comes of it."""
    for _ in range(blocks):
        ledger.block()
        await worker.offer(await ledger.finalised(), {one.id: one for one in served})
        await worker.step(await ledger.finalised())
        while running := [one for one in (*worker._tasks.values(), *worker._others) if not one.done()]:
            await asyncio.wait(running)
