"""Make tests/vectors/prover.json: known answers of the prover, for whoever writes it anew.

Run: python -m tests.vectors.prover. Bytes are hex, integers decimal text (many readers take JSON's for
doubles). Keys and proofs are random, so that a second run gives others, as good; everything else has one
answer.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import proofward_prover as prover

from proofward.protocol.hashes import sha256
from proofward.zkml.groth16.params import Form
from proofward.zkml.groth16.program.program import (
    Builder,
    Input,
    Mux,
    Program,
    ReluShift,
    Shift,
    Thermometer,
    linear,
)

PATH = Path(__file__).parent / "prover.json"
SALTS = sha256(b"input salt"), sha256(b"output salt")


def numbers(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


def texts(values: Any) -> Any:
    """Integers as text."""
    return [texts(one) for one in values] if isinstance(values, list | tuple) else str(values)


def every_node() -> Program:
    """Each kind of node, with each of its cases."""
    builder = Builder()
    builder.add(Input(numbers(-8, 0, 0, 5), numbers(7, 3, 1, 5), "in"))
    builder.add(linear([(3, {0: 5, 1: -2}), (-1, {}), (4, {})], "sums"))  # 4, 5, 6
    builder.add(ReluShift(2, numbers(4, 0), "relu"))  # 7, 8
    builder.add(ReluShift(0, numbers(4, 1), "relu by nothing"))  # 9, 10
    builder.add(Thermometer(1, 3, "ranks"))  # 11, 12, 13
    builder.add(Thermometer(1, 3, "ranks again"))  # 14, 15, 16
    builder.add(linear([(0, {2: 1, 11: 2})], "code"))  # 17
    builder.add(Thermometer(17, 3, "ranks of a sum"))  # 18, 19, 20
    builder.add(Mux(numbers(12, 2), numbers(5, 4), numbers(6, 8), "tree"))  # 21, 22
    builder.add(Shift(1, numbers(4, 5, 22), "shift"))  # 23, 24, 25
    builder.add(ReluShift(1, numbers(5), "never"))  # 26
    return builder.finish(numbers(7, 9, 10, 19, 21, 23, 24, 25, 26, 0))


def wide() -> Program:
    """Values of 60 bits, so many that their record takes several hashes."""
    builder = Builder()
    wires = builder.add(Input(numbers(*[-(2**59)] * 70), numbers(*[2**59 - 1] * 70), "wide"))
    return builder.finish(wires[::7])


def bit() -> Program:
    """One bit, passed on."""
    builder = Builder()
    return builder.finish(builder.add(Input(numbers(0), numbers(1))))


def case(name: str, program: Program, batch: int, seed: int, form: Form = "tree") -> dict[str, Any]:
    """A circuit, and a job on it."""
    circuit = prover.Circuit(program.encode(), batch, form)
    random = np.random.default_rng(seed)
    rows = [random.integers(program.input.low, program.input.high, endpoint=True) for _ in range(batch)]
    values = np.concatenate(rows).tolist()
    outputs = circuit.evaluate(values)
    found: dict[str, Any] = {
        "name": name,
        "program": program.encode().hex(),
        "batch": batch,
        "form": form,
        "digest": circuit.digest.hex(),
        "constraints": circuit.constraints,
        "input_bounds": texts(circuit.input_bounds),
        "output_bounds": texts(circuit.output_bounds),
        "input_salt": SALTS[0].hex(),
        "output_salt": SALTS[1].hex(),
        "values": texts(values),
        "outputs": texts(outputs),
        "input_commitment": prover.commit(circuit.input_bounds, batch, values, SALTS[0], form).hex(),
        "output_commitment": prover.commit(circuit.output_bounds, batch, outputs, SALTS[1], form).hex(),
    }
    if form == "tree":
        index = batch - 1
        salt, path = prover.open_record(circuit.input_bounds, batch, values, SALTS[0], index)
        found["opened"] = {"index": index, "salt": salt.hex(), "path": [one.hex() for one in path]}
    if circuit.constraints < 3000:
        with tempfile.TemporaryDirectory() as folder:
            key_file = Path(folder) / "pk"
            verifying_key, digest = prover.setup(circuit, key_file)
            key = prover.ProvingKey.load(key_file, circuit, digest)
            found |= {
                "verifying_key": verifying_key.hex(),
                "proof": prover.prove(key, circuit, values, *SALTS).proof.hex(),
            }
    return found


def main() -> None:
    """Write the file."""
    cases = [
        case("one bit", bit(), 1, 1),
        case("every node", every_node(), 1, 2),
        case("a batch of three", every_node(), 3, 3),
        case("a batch of eighteen, a tree of two levels", bit(), 18, 4),
        case("a wide record", wide(), 1, 5),
        case("three records in one", every_node(), 3, 6, "flat"),
        case("wide records in one", wide(), 2, 7, "flat"),
    ]
    PATH.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
