"""How fast records may be taken, so that what the beacon may pick of them can be proved in time.

Two bounds, since a worker that took more would lose its bond. Since a client says when its pages can be
picked, what is not posted yet is one common draw, at any time that suits it worst: the demand of each
interval, of the windows that are open and of that draw, must fit in it (Baruah, Rosier and Howell 1990). And,
since a proof takes longer beside answers than it did alone: whether the windows that are open, in the order
of their ends (Liu and Layland 1973), can be proved at the pace of late.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from proofward.chain.pallets.sessions import MAX_WINDOWS
from proofward.protocol.sessions import MAX_SAMPLED, most_pages, sampled

FEASIBLE: Final = 0.7
"""Of the proving slots' time until a window's end, how much may be promised."""
BEACON_BLOCKS: Final = 33
"""Blocks from a checkpoint's on until the beacon can pick of its pages (DELAY + 1 of the chain's beacon)."""
CHAIN_BLOCKS: Final = 4
"""Blocks of each window that go by until the beacon was asked, and until proofs are in a final block."""
WINDOW_BLOCKS: Final = range(5, 601)
"""That a session may have for proofs (WINDOW_BLOCKS of the pallet)."""
OPEN_WINDOWS: Final = MAX_WINDOWS - 1
"""Windows that a session should have open: one below the chain's bound, and time for a call to be final."""
MOST_WAITING: Final = 2
"""Windows of a session that may wait to be posted, beside one that is not vouched for: its client may end it
at any time, and what is not on the chain GRACE blocks after (of the pallet) is not paid. A post takes some
three blocks.
"""
MAX_FORCED: Final = 8
"""Pages of a window that its client may have proved beside the sampled ones (of the pallet)."""
FIRST_PROOF_SECONDS: Final = 1.0
FIRST_BLOCK_SECONDS: Final = 2.0
"""Seconds of a proof before one was made, and of a block before enough were seen."""
LEAST_BLOCK_SECONDS: Final = 0.25
"""Blocks that a development chain builds at once are no reason to stop."""
LEAST_DRAW_BLOCK_SECONDS: Final = 1.0
"""For what is not posted yet: a chain on demand builds none while nothing is sent."""
FEW, CAUTION = 16, 2.0
"""Until so many proofs were made, each is reckoned with as so many times what it took: alone it is fast."""
_WEIGHT: Final = 0.2
"""How much a new proof's time counts against those before it."""
_BLOCKS: Final = 64
_IN_TURN: Final = 12
"""Blocks that are looked back on; the shortest time of so many of them in turn counts."""


def checkpoint_every(blocks: int, window: int) -> int:
    """Blocks between two checkpoints of a session: `blocks`, but never more windows than the chain lets be
    open.
    """
    return max(blocks, -(-(BEACON_BLOCKS + window + CHAIN_BLOCKS) // OPEN_WINDOWS))


@dataclass(frozen=True, slots=True)
class Load:
    """One session that never pauses: `sample` in millionths, pages of `batch` records, a checkpoint every so
    many `blocks`, `window` blocks for proofs.
    """

    model: bytes
    sample: int
    window: int
    blocks: int
    batch: int


class Pace:
    """Of one worker; `slots` proofs are made at once."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._seconds: dict[bytes, float] = {}
        self._made: Counter[bytes] = Counter()
        self._heads: deque[tuple[float, int]] = deque(maxlen=_BLOCKS)
        self.block_seconds = FIRST_BLOCK_SECONDS
        """Of a block, when they came fastest of late: a chain on demand does not keep its pace."""

    def known(self, model: bytes) -> bool:
        """Whether a proof of the model was made."""
        return model in self._seconds

    def measured(self, model: bytes) -> bool:
        """Whether enough were made to say what one takes."""
        return self._made[model] >= FEW

    def seconds(self, model: bytes) -> float:
        """To reckon with for one proof."""
        known = self._seconds.get(model, FIRST_PROOF_SECONDS)
        return known if self.measured(model) else known * CAUTION

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

    def steady(self, load: Load) -> float:
        """Records a second that one session of such a load is let in, for good, by the bounds above: its
        client vouches for each checkpoint at once and may force all that it can; 0 where not even a page a
        window is.
        """
        low, high, most = 0, 1, most_pages(load.sample)
        while high <= most and self._fits(load, high):
            low, high = high, 2 * high
        high = min(high, most + 1)
        while high - low > 1:
            half = (low + high) // 2
            low, high = (half, high) if self._fits(load, half) else (low, half)
        return low * load.batch / (load.blocks * self.block_seconds)

    def posted(self, window: int, pages: int, batch: int) -> float:
        """Records a second of one session in windows of so many pages: more cannot be posted, since the chain
        lets so many windows be open, each until `window` blocks behind the beacon.
        """
        life = (BEACON_BLOCKS + window + CHAIN_BLOCKS) * self.block_seconds
        return OPEN_WINDOWS * pages * batch / life

    def _fits(self, load: Load, pages: int) -> bool:
        """Whether a window of so many pages is let in at the end of its blocks, all before it being alike."""
        drawn = sampled(pages, load.sample, MAX_SAMPLED)
        forced = min(MAX_FORCED, pages - drawn)
        posted, open_ones = [], 0
        for age in range(1, BEACON_BLOCKS + load.window + 1, load.blocks):
            begin = BEACON_BLOCKS - age
            open_ones += 1
            # what was drawn a checkpoint ago is proved by now, or the prover falls behind for good
            left = drawn if begin >= 0 else max(0.0, drawn + begin * self._a_block(load.model))
            posted.append((max(begin, 0), begin + load.window, load.model, float(left)))
        force_room, draw_room = self.room(posted, 0, load.window)
        forces = (open_ones + 2) * forced * self.seconds(load.model)
        draws = (2 * drawn + 2) * self.seconds(load.model)
        behind = drawn > FEASIBLE * load.blocks * self._a_block(load.model)
        return not behind and forces <= force_room and forces + draws <= draw_room

    def _a_block(self, model: bytes) -> float:
        """Proofs that are made in a block's time."""
        return self.block_seconds * self._slots / self.seconds(model)
