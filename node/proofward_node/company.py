"""Extrinsics that leave together.

A chain that builds a block when something waits would build one for each claim and each result of a backlog.
So one that is ready waits for those that are still on their way to one; one that is alone waits for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

MOST = 32
"""So many leave without waiting for more."""
PROOFS = 8
SECONDS = 4.0
"""One waits for the time in which so many jobs are proved, and for so many seconds at most."""


@dataclass
class Lots:
    """Lets `most` in at once, and the next ones when all of these are out again: they too leave together."""

    most: int
    _inside: int = 0
    _closed: bool = False
    _opened: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Inside, one is of the present lot."""
        while self._closed:
            await self._opened.wait()
        self._inside += 1
        self._closed = self._inside >= self.most
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._closed = False
                self._opened.set()
                self._opened = asyncio.Event()


@dataclass
class Company:
    """Who is on the way, and who waits. For one event loop."""

    most: int = MOST
    _on_the_way: int = 0
    _waiting: int = 0
    _leave: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.contextmanager
    def on_the_way(self) -> Iterator[None]:
        """Inside, one may come to `wait`."""
        self._on_the_way += 1
        try:
            yield
        finally:
            self._on_the_way -= 1
            self._look()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Inside, one that is on the way will not come: it waits for something slow of its own."""
        self._on_the_way -= 1
        self._look()
        try:
            yield
        finally:
            self._on_the_way += 1

    async def wait(self, proof_seconds: float, most_seconds: float = math.inf) -> None:
        """Wait for the others that are on the way, whose proofs take so long, for `most_seconds` at most; to
        be called by one of them. Where a proof takes longer than a wait may, there is none.
        """
        most = min(most_seconds, SECONDS)
        if proof_seconds > most:
            return
        self._waiting += 1
        leave = self._leave
        try:
            self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(PROOFS * proof_seconds, most)):
                    await leave.wait()
        finally:
            if leave is self._leave:  # nobody has left yet: all do, as one has waited long enough
                self._go()

    def _look(self) -> None:
        if self._waiting and (self._waiting >= self.most or self._waiting >= self._on_the_way):
            self._go()

    def _go(self) -> None:
        self._waiting = 0
        self._leave.set()
        self._leave = asyncio.Event()
