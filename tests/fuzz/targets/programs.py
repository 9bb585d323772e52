"""Integer programs."""

from __future__ import annotations

import contextlib

import proofward_prover as prover

from proofward.zkml.groth16.program.program import Program


def program(data: bytes) -> None:
    """An integer program: what the prover takes, the reference reads as the same."""
    read: Program | None = None
    with contextlib.suppress(ValueError):
        read = Program.decode(data)
    assert read is None or read.encode() == data
    try:
        circuit = prover.Circuit(data, 1)
    except prover.ProverError:
        return
    assert read is not None
    bounds = zip(read.input.low.tolist(), read.input.high.tolist(), strict=True)
    assert circuit.input_bounds == list(bounds)
