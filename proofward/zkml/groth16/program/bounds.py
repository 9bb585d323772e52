"""Static bounds of every wire, and the constraints they cost: the same rules as `prover/IR.md`.

They hold for every input in range, so a proof cannot fail on an accepted input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proofward.zkml.errors import CompileError
from proofward.zkml.groth16.program.program import (
    Input,
    IntArray,
    Linear,
    Mux,
    Node,
    Output,
    Program,
    ReluShift,
    Shift,
    Thermometer,
)

WIRE_BOUND = 1 << 60
SUM_BOUND = 1 << 62


@dataclass(frozen=True)
class Bounds:
    """Inclusive static bounds of all wires, int64 `[wires]`, and each node's constraints, per record."""

    low: IntArray
    high: IntArray
    constraints: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """Constraints of the program's nodes for one record (commitments and public inputs come on top)."""
        return sum(count for _, count in self.constraints)


def analyse(program: Program) -> Bounds:
    """Bounds and constraint counts. Raises CompileError where a wire may leave (-2**60, 2**60)."""
    ranked = _ranked_inputs(program)
    lows: list[IntArray] = []
    highs: list[IntArray] = []
    counts: list[tuple[str, int]] = []
    low = high = np.zeros(0, dtype=np.int64)
    for node in program.nodes:
        new_low, new_high, count = _node(node, low, high, ranked)
        lows.append(new_low)
        highs.append(new_high)
        counts.append((node.label, count))
        low, high = np.concatenate([low, new_low]), np.concatenate([high, new_high])
        if len(new_low) and (int(new_low.min()) <= -WIRE_BOUND or int(new_high.max()) >= WIRE_BOUND):
            raise CompileError(f"layer {node.label!r} may leave 60 bits; use a coarser quantisation")
    return Bounds(low, high, tuple(counts))


def bit_length(values: IntArray) -> IntArray:
    """`int.bit_length` of non-negative values below 2**62."""
    return np.array([int(v).bit_length() for v in values.tolist()], dtype=np.int64)


def linear_bounds(node: Linear, low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
    """Interval arithmetic over each row. Raises CompileError where a partial sum may leave 62 bits."""
    reach = np.maximum(np.abs(low), np.abs(high))[node.wires]
    estimate = _row_sums(node, np.abs(node.coefficients).astype(np.float64) * reach.astype(np.float64))
    if (
        len(estimate)
        and float((estimate + np.abs(node.bias.astype(np.float64))).max()) >= float(SUM_BOUND) * 0.999999
    ):
        raise CompileError(f"layer {node.label!r} may leave 62 bits; use a coarser quantisation")
    first, second = node.coefficients * low[node.wires], node.coefficients * high[node.wires]
    return (
        node.bias + _row_sums(node, np.minimum(first, second)),
        node.bias + _row_sums(node, np.maximum(first, second)),
    )


def half_step(shift: int) -> int:
    """What is added before a shift so that it rounds."""
    return 1 << (shift - 1) if shift else 0


def relu_bits(low: IntArray, high: IntArray, shift: int) -> IntArray:
    """The least k with `-2**k <= low + half` and `high + half < 2**k`."""
    half = half_step(shift)
    return np.maximum(bit_length(np.maximum(-(low + half) - 1, 0)), bit_length(np.maximum(high + half, 0)))


def relu_constraints(low: IntArray, high: IntArray, shift: int) -> IntArray:
    """What ReluShift costs on wires with these bounds."""
    k = relu_bits(low, high, shift)
    crossing = np.where(k <= shift, k + 1, k + 2)
    q_low, q_high = (low + half_step(shift)) >> shift, (high + half_step(shift)) >> shift
    return np.where(q_high <= 0, 0, np.where(q_low >= 0, shift_constraints(low, high, shift), crossing))


def shift_constraints(low: IntArray, high: IntArray, shift: int) -> IntArray:
    """What Shift costs on wires with these bounds: nothing for a constant, or without a shift."""
    q_low, q_high = (low + half_step(shift)) >> shift, (high + half_step(shift)) >> shift
    return np.where((q_low == q_high) | (shift == 0), 0, shift + bit_length(np.maximum(q_high - q_low, 0)))


def _row_sums(node: Linear, terms: np.ndarray) -> np.ndarray:
    totals = np.zeros(len(node.bias), dtype=terms.dtype)
    full = node.starts[1:] > node.starts[:-1]
    if full.any():
        totals[full] = np.add.reduceat(terms, node.starts[:-1][full])
    return totals


def _node(node: Node, low: IntArray, high: IntArray, ranked: set[int]) -> tuple[IntArray, IntArray, int]:
    nothing = np.zeros(0, dtype=np.int64)
    match node:
        case Input():
            bits = bit_length(node.high - node.low)
            covered = np.isin(np.arange(len(bits)), list(ranked))
            top = np.where(covered, node.high, node.low + (np.int64(1) << bits) - 1)
            return node.low, top, int(np.where(covered, node.high + (node.high > 1), bits).sum())
        case Linear():
            return *linear_bounds(node, low, high), 0
        case Shift():
            half, at_low, at_high = half_step(node.shift), low[node.wires], high[node.wires]
            return (
                (at_low + half) >> node.shift,
                (at_high + half) >> node.shift,
                int(shift_constraints(at_low, at_high, node.shift).sum()),
            )
        case ReluShift():
            half, at_low, at_high = half_step(node.shift), low[node.wires], high[node.wires]
            new_low = np.maximum((at_low + half) >> node.shift, 0)
            new_high = np.maximum((at_high + half) >> node.shift, 0)
            return new_low, new_high, int(relu_constraints(at_low, at_high, node.shift).sum())
        case Thermometer():
            ones = np.ones(node.ranks, dtype=np.int64)
            # The thermometers of an input's whole range are its range check, paid for by the input.
            paid = node.wire in ranked and node.ranks == int(high[node.wire])
            return 0 * ones, ones, 0 if paid else node.ranks + 1 + (node.ranks > 1)
        case Mux():
            new_low = np.minimum(low[node.high], low[node.low])
            constant = (low[node.high] == high[node.high]) & (low[node.low] == high[node.low])
            return new_low, np.maximum(high[node.high], high[node.low]), int((~constant).sum())
        case Output():
            return nothing, nothing, 0


def _ranked_inputs(program: Program) -> set[int]:
    """Inputs whose range check is a Thermometer that reads them whole."""
    first = program.input
    return {
        node.wire
        for node in program.nodes
        if isinstance(node, Thermometer)
        and node.wire < len(first.low)
        and first.low[node.wire] == 0
        and first.high[node.wire] == node.ranks
    }
