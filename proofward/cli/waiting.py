"""What a verb says while nothing else is said: that it goes on."""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final

from proofward.cli.streams import say

EVERY_SECONDS: Final = 2.0
"""No wait is silent for longer."""

_spoken = 0.0


def spoke() -> None:
    """Something was printed: from now on is counted."""
    global _spoken
    _spoken = time.monotonic()


@contextlib.contextmanager
def ticking() -> Iterator[None]:
    """Inside, a line on standard error says every two seconds of silence which verb goes on, and how long."""
    verb = _verb()
    began = time.monotonic()
    stop = threading.Event()
    spoke()

    def tick() -> None:
        while not stop.wait(max(0.0, _spoken + EVERY_SECONDS - time.monotonic())):
            if time.monotonic() - _spoken < EVERY_SECONDS:
                continue
            with contextlib.suppress(ValueError):  # of a closed stream
                say(f"{verb}: goes on, {time.monotonic() - began:.0f} s", err=True)
            spoke()

    ticker = threading.Thread(target=tick, name="ticker", daemon=True)
    ticker.start()
    try:
        yield
    finally:
        stop.set()
        ticker.join(EVERY_SECONDS)


def _verb() -> str:
    """The verb that runs, as it was typed: a word, or a group's and its own."""
    return " ".join(itertools.takewhile(re.compile("[a-z][a-z-]*").fullmatch, sys.argv[1:3])) or "proofward"
