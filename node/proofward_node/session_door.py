"""`GET /sessions/<id>`: a client's WebSocket, whose frames are handed to the enclave as they are; and
`GET /sessions/pace?model=&sample=&window=`: how many records a second such a session is let in.

The client's first message is its random word and the sealed secret of the session; ours is the enclave's
word. Every other message is one sealed frame. A connection that we end says why in a code of the close
frame's reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aiohttp import WSMsgType, web

from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.sessions import SessionRecord
from proofward.errors import ProofwardError
from proofward.protocol.bounds import MAX_WRAPPED
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.session_frames import MAX_SESSION_FRAME, RANDOM_LENGTH
from proofward.protocol.sessions import PARTS
from proofward_node.enclave_link import EnclaveDown
from proofward_node.ports import ChainDown
from proofward_node.session_link import SessionLink
from proofward_node.session_pace import WINDOW_BLOCKS

HELLO_SECONDS: Final = 10.0
"""Seconds that a client may take for its first message."""
MAX_ENTERING: Final = 64
MAX_SOCKETS: Final = 192
"""Sockets whose clients have not shown yet that a session is theirs, and all that are open at once: those,
one of each session that the enclave takes, and as many that are being closed.
"""
MAX_ASKING: Final = 4
REST: Final = 9
"""Who asks for a pace at once, at most; and how many times what reckoning one took goes by before the next.
"""
MAX_KNOCKING: Final = 2
MOST_REST_SECONDS: Final = 0.25
"""Hellos that are looked up at once, fewer than the threads that read the chain; and the longest that one
which came to nothing keeps the next waiting.
"""
CLOSE_SECONDS: Final = 2.0
"""Seconds that a client has to answer that we hang up."""
_HEAD: Final = RANDOM_LENGTH + 64
"""Of a hello, before the sealed secret: the client's random word and its signature."""
HEARTBEAT_SECONDS: Final = 20.0
SEND_SECONDS: Final = 10.0
"""That a client may take to read a frame: one that reads nothing holds its session's lock and memory here."""
REFUSED: Final = 4000
"""The close code of a connection that we end."""


class SessionRefused(ProofwardError):
    """A connection that is ended; its client reads the code."""

    code = "session-refused"

    @classmethod
    def by(cls, code: str) -> SessionRefused:
        """One whose message says no more than its code."""
        return cls(f"the connection was refused: {code}", code=code)


def _nothing() -> None:
    """Without a transport there is nothing to abort."""


@dataclass(eq=False)
class Live:
    """A client's connection to one session. `allowed`: records that its escrow pays for."""

    record: SessionRecord
    socket: web.WebSocketResponse
    link: SessionLink
    connection: int
    allowed: int
    checkpoint_at: int
    records: int = 0
    unvouched: int = 0
    abort: Callable[[], None] = _nothing
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(
        self, method: str, heard: Callable[[dict[str, Any]], None] = lambda _: None, **params: Any
    ) -> dict[str, Any]:
        """Ask the enclave about this session, and send the client what it answers, in its order; what it says
        to us is `heard` before, since the client may be gone.
        """
        async with self.lock:
            reply = await self.link.call(method, {"session": self.record.id, **params})
            heard(reply)
            for frame in reply.get("frames", ()):
                await _say(self.socket, frame, self.abort)
        return reply

    async def frame(
        self, frame: bytes, heard: Callable[[dict[str, Any]], None], *, behind: bool
    ) -> dict[str, Any]:
        """Hand a frame of the client's to the enclave, which refuses records when proofs are `behind`."""
        limit = self.allowed.to_bytes(8, "little")
        told = {"connection": self.connection, "frame": frame, "limit": limit, "behind": int(behind)}
        reply = await self.ask("session_frame", heard, **told)
        self.records, self.unvouched = reply["records"], reply["unvouched"]
        return reply

    async def end(self, code: str) -> None:
        """Hang up, and say why."""
        await _hang_up(self.socket, code, self.abort)


async def _say(socket: web.WebSocketResponse, frame: bytes, abort: Callable[[], None]) -> None:
    """Send a frame. Raises ConnectionError, the connection aborted, when the client does not read it."""
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await socket.send_bytes(frame)
    except TimeoutError:
        abort()
        raise ConnectionAbortedError(f"the client read nothing for {SEND_SECONDS:g} s") from None


async def _hang_up(socket: web.WebSocketResponse, code: str, abort: Callable[[], None]) -> None:
    """Say why, and close; a client that reads nothing is not waited for."""
    try:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(2 * CLOSE_SECONDS):
                await socket.close(code=REFUSED, message=code.encode()[:100])
    finally:
        abort()


class Host(Protocol):
    """What the door needs of the sessions' keeper."""

    @property
    def genesis(self) -> bytes:
        """The chain's."""
        ...

    async def admit(self, session: bytes) -> tuple[SessionRecord, ModelRecord]:
        """A session that is served here. Raises SessionRefused, ChainDown."""
        ...

    def refused(self, session: bytes, code: str) -> None:
        """A client of it was refused, or hung up upon."""

    def link(self) -> SessionLink:
        """A connection to the enclave."""
        ...

    def entered(self, live: Live) -> None:
        """A client is there: an older connection of its session ends."""

    def left(self, live: Live) -> None:
        """It is gone."""

    async def take(self, live: Live, frame: bytes) -> None:
        """Hand a frame to the enclave, and see to what comes of it."""

    def pace(self, model: bytes, sample: int, window: int) -> dict[str, Any] | None:
        """What a session of the model is let in; None for a model that is not served."""


