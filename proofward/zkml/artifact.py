"""Artifact directories: read with every hash checked, written whole or not at all.

DIR/public/{manifest.json, vk.bin, ...}     what a client, an auditor and the chain need
DIR/private/{model.onnx, pk.bin, ...}       what a worker needs besides
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proofward.files import TooLong, read_stream
from proofward.protocol import Lane, bounds, model_id
from proofward.zkml import quantiser
from proofward.zkml.accuracy import decide
from proofward.zkml.errors import ArtifactError, InputRangeError
from proofward.zkml.lanes import LaneProver, LanePublic, Proof, lane
from proofward.zkml.manifest import MAX_MANIFEST_BYTES, Manifest

MAX_PUBLIC_BYTES = 64 << 20
MAX_PRIVATE_BYTES = 1 << 30

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Decided = str | float | list[float] | list[int]


@dataclass(frozen=True)
class PublicArtifact:
    """A model as the world sees it. Values are int64 [batch, features] or [batch, length]; salts 32 bytes."""

    manifest: Manifest
    files: dict[str, bytes]

    @cached_property
    def manifest_hash(self) -> bytes:
        """SHA-256 of the manifest's canonical JSON."""
        return self.manifest.digest()

    @property
    def vk(self) -> bytes:
        """The verifying key, as the lane writes it."""
        return self.files["public/vk.bin"]

    @property
    def key(self) -> bytes:
        """The verifying key as the lane's contract takes it, and the chain holds it."""
        return self.vk

    @property
    def key_hash(self) -> bytes:
        """SHA-256 of `key`, 32 bytes."""
        return hashlib.sha256(self.key).digest()

    def model_id(self, publisher: bytes) -> bytes:
        """The id (32 bytes) that a chain gives this model when the account `publisher` publishes it."""
        return model_id(
            publisher=publisher,
            weights_digest=bytes.fromhex(self.manifest.weights_digest),
            manifest_hash=self.manifest_hash,
            lane=Lane.from_label(self.manifest.lane),
            vk_hash=bytes.fromhex(self.manifest.vk_hash),
            key_hash=self.key_hash,
        )

    @cached_property
    def _lane(self) -> LanePublic:
        return lane(self.manifest.lane).open_public(self.manifest, self.files)

    def quantize(self, x: Floats) -> Integers:
        """Floats [n, features] to integers of that shape. Raises InputRangeError."""
        return self.manifest.input.quantiser.quantize(x)

    def dequantize(self, outputs: Integers) -> Floats:
        """Output integers [n, length] to floats: logits for sigmoid and softmax."""
        return outputs.astype(np.float64) / self.manifest.output.scale

    @property
    def output_names(self) -> list[str]:
        """One name an output, in order."""
        output = self.manifest.output
        return output.names or [f"output {i}" for i in range(output.length)]

    def decide(self, outputs: Integers) -> list[Decided]:
        """Output integers [n, length] to n labels (class indices as text when the model names none), to n
        values, or to a list of values or of 0 and 1 a record where the model has several targets or
        labels.
        """
        decided = decide(self.manifest.output.decision, self.dequantize(outputs))
        if self.manifest.output.decision in ("value", "multilabel"):
            return list(decided.tolist())
        labels = self.manifest.output.labels
        return [labels[int(i)] if labels else str(int(i)) for i in decided]

    def pad(self, values: Integers) -> Integers:
        """Fill up to the model's batch by repeating the last record: [n, features], 1 <= n <= batch."""
        batch = self.manifest.batch
        if values.ndim != 2 or not 1 <= len(values) <= batch:
            raise InputRangeError(
                f"this model takes 1 to {batch} records a job, got shape {list(values.shape)}"
            )
        return np.concatenate([values, np.repeat(values[-1:], batch - len(values), axis=0)])

    def check_input(self, values: Integers) -> None:
        """Raise InputRangeError unless values are int64 [batch, features] within the circuit's range."""
        if values.dtype != np.int64 or values.ndim != 2 or len(values) != self.manifest.batch:
            raise InputRangeError(
                f"expected int64 of shape [{self.manifest.batch}, features], "
                f"got {values.dtype} {list(values.shape)}"
            )
        quantiser.check_range(self.manifest.input.quantiser, values)

    def commit_input(self, values: Integers, salt: bytes) -> bytes:
        """The 32-byte hiding commitment to a job's input; needs no proving key. Raises InputRangeError."""
        self.check_input(values)
        return self._lane.commit_input(values, _salt(salt))

    def commit_output(self, values: Integers, salt: bytes) -> bytes:
        """The 32-byte hiding commitment to a job's output."""
        shape = (self.manifest.batch, self.manifest.output.length)
        if values.dtype != np.int64 or values.shape != shape:
            raise InputRangeError(f"expected int64 outputs of shape {list(shape)}, got {list(values.shape)}")
        return self._lane.commit_output(values, _salt(salt))

    def verify(self, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bool:
        """Whether proof shows this model between the two commitments. False for any malformed argument."""
        if len(input_commitment) != 32 or len(output_commitment) != 32:
            return False
        return self._lane.verify(input_commitment, output_commitment, proof)

    def verify_made(self, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bool:
        """`verify` for the process that made the proof: the very bytes that its prover verified when it made
        them are not verified twice. Any others are.
        """
        if len(input_commitment) != 32 or len(output_commitment) != 32:
            return False
        return self._lane.verify_made(input_commitment, output_commitment, proof)


@dataclass(frozen=True)
class Artifact:
    """A model as its worker has it: the public part, the private directory (hashes checked on load)."""

    public: PublicArtifact
    path: Path
    lane_reason: str | None = None

    @property
    def manifest(self) -> Manifest:
        """The public half's manifest."""
        return self.public.manifest

    @property
    def onnx(self) -> bytes:
        """The model's file. Raises ArtifactError when it has changed since the artifact was loaded."""
        data = _read(self.path / "private" / "model.onnx", MAX_PRIVATE_BYTES)
        if hashlib.sha256(data).hexdigest() != self.manifest.weights_digest:
            raise ArtifactError("private/model.onnx has changed since it was loaded")
        return data

    @cached_property
    def _prover(self) -> LaneProver:
        return lane(self.manifest.lane).open_prover(self.manifest, self.public.files, self.path / "private")

    def infer(self, values: Integers) -> Integers:
        """int64 [batch, features] to the exact int64 [batch, length] that a proof commits to."""
        self.public.check_input(values)
        return self._prover.infer(values)

    def prove(self, values: Integers, input_salt: bytes, output_salt: bytes) -> Proof:
        """A verified proof. Raises InputRangeError before any work, ProvingError when the attempt failed."""
        self.public.check_input(values)
        return self._prover.prove(values, _salt(input_salt), _salt(output_salt))

    def warm(self) -> None:
        """Start the prover and load its key now, not in the first proof."""
        _ = self._prover

    def close(self) -> None:
        """Stop the prover's processes and free its keys."""
        if "_prover" in self.__dict__:
            self._prover.close()


def load_public(path: Path) -> PublicArtifact:
    """Read an artifact's public half: DIR or DIR/public. Raises ArtifactError."""
    folder = path / "public" if (path / "public").is_dir() else path
    manifest = Manifest.parse(_read(folder / "manifest.json", MAX_MANIFEST_BYTES))
    files: dict[str, bytes] = {}
    room = MAX_PUBLIC_BYTES
    for name, digest in manifest.files.items():
        if not name.startswith("public/"):
            continue
        data = _read(folder / name.removeprefix("public/"), room)
        room -= len(data)
        if hashlib.sha256(data).hexdigest() != digest:
            raise ArtifactError(f"{name} does not match the manifest's hash; fetch the artifact again")
        files[name] = data
    if hashlib.sha256(files["public/vk.bin"]).hexdigest() != manifest.vk_hash:
        raise ArtifactError("vk.bin does not match the manifest's vk_hash")
    return PublicArtifact(manifest, files)


def load_artifact(path: Path) -> Artifact:
    """Read a whole artifact. Private files are hashed too. Raises ArtifactError."""
    public = load_public(path)
    for name, digest in public.manifest.files.items():
        if name.startswith("private/") and _hash_file(path / name) != digest:
            raise ArtifactError(f"{name} does not match the manifest's hash; compile the model again")
    if public.manifest.files.get("private/model.onnx") != public.manifest.weights_digest:
        raise ArtifactError("private/model.onnx is not the model that weights_digest names")
    return Artifact(public, path)


@contextmanager
def fresh_directory(out: Path) -> Iterator[Path]:
    """A staging directory beside `out`, renamed to it on success and removed on failure. `out` must not
    exist.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ArtifactError(f"{out} exists already; give a new directory, or remove it first")
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = out.parent / f".{out.name}.{secrets.token_hex(4)}"
    staging.mkdir(mode=0o700)
    try:
        (staging / "public").mkdir()
        (staging / "private").mkdir(mode=0o700)
        yield staging
        os.chmod(staging, 0o755)
        os.replace(staging, out)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def hash_tree(staging: Path) -> dict[str, str]:
    """SHA-256 of every file in staging/public and staging/private, by relative path."""
    return {
        f"{half}/{file.name}": _hash_file(file)
        for half in ("public", "private")
        for file in sorted((staging / half).iterdir())
        if file.name != "manifest.json"
    }


def _open_regular(path: Path, limit: int) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ArtifactError(
            f"cannot read {path.name}: {error.strerror}; is this an artifact directory?"
        ) from error
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > limit:
        os.close(descriptor)
        raise ArtifactError(f"{path.name} is not a regular file of at most {limit} bytes")
    return descriptor


def _read(path: Path, limit: int) -> bytes:
    with open(_open_regular(path, limit), "rb") as file:
        try:
            return read_stream(file, limit)
        except TooLong:
            raise ArtifactError(f"{path.name} is larger than {limit} bytes") from None


def _hash_file(path: Path) -> str:
    with open(_open_regular(path, MAX_PRIVATE_BYTES), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _salt(salt: bytes) -> bytes:
    if len(salt) != bounds.SALT_LENGTH:
        raise InputRangeError(f"a salt is {bounds.SALT_LENGTH} random bytes, got {len(salt)}")
    return salt
