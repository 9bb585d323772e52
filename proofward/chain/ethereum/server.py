"""Ethereum's JSON-RPC 2.0 over HTTP POST and WebSocket on one port, for any chain of ours."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from aiohttp import WSCloseCode, WSMsgType, web

from proofward.chain.client import SubstrateClient
from proofward.chain.errors import ChainError
from proofward.chain.ethereum import params, shapes
from proofward.chain.ethereum.history import EthBlock
from proofward.chain.ethereum.index import EthIndex
from proofward.chain.ethereum.indexer import Indexer
from proofward.chain.ethereum.methods import EthMethods
from proofward.chain.ethereum.params import (
    FAILED,
    INTERNAL,
    INVALID_REQUEST,
    NO_METHOD,
    NOT_PARSED,
    BadParameter,
    EthError,
)
from proofward.chain.ethereum.shapes import LogFilter
from proofward.logs import Logger

MAX_BODY: Final = 4 * 1024 * 1024
"""Bytes of a request, or of a batch."""
MAX_BATCH: Final = 256
MAX_SOCKETS: Final = 256
MAX_SUBSCRIPTIONS: Final = 64
"""Of one connection."""
MAX_DEPTH: Final = 32
"""Lists and objects inside each other."""
_NESTING: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""Brackets, and strings, since those inside do not count; one without an end matches too. Possessive, or it
would keep 150 bytes of memory for each character."""
_THREADS: Final = 8
_BACKLOG: Final = 1_024
"""Messages that a connection may leave unread before it is closed."""
_EXTENSIONS: Final = ("chrome-extension://", "moz-extension://")
_log = Logger(__name__)


@dataclass(eq=False)
class _Socket:
    """A WebSocket connection, its subscriptions (id -> what it wants) and what it has to be sent."""

    wire: web.WebSocketResponse
    outbox: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(_BACKLOG))
    heads: set[str] = field(default_factory=set)
    logs: dict[str, LogFilter] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)

    def count(self) -> int:
        return len(self.heads) + len(self.logs) + len(self.pending)

    def drop(self, name: str) -> bool:
        found = name in self.heads or name in self.logs or name in self.pending
        self.heads.discard(name)
        self.logs.pop(name, None)
        self.pending.discard(name)
        return found


