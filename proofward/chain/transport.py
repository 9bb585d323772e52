"""JSON-RPC 2.0 over WebSocket connections that heal.

A call takes an idle connection or opens one, so threads do not wait for each other's answers. Only the loss
of a connection is retried: every method this library calls may be sent twice (a second
`author_submitExtrinsic` of the same bytes is the same extrinsic).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    wait_exponential_jitter,
)
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from proofward.chain.errors import ChainUnreachable, RpcError

MAX_MESSAGE: Final = 32 * 1024 * 1024
"""Bytes of one answer: a block of ten full extrinsics, or the runtime itself, in hexadecimal."""
CALL_TIMEOUT: Final = 120.0
"""Seconds that one answer may take: a runtime call on the embedded chain's interpreter can take several."""
PATIENCE: Final = 10.0
"""Seconds for which a lost connection is tried again."""
_IDLE: Final = 8
IDLE_SECONDS: Final = 60.0
"""How long a connection may wait for its next call: firewalls forget those that say nothing."""
DEAD_SECONDS: Final = 15
"""Seconds without a sign from the other machine's kernel after which a connection is lost."""

_T = TypeVar("_T")
_QUIET: Final = logging.Logger("proofward.websockets", logging.CRITICAL + 1)
"""Says nothing: the library tells of what a server did amiss by tracebacks, besides raising it."""
_LOST = (OSError, TimeoutError, WebSocketException)