class SessionDoor:
    """The route; it opens when the sessions' keeper is there."""

    def __init__(self) -> None:
        self.host: Host | None = None
        self._sockets = self._entering = self._asking = 0
        self._reckoning, self._rested = asyncio.Lock(), 0.0
        self._turns = asyncio.Semaphore(MAX_KNOCKING)

    def add_to(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_get("/sessions/pace", self._pace)
        app.router.add_get("/sessions/{session}", self._serve)

    async def _pace(self, request: web.Request) -> web.Response:
        if self.host is None:
            raise web.HTTPNotFound(text="no sessions are served here")
        try:
            model = bytes.fromhex(request.query["model"].removeprefix("0x"))
            sample, window = int(request.query["sample"]), int(request.query["window"])
        except (KeyError, ValueError):
            raise web.HTTPBadRequest(
                text="give model (hex), sample (millionths) and window (blocks)"
            ) from None
        if not 0 < sample <= PARTS or window not in WINDOW_BLOCKS:
            raise web.HTTPBadRequest(
                text="a sample of 1 to 1,000,000 and a window of 5 to 600 blocks are taken"
            )
        if self._asking >= MAX_ASKING:
            raise web.HTTPServiceUnavailable(text="too many ask for the pace: try again later")
        self._asking += 1
        try:
            found = await self._reckoned(self.host, model, sample, window)
        finally:
            self._asking -= 1
        if found is None:
            raise web.HTTPNotFound(text="the model is not served here")
        return web.json_response(found)

    async def _reckoned(self, host: Host, model: bytes, sample: int, window: int) -> dict[str, Any] | None:
        """The pace; strangers' questions have one part in `REST` + 1 of the node's time."""
        async with self._reckoning:
            began = time.monotonic()
            if began < self._rested:
                await asyncio.sleep(self._rested - began)
                began = time.monotonic()
            found = host.pace(model, sample, window)
            self._rested = time.monotonic() + REST * (time.monotonic() - began)
            return found

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """To look a hello up; one that comes to nothing keeps its turn for `REST` times what it took."""
        async with self._turns:
            began = time.monotonic()
            try:
                yield
            except (SessionRefused, EnclaveError):
                await asyncio.sleep(min(REST * (time.monotonic() - began), MOST_REST_SECONDS))
                raise

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        host = self.host
        if host is None:
            raise web.HTTPNotFound(text="no sessions are served here")
        if self._sockets >= MAX_SOCKETS or self._entering >= MAX_ENTERING:
            raise web.HTTPServiceUnavailable(text="too many clients are at the door: try again later")
        self._sockets += 1
        try:
            return await self._talk(host, request)
        finally:
            self._sockets -= 1

    async def _talk(self, host: Host, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            timeout=CLOSE_SECONDS,
            max_msg_size=MAX_SESSION_FRAME,
            heartbeat=HEARTBEAT_SECONDS,
            compress=False,
        )
        abort = _nothing if request.transport is None else request.transport.abort
        link = host.link()
        try:
            self._entering += 1
            try:
                await socket.prepare(request)
                live = await self._enter(host, request.match_info["session"], socket, link, abort)
            finally:
                self._entering -= 1
            host.entered(live)
            try:
                async for message in socket:
                    if message.type is WSMsgType.BINARY:
                        await host.take(live, message.data)
                    else:
                        raise SessionRefused.by("malformed-envelope")
            finally:
                host.left(live)
        except (SessionRefused, EnclaveError) as error:
            with contextlib.suppress(SessionRefused):
                host.refused(_hash(request.match_info["session"]), error.code)
            await _hang_up(socket, error.code, abort)
        except EnclaveDown:
            await _hang_up(socket, "enclave-down", abort)
        except ChainDown:
            await _hang_up(socket, "chain-unreachable", abort)
        except ConnectionError:
            pass
        finally:
            link.close()
        return socket

    async def _enter(
        self,
        host: Host,
        name: str,
        socket: web.WebSocketResponse,
        link: SessionLink,
        abort: Callable[[], None],
    ) -> Live:
        session = _hash(name)
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                hello = await socket.receive()
        except TimeoutError:
            raise SessionRefused.by("no-hello") from None
        if hello.type is not WSMsgType.BINARY or not _HEAD < len(hello.data) <= _HEAD + MAX_WRAPPED:
            raise SessionRefused.by("malformed-envelope")
        async with self._turn():
            record, model = await host.admit(session)
            params = connect_params(host.genesis, record, model, hello.data)
            reply = await link.call("session_connect", params)
        for frame in (reply["random"], *reply["frames"]):
            await _say(socket, frame, abort)
        allowed = record.records + record.room
        return Live(
            record, socket, link, reply["connection"], allowed, 0, reply["records"], reply["unvouched"], abort
        )


def connect_params(genesis: bytes, record: SessionRecord, model: ModelRecord, hello: bytes) -> dict[str, Any]:
    """What the enclave is told of a session when a client connects."""
    return {
        "genesis": genesis,
        "session": record.id,
        "client": record.client,
        "worker": record.worker,
        "model": record.model,
        "epoch": record.epoch,
        "voucher_key": record.voucher_key,
        "publisher": model.publisher,
        "manifest_hash": model.manifest_hash,
        "client_random": hello[:RANDOM_LENGTH],
        "client_signature": hello[RANDOM_LENGTH:_HEAD],
        "wrapped": hello[_HEAD:],
    }


def _hash(text: str) -> bytes:
    try:
        found = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != 32:
        raise SessionRefused.by("unknown-session")
    return found
