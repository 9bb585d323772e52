"""The float model as the compiler sees it: affine maps between ReLUs, and nothing else.

Over fixed weights a linear layer costs no constraint, so the only structure that matters is where the
non-linearities sit. Every supported neural operator is therefore traced into one form: a list of *wires* (the
inputs, then the outputs of each ReLU block, in order) and affine maps over all wires made so far.
Convolutions, normalisations, poolings by average, residual additions and concatenations all melt into sparse
rows; maxima, leaky ReLUs and clips are written with ReLU (`max(a, b) = a + relu(b - a)`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from proofward.zkml.groth16.compiler.ensemble import Ensemble

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Steps:
    """How floating-point arithmetic makes each element from one input: what a tree behind it compares.

    Args:
        source: int64 `[size]`, the input each element comes from.
        bits: precision of the input itself, 32 or 64.
        chain: what is done to it, in order.
        filled: bool `[size]`, whether a missing input has been given a value before.
    """

    source: npt.NDArray[np.int64]
    filled: npt.NDArray[np.bool_]
    bits: int = 32
    chain: tuple[Step, ...] = ()

    def then(self, operation: str, operand: npt.ArrayLike, bits: int) -> Steps:
        """One more operation, in a precision of 32 or 64 bits; of a cast, 16 too."""
        values = np.broadcast_to(np.asarray(operand, dtype=np.float64).reshape(-1), self.source.shape)
        step = Step(operation, values, np.full(values.shape, bits))
        return replace(self, chain=(*self.chain, step))

    def cast(self, bits: int) -> Steps:
        """The elements in another precision."""
        return self if bits == self.bits and not self.chain else self.then("cast", 0.0, bits)

    def take(self, index: npt.NDArray[np.int64]) -> Steps:
        """The elements of `index`, flat."""
        flat = index.reshape(-1)
        chain = tuple(Step(step.operation, step.operand[flat], step.bits[flat]) for step in self.chain)
        return Steps(self.source[flat], self.filled[flat], self.bits, chain)

    def precision(self, element: int) -> int:
        """The bits that the element comes out with."""
        return next((int(s.bits[element]) for s in reversed(self.chain) if s.bits[element]), self.bits)

    def run(self, element: int, x: float) -> float:
        """The element's value for a value of its input."""
        found = _FLOAT[self.bits](x)
        with np.errstate(over="ignore", invalid="ignore"):
            for step in self.chain:
                if step.bits[element]:
                    kind = _FLOAT[int(step.bits[element])]
                    found = kind(_STEP[step.operation](kind(found), kind(step.operand[element])))
        return float(found)


@dataclass(frozen=True)
class Step:
    """One operation on each element: sub, add, mul, div or cast.

    Args:
        operand: float64 `[size]`. bits: int `[size]`, the precision it is done in; 0 where it is not done.
    """

    operation: str
    operand: FloatArray
    bits: npt.NDArray[np.int64]


_FLOAT: dict[int, Callable[[Any], Any]] = {16: np.float16, 32: np.float32, 64: np.float64}
_STEP: dict[str, Callable[[Any, Any], Any]] = {
    "sub": np.subtract, "add": np.add, "mul": np.multiply, "div": np.divide, "cast": lambda x, _none: x,
}  # fmt: skip


def joined(parts: Sequence[Steps | None]) -> Steps | None:
    """The steps of several tensors, one after another; None where one has none."""
    known = [part for part in parts if part is not None]
    if len(known) != len(parts) or len({part.bits for part in known}) != 1:
        return None
    sizes = [len(part.source) for part in known]
    chain: list[Step] = []
    for i, part in enumerate(known):
        for step in part.chain:
            operands, bits = [np.zeros(n) for n in sizes], [np.zeros(n, dtype=np.int64) for n in sizes]
            operands[i], bits[i] = step.operand, step.bits
            chain.append(Step(step.operation, np.concatenate(operands), np.concatenate(bits)))
    source, filled = (
        np.concatenate([getattr(part, name) for part in known]) for name in ("source", "filled")
    )
    return Steps(source, filled, known[0].bits, tuple(chain))