class Transport:
    """Connections to one node. Safe to use from several threads."""

    def __init__(self, url: str, *, patience: float | None = None) -> None:
        """`url` is ws:// or wss://; lost connections are retried for `patience` seconds, else `PATIENCE`."""
        try:
            check_address(url)
        except ValueError as error:
            raise ChainUnreachable(url, f"the address {error}") from None
        self.url = url
        self._ids = itertools.count(1)
        self._idle: list[tuple[float, ClientConnection]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._patience = PATIENCE if patience is None else patience
        self._genesis: str | None = None
        self.calls = 0

    def hold_to(self, genesis: str) -> None:
        """From now on take only nodes whose block 0 has this hash: who answers at the address may change."""
        self._genesis = genesis

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The result of one call. Raises RpcError and ChainUnreachable."""
        return self._result(method, params, self._healing(lambda: self._exchange(method, list(params))))

    def call_many(self, method: str, each: Sequence[Sequence[Any]]) -> list[Any]:
        """The results of several calls of one method in one message, in their order; an RpcError stands for
        its own. Raises ChainUnreachable, and RpcError when the node takes no batches.
        """
        answers = self._healing(lambda: self._exchange_many(method, [list(params) for params in each]))
        results: list[Any] = []
        for params, answer in zip(each, answers, strict=True):
            try:
                results.append(self._result(method, params, answer))
            except RpcError as error:
                results.append(error)
        return results

    def _healing(self, exchange: Callable[[], _T]) -> _T:
        def give_up(state: RetryCallState) -> Any:
            error = state.outcome.exception() if state.outcome else None
            raise ChainUnreachable(self.url, str(error) or type(error).__name__) from None

        def enough(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            slow = state.attempt_number > 1 or isinstance(error, TimeoutError)
            return slow and (state.seconds_since_start or 0.0) >= self._patience

        retrying = Retrying(
            retry=retry_if_exception_type(_LOST),
            stop=enough,  # a connection that was found dead late says nothing of the node
            wait=wait_exponential_jitter(multiplier=0.05, max=1.0, jitter=0.05),
            retry_error_callback=give_up,
        )
        return retrying(exchange)

    def _exchange(self, method: str, params: list[Any]) -> dict[str, Any]:
        request = next(self._ids)
        message = json.dumps(_request(request, method, params))
        answer: dict[str, Any] = self._answer(message, lambda told: _id(told) == request, 1)
        return answer

    def _exchange_many(self, method: str, each: list[list[Any]]) -> list[dict[str, Any]]:
        numbers = [next(self._ids) for _ in each]
        message = json.dumps(
            [_request(number, method, params) for number, params in zip(numbers, each, strict=True)]
        )
        told = self._answer(message, lambda told: isinstance(told, list) or _id(told) is None, len(each))
        if not isinstance(told, list):
            self._result(method, (), told)  # a batch is refused as a whole by one answer without a number
            raise RpcError(method, 0, "the node does not answer several calls in one message", None)
        found = {_id(answer): answer for answer in told}
        missing: dict[str, Any] = {"error": {"message": "the node left it without an answer"}}
        return [found.get(number, missing) for number in numbers]

    def _answer(self, message: str, is_ours: Callable[[Any], bool], calls: int) -> Any:
        connection = self._take()
        self.calls += calls
        try:
            connection.send(message)
            until = time.monotonic() + CALL_TIMEOUT
            while not is_ours(
                answer := self._read(connection.recv(timeout=max(0.0, until - time.monotonic())))
            ):
                pass
        except BaseException:
            _drop(connection)  # an answer may still be under way on it
            self._forget()  # what is wrong with it is wrong with its like
            raise
        self._give_back(connection)
        return answer

    def _read(self, message: str | bytes) -> Any:
        try:
            return json.loads(message)
        except (ValueError, RecursionError):
            raise ChainUnreachable(self.url, "what answers there sends no JSON") from None

    def _result(self, method: str, params: Sequence[Any], answer: dict[str, Any]) -> Any:
        if (error := answer.get("error")) is not None:
            raise _refusal(method, error)
        return answer.get("result")

    def _take(self) -> ClientConnection:
        if self._closed:
            raise ChainUnreachable(self.url, "this client was closed")
        with self._lock:
            if self._idle and self._idle[-1][0] > time.monotonic() - IDLE_SECONDS:
                return self._idle.pop()[1]
        self._forget()
        return connected(self.url, self._genesis)

    def _forget(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            _drop(connection)

    def _give_back(self, connection: ClientConnection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < _IDLE:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()

    def close(self) -> None:
        """Close the idle connections; later calls are refused."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()


def check_address(url: str) -> str:
    """A node's address as it is. Raises ValueError: it is none."""
    if not url.startswith(("ws://", "wss://")):
        raise ValueError("must start with ws:// or wss://")
    try:
        parse_uri(url)
    except (WebSocketException, ValueError) as error:
        raise ValueError(f"cannot be used: {error}") from None
    return url


def _drop(connection: ClientConnection) -> None:
    """Close without waiting for an answer that may never come."""
    with contextlib.suppress(OSError):
        connection.socket.shutdown(socket.SHUT_RDWR)
    connection.close()


def connected(url: str, genesis: str | None = None) -> ClientConnection:
    """A connection to a node, of the chain of this genesis where it is given; lost when its machine is gone.
    Raises OSError, WebSocketException, ChainUnreachable (another chain).
    """
    # no pings: a node that is busy with a block answers late, and its kernel answers all the same
    connection = opened(url, max_size=MAX_MESSAGE, open_timeout=10, close_timeout=1, ping_interval=None)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", DEAD_SECONDS // 3),
        ("TCP_KEEPINTVL", DEAD_SECONDS // 3),
        ("TCP_KEEPCNT", 2),
        ("TCP_USER_TIMEOUT", DEAD_SECONDS * 1000),
    ):
        if (option := getattr(socket, name, None)) is not None:  # not on every system
            connection.socket.setsockopt(socket.IPPROTO_TCP, option, value)
    if genesis is not None:
        _require(connection, url, genesis)
    return connection


def _require(connection: ClientConnection, url: str, genesis: str) -> None:
    try:
        connection.send(json.dumps(_request(0, "chain_getBlockHash", [0])))
        found = json.loads(connection.recv(timeout=CALL_TIMEOUT)).get("result")
        if found != genesis:
            raise ChainUnreachable(url, f"another chain answers there now: its block 0 is not {genesis}")
    except (ValueError, RecursionError, AttributeError):
        _drop(connection)
        raise ChainUnreachable(url, "what answers there sends no JSON") from None
    except BaseException:
        _drop(connection)
        raise


def opened(url: str, **options: Any) -> ClientConnection:
    """`connect` past all proxies. Raises OSError, WebSocketException, whatever answers there."""
    try:
        return connect(url, proxy=None, logger=_QUIET, **options)
    except AssertionError:  # the library's own, where a server speaks first or ends it within the handshake
        raise ConnectionError("what answers there speaks no WebSocket") from None


def _request(number: int, method: str, params: list[Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def _id(answer: Any) -> int | None:
    number = answer.get("id") if isinstance(answer, dict) else None
    return number if isinstance(number, int) else None


def _refusal(method: str, error: Any) -> RpcError:
    if not isinstance(error, dict):
        error = {"message": error}
    code = error.get("code")
    return RpcError(
        method, code if isinstance(code, int) else 0, str(error.get("message", "")), error.get("data")
    )
