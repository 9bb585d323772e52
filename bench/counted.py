"""A chain's address that counts what is asked of it: a WebSocket proxy on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from proofward.chain.transport import MAX_MESSAGE

_READS = ("state_", "childstate_", "archive_", "chainHead_")


class Counted:
    """Passes everything on between its own `url` and a chain's, and counts requests and bytes of answers by
    method. What the chain sends without being asked is counted under its subscription's name.

    Args:
        upstream: the chain's address.
        quiet: seconds. News of the chain is passed on piece by piece, each when all that was asked is
            answered and nothing has been asked for so long: whoever reads on each piece of news then reads
            the same, however fast the machine is.
    """

    def __init__(self, upstream: str, quiet: float = 0.0) -> None:
        self.upstream, self.quiet = upstream, quiet
        self.url = ""
        self.calls: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._ended: asyncio.Event
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    def reads(self) -> tuple[int, int]:
        """Requests that read state, and the bytes of their answers, so far."""
        return tuple(  # type: ignore[return-value]
            sum(count for method, count in counter.items() if method.startswith(_READS))
            for counter in (self.calls, self.bytes)
        )

    def settle(self) -> None:
        """Wait until nothing has been asked for twice the quiet time."""
        requests = -1
        while requests != self.calls.total():
            requests = self.calls.total()
            time.sleep(2 * self.quiet)

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        async with serve(self._connection, "127.0.0.1", 0, max_size=MAX_MESSAGE, compression=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.url = f"ws://127.0.0.1:{port}"
            self._started.set()
            await self._ended.wait()

    async def _connection(self, near: ServerConnection) -> None:
        async with connect(self.upstream, max_size=MAX_MESSAGE, compression=None, proxy=None) as far:
            asked: dict[object, str] = {}
            news: asyncio.Queue[str | bytes] = asyncio.Queue()
            pumps = [
                asyncio.create_task(self._outward(near, far, asked)),
                asyncio.create_task(self._homeward(near, far, asked, news)),
                asyncio.create_task(self._news(near, asked, news)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()

    async def _outward(self, near: ServerConnection, far: ClientConnection, asked: dict[object, str]) -> None:
        with suppress(ConnectionClosed):
            async for message in near:
                for request in _each(message):
                    asked[request.get("id")] = request["method"]
                    self.calls[request["method"]] += 1
                await far.send(message)

    async def _homeward(
        self,
        near: ServerConnection,
        far: ClientConnection,
        asked: dict[object, str],
        news: asyncio.Queue[str | bytes],
    ) -> None:
        with suppress(ConnectionClosed):
            async for message in far:
                answers = _each(message)
                methods = [str(asked.pop(one.get("id"), one.get("method"))) for one in answers]
                self.bytes[methods[0]] += len(message)
                if self.quiet and "id" not in answers[0]:
                    news.put_nowait(message)
                else:
                    await near.send(message)

    async def _news(
        self, near: ServerConnection, asked: dict[object, str], news: asyncio.Queue[str | bytes]
    ) -> None:
        with suppress(ConnectionClosed):
            while True:
                message = await news.get()
                requests = -1
                while asked or requests != self.calls.total():
                    requests = self.calls.total()
                    await asyncio.sleep(self.quiet)
                await near.send(message)


def _each(message: str | bytes) -> list[Any]:
    """What one message holds: a request or an answer, or several together, which are of one method."""
    held = json.loads(message)
    return held if isinstance(held, list) else [held]
