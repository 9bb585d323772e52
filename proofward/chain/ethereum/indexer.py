"""Keeps an index whole: reads every finalised block once, the newest as they come, the older ones beside."""

from __future__ import annotations

import threading
from collections.abc import Callable

from proofward.chain.errors import ChainError
from proofward.chain.ethereum.history import EthBlock, EthHistory
from proofward.logs import Logger

_log = Logger(__name__)
_PAUSE = 2.0
"""Seconds until a chain that was away is asked again."""


class Indexer:
    """Two threads over a history: one follows the chain and tells `told` of each new block, the other fills
    in what is missing below. `stop` ends both.
    """

    def __init__(self, history: EthHistory, told: Callable[[EthBlock], None]) -> None:
        self._history = history
        self._told = told
        self._stop = threading.Event()
        work = (self._follow, self._fill)
        self._threads = [threading.Thread(target=self._run, args=(one,), daemon=True) for one in work]
        self._next: int | None = None

    def start(self) -> None:
        """Raises ChainError when the chain is not there."""
        self._agree()
        self._next = self._history.head() + 1
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; a block that is being indexed is finished first."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=10)

    def _agree(self) -> None:
        """Drop what the index has and the chain has not: a machine that dies takes the last blocks along."""
        index, head = self._history.index, self._history.head()
        index.forget(head + 1)
        while (last := index.last()) is not None:
            number, name = last
            if self._history.hash_of(number) == name:
                return
            index.forget(number)

    def _run(self, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
                return
            except ChainError as error:
                _log.warning("ethereum-index-waits", reason=error.message)
                self._stop.wait(_PAUSE)
            except Exception:  # noqa: BLE001  nobody restarts this thread: whatever one block did, it goes on
                _log.exception("ethereum-index-failed")
                self._stop.wait(_PAUSE)

    def _follow(self) -> None:
        assert self._next is not None
        for head in self._history.follow(self._next, self._stop):
            self._told(self._history.block(head))
            self._next = head + 1

    def _fill(self) -> None:
        for number in reversed(self._history.index.missing(0, self._history.head())):
            if self._stop.is_set():
                return
            self._history.block(number)
