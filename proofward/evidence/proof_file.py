"""Proving and verifying with files alone, without a chain.

A proof file is public: commitments and proof. The salts that open the commitments go into a second file of
mode 0600.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofward.check import Check
from proofward.evidence.model import proof_check
from proofward.files import read_whole, sibling, write_together
from proofward.protocol import SYSTEM_RANDOM, bounds, strict_json
from proofward.zkml import Artifact, Decided, PublicArtifact, ZkmlError

PROOF_FORMAT = "proofward/proof/v1"
SALTS_FORMAT = "proofward/proof-salts/v1"
MAX_PROOF_FILE = 1 << 20


class ProofFileError(ZkmlError):
    """A proof file that cannot be read or written."""

    code = "bad-proof-file"


@dataclass(frozen=True, slots=True)
class ProofFile:
    """A proof by itself, and the manifest hash of the model that it is about."""

    manifest_hash: bytes
    input_commitment: bytes
    output_commitment: bytes
    proof: bytes

    def check(self, public: PublicArtifact) -> Check:
        """Whether it proves `public` between its commitments. Raises ProofFileError when it is about
        another model.
        """
        if public.manifest_hash != self.manifest_hash:
            raise ProofFileError(
                f"the proof is about the model with manifest hash 0x{self.manifest_hash.hex()}, "
                f"the artefact is 0x{public.manifest_hash.hex()}",
                code="other-model",
            )
        return proof_check(public, self.input_commitment, self.output_commitment, self.proof)


@dataclass(frozen=True, slots=True, repr=False)
class Proved:
    """What `prove` made: the proof file, the salts, the real records' outputs, and seconds by phase."""

    file: ProofFile
    input_salt: bytes
    output_salt: bytes
    values: NDArray[np.float64]
    decisions: list[Decided]
    seconds: dict[str, float]


def prove(artifact: Artifact, x: NDArray[np.float64]) -> Proved:
    """Quantise records [n, features] (n up to the batch), infer and prove. Raises InputRangeError,
    ProvingError.
    """
    public = artifact.public
    table = np.atleast_2d(np.asarray(x, dtype=np.float64))
    values = public.pad(public.quantize(table))
    input_salt, output_salt = SYSTEM_RANDOM(32), SYSTEM_RANDOM(32)
    proof = artifact.prove(values, input_salt, output_salt)
    real = proof.outputs[: len(table)]
    return Proved(
        ProofFile(public.manifest_hash, proof.input_commitment, proof.output_commitment, proof.proof),
        input_salt,
        output_salt,
        public.dequantize(real),
        public.decide(real),
        proof.seconds,
    )


def save(proved: Proved, out: Path) -> Path:
    """Write `out` and, beside it, `<out>.salts` (mode 0600), both or neither; returns the latter's path.
    Raises ProofFileError.
    """
    salts = sibling(out, ".salts")
    fields = {
        "format": PROOF_FORMAT,
        "manifest_hash": proved.file.manifest_hash.hex(),
        "input_commitment": proved.file.input_commitment.hex(),
        "output_commitment": proved.file.output_commitment.hex(),
        "proof": proved.file.proof.hex(),
    }
    secret = {
        "format": SALTS_FORMAT,
        "input_salt": proved.input_salt.hex(),
        "output_salt": proved.output_salt.hex(),
    }
    try:
        write_together(
            [
                (salts, json.dumps(secret).encode(), 0o600),
                (out, json.dumps(fields, indent=1).encode(), 0o666),
            ]
        )
    except OSError as error:
        raise ProofFileError(f"cannot write {out}: {error.strerror}") from error
    return salts


def load(path: Path) -> ProofFile:
    """Read a proof file. Raises ProofFileError."""
    try:
        fields: dict[str, Any] = strict_json.loads(read_whole(path, MAX_PROOF_FILE), limit=MAX_PROOF_FILE)
        if fields.pop("format") != PROOF_FORMAT:
            raise ValueError
        found = ProofFile(**{name: bytes.fromhex(value) for name, value in fields.items()})
    except OSError as error:
        raise ProofFileError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ProofFileError(
            f"{path} is not a proof file ({PROOF_FORMAT}); `proofward prove` writes one"
        ) from None
    return found


def load_salts(path: Path) -> tuple[bytes, bytes]:
    """(input salt, output salt) from the file beside a proof file. Raises ProofFileError."""
    salts = sibling(path, ".salts")
    try:
        fields = strict_json.loads(read_whole(salts, MAX_PROOF_FILE), limit=MAX_PROOF_FILE)
        if fields["format"] != SALTS_FORMAT:
            raise ValueError
        found = bytes.fromhex(fields["input_salt"]), bytes.fromhex(fields["output_salt"])
        if any(len(salt) != bounds.SALT_LENGTH for salt in found):
            raise ValueError
    except OSError as error:
        raise ProofFileError(f"cannot read {salts}: {error.strerror}; only its maker has it") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ProofFileError(f"{salts} holds no salts ({SALTS_FORMAT})") from error
    return found


def kind_of(path: Path) -> str:
    """`bundle`, `page`, `proof` or `unknown`, by the format that a JSON file names."""
    try:
        with path.open("rb") as file:
            start = file.read(256)
    except OSError as error:
        raise ProofFileError(f"cannot read {path}: {error.strerror}") from error
    if b'"proofward/bundle/v1"' in start:
        return "bundle"
    if b'"proofward/page-bundle/v1"' in start:
        return "page"
    return "proof" if PROOF_FORMAT.encode() in start else "unknown"
