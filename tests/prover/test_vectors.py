"""The published vectors are the prover's; tests/conformance gets them by an implementation of its own."""

from __future__ import annotations

import json
from typing import Any

import proofward_prover as prover
import pytest

from tests.vectors.prover import PATH, texts

CASES: list[dict[str, Any]] = json.loads(PATH.read_text())


@pytest.mark.parametrize("one", CASES, ids=lambda one: one["name"])
def test_vectors_are_the_provers(one: dict[str, Any]) -> None:
    circuit = prover.Circuit(bytes.fromhex(one["program"]), one["batch"], one["form"])
    values = [int(x) for x in one["values"]]
    salts = bytes.fromhex(one["input_salt"]), bytes.fromhex(one["output_salt"])
    outputs = circuit.evaluate(values)
    commitments = (
        prover.commit(circuit.input_bounds, one["batch"], values, salts[0], one["form"]),
        prover.commit(circuit.output_bounds, one["batch"], outputs, salts[1], one["form"]),
    )
    found = {
        "digest": circuit.digest.hex(),
        "constraints": circuit.constraints,
        "input_bounds": texts(circuit.input_bounds),
        "output_bounds": texts(circuit.output_bounds),
        "outputs": texts(outputs),
        "input_commitment": commitments[0].hex(),
        "output_commitment": commitments[1].hex(),
    }
    assert {name: one[name] for name in found} == found
    if "proof" in one:
        assert prover.verify(bytes.fromhex(one["verifying_key"]), *commitments, bytes.fromhex(one["proof"]))
