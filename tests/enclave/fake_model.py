"""A model small enough to see through, with the artefact's interface: y = sum of a record's features.

Its commitments are plain hashes and its proof a hash of them: it stands in for a lane in the enclave's tests.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from proofward.protocol import sha256
from proofward.zkml import ArtifactError, InputRangeError, Proof, ProvingError, PublicArtifact

LIMIT = 1000
FEATURES, BATCH = 3, 2


class FakePublic:
    """The public half."""

    def __init__(self, name: str) -> None:
        self.manifest = SimpleNamespace(
            name=name,
            lane="groth16",
            setup="attested",
            batch=BATCH,
            input=SimpleNamespace(shape=[FEATURES]),
            output=SimpleNamespace(length=1),
            weights_digest=sha256(b"weights " + name.encode()).hex(),
            vk_hash=sha256(b"vk " + name.encode()).hex(),
            circuit_digest=sha256(b"circuit " + name.encode()).hex(),
        )
        self.manifest_hash = sha256(b"manifest " + name.encode())
        self.key_hash = sha256(b"key " + name.encode())

    def model_id(self, publisher: bytes) -> bytes:
        return PublicArtifact.model_id(cast(Any, self), publisher)

    def pad(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate([values, np.repeat(values[-1:], BATCH - len(values), axis=0)])

    def commit_input(self, values: NDArray[np.int64], salt: bytes) -> bytes:
        if (abs(values) > LIMIT).any():
            raise InputRangeError("feature 0 is 4711, above 1000")
        return sha256(b"input" + values.tobytes() + salt)

    def commit_output(self, values: NDArray[np.int64], salt: bytes) -> bytes:
        return sha256(b"output" + values.tobytes() + salt)

    def verify(self, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bool:
        return proof == sha256(b"proof" + input_commitment + output_commitment)

    verify_made = verify


@dataclass
class FakeArtifact:
    """The whole; `fault` names what goes wrong, `gate` holds a proof back until it is set."""

    public: FakePublic
    fault: str = ""
    gate: threading.Event | None = None
    proving: threading.Event = field(default_factory=threading.Event)
    proofs: int = 0
    closed: bool = False

    @property
    def manifest(self) -> Any:
        return self.public.manifest

    def warm(self) -> None:
        pass

    def infer(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        if (abs(values) > LIMIT).any():
            raise InputRangeError("feature 0 is 4711, above 1000")
        sums: NDArray[np.int64] = values.sum(axis=1, keepdims=True)
        return sums

    def prove(self, values: NDArray[np.int64], input_salt: bytes, output_salt: bytes) -> Proof:
        self.proofs += 1
        self.proving.set()
        if self.gate is not None:
            self.gate.wait(20)
        if self.fault == "prover":
            raise ProvingError("value 4711 broke the circuit")
        if self.fault == "bug":
            raise RuntimeError("value 4711 was not expected")
        outputs = self.infer(values) + (self.fault == "outputs")
        c_in = self.public.commit_input(values, input_salt)
        c_out = self.public.commit_output(outputs, output_salt if self.fault != "commitment" else bytes(32))
        proof = sha256(b"proof" + c_in + c_out) if self.fault != "proof" else bytes(32)
        return Proof(proof, c_in, c_out, outputs, {})

    def close(self) -> None:
        self.closed = True


def fake_loader(path: Path) -> FakeArtifact:
    """Loads any directory that holds a file `fake`."""
    if not (path / "fake").is_file():
        raise ArtifactError(f"{path.name} is no artifact")
    return FakeArtifact(FakePublic(path.name), fault=(path / "fake").read_text())
