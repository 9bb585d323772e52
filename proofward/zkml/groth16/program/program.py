"""The integer program: a typed, inspectable IR with exact semantics (`prover/IR.md` is the normative text).

A program is a flat list of nodes over 64-bit signed wires and describes one record. The same program runs in
:mod:`proofward.zkml.groth16.program.reference`, in the Rust witness generator, and in the constraint system.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from proofward.zkml.errors import CompileError

IntArray = npt.NDArray[np.int64]

MAGIC = b"PWIR"
VERSION = 1
MAX_BYTES = 64 << 20
MAX_NODES = 1 << 16
MAX_WIRES = 1 << 20
MAX_TERMS = 1 << 22
MAX_INPUTS = MAX_OUTPUTS = 8192
MAX_SHIFT = 48
MAX_RANK = 4096

_TERM = np.dtype([("wire", "<u4"), ("coefficient", "<i8")])


@dataclass(frozen=True)
class Input:
    """The record: int64 bounds `low[n] <= x <= high[n]`. First node, once."""

    low: IntArray
    high: IntArray
    label: str = "input"


@dataclass(frozen=True)
class Linear:
    """One wire a row: `bias + sum(coefficient * wire)`.

    Args:
        bias: int64 `[rows]`. starts: int64 `[rows + 1]`, where each row's terms begin.
        wires: int64 `[terms]`, strictly increasing within a row. coefficients: int64 `[terms]`, none of
            them 0.
    """

    bias: IntArray
    starts: IntArray
    wires: IntArray
    coefficients: IntArray
    label: str = ""


@dataclass(frozen=True)
class Shift:
    """`(x + 2**(shift - 1)) >> shift` (floor) of each wire: rounding division by a power of two."""

    shift: int
    wires: IntArray
    label: str = ""


@dataclass(frozen=True)
class ReluShift:
    """`max(0, (x + half) >> shift)` of each wire; half is `2**(shift - 1)`, or 0 without a shift."""

    shift: int
    wires: IntArray
    label: str = ""


@dataclass(frozen=True)
class Thermometer:
    """`ranks` wires; the j-th (from 1) is 1 where the wire is at least j. The wire lies within 0..ranks."""

    wire: int
    ranks: int
    label: str = ""


@dataclass(frozen=True)
class Mux:
    """`high` where `bit` is 1, else `low`, for each triple of wires."""

    bit: IntArray
    high: IntArray
    low: IntArray
    label: str = ""


@dataclass(frozen=True)
class Output:
    """The result wires, in order. Last node, once."""

    wires: IntArray
    label: str = "output"


Node = Input | Linear | Shift | ReluShift | Thermometer | Mux | Output


def width(node: Node) -> int:
    """Number of wires that a node appends."""
    match node:
        case Input():
            return len(node.low)
        case Linear():
            return len(node.bias)
        case Shift() | ReluShift():
            return len(node.wires)
        case Thermometer():
            return node.ranks
        case Mux():
            return len(node.bit)
        case Output():
            return 0


@dataclass(frozen=True)
class Program:
    """A whole program. `encode` gives its canonical bytes; `str` a readable listing."""

    nodes: tuple[Node, ...]

    @property
    def input(self) -> Input:
        """Its first node."""
        first = self.nodes[0]
        assert isinstance(first, Input)
        return first

    @property
    def output(self) -> Output:
        """Its last node."""
        last = self.nodes[-1]
        assert isinstance(last, Output)
        return last

    def encode(self) -> bytes:
        """Canonical bytes. Raises CompileError where a limit of the format is passed."""
        if len(self.nodes) > MAX_NODES or sum(width(node) for node in self.nodes) > MAX_WIRES:
            raise CompileError(
                f"the integer program passes {MAX_NODES} nodes or {MAX_WIRES} wires; use a smaller model"
            )
        if len(self.input.low) > MAX_INPUTS or len(self.output.wires) > MAX_OUTPUTS:
            raise CompileError(f"the model has more than {MAX_INPUTS} inputs or {MAX_OUTPUTS} outputs")
        if sum(len(node.wires) for node in self.nodes if isinstance(node, Linear)) > MAX_TERMS:
            raise CompileError(
                f"the integer program has more than {MAX_TERMS} linear terms; use a smaller model"
            )
        data = MAGIC + struct.pack("<HI", VERSION, len(self.nodes)) + b"".join(map(_encode, self.nodes))
        if len(data) > MAX_BYTES:
            raise CompileError(f"the integer program takes {len(data)} bytes; the limit is {MAX_BYTES}")
        return data

    @staticmethod
    def decode(data: bytes) -> Program:
        """The program of canonical bytes, for inspection. Raises ValueError for anything else."""
        reader = _Reader(data)
        if reader.take(4) != MAGIC or reader.number("<H") != VERSION:
            raise ValueError("not an integer program of version 1")
        program = Program(tuple(_decode(reader) for _ in range(reader.number("<I"))))
        first, *inner, last = map(type, program.nodes) if len(program.nodes) > 1 else (None, None)
        if first is not Input or last is not Output or {Input, Output} & set(inner):
            raise ValueError("a program begins with its one Input and ends with its one Output")
        try:
            canonical = not reader.left and program.encode() == data
        except CompileError as error:
            raise ValueError(f"the program passes a limit: {error.message}") from None
        if not canonical:
            raise ValueError("the program's bytes are not canonical")
        return program

    def __str__(self) -> str:
        lines, wire = [], 0
        for node in self.nodes:
            appended = width(node)
            span = f"%{wire}..{wire + appended - 1}" if appended else ""
            lines.append(f"{span:>16}  {type(node).__name__:<12}{_detail(node):<40}{node.label}")
            wire += appended
        return "\n".join(lines)


@dataclass
class Builder:
    """Appends nodes and hands back the numbers of the wires they make."""

    nodes: list[Node] = field(default_factory=list)
    wires: int = 0

    def add(self, node: Node) -> IntArray:
        """Append a node; returns int64 wire numbers `[width]`."""
        self.nodes.append(node)
        start = self.wires
        self.wires += width(node)
        return np.arange(start, self.wires, dtype=np.int64)

    def finish(self, outputs: IntArray) -> Program:
        """Append the Output node and return the program."""
        self.add(Output(np.asarray(outputs, dtype=np.int64)))
        return Program(tuple(self.nodes))


def linear(rows: list[tuple[int, dict[int, int]]], label: str = "") -> Linear:
    """A Linear node from `(bias, {wire: coefficient})` rows; zero coefficients are dropped."""
    terms = [sorted((wire, c) for wire, c in row.items() if c) for _, row in rows]
    flat = [term for row in terms for term in row]
    return Linear(
        np.array([bias for bias, _ in rows], dtype=np.int64),
        np.cumsum([0] + [len(row) for row in terms]).astype(np.int64),
        np.array([wire for wire, _ in flat], dtype=np.int64),
        np.array([c for _, c in flat], dtype=np.int64),
        label,
    )


_TAGS: tuple[type[Node], ...] = (Input, Linear, Shift, ReluShift, Thermometer, Mux, Output)


def _encode(node: Node) -> bytes:
    label = "".join(c if " " <= c <= "~" else "?" for c in node.label)[:63].encode("ascii")
    head = struct.pack("<BB", _TAGS.index(type(node)), len(label)) + label
    match node:
        case Input():
            body = (
                struct.pack("<I", len(node.low))
                + np.stack([node.low, node.high], axis=1).astype("<i8").tobytes()
            )
        case Linear():
            body = _encode_linear(node)
        case Shift() | ReluShift():
            body = struct.pack("<BI", node.shift, len(node.wires)) + node.wires.astype("<u4").tobytes()
        case Thermometer():
            body = struct.pack("<II", node.wire, node.ranks)
        case Mux():
            triples = np.stack([node.bit, node.high, node.low], axis=1).astype("<u4")
            body = struct.pack("<I", len(node.bit)) + triples.tobytes()
        case Output():
            body = struct.pack("<I", len(node.wires)) + node.wires.astype("<u4").tobytes()
    return head + body


def _encode_linear(node: Linear) -> bytes:
    terms = np.empty(len(node.wires), dtype=_TERM)
    terms["wire"], terms["coefficient"] = node.wires, node.coefficients
    parts = [struct.pack("<I", len(node.bias))]
    for bias, start, end in zip(
        node.bias.tolist(), node.starts[:-1].tolist(), node.starts[1:].tolist(), strict=True
    ):
        parts.append(struct.pack("<qI", bias, end - start))
        parts.append(terms[start:end].tobytes())
    return b"".join(parts)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = memoryview(data), 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise ValueError("the program's bytes end early")
        self.at += count
        return bytes(self.data[self.at - count : self.at])

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def array(self, form: str, *shape: int) -> IntArray:
        dtype = np.dtype(form)
        return (
            np.frombuffer(self.take(int(np.prod(shape)) * dtype.itemsize), dtype)
            .astype(np.int64)
            .reshape(shape)
        )


def _decode(reader: _Reader) -> Node:
    tag = reader.number("<B")
    label = reader.take(reader.number("<B")).decode("ascii")
    if tag == 0:
        bounds = reader.array("<i8", reader.number("<I"), 2)
        return Input(bounds[:, 0], bounds[:, 1], label)
    if tag == 1:
        return _decode_linear(reader, label)
    if tag in (2, 3):
        shift, count = reader.number("<B"), reader.number("<I")
        return (Shift if tag == 2 else ReluShift)(shift, reader.array("<u4", count), label)
    if tag == 4:
        return Thermometer(reader.number("<I"), reader.number("<I"), label)
    if tag == 5:
        triples = reader.array("<u4", reader.number("<I"), 3)
        return Mux(triples[:, 0], triples[:, 1], triples[:, 2], label)
    if tag == 6:
        return Output(reader.array("<u4", reader.number("<I")), label)
    raise ValueError(f"unknown node tag {tag}")


def _decode_linear(reader: _Reader, label: str) -> Linear:
    bias, starts = [], [0]
    wires: list[IntArray] = []
    coefficients: list[IntArray] = []
    for _ in range(reader.number("<I")):
        bias.append(reader.number("<q"))
        count = reader.number("<I")
        terms = np.frombuffer(reader.take(count * _TERM.itemsize), _TERM)
        wires.append(terms["wire"].astype(np.int64))
        coefficients.append(terms["coefficient"].astype(np.int64))
        starts.append(starts[-1] + count)
    empty = [np.zeros(0, dtype=np.int64)]
    return Linear(
        np.array(bias, dtype=np.int64),
        np.array(starts, dtype=np.int64),
        np.concatenate(wires or empty),
        np.concatenate(coefficients or empty),
        label,
    )


def _detail(node: Node) -> str:
    match node:
        case Input():
            return f"{len(node.low)} values in [{node.low.min()}, {node.high.max()}]"
        case Linear():
            return f"{len(node.bias)} rows, {len(node.wires)} terms"
        case Shift() | ReluShift():
            return f"{len(node.wires)} wires >> {node.shift}"
        case Thermometer():
            return f"%{node.wire} in 0..{node.ranks}"
        case Mux():
            return f"{len(node.bit)} choices"
        case Output():
            return f"{len(node.wires)} values"
