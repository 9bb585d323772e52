"""How fast records may be taken, so that what the beacon may pick of them can be proved in time.

Three bounds, since a worker that took more would lose its bond. A leaky bucket of seconds of proving (Cruz, A
Calculus for Network Delay, 1991), filled by what each window owes, keeps the mean below `SHARE` of what is
proved in a second. Since a client says when its pages can be picked, what is not posted yet is one common
draw, at any time that suits it worst: the demand of each interval, of the windows that are open and of that
draw, must fit in it (Baruah, Rosier and Howell 1990). And, since a proof takes longer beside answers than it
did alone: whether the windows that are open, in the order of their ends (Liu and Layland 1973), can be proved
at the pace of late.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

#: Of each proving slot's time, how much may be promised; and of a window's time, to a burst and to all.
SHARE: Final = 0.8
BURST: Final = 0.5
FEASIBLE: Final = 0.7
#: Blocks from a checkpoint's on until the beacon can pick of its pages (DELAY + 1 of the chain's beacon).
BEACON_BLOCKS: Final = 33
#: Blocks of each window that go by until the beacon was asked, and until proofs are in a final block.
CHAIN_BLOCKS: Final = 4
#: Seconds of a proof before one was made, and of a block before enough were seen.
FIRST_PROOF_SECONDS: Final = 1.0
FIRST_BLOCK_SECONDS: Final = 2.0
#: Blocks that a development chain builds at once are no reason to stop.
LEAST_BLOCK_SECONDS: Final = 0.25
#: For what is not posted yet: a chain on demand builds none while nothing is sent.
LEAST_DRAW_BLOCK_SECONDS: Final = 1.0
#: Until so many proofs were made, each is reckoned with as so many times what it took: alone it is fast.
FEW, CAUTION = 16, 2.0
#: How much a new proof's time counts against those before it.
_WEIGHT: Final = 0.2
#: Blocks that are looked back on; the shortest time of so many of them in turn counts.
_BLOCKS: Final = 64
_IN_TURN: Final = 12


class Pace:
    """The bucket of one worker; `slots` proofs are made at once."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots, self._clock = slots, clock
        self._seconds: dict[bytes, float] = {}
        self._made: Counter[bytes] = Counter()
        self._charged: dict[bytes, float] = {}
        self._at = clock()
        self._heads: deque[tuple[float, int]] = deque(maxlen=_BLOCKS)
        self.block_seconds = FIRST_BLOCK_SECONDS
        """Of a block, when they came fastest of late: a chain on demand does not keep its pace."""

    def known(self, model: bytes) -> bool:
        """Whether a proof of the model was made."""
        return model in self._seconds

    def seconds(self, model: bytes) -> float:
        """To reckon with for one proof."""
        known = self._seconds.get(model, FIRST_PROOF_SECONDS)
        return known if self._made[model] >= FEW else known * CAUTION

    @property
    def slowest(self) -> float:
        """Seconds of a proof of the model whose proofs take longest; 0 where none is known."""
        return max(self._seconds.values(), default=0.0)

    def learn(self, model: bytes, seconds: float) -> None:
        """A proof took so long."""
        self._made[model] += 1
        before = self._seconds.get(model, seconds)
        self._seconds[model] = before + _WEIGHT * (seconds - before)

    # blocks ---------------------------------------------------------------------------------------

    def block(self, number: int, seconds: float) -> None:
        """A block of a time, by the chain's clock, was seen."""
        if self._heads and number <= self._heads[-1][1]:
            return
        self._heads.append((seconds, number))
        self.block_seconds = FIRST_BLOCK_SECONDS
        for began, first in self._heads:
            later = next(((at, last) for at, last in self._heads if last >= first + _IN_TURN), None)
            if later is not None:
                self.block_seconds = min(self.block_seconds, (later[0] - began) / (later[1] - first))
        self.block_seconds = max(self.block_seconds, LEAST_BLOCK_SECONDS)

    def _time(self, blocks: int) -> float:
        return max(0, blocks - CHAIN_BLOCKS) * self.block_seconds

    # bounds ---------------------------------------------------------------------------------------

    def charge(self, model: bytes, proofs: float) -> None:
        """So many proofs may be owed more; fewer, when negative."""
        self._drain()
        self._charged[model] = max(0.0, self._charged.get(model, 0.0) + proofs)

    def wait(self, window: int) -> float:
        """Seconds to let pass before more is taken, where the shortest window has so many blocks."""
        over = self._drain() - BURST * self._time(window)
        return max(0.0, over / (SHARE * self._slots))

    def late(self, owed: Iterable[tuple[int, bytes, float]], height: int) -> bool:
        """Whether some of (due at block, model, proofs), one after the other, may not be proved in time."""
        work = 0.0
        for due, model, proofs in sorted(owed):
            work += proofs * self.seconds(model) / self._slots
            if work > FEASIBLE * self._time(due - height):
                return True
        return False

    def work(self, proofs: Mapping[bytes, float]) -> float:
        """Seconds that proofs take, by model."""
        return sum(some * self.seconds(model) for model, some in proofs.items())

    def room(
        self, posted: Iterable[tuple[int, int, bytes, float]], height: int, window: int
    ) -> tuple[float, float]:
        """Seconds of proving that may come beside what is posted, with so many blocks for them: at any block
        from now on (what clients force), and at any from the next draw on (that, and all that is not posted).

        `posted`: (block from which it can be proved, due at block, model, proofs). Below 0 when it is late.
        """
        work: Counter[tuple[int, int]] = Counter()
        for begin, due, model, proofs in posted:
            work[max(begin, height), due] += proofs * self.seconds(model) / self._slots  # type: ignore[assignment]
        draw = height + BEACON_BLOCKS
        faster = max(1.0, LEAST_DRAW_BLOCK_SECONDS / self.block_seconds)
        any_time = at_draw = FEASIBLE * faster * self._time(window)
        for begin in {begin for begin, _ in work}:
            held = 0.0
            some = sorted((due, seconds) for (at, due), seconds in work.items() if at >= begin)
            ends = {begin + window, draw + window, *(due for due, _ in some if due > begin + window)}
            for end in sorted(ends):
                while some and some[0][0] <= end:
                    held += some.pop(0)[1]
                left = FEASIBLE * faster * self._time(end - begin) - held
                any_time = min(any_time, left)
                if end >= draw + window:
                    at_draw = min(at_draw, left)
        return any_time * self._slots, at_draw * self._slots

    def _drain(self) -> float:
        """What is left in the bucket, in seconds of proving as they are now."""
        now = self._clock()
        held = sum(proofs * self.seconds(model) for model, proofs in self._charged.items())
        left = max(0.0, held - (now - self._at) * SHARE * self._slots)
        self._at = now
        if left < held:
            self._charged = {model: proofs * left / held for model, proofs in self._charged.items()}
        return left
