"""How fast records may be taken, so that what the beacon may pick of them can be proved in time.

A leaky bucket of seconds of proving (Cruz, A Calculus for Network Delay, 1991). What enters it no faster than
`SHARE` of what is proved in a second, but for a burst that takes half a window's time, is proved within its
window: the beacon only moves it, by as many blocks for all. A worker that took more would lose its bond.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

#: Of each proving slot's time, how much may be promised; and of a window's time.
SHARE: Final = 0.8
BURST: Final = 0.5
#: Blocks of each window that go by until the beacon was asked, and until proofs are in a final block.
CHAIN_BLOCKS: Final = 4
#: Seconds of a proof before one was made, and of a block before two were seen.
FIRST_PROOF_SECONDS: Final = 1.0
FIRST_BLOCK_SECONDS: Final = 2.0
LEAST_BLOCK_SECONDS: Final = 0.2
#: How much a new proof's time counts against those before it.
_WEIGHT: Final = 0.2
_BLOCKS: Final = 32


class Pace:
    """The bucket of one worker; `slots` proofs are made at once."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._drain, self._clock = SHARE * slots, clock
        self._seconds: dict[bytes, float] = {}
        self._level, self._at = 0.0, clock()
        self._heads: deque[tuple[float, int]] = deque(maxlen=_BLOCKS)

    def known(self, model: bytes) -> bool:
        """Whether a proof of the model was made."""
        return model in self._seconds

    def seconds(self, model: bytes) -> float:
        """Of one proof, as it was of late."""
        return self._seconds.get(model, FIRST_PROOF_SECONDS)

    @property
    def slowest(self) -> float:
        """Seconds of a proof of the model whose proofs take longest; 0 where none is known."""
        return max(self._seconds.values(), default=0.0)

    def learn(self, model: bytes, seconds: float) -> None:
        """A proof took so long."""
        before = self._seconds.get(model, seconds)
        self._seconds[model] = before + _WEIGHT * (seconds - before)

    def block(self, number: int) -> None:
        """A block was seen."""
        self._heads.append((self._clock(), number))

    @property
    def block_seconds(self) -> float:
        """Seconds of a block, as they were of late."""
        if len(self._heads) < 2:
            return FIRST_BLOCK_SECONDS
        (began, first), (now, last) = self._heads[0], self._heads[-1]
        return max(LEAST_BLOCK_SECONDS, (now - began) / max(1, last - first))

    def charge(self, model: bytes, proofs: float) -> None:
        """So many proofs may be owed more; fewer, when negative."""
        self._level = max(0.0, self._now() + proofs * self.seconds(model))

    def wait(self, window: int) -> float:
        """Seconds to let pass before more is taken, where the shortest window has so many blocks."""
        over = self._now() - BURST * max(0, window - CHAIN_BLOCKS) * self.block_seconds
        return max(0.0, over / self._drain)

    def _now(self) -> float:
        now = self._clock()
        self._level = max(0.0, self._level - (now - self._at) * self._drain)
        self._at = now
        return self._level
