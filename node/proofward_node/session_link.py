"""One lasting connection to the enclave for one session: its frames go and come in their order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from proofward.protocol.enclave import HEADER_LENGTH, FrameError, Request, content_length, parse_reply
from proofward_node.enclave_link import EnclaveDown

TIMEOUT_SECONDS = 60.0


class SessionLink:
    """Requests in turn on one connection, which is opened by the first. Not for several tasks at once without
    the lock that it holds itself.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._lock = asyncio.Lock()
        self._number = 0

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """One request and its reply. Raises EnclaveError, EnclaveDown."""
        async with self._lock:
            self._number += 1
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    if self._streams is None:
                        self._streams = await asyncio.open_unix_connection(str(self._socket))
                    reader, writer = self._streams
                    writer.write(Request(self._number, method, params).frame())
                    await writer.drain()
                    length = content_length(await reader.readexactly(HEADER_LENGTH))
                    reply = await reader.readexactly(length)
            except (OSError, TimeoutError, FrameError, asyncio.IncompleteReadError) as error:
                self.close()
                raise EnclaveDown(
                    f"the enclave does not serve {method}: {error or type(error).__name__}"
                ) from error
            except asyncio.CancelledError:
                self.close()  # a reply would be taken for the next request's
                raise
        return parse_reply(reply, self._number)

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
