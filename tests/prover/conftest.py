"""Two circuits with keys, one of them for batches of three, and a proof of each."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("proofward_prover", reason="the prover needs rustup: make setup builds it")

import proofward_prover as prover

from proofward.zkml.groth16.program.program import Builder, Input, ReluShift, Thermometer, linear
from tests.once import once

SALTS = bytes(range(32)), bytes(range(100, 132))


def program() -> bytes:
    """Three inputs (one ranked), a hidden layer of two, two outputs."""
    builder = Builder()
    x = builder.add(Input(np.array([-8, 0, 0]), np.array([7, 15, 3]))).tolist()
    steps = builder.add(Thermometer(x[2], 3, "ranks")).tolist()
    rows = [(3, {x[0]: 5, x[1]: -2}), (-20, {x[0]: 1, x[1]: 3, steps[1]: 7})]
    hidden = builder.add(linear(rows, "hidden"))
    active = builder.add(ReluShift(2, hidden, "relu")).tolist()
    logits = builder.add(linear([(0, {active[0]: 3, active[1]: -4}), (1, {active[1]: 2})], "logits"))
    return builder.finish(logits).encode()


@dataclass(frozen=True)
class World:
    circuit: prover.Circuit
    key: prover.ProvingKey
    verifying_key: bytes
    values: list[int]
    proof: prover.Proof


def make(factory: pytest.TempPathFactory, batch: int) -> World:
    circuit = prover.Circuit(program(), batch)

    def set_up(folder: Path) -> None:
        verifying_key, digest = prover.setup(circuit, folder / "pk")
        (folder / "vk").write_bytes(verifying_key)
        (folder / "digest").write_bytes(digest)

    folder = once(factory, f"keys-of-{batch}", set_up)
    key = prover.ProvingKey.load(folder / "pk", circuit, (folder / "digest").read_bytes())
    values = [v for i in range(batch) for v in (4 - i // 2, i % 16, i % 4)]
    proof = prover.prove(key, circuit, values, *SALTS)
    return World(circuit, key, (folder / "vk").read_bytes(), values, proof)


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory, 1)


@pytest.fixture(scope="session")
def batched(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory, 18)


@pytest.fixture(scope="session")
def contracts() -> Path:
    folder = Path(__file__).parents[2] / "contracts"
    try:
        subprocess.run(["node", "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.fail("Node is missing; the contract and snarkjs cannot be tried")
    return folder
