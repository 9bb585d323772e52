"""The peer: gnark's Groth16 over the same integer program without commitments, in a process of its own.

`bench/gnark` is a Go module, built into build/bench-gnark at the first run; where Go is missing the peer is
left out, and why is said.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from proofward.zkml import Artifact
from proofward.zkml.groth16.program.bounds import analyse, half_step, relu_bits
from proofward.zkml.groth16.program.program import Input, Linear, Node, Output, Program, ReluShift, Shift

SOURCE = Path(__file__).parent / "gnark"
BINARY = Path("build") / "bench-gnark"
THREADS = 2
BUILD_SECONDS = 1200


def build() -> str | None:
    """Build the peer; None where that worked, else why it is left out."""
    if shutil.which("go") is None:
        return "go is missing (https://go.dev/dl)"
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            ["go", "build", "-o", str(BINARY.resolve()), "."],
            cwd=SOURCE,
            check=True,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        told = str(getattr(error, "stderr", "") or error).strip().splitlines()
        return f"gnark could not be built: {told[-1] if told else error}"
    return None


class Gnark:
    """A child process that holds one model's circuit, set up; raises SystemExit where it fails."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        program = Program.decode((artifact.path / "private" / "program.bin").read_bytes())
        self._process = subprocess.Popen(
            [str(BINARY.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "GOMAXPROCS": str(THREADS)},
            text=True,
        )
        self.facts = self._call({"program": steps(program)})

    def __enter__(self) -> Gnark:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def prove(self, record: np.ndarray) -> float:
        """Seconds of witness and proof of a record [features], whose proof was verified."""
        values = self._artifact.public.quantize(record[None, :])
        outputs = self._artifact.infer(values)
        found = self._call({"record": values[0].tolist(), "outputs": outputs[0].tolist()})
        if not found["valid"]:
            raise SystemExit("gnark's own verifier refuses its proof")
        return float(found["prove_s"])

    def _call(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        reply = self._process.stdout.readline()
        if not reply:
            raise SystemExit("gnark's process ended")
        return dict(json.loads(reply))


def takes(artifact: Artifact) -> bool:
    """Whether the peer has the gadgets of the model's program: those of networks."""
    program = Program.decode((artifact.path / "private" / "program.bin").read_bytes())
    return all(isinstance(node, Input | Linear | Shift | ReluShift | Output) for node in program.nodes)


def steps(program: Program) -> dict[str, Any]:
    """The program as `bench/gnark/main.go` reads it, with the widths of its decompositions."""
    found = analyse(program)
    low, high = found.low.tolist(), found.high.tolist()
    first = program.input
    bits = [int(h - lo).bit_length() for lo, h in zip(first.low.tolist(), first.high.tolist(), strict=True)]
    made: list[dict[str, Any]] = []
    for node in program.nodes:
        made += _steps(node, low, high)
    return {
        "inputs": list(zip(first.low.tolist(), bits, strict=True)),
        "steps": made,
        "outputs": program.output.wires.tolist(),
    }


def _steps(node: Node, low: list[int], high: list[int]) -> list[dict[str, Any]]:
    if isinstance(node, Linear):
        ends = list(zip(node.starts[:-1].tolist(), node.starts[1:].tolist(), strict=True))
        terms = list(zip(node.wires.tolist(), node.coefficients.tolist(), strict=True))
        return [
            {"kind": "linear", "bias": bias, "terms": terms[start:end]}
            for bias, (start, end) in zip(node.bias.tolist(), ends, strict=True)
        ]
    if isinstance(node, Shift | ReluShift):
        relu = isinstance(node, ReluShift)
        return [_rounded(relu, node.shift, w, low[w], high[w]) for w in node.wires.tolist()]
    return []


def _rounded(relu: bool, shift: int, wire: int, low: int, high: int) -> dict[str, Any]:
    """The four ways of a rounding, as `prover/IR.md` has them."""
    half = half_step(shift)
    at_low, at_high = (low + half) >> shift, (high + half) >> shift
    about = {"wire": wire, "shift": shift}
    if relu and at_high <= 0:
        return {"kind": "constant", "bias": 0}
    if relu and at_low < 0:
        k = int(relu_bits(np.array([low]), np.array([high]), shift)[0])
        return {"kind": "relu", "bits": k + 1, **about}
    if shift == 0:
        return {"kind": "identity", **about}
    if at_low == at_high:
        return {"kind": "constant", "bias": at_low}
    return {"kind": "shift", "bias": at_low, "bits": shift + (at_high - at_low).bit_length(), **about}
