"""Finalised heads, told by the node as they come."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection

from proofward.chain.answers import header
from proofward.chain.errors import ChainUnreachable
from proofward.chain.transport import connected
from proofward.protocol import blake2_256

SILENCE: Final = 10.0
"""Seconds without news after which the node is asked instead: the connection may be dead. After three times
as many another one is opened.
"""
_RETRY: Final = 1.0
KEPT: Final = 64
"""Heads whose hashes are remembered."""
_LOST = (
    OSError, TimeoutError, WebSocketException, ChainUnreachable,
    # of a message that tells of no head
    ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Head:
    """A finalised block's number and hash."""

    number: int
    hash: bytes


class HeadFeed:
    """A subscription to a node's finalised heads on a connection and a thread of its own, renewed whenever it
    is lost. Safe to use from several threads.
    """

    def __init__(self, url: str, genesis: str | None = None) -> None:
        self._url, self._genesis = url, genesis
        self._news = threading.Condition()
        self._latest: Head | None = None
        self._best: int | None = None
        self._version: int | None = None
        self._hashes: dict[int, bytes] = {}
        self._heard = 0.0
        self._naming = threading.Lock()
        self._closed = False
        self._connection: ClientConnection | None = None
        self._listeners: list[Callable[[], None]] = []
        threading.Thread(target=self._run, name="heads", daemon=True).start()

    @property
    def latest(self) -> Head | None:
        """The newest head; None when nothing was heard for a while, and the node has to be asked."""
        fresh = time.monotonic() - self._heard < SILENCE
        return self._latest if fresh else None

    @property
    def best(self) -> int | None:
        """Number of the newest block, final or not; None when the node has to be asked."""
        return self._best if self.latest is not None else None

    @property
    def spec_version(self) -> int | None:
        """The runtime's version at the newest block, final or not; None when the node has to be asked."""
        return self._version if self.latest is not None else None

    def hash_of(self, number: int) -> bytes | None:
        """The hash of a final block that was told of lately."""
        return self._hashes.get(number)

    def name(self, number: int, ask: Callable[[int], bytes]) -> bytes:
        """The hash of a block, which is asked for once if it is final: a node tells of the last one only,
        when several become final together.
        """
        latest = self.latest
        if latest is None or number > latest.number:
            return ask(number)
        with briefly(self._naming):
            name = self._hashes.get(number)
            if name is None:
                name = ask(number)
                with self._news:
                    if self._latest is not None:  # else another chain may answer next
                        self._keep(number, name)
            return name

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener`, on the feed's thread, after each new head."""
        self._listeners.append(listener)

    def wait(self, number: int, seconds: float) -> None:
        """Wait until a block behind `number` is final, for `seconds` at most."""
        with self._news:
            self._news.wait_for(lambda: self._latest is None or self._latest.number > number, seconds)

    def close(self) -> None:
        """End the subscription."""
        self._closed = True
        if self._connection is not None:
            self._connection.close()

    def _run(self) -> None:
        while not self._closed:
            try:
                self._follow()
            except _LOST:
                self._best = self._version = None
                self._hashes.clear()  # another chain may answer next
                self._tell(None)
                if not self._closed:
                    time.sleep(_RETRY)

    def _follow(self) -> None:
        connection = self._connection = connected(self._url, self._genesis)
        with connection:
            _send(connection, 0, "chain_subscribeFinalizedHeads")
            _send(connection, 1, "chain_subscribeNewHeads")
            _send(connection, 2, "state_subscribeRuntimeVersion")
            while not self._closed:
                message = json.loads(connection.recv(timeout=3 * SILENCE))
                told = message.get("params", {}).get("result")
                match message.get("method"):
                    case "chain_newHead":
                        self._best = int(told["number"], 16)
                    case "chain_finalizedHead":
                        said = header(told)
                        self._tell(Head(said.number, blake2_256(said.encoded)))
                    case "state_runtimeVersion":
                        self._version = int(told["specVersion"])

    def _tell(self, head: Head | None) -> None:
        with self._news:
            if head is not None and self._latest is not None and head.number < self._latest.number:
                return
            self._latest, self._heard = head, time.monotonic()
            if head is not None:
                self._keep(head.number, head.hash)
            self._news.notify_all()
        for listener in self._listeners:
            listener()

    def _keep(self, number: int, name: bytes) -> None:
        self._hashes[number] = name
        while len(self._hashes) > KEPT:
            del self._hashes[next(iter(self._hashes))]


@contextlib.contextmanager
def briefly(lock: threading.Lock) -> Iterator[None]:
    """Wait for a lock so that one asks for many; a second at most, since a node that is away would be waited
    for by one after the other.
    """
    held = lock.acquire(timeout=1.0)
    try:
        yield
    finally:
        if held:
            lock.release()


def _send(connection: ClientConnection, number: int, method: str, *params: Any) -> None:
    connection.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}))
