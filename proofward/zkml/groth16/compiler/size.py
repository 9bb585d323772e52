"""Whether a network can fit into a circuit: said before the search, with the layer that fills it."""

from __future__ import annotations

import numpy as np

from proofward.zkml.errors import CompileError
from proofward.zkml.groth16.compiler.network import Network
from proofward.zkml.groth16.program import bounds
from proofward.zkml.groth16.program.program import MAX_INPUTS, Program

MAX_ROWS = 1 << 18
"""Constraints of a circuit, at most (prover/IR.md)."""
LEAST_ROWS = 4
"""Of an activation whose sign is open, with layers of two bits: no search goes below."""
MAX_MATRIX_TERMS = 1 << 23
"""Terms of all rows together, at most."""


def require_room(network: Network, batch: int) -> None:
    """Raise CompileError for a network that no quantisation brings within a circuit's bounds."""
    features = int(np.prod(network.input_shape))
    if features * batch > MAX_INPUTS:
        each = f"{batch} records of {features:,}" if batch > 1 else f"{features:,}"
        raise CompileError(
            f"the model's input has {each} values and a job carries {MAX_INPUTS:,}: resample or crop the "
            "records" + (", or lower --batch" if batch > 1 else "")
        )
    blocks = network.blocks
    rows = [LEAST_ROWS * block.affine.size * batch for block in blocks]
    if sum(rows) > MAX_ROWS:
        worst = max(range(len(blocks)), key=rows.__getitem__)
        raise CompileError(
            f"the model needs {sum(rows):,} constraints at least and a circuit has {MAX_ROWS:,} at most; "
            f"node {blocks[worst].name!r} alone has {blocks[worst].affine.size:,} activations: use fewer "
            "filters, a larger stride or a smaller input"
        )
    terms = [block.affine.rows.nnz * batch for block in blocks]
    if sum(terms) > MAX_MATRIX_TERMS:
        worst = max(range(len(blocks)), key=terms.__getitem__)
        raise CompileError(
            f"the model has {sum(terms):,} linear terms and a circuit {MAX_MATRIX_TERMS:,} at most; before "
            f"node {blocks[worst].name!r} alone there are {terms[worst]:,}: use fewer or smaller filters"
        )


def require_rows(program: Program, batch: int) -> None:
    """Raise CompileError for integers that take more rows than a circuit has, naming the layer with most."""
    counts = bounds.analyse(program).constraints
    total = batch * sum(count for _, count in counts)
    if total > MAX_ROWS:
        label, most = max(counts, key=lambda one: one[1])
        raise CompileError(
            f"the fewest constraints that keep to the bounds are {total:,}, without the commitments, and a "
            f"circuit has {MAX_ROWS:,} at most; node {label!r} alone takes {batch * most:,}: use fewer "
            "filters, a larger stride or a smaller input, or accept larger bounds (--max-disagreement, "
            "--max-shift)"
        )
