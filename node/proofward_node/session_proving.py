"""Pages that sessions owe, proved beside the answers: the window that is due first before all others.

A proof is made on a connection to the enclave of its own, and handed in while the next one is made: neither
waits for a block, and neither holds up checkpoints. What was not handed in is owed at the next block again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from proofward.chain.pallets import sessions
from proofward.chain.pallets.sessions import ProvedPage, SessionRecord, WindowRecord
from proofward.logs import Logger
from proofward.protocol.enclave import EnclaveError
from proofward_node.enclave_link import EnclaveDown
from proofward_node.ports import ChainDown
from proofward_node.session_link import SessionLink
from proofward_node.session_pace import Pace

log = Logger("proofward_node.session_proving")

HandIn = Callable[[bytes, int, list[ProvedPage]], Awaitable[bool]]


@dataclass(eq=False)
class _Window:
    """A window's pages by how far they are; `taken` has all that are not to be taken up again."""

    session: bytes
    model: bytes
    number: int
    due: int
    waiting: list[int] = field(default_factory=list)
    under_way: int = 0
    made: list[ProvedPage] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)


class Proving:
    """Proves what is owed, `slots` pages at once. `hand_in` posts pages of a window: True when they count."""

    def __init__(self, link: Callable[[], SessionLink], hand_in: HandIn, pace: Pace, slots: int) -> None:
        self._link, self._hand_in, self._pace, self._slots = link, hand_in, pace, slots
        self._windows: dict[tuple[bytes, int], _Window] = {}
        self._provers: set[asyncio.Task[None]] = set()
        self._others: set[asyncio.Task[None]] = set()
        self._tried: set[bytes] = set()

    @property
    def waiting(self) -> int:
        """Pages that no proof was handed in of."""
        return sum(len(one.waiting) + one.under_way + len(one.made) for one in self._windows.values())

    def left(self, session: bytes, number: int) -> int | None:
        """Pages of a window that are still to be proved; None for one that owed nothing yet."""
        entry = self._windows.get((session, number))
        return None if entry is None else len(entry.waiting) + entry.under_way

    def owe(self, record: SessionRecord, number: int, window: WindowRecord) -> None:
        """A window owes pages: those that are new are queued."""
        key = record.id, number
        entry = self._windows.setdefault(key, _Window(record.id, record.model, number, window.due))
        entry.due = window.due
        new = [page for page in window.owed if page not in entry.taken]
        entry.waiting += new
        entry.taken.update(new)
        self._start()

    def over(self, session: bytes, before: int | None = None) -> None:
        """Windows of a session that are over: all, or those with numbers below `before`."""
        for key in [key for key in self._windows if key[0] == session]:
            if before is None or key[1] < before:
                del self._windows[key]

    def try_out(self, record: SessionRecord, number: int, page: int) -> None:
        """Prove a page that nobody asked for, once a model, to learn how long that takes."""
        if self._pace.known(record.model) or record.model in self._tried:
            return
        self._tried.add(record.model)
        entry = _Window(record.id, record.model, number, 0)
        self._beside(self._trial(entry, page))

    async def abandon(self) -> None:
        """Stop."""
        tasks = [*self._provers, *self._others]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # proving --------------------------------------------------------------------------------------

    def _start(self) -> None:
        waiting = sum(len(one.waiting) for one in self._windows.values())
        while len(self._provers) < min(self._slots, waiting):
            task = asyncio.create_task(self._prove())
            self._provers.add(task)
            task.add_done_callback(self._provers.discard)

    async def _prove(self) -> None:
        link = self._link()
        try:
            while (entry := self._soonest()) is not None:
                page = entry.waiting.pop(0)
                entry.under_way += 1
                try:
                    entry.made.append(await self._proof(link, entry, page))
                except EnclaveError as error:
                    entry.taken.discard(page)
                    self._failed(entry, page, error)
                except EnclaveDown as error:
                    entry.taken.discard(page)
                    self._failed(entry, page, error)
                    self._give_back()
                finally:
                    entry.under_way -= 1
                self._ready(entry)
        finally:
            link.close()

    def _ready(self, entry: _Window) -> None:
        """Hand in what is made of a window, once a call is full or no more of it comes."""
        last = not entry.waiting and not entry.under_way
        while len(entry.made) >= sessions.MAX_PROVED or (entry.made and last):
            some, entry.made = entry.made[: sessions.MAX_PROVED], entry.made[sessions.MAX_PROVED :]
            self._beside(self._handed_in(entry, some))

    def _give_back(self) -> None:
        """The enclave is down: what waits is owed at the next block again, what is made is handed in."""
        for entry in self._windows.values():
            entry.taken.difference_update(entry.waiting)
            entry.waiting.clear()
            self._ready(entry)

    def _failed(self, entry: _Window, page: int, error: EnclaveError | EnclaveDown) -> None:
        log.error(
            "session-proof-failed", session=entry.session.hex(), window=entry.number, page=page,
            code=error.code, message=error.message,
        )  # fmt: skip

    def _soonest(self) -> _Window | None:
        waiting = (one for one in self._windows.values() if one.waiting)
        return min(waiting, key=lambda one: one.due, default=None)

    async def _proof(self, link: SessionLink, entry: _Window, page: int) -> ProvedPage:
        began = time.monotonic()
        asked: dict[str, Any] = {"session": entry.session, "number": entry.number, "page": page}
        made = await link.call("session_prove", asked)
        self._pace.learn(entry.model, time.monotonic() - began)
        return ProvedPage(
            page, made["input_commitment"], made["output_commitment"], tuple(made["path"]), made["proof"]
        )

    async def _handed_in(self, entry: _Window, pages: list[ProvedPage]) -> None:
        counts = False
        try:
            counts = await self._hand_in(entry.session, entry.number, pages)
        except ChainDown as error:
            log.error("session-proofs-not-sent", session=entry.session.hex(), message=error.message)
        finally:
            if not counts:
                entry.taken.difference_update(page.page for page in pages)

    async def _trial(self, entry: _Window, page: int) -> None:
        link = self._link()
        try:
            await self._proof(link, entry, page)
        except (EnclaveError, EnclaveDown) as error:
            self._tried.discard(entry.model)
            self._failed(entry, page, error)
        finally:
            link.close()

    def _beside(self, action: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(action)
        self._others.add(task)
        task.add_done_callback(self._others.discard)
