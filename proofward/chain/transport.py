"""JSON-RPC 2.0 over WebSocket connections that heal.

A call takes an idle connection or opens one, so threads do not wait for each other's answers. Only the loss
of a connection is retried: every method this library calls may be sent twice (a second
`author_submitExtrinsic` of the same bytes is the same extrinsic).
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Sequence
from typing import Any, Final

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential_jitter,
)
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from proofward.chain.errors import ChainUnreachable, RpcError

MAX_MESSAGE: Final = 32 * 1024 * 1024
"""Bytes of one answer: a block of ten full extrinsics, or the runtime itself, in hexadecimal."""
CALL_TIMEOUT: Final = 120.0
"""Seconds that one answer may take: a runtime call on the embedded chain's interpreter can take several."""
_IDLE: Final = 8

_LOST = (OSError, TimeoutError, WebSocketException)


class Transport:
    """Connections to one node. Safe to use from several threads."""

    def __init__(self, url: str, *, patience: float = 10.0) -> None:
        """`url` is ws:// or wss://; `patience` is how long, in seconds, lost connections are retried."""
        if not url.startswith(("ws://", "wss://")):
            raise ChainUnreachable(url, "the address must start with ws:// or wss://")
        self.url = url
        self._ids = itertools.count(1)
        self._idle: list[ClientConnection] = []
        self._lock = threading.Lock()
        self._closed = False
        self._patience = patience
        self.calls = 0

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The result of one call. Raises RpcError and ChainUnreachable."""

        def give_up(state: RetryCallState) -> Any:
            error = state.outcome.exception() if state.outcome else None
            raise ChainUnreachable(self.url, str(error) or type(error).__name__) from None

        retrying = Retrying(
            retry=retry_if_exception_type(_LOST),
            stop=stop_after_delay(self._patience),
            wait=wait_exponential_jitter(multiplier=0.05, max=1.0, jitter=0.05),
            retry_error_callback=give_up,
        )
        return retrying(self._call, method, list(params))

    def _call(self, method: str, params: list[Any]) -> Any:
        connection = self._take()
        self.calls += 1
        request = next(self._ids)
        try:
            connection.send(json.dumps({"jsonrpc": "2.0", "id": request, "method": method, "params": params}))
            while True:
                answer = json.loads(connection.recv(timeout=CALL_TIMEOUT))
                if answer.get("id") == request:
                    break
        except BaseException:
            connection.close()  # an answer may still be under way on it
            raise
        self._give_back(connection)
        if (error := answer.get("error")) is not None:
            raise RpcError(
                method, int(error.get("code", 0)), str(error.get("message", "")), error.get("data")
            )
        return answer.get("result")

    def _take(self) -> ClientConnection:
        if self._closed:
            raise ChainUnreachable(self.url, "this client was closed")
        with self._lock:
            if self._idle:
                return self._idle.pop()
        # no pings: a node busy with a block answers late, and a dead one is found by the next call
        return connect(
            self.url, max_size=MAX_MESSAGE, open_timeout=10, close_timeout=1, ping_interval=None, proxy=None
        )

    def _give_back(self, connection: ClientConnection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the idle connections; later calls are refused."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
