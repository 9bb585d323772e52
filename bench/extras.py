"""What concerns the MLP alone: throughput, batch verification, and gas."""

from __future__ import annotations

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import proofward_prover as prover

from proofward.zkml import Artifact
from proofward.zkml.contracts import accepted, verifier_code, verify_calldata, verify_many_calldata
from proofward.zkml.groth16.lane import PROVING_KEY
from proofward.zkml.groth16.params import circuit_of

SECONDS = 4.0
BATCH_VERIFIED = 64
MANY = 16
CALLER = "0x" + "11" * 20


def throughput(single: Artifact, batch: Artifact) -> dict[str, Any]:
    """Proven inferences a second on two cores, three ways; the best is the figure."""
    found = {
        "one proof at a time, two threads": _rate(single, workers=1, threads=2),
        "two proofs at a time, one thread each": _rate(single, workers=2, threads=1),
        f"batches of {batch.manifest.batch}, two threads": _rate(batch, workers=1, threads=2),
    }
    return {"proven_per_second": max(found.values()), "proven_per_second_by_way": found}


def _rate(artifact: Artifact, workers: int, threads: int) -> float:
    circuit, key = _opened(artifact)
    values = _middle(artifact)
    deadline = time.perf_counter() + SECONDS

    def work(_: int) -> int:
        count = 0
        while time.perf_counter() < deadline:
            prover.prove(key, circuit, values, os.urandom(32), os.urandom(32), threads)
            count += 1
        return count

    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        proofs = sum(pool.map(work, range(workers)))
    return proofs * artifact.manifest.batch / (time.perf_counter() - started)


def batch_verification(artifact: Artifact) -> float:
    """Milliseconds a proof when 64 different ones are checked together, median of nine."""
    circuit, key = _opened(artifact)
    items = []
    for _ in range(BATCH_VERIFIED):
        made = prover.prove(key, circuit, _middle(artifact), os.urandom(32), os.urandom(32), 2)
        items.append((made.input_commitment, made.output_commitment, made.proof))
    times = []
    for _ in range(9):
        started = time.perf_counter()
        valid = prover.batch_verify(artifact.public.vk, items, 2)
        times.append(time.perf_counter() - started)
        if not valid:
            raise SystemExit("a batch of valid proofs does not verify")
    spoilt = [(items[0][1], items[0][0], items[0][2]), *items[1:]]
    if prover.batch_verify(artifact.public.vk, spoilt, 2):
        raise SystemExit("a batch with a false statement verifies")
    return 1e3 * statistics.median(times) / BATCH_VERIFIED


def gas(single: Artifact, batch: Artifact) -> dict[str, float]:
    """Gas of transactions that ask the lane's contract: base cost, calldata and execution. One proof, an
    inference of a batch, and a proof among sixteen that are verified together.
    """
    sixteen = [_proof(single) for _ in range(MANY)]
    inputs, outputs, proofs = zip(*sixteen, strict=True)
    vk = single.public.vk
    return {
        "single": _spent(verify_calldata(vk, *sixteen[0])),
        f"per_inference_at_{batch.manifest.batch}": _spent(verify_calldata(batch.public.vk, *_proof(batch)))
        / batch.manifest.batch,
        "per_proof_of_16": _spent(verify_many_calldata(vk, inputs, outputs, proofs)) / MANY,
    }


def _spent(calldata: bytes) -> int:
    import pyrevm

    evm = pyrevm.EVM(gas_limit=2**40)
    evm.set_balance(CALLER, 10**18)
    address = evm.deploy(CALLER, verifier_code("groth16").init_code)
    answer = evm.message_call(CALLER, address, calldata=calldata, gas=5_000_000)
    if not accepted(bytes(answer)):
        raise SystemExit("the contract refuses a valid proof")
    assert evm.result is not None
    return int(evm.result.gas_used)


def _proof(artifact: Artifact) -> tuple[bytes, bytes, bytes]:
    """Input commitment, output commitment and proof of the middle record under fresh salts."""
    values = np.array(_middle(artifact)).reshape(artifact.manifest.batch, -1)
    made = artifact.prove(values, os.urandom(32), os.urandom(32))
    return made.input_commitment, made.output_commitment, made.proof


def _opened(artifact: Artifact) -> tuple[prover.Circuit, prover.ProvingKey]:
    private = artifact.path / "private"
    circuit = circuit_of((private / "program.bin").read_bytes(), artifact.manifest)
    return circuit, prover.ProvingKey.load(
        private / "pk.bin", circuit, bytes.fromhex(artifact.manifest.files[PROVING_KEY])
    )


def _middle(artifact: Artifact) -> list[int]:
    low, high = artifact.manifest.input.quantiser.bounds()
    return [int(v) for v in (low + high) // 2] * artifact.manifest.batch
