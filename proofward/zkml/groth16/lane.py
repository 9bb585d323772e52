"""The Lane: compile, prove, verify, audit. The compiler is imported only where it is needed (not in an
enclave).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import proofward_prover as prover
from proofward_prover import ProverError, ProvingKey, commit, prove, verify

from proofward.zkml.errors import ArtifactError, InputRangeError, ProvingError, UnsupportedModel
from proofward.zkml.groth16.params import circuit_of, form, input_bounds, output_bounds
from proofward.zkml.lanes import (
    Auditor,
    Compiled,
    CompileRequest,
    Estimate,
    LaneProver,
    LanePublic,
    Proof,
    Remade,
)
from proofward.zkml.manifest import LaneName, Manifest
from proofward.zkml.quantiser import Integers

VK = "public/vk.bin"
PROVING_KEY = "private/pk.bin"


class Groth16Public:
    """Commitments and verification; needs the manifest and the verifying key alone."""

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        self._batch, self._form = manifest.batch, form(manifest)
        self._inputs, self._outputs = input_bounds(manifest), output_bounds(manifest)
        self._vk = files[VK]

    def commit_input(self, values: Integers, salt: bytes) -> bytes:
        """Poseidon commitment to int64 `[batch, features]`. Raises InputRangeError."""
        return self._commit(self._inputs, values, salt)

    def commit_output(self, values: Integers, salt: bytes) -> bytes:
        """Poseidon commitment to int64 `[batch, length]`. Raises InputRangeError."""
        return self._commit(self._outputs, values, salt)

    def verify(self, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bool:
        """Whether the proof holds; False for anything malformed. Raises ArtifactError for a bad verifying
        key.
        """
        return self._checked(verify, input_commitment, output_commitment, proof)

    def verify_made(self, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bool:
        """The same without a second pairing for what this process made, to the byte."""
        return self._checked(prover.verify_made, input_commitment, output_commitment, proof)

    def _checked(self, by: Callable[..., bool], *claim: bytes) -> bool:
        try:
            return by(self._vk, *claim)
        except ProverError as error:
            raise ArtifactError(
                f"the verifying key is unusable: {error}; fetch the artifact again"
            ) from error

    def _commit(self, bounds: list[tuple[int, int]], values: Integers, salt: bytes) -> bytes:
        try:
            return commit(bounds, self._batch, values.reshape(-1).tolist(), salt, self._form)
        except ProverError as error:
            raise InputRangeError(str(error)) from error


class Groth16Prover:
    """A circuit and its proving key, checked and in this process's own memory.

    Thread-safe: nothing changes after the constructor.
    """

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes], private: Path) -> None:
        self._length = manifest.output.length
        try:
            self._circuit = circuit_of((private / "program.bin").read_bytes(), manifest)
            if self._circuit.digest.hex() != manifest.circuit_digest:
                raise ArtifactError(
                    "program.bin is not the circuit that the manifest names; compile the model again"
                )
            if [tuple(one) for one in self._circuit.input_bounds] != input_bounds(manifest):
                raise ArtifactError(
                    "the manifest's quantiser has other input_bounds than the circuit, and nothing that is "
                    "committed to by them could be proved; compile the model again"
                )
            if [tuple(one) for one in self._circuit.output_bounds] != output_bounds(manifest):
                raise ArtifactError(
                    "the manifest's output_bounds are not the circuit's, and nobody could open what it "
                    "proves; compile the model again"
                )
            pinned = bytes.fromhex(manifest.files[PROVING_KEY])
            self._key = ProvingKey.load(private / "pk.bin", self._circuit, pinned, files[VK])
        except ProverError as error:
            raise ArtifactError(
                f"the proving key or program is unusable: {error}; compile the model again"
            ) from error

    def infer(self, values: Integers) -> Integers:
        """int64 `[batch, features]` to int64 `[batch, length]`."""
        try:
            outputs = self._circuit.evaluate(values.reshape(-1).tolist())
        except ProverError as error:
            raise InputRangeError(str(error)) from error
        return np.array(outputs, dtype=np.int64).reshape(-1, self._length)

    def prove(self, values: Integers, input_salt: bytes, output_salt: bytes) -> Proof:
        """A proof that was verified before it is returned. Raises InputRangeError, ProvingError."""
        started = time.perf_counter()
        try:
            made = prove(self._key, self._circuit, values.reshape(-1).tolist(), input_salt, output_salt)
        except ProverError as error:
            if error.code in ("input-out-of-range", "input-length", "bad-salt"):
                raise InputRangeError(str(error)) from error
            raise ProvingError(f"proving failed ({error.code}): {error}") from error
        seconds = dict(made.seconds)
        total = time.perf_counter() - started
        witness, proving = seconds.get("witness", 0.0), seconds.get("prove", 0.0)
        phases = {"infer": witness, "prove": proving, "verify_local": max(0.0, total - witness - proving)}
        outputs = np.array(made.outputs, dtype=np.int64).reshape(-1, self._length)
        return Proof(made.proof, made.input_commitment, made.output_commitment, outputs, phases)

    def close(self) -> None:
        """Let the key go."""
        del self._key


class Groth16Lane:
    """The lane's entry points; see :class:`proofward.zkml.lanes.Lane`."""

    name: LaneName = "groth16"

    def refusal(self, onnx: bytes, batch: int) -> str | None:
        """Why this lane does not take the model, naming operator and node; None when it does."""
        from proofward.zkml.groth16.compiler.onnx_frontend import trace

        try:
            trace(onnx)
        except UnsupportedModel as error:
            return error.message
        return None

    def compile(self, request: CompileRequest, staging: Path) -> Compiled:
        """Quantise, lower, set up keys, and write the artifact's files."""
        from proofward.zkml.groth16.compiler.build import build

        return build(request, staging)

    def estimate(self, request: CompileRequest) -> Estimate:
        """Rows, time, memory and the report on the integers, without keys."""
        from proofward.zkml.groth16.compiler.build import estimate

        return estimate(request)

    def open_public(self, manifest: Manifest, files: Mapping[str, bytes]) -> LanePublic:
        """The client's and verifier's side."""
        return Groth16Public(manifest, files)

    def open_prover(self, manifest: Manifest, files: Mapping[str, bytes], private: Path) -> LaneProver:
        """The worker's side. Raises ArtifactError."""
        return Groth16Prover(manifest, files, private)

    def remake(self, onnx: bytes, manifest: Manifest, files: Mapping[str, bytes], auditor: Auditor) -> Remade:
        """Compile the circuit again from the ONNX file and the manifest's quantisation; run both models."""
        from proofward.zkml.groth16.compiler.audited import remake

        return remake(onnx, manifest, files, auditor)


LANE = Groth16Lane()
