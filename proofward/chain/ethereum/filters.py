"""Filters that a client polls: eth_newFilter and its like."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from proofward.chain.ethereum.params import FAILED, EthError

MOST: Final = 1_024
"""Filters at one time; the one that was polled longest ago goes first."""
KEPT: Final = 300.0
"""Seconds that a filter lives without being polled."""

Poll = Callable[[], list[Any]]


class Filters:
    """Filters by their ids. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._filters: OrderedDict[str, tuple[float, Poll, Poll | None]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, changes: Poll, everything: Poll | None = None) -> str:
        """A filter: what came since the last poll, and all that it takes when it is of logs. Gives its id."""
        name = hex(secrets.randbits(127) | 1 << 127)
        with self._lock:
            self._drop_old()
            while len(self._filters) >= MOST:
                self._filters.popitem(last=False)
            self._filters[name] = (self._clock(), changes, everything)
        return name

    def remove(self, name: int) -> bool:
        """Whether there was such a filter."""
        with self._lock:
            return self._filters.pop(hex(name), None) is not None

    def changes(self, name: int) -> list[Any]:
        """What is new since the last call. Raises EthError for a name that is not here."""
        return self._get(name)[1]()

    def everything(self, name: int) -> list[Any]:
        """All that a filter of logs takes. Raises EthError."""
        found = self._get(name)[2]
        if found is None:
            raise EthError(FAILED, "eth_getFilterLogs is for filters of logs")
        return found()

    def _get(self, name: int) -> tuple[float, Poll, Poll | None]:
        with self._lock:
            self._drop_old()
            found = self._filters.pop(hex(name), None)
            if found is None:
                raise EthError(FAILED, "filter not found: it was removed, or nobody asked for five minutes")
            self._filters[hex(name)] = (self._clock(), *found[1:])
            return found

    def _drop_old(self) -> None:
        now = self._clock()
        while self._filters and next(iter(self._filters.values()))[0] < now - KEPT:
            self._filters.popitem(last=False)
