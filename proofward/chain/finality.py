"""Whether a chain finalises: what a worker or a client asks before it acts on what it reads.

GRANDPA needs more than two thirds of the validators. Without them blocks go on and finality stands; with no
blocks at all both stand. Either way nothing that is begun now comes to an end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

STALL_BLOCKS: Final = 12
"""Blocks between the best and the finalised head above which finality counts as stalled: four validators with
one of them dead stay within 4."""
STALL_SECONDS: Final = 30.0
"""Seconds without a new finalised block after which it counts as stalled, however many blocks there are."""


@dataclass(frozen=True, slots=True)
class Finality:
    """How finality stands: `lag` in blocks, `age` in seconds since the finalised head last grew, and `reason`
    in words when it is stalled, else None.
    """

    finalised: int
    lag: int
    age: float
    reason: str | None

    @property
    def stalled(self) -> bool:
        """Whether nothing new should be begun."""
        return self.reason is not None


class FinalityWatch:
    """Judges finality by what it is shown, and forgets a stall with the first new finalised block that is
    near the head.

    Args:
        blocks: the greatest lag that is no stall.
        seconds: the longest time between two finalised blocks that is none.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        *,
        blocks: int = STALL_BLOCKS,
        seconds: float = STALL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._blocks, self._seconds, self._clock = blocks, seconds, clock
        self._highest = -1
        self._grew = clock()

    def saw(self, finalised: int, best: int) -> Finality:
        """Judge the numbers of a node's finalised and best block. A node that knows less than was seen before
        brings no news.
        """
        now = self._clock()
        if finalised > self._highest:
            self._highest, self._grew = finalised, now
        lag, age = max(0, best - finalised), now - self._grew
        return Finality(finalised, lag, age, self._reason(lag, age))

    def _reason(self, lag: int, age: float) -> str | None:
        if lag > self._blocks:
            return f"blocks go on, finality is {lag} blocks behind them: too few validators agree"
        if age > self._seconds:
            what = f"{lag} blocks came meanwhile" if lag else "and no block came at all"
            return f"no block was finalised for {age:.0f} s, {what}"
        return None
