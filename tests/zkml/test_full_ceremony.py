"""A ceremony of three, one of them an enclave, and what is refused of it. `make ceremony`: on a CNN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from proofward_prover import Circuit, r1cs

from proofward.zkml import compile_model, load_artifact
from tests import ceremony
from tests.zkml.onnx_models import GROTH16, Graph


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> ceremony.Held:
    folder = tmp_path_factory.mktemp("c")
    graph = Graph((4,), seed=3)
    graph.node("Gemm", graph.weights(4, 1))
    graph.node("Sigmoid")
    x = np.random.default_rng(8).uniform(-1, 1, (150, 4))
    artifact = compile_model(graph.model(), x, folder / "model", name="m", options=GROTH16)
    return ceremony.hold(artifact, folder)


def test_a_full_ceremony_is_verified_by_all_who_can_read_it(held: ceremony.Held) -> None:
    ceremony.check(held, phase1=False)


def test_the_verbs_refuse_what_is_not_finished_and_overwrite_nothing(
    held: ceremony.Held, tmp_path: Path
) -> None:
    cli, sources = ceremony.cli, held.sources
    plain = load_artifact(held.artifact)
    exported = cli("setup", "export", *sources[:2], "--out", str(tmp_path / "c.r1cs"))
    assert exported["circuit"] == plain.manifest.circuit_digest
    circuit = Circuit((held.artifact / "private" / "program.bin").read_bytes(), 1)
    assert (tmp_path / "c.r1cs").read_bytes() == r1cs(circuit)  # what snarkjs reads
    assert exported["constraints"] == circuit.constraints
    again = cli("setup", "export", *sources[:2], "--out", exported["r1cs"], code=1)
    assert again["error"]["code"] == "bad-artifact"

    listed = cli("setup", "verify", str(held.state(3)), *sources)["contributions"]
    assert [one["name"] for one in listed] == ["Ada", "ward-3", "Grace"]
    eve = ("--name", "Eve", "--out", str(held.state(1)))
    assert cli("setup", "contribute", str(held.state(0)), *eve, code=1)["error"]["code"] == "bad-artifact"
    spoilt = bytearray(held.state(3).read_bytes())
    spoilt[77] ^= 1
    (tmp_path / "spoilt").write_bytes(spoilt)
    refused = cli("setup", "verify", str(tmp_path / "spoilt"), *sources, code=1)
    assert refused["error"]["code"] == "bad-contribution"
    unfinished = cli("setup", "finish", str(held.state(0)), *sources, "--out", str(tmp_path / "none"), code=1)
    assert unfinished["error"]["code"] == "bad-contribution"
    assert not (tmp_path / "none").exists()

    beacon = ("--beacon", "ab" * 32, "--iterations", "3")
    out = tmp_path / "model"
    done = cli("setup", "finish", str(held.state(3)), *sources, "--out", str(out), *beacon)
    made = load_artifact(out)
    assert made.manifest.setup == "ceremony"
    assert made.manifest.files["public/ceremony.bin"] == done["transcript"]
    values = plain.public.quantize(np.zeros((1, 4)))
    proof = made.prove(values, bytes(32), bytes(32))
    assert made.public.verify(proof.input_commitment, proof.output_commitment, proof.proof)
    assert not plain.public.verify(proof.input_commitment, proof.output_commitment, proof.proof)
    of_keys = cli("setup", "verify", "--artifact", str(out), *sources[2:])
    assert of_keys["contributions"] == done["contributions"]
    assert cli("setup", "verify", *sources, code=1)["error"]["code"] == "bad-artifact"


def test_a_full_ceremony_that_was_tampered_with_is_refused(held: ceremony.Held) -> None:
    ceremony.attack(held)
