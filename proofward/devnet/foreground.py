"""A chain in the foreground: ready, then until it ends by itself or a signal ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol

_LOOK = 0.5
"""Seconds between two looks at the process."""


class Chain(Protocol):
    """`proofward.devnet.chains`'s chains."""

    @property
    def running(self) -> bool:
        """Whether its process runs."""

    def start(self) -> object:
        """Start, and wait for the first answer."""

    def stop(self) -> None:
        """End the process."""

    def failure(self) -> Exception:
        """Why it ended by itself."""


def serve(chain: Chain, ready: Callable[[], None]) -> None:
    """Start a chain, call `ready`, and wait for SIGINT or SIGTERM.

    Raises the chain's `failure` when it ends by itself.
    """
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    chain.start()
    try:
        ready()
        while not stop.wait(_LOOK):
            if not chain.running:
                raise chain.failure()
    finally:
        chain.stop()