@dataclass(frozen=True)
class Affine:
    """A tensor whose every element is an affine function of the wires.

    Args:
        rows: sparse `[size, wires]` float64 coefficients, one row per element in C order.
        bias: float64 `[size]`.
        shape: the tensor's shape, the batch axis of length 1 included.
        regressor: it is what a regressor's operator gives, hence values and no logits.
        steps: how each element is made from one input, where each is of one input.
    """

    rows: sparse.csr_array
    bias: FloatArray
    shape: tuple[int, ...]
    regressor: bool = False
    steps: Steps | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self.bias.size)

    @property
    def index(self) -> npt.NDArray[np.int64]:
        """The row number of each element, in the tensor's shape."""
        return np.arange(self.size, dtype=np.int64).reshape(self.shape)

    def take(self, index: npt.NDArray[np.int64]) -> Affine:
        """The elements named by `index` (row numbers), in the index's shape."""
        flat = index.reshape(-1)
        steps = None if self.steps is None else self.steps.take(flat)
        return Affine(self.rows[flat], self.bias[flat], tuple(int(n) for n in index.shape), steps=steps)

    def reshaped(self, shape: Sequence[int]) -> Affine:
        """The same elements in another shape of the same size."""
        return Affine(self.rows, self.bias, tuple(int(n) for n in shape), self.regressor, self.steps)

    def mapped(self, matrix: sparse.csr_array, bias: FloatArray, shape: Sequence[int]) -> Affine:
        """`matrix @ self + bias`, in the given shape."""
        rows = sparse.csr_array(matrix @ self.rows)
        rows.eliminate_zeros()
        return Affine(rows, matrix @ self.bias + bias, tuple(int(n) for n in shape))

    def scaled(self, factor: FloatArray | float, offset: FloatArray | float = 0.0) -> Affine:
        """`factor * self + offset`, element by element (arrays of the tensor's size)."""
        scale = np.broadcast_to(np.asarray(factor, dtype=np.float64), (self.size,))
        shift = np.broadcast_to(np.asarray(offset, dtype=np.float64), (self.size,))
        return Affine(
            sparse.csr_array(sparse.diags_array(scale) @ self.rows), self.bias * scale + shift, self.shape
        )

    def plus(self, other: Affine) -> Affine:
        """The sum of two tensors of one shape."""
        width = max(self.rows.shape[1], other.rows.shape[1])
        rows = widened(self.rows, width) + widened(other.rows, width)
        return Affine(sparse.csr_array(rows), self.bias + other.bias, self.shape)

    def minus(self, other: Affine) -> Affine:
        """The difference of two tensors of one shape."""
        return self.plus(other.scaled(-1.0))


def widened(rows: sparse.csr_array, width: int) -> sparse.csr_array:
    """The same rows over a larger number of wires."""
    return sparse.csr_array((rows.data, rows.indices, rows.indptr), shape=(rows.shape[0], width))


def stacked(parts: Sequence[Affine], index: npt.NDArray[np.int64]) -> Affine:
    """Elements of several tensors laid out by `index` into their concatenated rows."""
    width = max(part.rows.shape[1] for part in parts)
    rows = sparse.csr_array(sparse.vstack([widened(part.rows, width) for part in parts]))
    bias = np.concatenate([part.bias for part in parts])
    steps = joined([part.steps for part in parts])
    return Affine(rows, bias, tuple(index.shape), steps=steps).take(index)


@dataclass(frozen=True)
class ReluBlock:
    """New wires `relu(affine)`.

    Args:
        name: the ONNX node they come from.
        affine: the values before the ReLU, over the wires made before this block.
        groups: int64 `[size]`; elements with one number share a scale (a channel of a convolution).
    """

    name: str
    affine: Affine
    groups: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lines:
    """A function of one number that is constant beyond its knots, as straight lines between them.

    Args:
        function: float64 arrays to float64 arrays, ReLU's part included where not `plain`.
        knots: increasing. slopes: of each line. floor: the value at the first knot.
        plain: the function is this alone; else it is this and `relu(x)`.
        error: the largest distance from the function.
    """

    function: Callable[[FloatArray], FloatArray]
    knots: tuple[float, ...]
    slopes: tuple[float, ...]
    floor: float
    plain: bool
    error: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """The lines' own value."""
        heights = self.floor + np.concatenate([[0.0], np.cumsum(np.array(self.slopes) * np.diff(self.knots))])
        found = np.interp(x, self.knots, heights)
        return np.asarray(found if self.plain else found + np.maximum(x, 0.0))


@dataclass(frozen=True)
class Curve:
    """Where a network follows a function by lines.

    Args:
        name: the ONNX node. block: the ReLU block of the lines. value: the function's argument.
        wires: int64 `[size]`, those of the first turn.
    """

    name: str
    block: int
    value: Affine
    lines: Lines
    wires: npt.NDArray[np.int64]

    def correct(self, wires: FloatArray) -> None:
        """Make the wires `[wires, n]` give the function itself: the first turn takes up the difference."""
        x = widened(self.value.rows, wires.shape[0]) @ wires + self.value.bias[:, None]
        turn = self.lines.slopes[1] - self.lines.slopes[0]
        wires[self.wires] += (self.lines.function(x) - self.lines(x)) / turn


