"""A network and a plan to an integer program.

Every wire `q` stands for `q * step + offset`. A block's rows are scaled as far as its bits allow, one
factor for each group of wires (a channel), so that the static interval of the widest row in the group just
fits `-2**k .. 2**k`; coefficients and biases are then rounded to integers. No arithmetic here goes through
BLAS or a random choice, so the same inputs give the same program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from proofward.zkml.errors import CompileError
from proofward.zkml.groth16.compiler.network import Affine, FloatArray, Network, ReluBlock, widened
from proofward.zkml.groth16.plan import LayerPlan, Plan
from proofward.zkml.groth16.program.bounds import bit_length, half_step, linear_bounds
from proofward.zkml.groth16.program.program import Builder, Input, IntArray, Linear, Program, ReluShift
from proofward.zkml.quantiser import AffineQuantiser

_SHRINK = 0.985
_EXACT = 1e-9


@dataclass(frozen=True)
class NetworkProgram:
    """The lowered network; `scale` is the output's steps per unit."""

    program: Program
    scale: float


@dataclass
class _Wires:
    """What each wire of the network is in the program.

    Args:
        number: int64, its wire in the program. step, offset: float64, what its integer stands for.
        low, high: int64 static bounds.
    """

    number: IntArray
    step: FloatArray
    offset: FloatArray
    low: IntArray
    high: IntArray

    def extend(self, other: _Wires) -> _Wires:
        return _Wires(
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])
                for name in ("number", "step", "offset", "low", "high")
            )
        )


def lower(network: Network, quantiser: AffineQuantiser, plan: Plan) -> NetworkProgram:
    """Lower a network. Raises CompileError where the plan does not fit it, or a wire would overflow."""
    if len(plan.layers) != len(network.blocks) or network.output is None:
        raise CompileError(f"the plan has {len(plan.layers)} layers and the model {len(network.blocks)}")
    low, high = quantiser.bounds()
    if len(low) != int(np.prod(network.input_shape)):
        raise CompileError(
            f"the quantiser has {len(low)} features and the model {np.prod(network.input_shape)}"
        )
    builder = Builder()
    numbers = builder.add(Input(low, high))
    top = low + (np.int64(1) << bit_length(high - low)) - 1
    wires = _Wires(numbers, 1.0 / np.array(quantiser.scale), np.array(quantiser.offset), low, top)
    for block, layer in zip(network.blocks, plan.layers, strict=True):
        wires = wires.extend(_block(builder, wires, block, layer))
    outputs, scale = _output(builder, wires, network.output, plan.output)
    return NetworkProgram(builder.finish(outputs), scale)


def _real_rows(affine: Affine, wires: _Wires) -> tuple[sparse.csr_array, FloatArray]:
    """The affine map over the wires' integers instead of what they stand for."""
    rows = widened(affine.rows, len(wires.step)).copy()
    bias = affine.bias + rows @ wires.offset
    rows.data = rows.data * wires.step[rows.indices]
    rows.sort_indices()
    return rows, bias


def _block(builder: Builder, wires: _Wires, block: ReluBlock, layer: LayerPlan) -> _Wires:
    rows, bias = _real_rows(block.affine, wires)
    _, groups = np.unique(block.groups, return_inverse=True)
    factor = _factors(rows, bias, groups, wires, layer.bits)
    for _ in range(400):
        node, low, high = _rounded(rows, bias, factor[groups], wires, block.name)
        shift = _shifts(low, high, groups, layer)
        half = np.array([half_step(int(s)) for s in shift], dtype=np.int64)[groups]
        limit = np.int64(1) << layer.bits
        too_wide = ((low + half < -limit) | (high + half >= limit)) & (high > 0)
        if not too_wide.any():
            break
        factor[np.unique(groups[too_wide])] *= _SHRINK
    else:
        raise CompileError(f"layer {block.name!r} cannot be quantised in {layer.bits} bits")
    made = builder.add(node)
    number, q_low, q_high = (np.zeros(len(made), dtype=np.int64) for _ in range(3))
    for s in sorted(set(shift.tolist())):
        chosen = np.flatnonzero(shift[groups] == s)
        number[chosen] = builder.add(ReluShift(int(s), made[chosen], block.name))
        q_low[chosen] = np.maximum((low[chosen] + half_step(int(s))) >> s, 0)
        q_high[chosen] = np.maximum((high[chosen] + half_step(int(s))) >> s, 0)
    step = (2.0**shift / factor)[groups]
    return _Wires(number, step, np.zeros(len(made)), q_low, q_high)


