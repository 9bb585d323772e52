"""Larger models' circuits to their end at one plan: set up, proved and verified once, with time and memory.

`python -m tests.cases.to_the_end FOLDER NAME...` takes models of `larger.py`. There is no search: all layers
have the first plan of `PLANS` that the circuit's bound on rows takes, which says what a circuit of that size
costs and nothing of how well such integers decide. Setup and proof each run in a process of their own, whose
memory is then theirs alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import proofward_prover as prover

from proofward.zkml.errors import CompileError
from proofward.zkml.groth16.compiler.network_program import NetworkProgram
from proofward.zkml.quantiser import AffineQuantiser
from tests.cases import larger

#: Bits of an input, a layer and an activation.
PLANS = ((8, 16, 10), (6, 12, 6), (5, 11, 5), (4, 10, 4))
MAX_ROWS = 1 << 18


def to_the_end(name: str, folder: Path) -> dict[str, Any]:
    """One model's figures. Raises ZkmlError where the lane does not take it."""
    onnx, train, _ = larger.write(name, folder)
    records = np.loadtxt(train, delimiter=",", ndmin=2)
    plan, lowered, quantiser, circuit = _circuit(onnx.read_bytes(), records)
    (folder / f"{name}.program").write_bytes(lowered.program.encode())
    values = quantiser.quantize(records[:1])[0].tolist()
    (folder / f"{name}.values").write_text(" ".join(map(str, values)))
    return {
        "plan": plan,
        "rows": circuit.constraints,
        "domain": circuit.domain,
        "setup": _child("setup", folder / name),
        "proof": _child("prove", folder / name),
    }


def _circuit(
    model: bytes, records: np.ndarray
) -> tuple[tuple[int, int, int], NetworkProgram, AffineQuantiser, prover.Circuit]:
    for plan in PLANS:
        lowered, quantiser = larger.at_one_plan(model, records, *plan)
        try:
            circuit = prover.Circuit(lowered.program.encode(), 1)
        except prover.ProverError:
            continue
        if circuit.constraints <= MAX_ROWS:
            return plan, lowered, quantiser, circuit
    raise CompileError(f"more than {MAX_ROWS} rows at each plan of {PLANS}")


def _child(what: str, model: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.cases.end_process", what, str(model)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


if __name__ == "__main__":
    for wanted in sys.argv[2:]:
        print(wanted, json.dumps(to_the_end(wanted, Path(sys.argv[1]))), flush=True)
