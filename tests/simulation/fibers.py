"""Blocking code as a coroutine that the test schedules.

The outbox and the client's waiting are written for threads. Here each such call runs on a thread of its own,
but only one thread ever runs: a call gives its turn back where it would sleep, and has it again when the
simulation says so. So one seed gives one course of events.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_here = threading.local()


class Gone(BaseException):
    """The process that a call belonged to is dead."""


class Fiber(Generic[T]):
    """A blocking call between two of its turns."""

    def __init__(self, action: Callable[[], T]) -> None:
        self._action = action
        self._mine, self._theirs = threading.Semaphore(0), threading.Semaphore(0)
        self._result: T | None = None
        self._error: BaseException | None = None
        self._dead = self._done = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        _here.fiber = self
        self._mine.acquire()
        try:
            if not self._dead:
                self._result = self._action()
        except BaseException as error:  # noqa: BLE001 - handed to the awaiting coroutine
            self._error = error
        self._done = True
        self._theirs.release()

    def resume(self) -> bool:
        """Give the call its turn; True when it has ended."""
        self._mine.release()
        self._theirs.acquire()
        return self._done

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def kill(self) -> None:
        """End the call where it stands."""
        self._dead = True
        while not self._done:
            self.resume()
        self._thread.join()

    def park(self) -> None:
        self._theirs.release()
        self._mine.acquire()
        if self._dead:
            raise Gone


def park() -> None:
    """From inside a call: give the turn back, until it is resumed."""
    _here.fiber.park()


async def bridge(action: Callable[[], T], turn: Callable[[], Awaitable[Any]]) -> T:
    """Run a blocking call, awaiting `turn` wherever it parks."""
    fiber = Fiber(action)
    try:
        while not fiber.resume():
            await turn()
    finally:
        fiber.kill()
    return fiber.result()


class TurnLock:
    """A reentrant lock among fibers: who cannot have it parks."""

    def __init__(self) -> None:
        self._owner: Any = None
        self._depth = 0

    def __enter__(self) -> TurnLock:
        me = getattr(_here, "fiber", None)
        while self._depth and self._owner is not me:
            park()
        self._owner, self._depth = me, self._depth + 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
