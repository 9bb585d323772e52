"""The Unix socket. A connection's requests are served in turn; several connections at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from proofward.protocol.enclave import (
    HEADER_LENGTH,
    EnclaveError,
    FrameError,
    Request,
    content_length,
    error_frame,
    parse_request,
    result_frame,
)

MAX_CONNECTIONS: Final = 256
"""As many as a host's door has sockets of clients (MAX_SOCKETS of the node's), and 64 for its own needs."""
REFUSAL_SECONDS: Final = 5.0
"""That a connection above the bound has for the request that is refused."""


class Service(Protocol):
    """What answers the requests of a process."""

    async def handle(self, request: Request, abandoned: Callable[[], bool]) -> dict[str, Any]:
        """The result of a request. Raises EnclaveError, and nothing else."""


class Server:
    """Serves until it is closed. Whatever a peer sends, only its own connection can end."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._connections = 0

    async def start(self, path: Path) -> asyncio.Server:
        """Listen on `path`, mode 0600. Raises EnclaveError(socket-in-use) when another process answers
        there.
        """
        _remove_stale(path)
        return await asyncio.start_unix_server(self._serve, path=str(path))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections > MAX_CONNECTIONS:
                await _refuse(reader, writer)
            else:
                while await self._exchange(reader, writer):
                    pass
        except (ConnectionError, asyncio.CancelledError):
            pass  # the peer is gone, or the enclave stops: either way nobody waits for a reply
        finally:
            self._connections -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its reply; False when the connection is to end."""
        number = None
        try:
            frame = await _read_frame(reader)
            if frame is None:
                return False
            request = parse_request(frame)
            number = request.id
            reply = result_frame(number, await self._service.handle(request, reader.at_eof))
        except EnclaveError as error:
            writer.write(error_frame(number, error))
            await writer.drain()
            return not isinstance(error, FrameError)
        writer.write(reply)
        await writer.drain()
        return True


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request with a refusal: who is hung up on without a word takes the enclave for dead."""
    full = EnclaveError(f"{MAX_CONNECTIONS} connections are open: try again later", code="busy")
    number = None
    try:
        async with asyncio.timeout(REFUSAL_SECONDS):
            if (frame := await _read_frame(reader)) is None:
                return
            number = parse_request(frame).id
    except (EnclaveError, TimeoutError):
        pass  # refused without its number
    writer.write(error_frame(number, full))
    await writer.drain()


async def _read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame's content, or None when the peer is done. Raises FrameError."""
    try:
        return await reader.readexactly(content_length(await reader.readexactly(HEADER_LENGTH)))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def _remove_stale(path: Path) -> None:
    """Remove the socket of a process that is gone; leave anything else alone."""
    if not path.exists():
        return
    if not path.is_socket():
        raise EnclaveError(f"{path} is there and no socket: give another path", code="socket-in-use")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionError:
            path.unlink(missing_ok=True)
            return
    raise EnclaveError(
        f"another process answers on {path}: stop it, or give another path", code="socket-in-use"
    )