class EthServer:
    """The endpoint, in a thread of its own; a `with` block, or `start` and `stop`."""

    def __init__(
        self,
        client: SubstrateClient,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        origins: Sequence[str] = (),
        index: Path | None = None,
    ) -> None:
        """`port` 0 takes a free one; web pages of `origins` may ask; `index` is a file that keeps the
        index of transactions and logs.
        """
        self._host, self._port, self._origins = host, port, frozenset(origins)
        self._index = EthIndex(client.genesis, index)
        self._methods = EthMethods(client, self._index)
        self._indexer = Indexer(self._methods.history, self._on_block)
        self._sockets: set[_Socket] = set()
        self._loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="ethereum")
        self._thread = threading.Thread(target=self._loop.run_forever, name="ethereum", daemon=True)
        self._runner: web.AppRunner | None = None
        self.url = ""

    def start(self) -> Self:
        """Listen. Raises ChainError when the port is taken or the chain is away."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
            self._indexer.start()
        except OSError as error:
            self.stop()
            raise ChainError(
                f"cannot listen on {self._host}:{self._port} ({error.strerror}): give another --eth-port",
                code="port-in-use",
            ) from error
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Close every connection and end the threads."""
        self._indexer.stop()
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        self._pool.shutdown()
        self._index.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _listen(self) -> None:
        app = web.Application(client_max_size=MAX_BODY)
        app.add_routes(
            [web.post("/", self._post), web.get("/", self._get), web.options("/", self._preflight)]
        )
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def _close(self) -> None:
        for one in list(self._sockets):
            await one.wire.close(code=WSCloseCode.GOING_AWAY)
        if self._runner is not None:
            await self._runner.cleanup()

    # ---- who may ask ----------------------------------------------------------------------

    def _cors(self, request: web.Request) -> dict[str, str]:
        """The headers for this origin. Raises HTTPForbidden for a web page that was not let in."""
        origin = request.headers.get("Origin")
        if origin is None or origin.startswith(_EXTENSIONS):
            return {}
        if origin not in self._origins:
            raise web.HTTPForbidden(text=f"origin {origin} may not ask: start with --cors {origin}")
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    async def _preflight(self, request: web.Request) -> web.Response:
        allowed = {"Access-Control-Allow-Headers": "Content-Type", "Access-Control-Allow-Methods": "POST"}
        return web.Response(status=204, headers={**self._cors(request), **allowed})

    # ---- HTTP -----------------------------------------------------------------------------

    async def _post(self, request: web.Request) -> web.Response:
        headers = self._cors(request)
        if request.content_type != "application/json":  # what a page may send unasked is something else
            return web.Response(status=415, text="Content-Type: application/json is due", headers=headers)
        answer = await self._answer(await request.read(), self._call)
        if answer is None:
            return web.Response(status=204, headers=headers)
        return web.Response(text=answer, content_type="application/json", headers=headers)

    async def _answer(self, body: bytes | str, call: Callable[[str, Any], Any]) -> str | None:
        """The response to a request or a batch; None when nobody waits for one."""
        try:
            asked = _parse(body)
        except ValueError:
            return _dump(_failure(None, EthError(NOT_PARSED, "this is no JSON, or nested too deeply")))
        if not isinstance(asked, list):
            return _dump(await self._one(asked, call))
        if not 1 <= len(asked) <= MAX_BATCH:
            refused = EthError(INVALID_REQUEST, f"a batch has 1 to {MAX_BATCH} requests, not {len(asked)}")
            return _dump(_failure(None, refused))
        answers = [answer for one in asked if (answer := await self._one(one, call)) is not None]
        return _dump(answers or None)

    async def _one(self, asked: Any, call: Callable[[str, Any], Any]) -> dict[str, Any] | None:
        if (
            not isinstance(asked, dict)
            or asked.get("jsonrpc") != "2.0"
            or not isinstance(asked.get("method"), str)
        ):
            return _failure(None, EthError(INVALID_REQUEST, "this is no JSON-RPC 2.0 request"))
        name = asked.get("id")
        if isinstance(name, bool) or not isinstance(name, str | int | float | None):
            return _failure(None, EthError(INVALID_REQUEST, "an id is a string, a number or null"))
        try:
            answer = {
                "jsonrpc": "2.0",
                "id": name,
                "result": await call(asked["method"], asked.get("params")),
            }
        except EthError as error:
            answer = _failure(name, error)
        except ChainError as error:
            answer = _failure(name, EthError(FAILED, error.message))
        except Exception:  # noqa: BLE001  one request's fault must not end the connection
            _log.exception("ethereum-request-failed", method=asked["method"][:80])
            answer = _failure(name, EthError(INTERNAL, "internal error: the endpoint's log has it"))
        return answer if "id" in asked else None

    async def _call(self, method: str, given: Any) -> Any:
        if method in ("eth_subscribe", "eth_unsubscribe"):
            raise EthError(NO_METHOD, f"{method} needs a WebSocket: the same address with ws://")
        result = await self._loop.run_in_executor(self._pool, self._methods.call, method, given)
        if method == "eth_sendRawTransaction":
            for one in self._sockets:
                for name in one.pending:
                    self._notify(one, name, result)
        return result

    # ---- WebSocket ------------------------------------------------------------------------

    async def _get(self, request: web.Request) -> web.StreamResponse:
        headers = self._cors(request)
        wire = web.WebSocketResponse(max_msg_size=MAX_BODY, heartbeat=30)
        if not wire.can_prepare(request).ok:
            return web.Response(
                text="Ethereum JSON-RPC: POST a request, or open a WebSocket\n", headers=headers
            )
        if len(self._sockets) >= MAX_SOCKETS:
            return web.Response(status=503, text=f"there are {MAX_SOCKETS} connections", headers=headers)
        await wire.prepare(request)
        one = _Socket(wire)
        self._sockets.add(one)
        sender = self._loop.create_task(self._send(one))
        try:
            async for message in wire:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                answer = await self._answer(
                    message.data, lambda method, given: self._call_on(one, method, given)
                )
                if answer is not None:
                    await one.outbox.put(answer)
        finally:
            self._sockets.discard(one)
            sender.cancel()
        return wire

    async def _send(self, one: _Socket) -> None:
        try:
            while True:
                await one.wire.send_str(await one.outbox.get())
        except ConnectionError:
            self._sockets.discard(one)

    async def _call_on(self, one: _Socket, method: str, given: Any) -> Any:
        if method == "eth_subscribe":
            kind, wanted = params.read(method, "any object?", given)
            return self._subscribe(one, kind, wanted or {})
        if method == "eth_unsubscribe":
            (name,) = params.read(method, "any", given)
            return isinstance(name, str) and one.drop(name)
        return await self._call(method, given)

    def _subscribe(self, one: _Socket, kind: Any, wanted: dict[str, Any]) -> str:
        if one.count() >= MAX_SUBSCRIPTIONS:
            raise EthError(FAILED, f"one connection has {MAX_SUBSCRIPTIONS} subscriptions at most")
        name = hex(secrets.randbits(127) | 1 << 127)
        if kind == "newHeads":
            one.heads.add(name)
        elif kind == "logs":
            one.logs[name] = LogFilter.read(wanted)
        elif kind == "newPendingTransactions":
            one.pending.add(name)
        else:
            raise BadParameter(f"{kind!r} is no subscription: newHeads, logs or newPendingTransactions")
        return name

    def _on_block(self, block: EthBlock) -> None:
        """Called by the indexer's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._announce, block)

    def _announce(self, block: EthBlock) -> None:
        watched = [one for one in self._sockets if one.heads or one.logs]
        if not watched:
            return
        header, logs = shapes.header(block), shapes.logs(block)
        for one in watched:
            for name in one.heads:
                self._notify(one, name, header)
            for name, wanted in one.logs.items():
                for log in logs:
                    if wanted.takes(log):
                        self._notify(one, name, log)

    def _notify(self, one: _Socket, name: str, result: Any) -> None:
        told = {"subscription": name, "result": result}
        try:
            one.outbox.put_nowait(
                json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": told})
            )
        except asyncio.QueueFull:
            self._loop.create_task(one.wire.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too slow"))


def _parse(body: bytes | str) -> Any:
    """JSON in UTF-8. Raises ValueError, also for what is nested too deeply: the parser recurses."""
    told = body.decode() if isinstance(body, bytes) else body
    depth = 0
    for found in _NESTING.finditer(told):
        bracket = found[0]
        depth += 1 if bracket in "[{" else -1 if bracket in "]}" else 0
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
    return json.loads(told)


def _failure(name: Any, error: EthError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": name, "error": error.body}


def _dump(answer: Any) -> str | None:
    return None if answer is None else json.dumps(answer)
