"""The circuit of a statement: one for each shape of what is committed to, whatever model it came from.

It proves, of `records` records of `values` integers that open the first public input: the number of those in
`among` for which the predicate holds lies in `least..most`. The predicate: there is a value v, marked in
`mask`, with `low <= v <= high`; with `decision`, v is also the greatest (the first among equals). Values are
counted from the bottom of their range, plus `offsets[i]`, which puts the values of one record on one scale.

All but the records, their salts and the choice of v is public: it is the second public input, the claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from proofward_prover import Circuit, ProverError, statement_claim

from proofward.statements.errors import StatementError
from proofward.zkml.groth16.program.program import (
    MAX_SHIFT,
    Builder,
    Input,
    Linear,
    Mux,
    Program,
    Shift,
    Thermometer,
    linear,
)

MAX_RECORDS = 32
MAX_VALUES = 64
MAX_SPAN = 56
SCALAR = 48
"""What one value alone is widened to, so that models with one output share a key."""
_STEP = 4


@dataclass(frozen=True, slots=True)
class Claim:
    """What a statement says, in integers: see the module's text. `among`, `mask` are of 0 and 1."""

    low: int
    high: int
    least: int = 1
    most: int = 1
    among: tuple[int, ...] = (1,)
    decision: int = 0
    mask: tuple[int, ...] = (1,)
    offsets: tuple[int, ...] = (0,)

    def holds(self, shape: Shape, records: Sequence[Sequence[int]]) -> bool:
        """Whether it is true of records [records, values], counted from the bottom of their ranges."""
        chosen = [self.choice(record) for record in records]
        count = sum(a for a, one in zip(self.among, chosen, strict=True) if one is not None)
        return len(records) == shape.records and self.least <= count <= self.most

    def choice(self, record: Sequence[int]) -> int | None:
        """Which value of a record makes the predicate hold."""
        placed = [value + offset for value, offset in zip(record, self.offsets, strict=True)]
        candidates = [placed.index(max(placed))] if self.decision else range(len(placed))
        return next((i for i in candidates if self.mask[i] and self.low <= placed[i] <= self.high), None)