def _factors(
    rows: sparse.csr_array, bias: FloatArray, groups: npt.NDArray[np.intp], wires: _Wires, bits: int
) -> FloatArray:
    """Steps per unit for each group: exact where its coefficients share a common measure, else as large as
    fits.
    """
    data, at = rows.data, rows.indices
    ends = np.stack([data * wires.low[at], data * wires.high[at]])
    sums = [_sum_rows(rows, part) + bias for part in (ends.min(axis=0), ends.max(axis=0))]
    reach = np.maximum(-sums[0], sums[1])
    widest = np.zeros(groups.max() + 1)
    np.maximum.at(widest, groups, reach)
    factor = np.where(widest > 0, (2.0**bits - 1) / np.maximum(widest, 1e-300), 1.0)
    least = np.full(len(widest), np.inf)
    row_of = np.repeat(np.arange(len(bias)), np.diff(rows.indptr))
    magnitudes = np.abs(data)
    np.minimum.at(least, groups[row_of], np.where(magnitudes > 0, magnitudes, np.inf))
    ratio = magnitudes / least[groups[row_of]]
    uneven = np.zeros(len(widest), dtype=bool)
    np.logical_or.at(uneven, groups[row_of], np.abs(ratio - np.rint(ratio)) > _EXACT * np.maximum(ratio, 1.0))
    np.logical_or.at(uneven, groups, bias != 0)
    exact = np.isfinite(least) & ~uneven & (1.0 / np.where(least > 0, least, 1.0) <= factor)
    return np.where(exact, 1.0 / np.where(least > 0, least, 1.0), factor)


def _rounded(
    rows: sparse.csr_array, bias: FloatArray, factor: FloatArray, wires: _Wires, label: str
) -> tuple[Linear, IntArray, IntArray]:
    """Integer rows in program wires, and their static bounds."""
    row_of = np.repeat(np.arange(len(bias)), np.diff(rows.indptr))
    exact = rows.data * factor[row_of]
    if len(exact) and float(np.abs(exact).max()) >= 2.0**60:
        raise CompileError(f"layer {label!r} has coefficients beyond 60 bits; scale the model's inputs")
    coefficients = _balanced(
        exact, row_of, len(bias), np.maximum(np.abs(wires.low), np.abs(wires.high))[rows.indices]
    )
    kept = coefficients != 0
    number = wires.number[rows.indices[kept]]
    order = np.lexsort((number, row_of[kept]))
    starts = np.searchsorted(row_of[kept], np.arange(len(bias) + 1)).astype(np.int64)
    low, high = (
        np.zeros(wires.number.max() + 1, dtype=np.int64),
        np.zeros(wires.number.max() + 1, dtype=np.int64),
    )
    low[wires.number], high[wires.number] = wires.low, wires.high
    node = Linear(
        np.rint(bias * factor).astype(np.int64), starts, number[order], coefficients[kept][order], label
    )
    return node, *linear_bounds(node, low, high)


def _balanced(exact: FloatArray, row_of: npt.NDArray[np.intp], rows: int, reach: IntArray) -> IntArray:
    """Round each row's coefficients so that their errors cancel: a common level of the inputs keeps its
    effect.

    To the nearest first; then, where a row's errors, weighted by the reach of their wires, add up to t, those
    nearest to a half are rounded the other way until t is as small as it gets.
    """
    nearest = np.rint(exact)
    error = exact - nearest
    weight = reach.astype(np.float64)
    total = np.zeros(rows)
    np.add.at(total, row_of, error * weight)
    helps = np.flatnonzero((np.sign(error) == np.sign(total)[row_of]) & (error != 0))
    helps = helps[np.lexsort((helps, -np.abs(error[helps]), row_of[helps]))]
    run = np.cumsum(weight[helps])
    first = np.searchsorted(row_of[helps], np.arange(rows))
    before = np.concatenate([np.zeros(1), run])[first]
    flipped = helps[run - before[row_of[helps]] - weight[helps] / 2 < np.abs(total)[row_of[helps]]]
    nearest[flipped] += np.sign(error[flipped])
    return nearest.astype(np.int64)


def _shifts(low: IntArray, high: IntArray, groups: npt.NDArray[np.intp], layer: LayerPlan) -> IntArray:
    """The shift of each group: what brings its largest value down to the activation's bits."""
    top = np.zeros(groups.max() + 1, dtype=np.int64)
    np.maximum.at(top, groups, np.maximum(high, 0))
    return np.maximum(bit_length(top) - layer.activation, 0)


def _output(builder: Builder, wires: _Wires, affine: Affine, bits: int) -> tuple[IntArray, float]:
    rows, bias = _real_rows(affine, wires)
    largest = float(np.abs(rows.data).max()) if rows.nnz else 0.0
    scale = (2.0**bits - 1) / largest if largest > 0 else 1.0
    node, _, _ = _rounded(rows, bias, np.full(len(bias), scale), wires, "logits")
    return builder.add(node), scale


def _sum_rows(rows: sparse.csr_array, terms: FloatArray) -> FloatArray:
    return np.asarray(
        sparse.csr_array((terms, rows.indices, rows.indptr), shape=rows.shape).sum(axis=1)
    ).reshape(-1)
