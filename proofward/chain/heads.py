"""Finalised heads, told by the node as they come."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from proofward.chain.transport import MAX_MESSAGE

SILENCE: Final = 10.0
"""Seconds without news after which the node is asked instead: the connection may be dead."""
_RETRY: Final = 1.0
_NEW_HEADS: Final = -1
"""Id of the second subscription's request: those of block hashes count up from 1."""
_LOST = (OSError, TimeoutError, WebSocketException, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class Head:
    """A finalised block's number and hash."""

    number: int
    hash: bytes


class HeadFeed:
    """A subscription to a node's finalised heads on a connection and a thread of its own, renewed whenever it
    is lost. Safe to use from several threads.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._news = threading.Condition()
        self._latest: Head | None = None
        self._best: int | None = None
        self._heard = 0.0
        self._closed = False
        self.calls = 0
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
        return self._best

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
                self._best = None
                self._tell(None)
                if not self._closed:
                    time.sleep(_RETRY)

    def _follow(self) -> None:
        connection = self._connection = connect(
            self._url, max_size=MAX_MESSAGE, open_timeout=10, close_timeout=1, ping_interval=None, proxy=None
        )
        with connection:
            _send(connection, 0, "chain_subscribeFinalizedHeads")
            _send(connection, _NEW_HEADS, "chain_subscribeNewHeads")
            asked = 0
            while not self._closed:
                message = json.loads(connection.recv())
                if message.get("method") == "chain_newHead":
                    self._best = int(message["params"]["result"]["number"], 16)
                elif message.get("method") == "chain_finalizedHead":
                    self.calls += 1
                    asked = int(message["params"]["result"]["number"], 16)
                    _send(connection, asked + 1, "chain_getBlockHash", asked)
                elif message.get("id") == asked + 1 and message["result"] is not None:
                    self._tell(Head(asked, bytes.fromhex(message["result"][2:])))

    def _tell(self, head: Head | None) -> None:
        with self._news:
            if head is not None and self._latest is not None and head.number < self._latest.number:
                return
            self._latest, self._heard = head, time.monotonic()
            self._news.notify_all()
        for listener in self._listeners:
            listener()


def _send(connection: ClientConnection, number: int, method: str, *params: Any) -> None:
    connection.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}))
