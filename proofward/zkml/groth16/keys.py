"""Setup and its cache. A cached key is named by its circuit's digest and used only if its own hash
matches."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import proofward_prover as prover

from proofward.zkml.lanes import Progress


@dataclass(frozen=True)
class Keys:
    """The verifying key, and how the proving key came about."""

    verifying_key: bytes
    cached: bool


def make(circuit: prover.Circuit, target: Path, cache: Path | None, progress: Progress) -> Keys:
    """Put a proving key for ``circuit`` at ``target``: from ``cache`` if it holds one, else by a new setup.

    The cache must be private to the caller: who can write to it could plant a key whose trapdoor they know.
    """
    if cache is not None and (found := _cached(circuit, cache, target)) is not None:
        progress("keys: from the cache")
        return Keys(found, True)
    progress(f"keys: setting up {circuit.constraints} constraints")
    verifying_key, digest = prover.setup(circuit, target)
    if cache is not None:
        _store(circuit, cache, target, verifying_key, digest)
    return Keys(verifying_key, False)


def _names(circuit: prover.Circuit, cache: Path) -> tuple[Path, Path]:
    name = circuit.digest.hex()
    return cache / f"{name}.pk", cache / f"{name}.json"


def _cached(circuit: prover.Circuit, cache: Path, target: Path) -> bytes | None:
    key, facts = _names(circuit, cache)
    try:
        recorded = json.loads(facts.read_text())
        with key.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != recorded["sha256"]:
                return None
        verifying_key = bytes.fromhex(recorded["verifying_key"])
        if (
            prover.ProvingKey.load(key, circuit, bytes.fromhex(recorded["sha256"])).verifying_key
            != verifying_key
        ):
            return None
    except (OSError, ValueError, KeyError, prover.ProverError):
        return None
    shutil.copyfile(key, target)
    os.chmod(target, 0o600)
    return verifying_key


def _store(circuit: prover.Circuit, cache: Path, source: Path, verifying_key: bytes, digest: bytes) -> None:
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    key, facts = _names(circuit, cache)
    _replace(key, lambda path: shutil.copyfile(source, path))
    record = json.dumps({"sha256": digest.hex(), "verifying_key": verifying_key.hex()})
    _replace(facts, lambda path: path.write_text(record))


def _replace(target: Path, write: object) -> None:
    staging = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        assert callable(write)
        write(staging)
        os.chmod(staging, 0o600)
        os.replace(staging, target)
    finally:
        staging.unlink(missing_ok=True)
