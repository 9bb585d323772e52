"""The reference semantics of integer programs, in numpy. Rust's evaluator must agree with it to the bit."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from proofward.zkml.errors import InputRangeError
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


def evaluate(program: Program, values: IntArray) -> IntArray:
    """Outputs int64 `[n, outputs]` for records int64 `[n, inputs]`.

    Exact for programs that `bounds.analyse` accepts. Raises InputRangeError for a record out of range.
    """
    first = program.input
    if values.ndim != 2 or values.shape[1] != len(first.low):
        raise InputRangeError(
            f"expected records of {len(first.low)} integers, got shape {list(values.shape)}"
        )
    if ((values < first.low) | (values > first.high)).any():
        raise InputRangeError("an input integer is outside the program's range")
    wires = np.empty((0, len(values)), dtype=np.int64)
    for node in program.nodes:
        wires = np.concatenate([wires, _node(node, wires, values)])
    return np.ascontiguousarray(wires[program.output.wires].T)


def _node(node: Node, wires: IntArray, values: IntArray) -> IntArray:
    match node:
        case Input():
            return np.ascontiguousarray(values.T)
        case Linear():
            matrix = sparse.csr_array(
                (node.coefficients, node.wires, node.starts), shape=(len(node.bias), len(wires))
            )
            return np.asarray(matrix @ wires + node.bias[:, None])
        case Shift():
            return np.asarray((wires[node.wires] + (1 << (node.shift - 1))) >> node.shift)
        case ReluShift():
            half = 1 << (node.shift - 1) if node.shift else 0
            return np.asarray(np.maximum((wires[node.wires] + half) >> node.shift, 0))
        case Thermometer():
            return np.asarray(wires[node.wire][None, :] >= np.arange(1, node.ranks + 1)[:, None], np.int64)
        case Mux():
            return np.asarray(np.where(wires[node.bit] == 1, wires[node.high], wires[node.low]))
        case Output():
            return wires[:0]