@dataclass
class Network:
    """A traced neural network.

    Args:
        input_shape: shape of one record (no batch axis).
        blocks: ReLU blocks in order.
        output: the logits, an affine map over all wires.
        imputed: what the model puts in the place of a missing input.
        unfilled: inputs that trees read as they are.
        curves: the functions that are followed by straight lines.
        forest: tree ensembles whose scores are wires as well, behind the inputs; then there are no blocks.
        bits: precision of the model's input: 16, 32 or 64. integers: it takes whole numbers alone.
    """

    input_shape: tuple[int, ...]
    blocks: list[ReluBlock] = field(default_factory=list)
    output: Affine | None = None
    imputed: dict[int, float] = field(default_factory=dict)
    unfilled: set[int] = field(default_factory=set)
    curves: list[Curve] = field(default_factory=list)
    forest: list[Ensemble] = field(default_factory=list)
    bits: int = 32
    integers: bool = False

    @property
    def width(self) -> int:
        """Number of wires so far."""
        return (
            int(np.prod(self.input_shape))
            + sum(ensemble.outputs for ensemble in self.forest)
            + sum(block.affine.size for block in self.blocks)
        )

    def input(self) -> Affine:
        """The input tensor, batch axis first."""
        size = int(np.prod(self.input_shape))
        rows = sparse.csr_array(sparse.eye_array(size))
        steps = Steps(np.arange(size), np.zeros(size, dtype=bool), self.bits) if self.bits > 16 else None
        return Affine(rows, np.zeros(size), (1, *self.input_shape), steps=steps)

    def relu(self, name: str, value: Affine) -> Affine:
        """Append a ReLU block over `value` and return its new wires as a tensor."""
        start = self.width
        spatial = len(value.shape) >= 3
        groups = value.index // int(np.prod(value.shape[2:])) if spatial else value.index
        self.blocks.append(ReluBlock(name, value, groups.reshape(-1)))
        columns = start + np.arange(value.size)
        rows = sparse.csr_array(
            (np.ones(value.size), (np.arange(value.size), columns)), shape=(value.size, start + value.size)
        )
        return Affine(rows, np.zeros(value.size), value.shape)

    def curve(self, name: str, value: Affine, line: Lines) -> Affine:
        """`line.function` of each element, followed by straight lines between its knots."""
        # Written so that static bounds see the clip: 0 <= relu(span - relu(high - x)) <= span.
        span = line.knots[-1] - line.knots[0]
        beyond = self.relu(f"{name}.high", value.scaled(-1.0, line.knots[-1]))
        inside = self.relu(f"{name}.low", beyond.scaled(-1.0, span))
        steps = np.array(line.knots[:-1]) - line.knots[0]
        spatial = len(value.shape) >= 3
        axis = 1 if spatial else len(value.shape) - 1
        parts = [inside.scaled(1.0, -step) for step in steps[1:]]
        index = np.concatenate([inside.index + i * value.size for i in range(len(parts))], axis=axis)
        start = self.width
        bent = self.relu(name, stacked(parts, index))
        found = inside.scaled(line.slopes[0], line.floor)
        for i, turn in enumerate(np.diff(line.slopes)):
            cut = np.split(bent.index, len(parts), axis=axis)[i]
            found = found.plus(bent.take(cut).scaled(float(turn)))
        first = np.split(np.arange(bent.size).reshape(bent.shape), len(parts), axis=axis)[0].reshape(-1)
        self.curves.append(Curve(name, len(self.blocks) - 1, value, line, start + first))
        return found if line.plain else found.plus(self.relu(f"{name}.plain", value))

    def scored(self, ensemble: Ensemble) -> Affine:
        """An ensemble's scores as wires: its own, or `[1 - s, s]` of the one it has."""
        known = next((i for i, one in enumerate(self.forest) if one is ensemble), None)
        if known is None:
            known = len(self.forest)
            self.forest.append(ensemble)
        start = int(np.prod(self.input_shape)) + sum(one.outputs for one in self.forest[:known])
        size = ensemble.outputs
        columns = np.arange(start, start + size)
        rows = sparse.csr_array((np.ones(size), (np.arange(size), columns)), shape=(size, start + size))
        return Affine(rows, np.zeros(size), (1, size))

    def evaluate(self, x: FloatArray, *, exact: bool = False) -> FloatArray:
        """Float64 logits `[n, outputs]` for `x` of `[n, features]`; the compiler's own check against
        the ONNX. `exact`: with the functions themselves where straight lines follow them.
        """
        assert self.output is not None
        wires = np.asarray(x, dtype=np.float64).reshape(len(x), -1).T
        curves = {curve.block: curve for curve in self.curves} if exact else {}
        for number, block in enumerate(self.blocks):
            rows = widened(block.affine.rows, wires.shape[0])
            wires = np.concatenate([wires, np.maximum(rows @ wires + block.affine.bias[:, None], 0.0)])
            if number in curves:
                curves[number].correct(wires)
        logits = widened(self.output.rows, wires.shape[0]) @ wires + self.output.bias[:, None]
        return np.asarray(logits.T)
