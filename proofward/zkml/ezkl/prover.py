"""Both sides of a proof: commitments and verification from public files, proving from the whole artefact."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from proofward.protocol import keccak256
from proofward.zkml.errors import ProvingError
from proofward.zkml.ezkl.commitment import SALT_LIMBS, Basis, limbs
from proofward.zkml.ezkl.process import EzklProcess
from proofward.zkml.lanes import (
    Integers,
    Proof,
)
from proofward.zkml.manifest import Manifest
from proofward.zkml.memory import SealedMemory, read_sealed

POINT = 64
# Committed tensors in the order of the proof: the record with its salt, the output's salt, the output.
INPUT_POINT, OUTPUT_POINT = 0, 2 * POINT
_VERIFIES = ("settings.json", "vk.bin", "srs.bin")


class EzklPublic:
    """Commitments by arithmetic of our own, verification by ezkl in a child process."""

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        self._basis = Basis(files["public/basis.bin"])
        self._salt_factor = int(manifest.lane_params["salt_factor"])
        self._proof_bytes = int(manifest.lane_params["proof_bytes"])
        self._files = files
        self._verifier: tuple[EzklProcess, dict[str, Any]] | None = None

    def commit_input(self, values: Integers, salt: bytes) -> bytes:
        return self._basis.commit([int(v) for v in values[0]] + limbs(salt))

    def commit_output(self, values: Integers, salt: bytes) -> bytes:
        return self._basis.commit(
            [int(v) for v in values[0]] + [limb * self._salt_factor for limb in limbs(salt)]
        )

    def verify(self, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bool:
        if len(proof) != self._proof_bytes or commitments(proof) != (input_commitment, output_commitment):
            return False
        if self._verifier is None:
            sealed = {name: SealedMemory(name, [self._files[f"public/{name}"]]) for name in _VERIFIES}
            paths: dict[str, Any] = {name.split(".")[0]: memory.path for name, memory in sealed.items()}
            self._verifier = EzklProcess(files=list(sealed.values())), paths
        process, paths = self._verifier
        return bool(process.call("verify", **paths, proof=proof.hex()))

    def verify_made(self, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bool:
        """As verify: the prover is a process of its own, and is not believed."""
        return self.verify(input_commitment, output_commitment, proof)


class EzklProver:
    """A warm child with the artifact's files in sealed memory. One proof at a time."""

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes], private: Path) -> None:
        sealed = {
            "compiled": read_sealed(private / "circuit.bin", manifest.files["private/circuit.bin"]),
            "pk": read_sealed(private / "pk.bin", manifest.files["private/pk.bin"]),
        }
        sealed |= {name.split(".")[0]: SealedMemory(name, [files[f"public/{name}"]]) for name in _VERIFIES}
        self._paths: dict[str, Any] = {name: memory.path for name, memory in sealed.items()}
        self._length = manifest.output.length
        self._timeout = max(30.0, 30 * float(manifest.lane_params["prove_seconds"]))
        self._public = EzklPublic(manifest, files)
        self._process = EzklProcess(files=list(sealed.values()))

    def infer(self, values: Integers) -> Integers:
        record = [[int(v) for v in values[0]] + [0] * SALT_LIMBS, [0] * (SALT_LIMBS + 1)]
        outputs = self._process.call("infer", compiled=self._paths["compiled"], records=[record])
        return np.array([outputs[0][: self._length]], dtype=np.int64)

    def prove(self, values: Integers, input_salt: bytes, output_salt: bytes) -> Proof:
        blinding = int.from_bytes(
            hashlib.sha256(b"proofward/ezkl-blinding/v1" + input_salt + output_salt).digest(), "big"
        )
        tensors = [[int(v) for v in values[0]] + limbs(input_salt), [*limbs(output_salt), blinding >> 170]]
        made = self._process.call("prove", self._timeout, tensors=tensors, **self._paths)
        outputs = np.array([made["outputs"][: self._length]], dtype=np.int64)
        proof = bytes.fromhex(made["proof"])
        expected = (
            self._public.commit_input(values, input_salt),
            self._public.commit_output(outputs, output_salt),
        )
        if not made["valid"] or commitments(proof) != expected:
            raise ProvingError(
                "ezkl made a proof that does not verify; this attempt is lost", code="proof-invalid"
            )
        return Proof(proof, *expected, outputs, made["seconds"])

    def close(self) -> None:
        self._process.close()


def commitments(proof: bytes) -> tuple[bytes, bytes]:
    """The input and output commitments that a proof carries."""
    return keccak256(proof[INPUT_POINT : INPUT_POINT + POINT]), keccak256(
        proof[OUTPUT_POINT : OUTPUT_POINT + POINT]
    )
