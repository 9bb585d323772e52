"""A model's keys by a ceremony: begin, contribute, check, finish. docs/ceremony.md is for people.

A ceremony is one file that goes from hand to hand. It begins with a compiled artefact and a `.ptau` file, and
ends with a copy of the artefact whose keys rest on one honest contributor; the manifest pins the transcript.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proofward_prover import Ceremony, Circuit, ProverError, check_transcript, r1cs, read_transcript

from proofward.files import write_new
from proofward.zkml.artifact import PublicArtifact, fresh_directory, hash_tree, load_artifact
from proofward.zkml.errors import ArtifactError, CompileError
from proofward.zkml.groth16.params import circuit_of
from proofward.zkml.manifest import TRANSCRIPT, Manifest


@dataclass(frozen=True)
class Contribution:
    """One entry of a transcript. `hash` is the transcript's after it (32 bytes, hex)."""

    name: str
    beacon: bool
    hash: str


@dataclass(frozen=True)
class Transcript:
    """A ceremony so far: the circuit's digest, the SHA-256 of the .ptau file (hex), what was added."""

    circuit: str
    phase1: str
    contributions: list[Contribution]

    @property
    def secret(self) -> list[str]:
        """Who contributed a secret; a beacon is public, and nobody's honesty rests in it."""
        return [one.name for one in self.contributions if not one.beacon]


def begin(artifact: Path, ptau: Path, out: Path) -> Transcript:
    """Write a ceremony for a groth16 artefact's circuit to `out`. Raises ArtifactError, CompileError."""
    _absent(out)
    circuit = _circuit(artifact)
    with _refusals():
        ceremony = Ceremony.new(circuit, regular(ptau))
        ceremony.write(out)
    return _transcript(ceremony)


def contribute(state: Path, name: str, out: Path) -> Transcript:
    """Add a secret, made here and erased; checks the contributions before it. Raises CompileError."""
    _absent(out)
    with _refusals():
        ceremony = Ceremony.read(regular(state)).contribute(name)
        ceremony.write(out)
    return _transcript(ceremony)


def verify(state: Path, artifact: Path, ptau: Path) -> Transcript:
    """Check powers, contributions, and every point of the key. Raises ArtifactError, CompileError."""
    circuit = _circuit(artifact)
    with _refusals():
        ceremony = Ceremony.read(regular(state))
        ceremony.check(circuit, regular(ptau))
    return _transcript(ceremony)


def verify_artifact(artifact: Path, ptau: Path) -> Transcript:
    """Check that a finished artefact's verifying key is what its transcript makes of powers and circuit.

    Raises ArtifactError, CompileError.
    """
    public = load_artifact(artifact).public
    if TRANSCRIPT not in public.files:
        raise ArtifactError(f"{artifact} has no {TRANSCRIPT}: its keys are not a ceremony's")
    circuit = _circuit(artifact)
    with _refusals():
        check_transcript(public.files[TRANSCRIPT], circuit, regular(ptau), public.vk)
    return read(public)


def read(public: PublicArtifact) -> Transcript:
    """A finished artefact's transcript, as far as it can be checked without phase 1 and program: shares that
    follow from each other, one of them secret, that end in the key's gamma and delta; the manifest's circuit.

    Raises ArtifactError, CompileError.
    """
    with _refusals():
        circuit, phase1, listed = read_transcript(public.files[TRANSCRIPT], public.vk)
    if circuit.hex() != public.manifest.circuit_digest:
        raise ArtifactError(f"its transcript is of circuit {circuit.hex()}, not of the manifest's")
    contributions = [Contribution(name, beacon, digest.hex()) for name, beacon, digest in listed]
    return Transcript(circuit.hex(), phase1.hex(), contributions)


def finish(
    state: Path, artifact: Path, ptau: Path, out: Path, beacon: tuple[bytes, int] | None = None
) -> tuple[Transcript, Manifest]:
    """Check a ceremony, close it, and write a copy of the artefact with its keys.

    `beacon`: 32 bytes, and log2 of how often they are hashed. Raises ArtifactError, CompileError.
    """
    source = load_artifact(artifact)
    circuit = _circuit(artifact)
    with _refusals(), fresh_directory(out) as staging:
        ceremony = Ceremony.read(regular(state))
        ceremony.check(circuit, regular(ptau))
        if beacon is not None:
            ceremony = ceremony.beacon("beacon", *beacon)
        for name in source.manifest.files:
            if name not in ("private/pk.bin", "public/vk.bin", TRANSCRIPT):
                shutil.copyfile(artifact / name, staging / name)
        verifying_key, _ = ceremony.finish(staging / "private" / "pk.bin")
        (staging / "public" / "vk.bin").write_bytes(verifying_key)
        (staging / TRANSCRIPT).write_bytes(ceremony.transcript)
        manifest = source.manifest.model_copy(
            update={
                "setup": "ceremony",
                "vk_hash": hashlib.sha256(verifying_key).hexdigest(),
                "files": hash_tree(staging),
            }
        )
        (staging / "public" / "manifest.json").write_bytes(manifest.canonical())
    return _transcript(ceremony), manifest


def export(artifact: Path, out: Path) -> tuple[str, int]:
    """Write the artefact's circuit as R1CS to `out`; its digest (hex) and number of constraints.

    Raises ArtifactError, CompileError.
    """
    _absent(out)
    circuit = _circuit(artifact)
    with _refusals():
        write_new(out, r1cs(circuit), mode=0o666)
    return circuit.digest.hex(), circuit.constraints


def _circuit(artifact: Path) -> Circuit:
    manifest = load_artifact(artifact).manifest
    if manifest.lane != "groth16":
        raise ArtifactError(
            f"{artifact} is of the {manifest.lane} lane, whose keys need no ceremony of their own"
        )
    with _refusals():
        circuit = circuit_of((artifact / "private" / "program.bin").read_bytes(), manifest)
    if circuit.digest.hex() != manifest.circuit_digest:
        raise ArtifactError("program.bin is not the circuit that the manifest names; compile the model again")
    return circuit


def _transcript(ceremony: Ceremony) -> Transcript:
    contributions = [
        Contribution(name, beacon, digest.hex()) for name, beacon, digest in ceremony.contributions
    ]
    return Transcript(ceremony.circuit_digest.hex(), ceremony.phase1.hex(), contributions)


def regular(path: Path) -> Path:
    """A file, or nothing at all: a pipe or a device would be read for ever. Raises ArtifactError."""
    if path.exists() and not path.is_file():
        raise ArtifactError(f"{path} is no regular file")
    return path


def _absent(out: Path) -> None:
    if out.exists():
        raise ArtifactError(
            f"{out} exists already; a ceremony's file is never overwritten: give another name"
        )


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ProverError as error:
        message = str(error).removeprefix(f"{error.code}: ")
        raise CompileError(message, code=error.code) from error
