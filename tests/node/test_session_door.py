"""The door of sessions: one connection a session, and bounds on all that are open, whoever they are."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from proofward.chain.pallets.sessions import SessionRecord, Terms
from proofward.protocol.keys import ReceiptKey, hpke_seal
from proofward.protocol.session_frames import SessionContext
from proofward.protocol.sessions import hello_message, session_id
from proofward_enclave.service import Service
from proofward_node import session_door
from proofward_node.metrics import HttpServer, Metrics
from proofward_node.session_door import MAX_ENTERING, MAX_KNOCKING, REST, SessionDoor, SessionRefused
from proofward_node.sessions import SessionPolicy, Sessions
from tests.enclave.world import ACCOUNT, CLIENT, GENESIS, PUBLISHER, Host, Job, add_model, begin, enclave
from tests.node.test_session_proving import record
from tests.vectors.make import value

VOUCHER = ReceiptKey(value("voucher"))


@dataclass
class World:
    """A node's door before an enclave, without a chain: each session of our client's is admitted."""

    host: Host
    service: Service
    hpke_key: bytes
    model: bytes
    manifest_hash: bytes

    def record(self, at: int = 0) -> SessionRecord:
        name = session_id(CLIENT, bytes([at]) * 32)
        changes: dict[str, Any] = {"client": CLIENT, "worker": ACCOUNT, "model": self.model}
        return record(name, voucher_key=VOUCHER.public, escrow=1000, **changes)

    def hello(self, at: int = 0) -> bytes:
        one, word = self.record(at), os.urandom(32)
        context = SessionContext(GENESIS, one.id, CLIENT, ACCOUNT, self.model, one.epoch)
        wrapped = hpke_seal(self.hpke_key, value("secret"), context.info())
        return word + VOUCHER.sign(hello_message(GENESIS, one.id, word, wrapped)) + wrapped

    @asynccontextmanager
    async def door(self) -> AsyncIterator[tuple[Sessions, int]]:
        chain = SimpleNamespace(genesis=GENESIS, account=ACCOUNT)
        policy = SessionPolicy(Terms(1, 1, 4, 10_000, 120), 8, 1024, 1, 100)
        journal = SimpleNamespace(close=lambda: None)
        keeper = Sessions(chain, self.host.path, journal, policy, Metrics())  # type: ignore[arg-type]
        known = {one.id: one for one in map(self.record, range(100))}
        model = SimpleNamespace(publisher=PUBLISHER, manifest_hash=self.manifest_hash)

        async def admit(session: bytes) -> tuple[SessionRecord, Any]:
            return known[session], model

        keeper.admit = admit  # type: ignore[method-assign]
        door = SessionDoor()
        door.host = keeper
        server = HttpServer(keeper.metrics, "127.0.0.1", 0, door=door)
        port = await server.start()
        try:
            yield keeper, port
        finally:
            await keeper.abandon()
            await server.stop()

    def connect(self, port: int, at: int = 0) -> Any:
        return connect(f"ws://127.0.0.1:{port}/sessions/{self.record(at).id.hex()}")

    async def enter(self, socket: ClientConnection, at: int = 0) -> None:
        await socket.send(self.hello(at))
        assert [len(await socket.recv(decode=False)) > 0 for _ in range(2)] == [True, True]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    public = add_model(tmp_path / "models", "sum")
    with enclave(tmp_path / "models") as (host, service):
        host.call("load_model", path="sum")
        yield World(host, service, begin(host)["hpke_key"], Job(public).model, public.manifest_hash)


def test_a_newer_connection_hangs_the_older_one_up(world: World) -> None:
    """However often one client connects, its session has one connection here and one to the enclave."""

    async def run() -> None:
        async with world.door() as (keeper, port), AsyncExitStack() as held:
            older = await held.enter_async_context(world.connect(port))
            await world.enter(older)
            for _ in range(2 * MAX_ENTERING):
                newer = await held.enter_async_context(world.connect(port))
                await world.enter(newer)
                with pytest.raises(ConnectionClosed) as closed:
                    await older.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.reason == "stale-connection"
                older = newer
            assert len(keeper._lives) == 1
            other = await held.enter_async_context(world.connect(port, 1))
            await world.enter(other, 1)
            assert len(keeper._lives) == 2
            assert world.host.call("status")["epoch"] == 1

    asyncio.run(run())


def test_strangers_who_ask_for_the_pace_leave_the_node_its_time(world: World) -> None:
    """Attack: reckoning one takes a tenth of a second and costs who asks nothing: blocks waited for it."""

    async def run() -> None:
        async with world.door() as (keeper, port), aiohttp.ClientSession() as asker:
            reckoned = list[int]()

            def pace(model: bytes, sample: int, window: int) -> dict[str, Any]:
                reckoned.append(sample)
                time.sleep(0.02)
                return {"sample": sample}

            keeper.pace = pace  # type: ignore[method-assign]
            where = f"http://127.0.0.1:{port}/sessions/pace?model={world.model.hex()}&window=120&sample="

            async def ask(sample: int) -> int:
                async with asker.get(f"{where}{sample}") as reply:
                    assert reply.status != 200 or await reply.json() == {"sample": sample}
                    return reply.status

            began = time.monotonic()
            statuses = Counter(await asyncio.gather(*map(ask, range(1, 51))))
            took = time.monotonic() - began
            assert statuses[200] == len(reckoned)
            assert statuses[503] == 50 - statuses[200]
            assert 0.02 * (len(reckoned) - 1) * REST <= took, "the others have most of the time"

    asyncio.run(run())


def test_strangers_whose_hellos_come_to_nothing_leave_the_chain_its_time(world: World) -> None:
    """Attack: each cost up to three reads of the chain, as many at once as there were sockets."""
    seconds, strangers = 0.02, 3 * MAX_KNOCKING

    async def run() -> None:
        async with world.door() as (keeper, port):
            known, under_way = keeper.admit, list[int]()

            async def admit(session: bytes) -> Any:
                if session == world.record().id:
                    return await known(session)
                under_way.append(1)
                most.append(len(under_way))
                await asyncio.sleep(seconds)
                under_way.pop()
                raise SessionRefused.by("unknown-session")

            async def knock(at: int) -> None:
                async with world.connect(port, at) as socket:
                    await socket.send(world.hello(at))
                    with pytest.raises(ConnectionClosed):
                        await socket.recv()

            most = list[int]()
            keeper.admit = admit  # type: ignore[method-assign]
            began = time.monotonic()
            knocking = asyncio.gather(*map(knock, range(1, strangers + 1)))
            async with world.connect(port) as client:
                await world.enter(client)
                await knocking
                assert list(keeper._lives) == [world.record().id]
            assert len(most) == strangers
            assert max(most) <= MAX_KNOCKING
            assert time.monotonic() - began >= 0.9 * strangers / MAX_KNOCKING * seconds * (1 + REST)

    asyncio.run(run())


def test_more_sockets_without_a_hello_are_refused(world: World) -> None:
    async def run() -> None:
        async with world.door() as (keeper, port), AsyncExitStack() as held:
            client = await held.enter_async_context(world.connect(port))
            await world.enter(client)
            mute = [await held.enter_async_context(world.connect(port, 1)) for _ in range(MAX_ENTERING)]
            with pytest.raises(InvalidStatus) as refused:
                await held.enter_async_context(world.connect(port, 1))
            assert refused.value.response.status_code == 503
            assert list(keeper._lives) == [world.record().id]  # who is in stays
            await mute[0].close()
            await world.enter(mute[1], 1)
            await world.enter(await held.enter_async_context(world.connect(port, 2)), 2)
            assert len(keeper._lives) == 3

    asyncio.run(run())


def test_more_sockets_than_sessions_have_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_door, "MAX_SOCKETS", 3)

    async def run() -> None:
        async with world.door() as (_, port), AsyncExitStack() as held:
            for at in range(3):
                await world.enter(await held.enter_async_context(world.connect(port, at)), at)
            with pytest.raises(InvalidStatus) as refused:
                await held.enter_async_context(world.connect(port, 3))
            assert refused.value.response.status_code == 503

    asyncio.run(run())


def test_a_client_that_reads_nothing_holds_up_neither_a_block_nor_the_node(world: World) -> None:
    async def run() -> None:
        async with world.door() as (keeper, port), AsyncExitStack() as held:
            socket = await held.enter_async_context(world.connect(port))
            await world.enter(socket)
            (live,) = keeper._lives.values()
            await live.lock.acquire()  # a frame for it is on its way, and it takes none
            one = world.record()

            async def ask(_: Any) -> Any:
                return [one]

            keeper.chain.ask = ask  # type: ignore[assignment, method-assign]
            keeper._height = 8
            keeper._recalled.add(one.id)
            keeper._there[one.id] = 1
            keeper.journal.sessions = dict  # type: ignore[method-assign]
            tended: list[Any] = []
            keeper._tend = tended.append  # type: ignore[assignment, method-assign]
            async with asyncio.timeout(60):
                await keeper.step(SimpleNamespace(number=9, time_ms=0))  # type: ignore[arg-type]
            assert tended == [one]
            live.lock.release()

    asyncio.run(run())


def test_attack_a_client_that_reads_nothing_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It held its session's lock, and all checkpoints behind it, for as long as it sent a byte at times."""
    monkeypatch.setattr(session_door, "SEND_SECONDS", 0.2)

    async def call(*_: Any) -> dict[str, Any]:
        return {"frames": [bytes(2**20)] * 256}

    async def run() -> None:
        async with world.door() as (keeper, port), AsyncExitStack() as held:
            socket = await held.enter_async_context(world.connect(port))
            await world.enter(socket)
            (live,) = keeper._lives.values()
            live.link.call = call  # type: ignore[method-assign, assignment]
            async with asyncio.timeout(60):
                with pytest.raises(ConnectionAbortedError, match="read nothing"):
                    await live.ask("session_checkpoint")
                assert not live.lock.locked()
                while keeper._lives:
                    await asyncio.sleep(0)

    asyncio.run(run())