@dataclass(frozen=True)
class Shape:
    """What a key is for: `records` of values of `widths` bits, `together` under one commitment as a batch has
    it or under one each; on their common scale they take `span` bits.
    """

    records: int
    widths: tuple[int, ...]
    span: int
    together: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.records <= MAX_RECORDS or not 1 <= len(self.widths) <= MAX_VALUES:
            raise StatementError(
                f"a statement is about 1 to {MAX_RECORDS} records of 1 to {MAX_VALUES} values; this would be "
                f"{self.records} of {len(self.widths)}",
                code="statement-too-large",
            )
        if not max(self.widths) <= self.span <= MAX_SPAN or min(self.widths) < 0:
            raise StatementError(
                f"a value takes {self.span} bits; a statement compares {MAX_SPAN} at most",
                code="statement-too-large",
            )
        if not self.span or self.span % _STEP:
            raise StatementError(f"a scale has a multiple of {_STEP} bits, not {self.span}")

    @classmethod
    def of(cls, bounds: Sequence[tuple[int, int]], records: int, together: bool) -> Shape:
        """The shape of records with these inclusive bounds of their values. Raises StatementError."""
        widths = tuple((high - low).bit_length() for low, high in bounds)
        least = min(low for low, _ in bounds)
        span = max((1 << width) - 1 + low - least for width, (low, _) in zip(widths, bounds, strict=True))
        bits = max(_STEP, -(-span.bit_length() // _STEP) * _STEP)
        together = together and records > 1
        if len(widths) == 1:
            # One value is an element by itself, whatever its width: the commitment is the same.
            width = SCALAR if bits <= SCALAR else bits
            return cls(records, (width,), width, together)
        return cls(records, widths, bits, together)

    @property
    def name(self) -> str:
        """A folder's name: two shapes of one name are one shape."""
        bits = (
            ".".join(map(str, self.widths))
            if len(set(self.widths)) > 1
            else (f"{len(self.widths)}x{self.widths[0]}")
        )
        return f"{self.records}{'t' if self.together else ''}-{bits}-{self.span}"

    @cached_property
    def circuit(self) -> Circuit:
        """The constraint system."""
        return _circuit(self)

    def word(self, claim: Claim) -> bytes:
        """The second public input. Raises StatementError for a claim of another shape."""
        try:
            return statement_claim(self.circuit.output_bounds, [*self.parameters(claim), 1])
        except (ProverError, OverflowError) as error:
            raise StatementError(f"the claim is not of its statement's shape: {error}") from error

    def parameters(self, claim: Claim) -> list[int]:
        """A claim's integers, in the circuit's order."""
        several = [claim.least, claim.most, *claim.among] if self.records > 1 else []
        wide = [claim.decision, *claim.mask, *claim.offsets] if len(self.widths) > 1 else []
        return [claim.low, claim.high, *several, *wide]

    def assignment(self, claim: Claim, records: Sequence[Sequence[int]]) -> list[int]:
        """What the circuit takes; records [records, values] from the bottom of their ranges."""
        hints = [claim.choice(record) or 0 for record in records] if len(self.widths) > 1 else []
        return [*(v for record in records for v in record), *self.parameters(claim), *hints]


@lru_cache(maxsize=16)
def _circuit(shape: Shape) -> Circuit:
    return Circuit.statement(program(shape).encode(), shape.records, len(shape.widths), shape.together)


def program(shape: Shape) -> Program:
    """The integer program of a shape (prover/IR.md)."""
    return _Writer(shape).write()


class _Writer:
    def __init__(self, shape: Shape) -> None:
        self.shape, self.builder = shape, Builder()

    def write(self) -> Program:
        shape, n, k = self.shape, self.shape.records, len(self.shape.widths)
        span = (1 << shape.span) - 1
        highs = [(1 << width) - 1 for _ in range(n) for width in shape.widths] + [span, span]
        highs += [n, n, *[1] * n] if n > 1 else []
        highs += [1, *[1] * k, *[span] * k, *[k - 1] * n] if k > 1 else []
        wires = self.builder.add(
            Input(np.zeros(len(highs), dtype=np.int64), np.array(highs, dtype=np.int64), "record and claim")
        ).tolist()
        self.zero, self.one = self.sums([(0, {}), (1, {})])
        values, parameters = wires[: n * k], wires[n * k :]
        hints = parameters[len(parameters) - n :] if k > 1 else []
        public = parameters[: len(parameters) - len(hints)]
        low, high, *rest = public
        among = rest[2 : 2 + n]
        wide = rest[2 + n :] if n > 1 else rest
        truths = [
            self.record(values[i * k : (i + 1) * k], low, high, wide, hints[i] if hints else None)
            for i in range(n)
        ]
        truth = truths[0] if n == 1 else self.counted(truths, rest[0], rest[1], among)
        return self.builder.finish(np.array([*public, truth], dtype=np.int64))

    def record(self, values: list[int], low: int, high: int, wide: list[int], hint: int | None) -> int:
        """Whether the predicate holds for a record."""
        if hint is None:
            inside = self.not_negative(
                [({values[0]: 1, low: -1}, 0), ({high: 1, values[0]: -1}, 0)], self.shape.span
            )
            return self.all(inside)
        k = len(values)
        decision, mask, offsets = wide[0], wide[1 : 1 + k], wide[1 + k :]
        placed = self.sums([(0, {v: 1, o: 1}) for v, o in zip(values, offsets, strict=True)])
        # steps[j - 1] is 1 where the choice is j or a later one.
        steps = self.builder.add(Thermometer(hint, k - 1, "choice")).tolist()
        chosen, marked = placed[0], mask[0]
        for j, step in enumerate(steps, 1):
            chosen, marked = self.choose([(step, placed[j], chosen), (step, mask[j], marked)])
        bits = self.shape.span + 2
        # The choice is the first of the greatest: those before it are less, those behind not greater.
        ahead = [{steps[j]: -1} if j < k - 1 else {} for j in range(k)]
        greatest = self.all(
            self.not_negative(
                [({chosen: 1, **before, placed[j]: -1}, 0) for j, before in enumerate(ahead)], bits
            )
        )
        (decided,) = self.choose([(decision, greatest, self.one)])
        inside = self.not_negative([({chosen: 1, low: -1}, 0), ({high: 1, chosen: -1}, 0)], bits)
        return self.all([marked, decided, *inside])

    def counted(self, truths: list[int], least: int, most: int, among: list[int]) -> int:
        """Whether as many of the records in `among` are true as is claimed."""
        counting = self.choose([(a, truth, self.zero) for a, truth in zip(among, truths, strict=True)])
        count = {wire: 1 for wire in counting}
        bits = (2 * len(truths)).bit_length()
        enough = self.not_negative([({**count, least: -1}, 0)], bits)
        few = self.not_negative([({**{wire: -1 for wire in counting}, most: 1}, 0)], bits)
        return self.all([*enough, *few])

    def not_negative(self, rows: list[tuple[dict[int, int], int]], bits: int) -> list[int]:
        """1 for each sum that is not negative, 0 for the others; all are below 2^bits in magnitude."""
        sums, left = rows, bits
        while True:
            drop = min(left, MAX_SHIFT)
            half = 1 << (drop - 1)
            shifted = self.sums([(bias - half, row) for row, bias in sums])
            floors = self.builder.add(Shift(drop, np.array(shifted, dtype=np.int64), "sign")).tolist()
            left -= drop
            if left == 0:
                return self.sums([(1, {floor: 1}) for floor in floors])
            sums = [({floor: 1}, 0) for floor in floors]

    def all(self, bits: list[int]) -> int:
        """1 if all bits are."""
        whole = bits[0]
        for bit in bits[1:]:
            (whole,) = self.choose([(bit, whole, self.zero)])
        return whole

    def sums(self, rows: list[tuple[int, dict[int, int]]]) -> list[int]:
        node: Linear = linear(rows, "sum")
        return [int(wire) for wire in self.builder.add(node)]

    def choose(self, triples: list[tuple[int, int, int]]) -> list[int]:
        bit, high, low = (np.array(column, dtype=np.int64) for column in zip(*triples, strict=True))
        return [int(wire) for wire in self.builder.add(Mux(bit, high, low, "choose"))]


__all__ = ["MAX_RECORDS", "MAX_VALUES", "Claim", "Shape", "program"]
