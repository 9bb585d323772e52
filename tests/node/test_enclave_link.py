"""The socket's framing is bounded and strict, and a dead enclave is replaced."""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import cbor2
import pytest

from proofward.protocol.enclave import EnclaveError
from proofward_node.enclave_link import EnclaveDown, EnclaveLink

Answer = Callable[[dict[str, object]], bytes]

# what a real enclave does, without its keys: answers `status`, and dies when told to
CHILD = """
import socket, struct, sys, os
import cbor2
server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen()
while True:
    peer, _ = server.accept()
    size, = struct.unpack(">I", peer.recv(4))
    request = cbor2.loads(peer.recv(size))
    if request["method"] == "die":
        os._exit(9)
    frame = cbor2.dumps({"id": request["id"], "result": {"pid": os.getpid()}})
    peer.sendall(struct.pack(">I", len(frame)) + frame)
    peer.close()
"""


@asynccontextmanager
async def _server(path: Path, answer: Answer) -> AsyncIterator[EnclaveLink]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (size,) = struct.unpack(">I", await reader.readexactly(4))
        writer.write(answer(cbor2.loads(await reader.readexactly(size))))
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, path=str(path)):
        yield EnclaveLink(path)


def _frame(value: object) -> bytes:
    data = cbor2.dumps(value)
    return struct.pack(">I", len(data)) + data


async def test_results_and_refusals(tmp_path: Path) -> None:
    async with _server(
        tmp_path / "s", lambda request: _frame({"id": request["id"], "result": {"a": b"1"}})
    ) as link:
        assert await link.call("status", {}, 5) == {"a": b"1"}
    error = {"code": "busy", "message": "later"}
    async with _server(tmp_path / "t", lambda request: _frame({"id": request["id"], "error": error})) as link:
        with pytest.raises(EnclaveError, match="busy"):
            await link.call("work", {}, 5)


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("announces-5-mib", lambda request: struct.pack(">I", 5 << 20)),
        ("cut-off", lambda request: struct.pack(">I", 100) + b"short"),
        ("not-cbor", lambda request: struct.pack(">I", 3) + b"\xff\xff\xff"),
        ("another-request", lambda request: _frame({"id": -1, "result": {}})),
        ("no-result", lambda request: _frame({"id": request["id"]})),
        ("says-nothing", lambda request: b""),
    ],
)
async def test_a_reply_that_cannot_be_trusted_is_no_reply(tmp_path: Path, fault: str, answer: Answer) -> None:
    async with _server(tmp_path / "s", answer) as link:
        with pytest.raises(EnclaveDown):
            await link.call("status", {}, 5)


async def test_an_oversize_request_is_refused_here(tmp_path: Path) -> None:
    with pytest.raises(EnclaveError, match="oversize"):
        await EnclaveLink(tmp_path / "s").call("work", {"envelope": bytes(5 << 20)}, 5)


async def test_a_dead_enclave_is_replaced_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "s"
    link = EnclaveLink(path, [sys.executable, "-c", CHILD, str(path)], backoff_seconds=0.05)
    stop = asyncio.Event()
    await link.start()
    first = await link.status()
    supervisor = asyncio.create_task(link.supervise(stop))
    try:
        with pytest.raises(EnclaveDown):
            await link.call("die", {}, 5)

        async def replaced() -> None:
            while link.generation < 2:
                await asyncio.sleep(0.02)

        await _within(30, replaced)
        assert (await link.status())["pid"] != first["pid"]
        assert link.restarts == 1
    finally:
        stop.set()
        await supervisor
        await link.stop()
    with pytest.raises(EnclaveDown):
        await link.status()


async def _within(seconds: float, action: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(seconds):
        await action()
