"""Setup and its cache. A cached key is named by its circuit's digest and used only if its own hash
matches.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import proofward_prover as prover

from proofward.files import copy_whole, write_whole
from proofward.processes import from_sources
from proofward.zkml.errors import CompileError
from proofward.zkml.groth16.params import Form
from proofward.zkml.lanes import Progress

SETUP_TIMEOUT = 600


@dataclass(frozen=True)
class Keys:
    """The verifying key, and how the proving key came about."""

    verifying_key: bytes
    cached: bool


def make(
    program: bytes, batch: int, form: Form, target: Path, cache: Path | None, progress: Progress
) -> Keys:
    """Put a proving key for `batch` copies of `program` between commitments of a form at `target`.

    It comes from `cache` if that holds one, else from a new setup in a process that ends with it.
    Raises ProverError, CompileError.

    The cache must be private to the caller: who can write to it could plant a key whose trapdoor they know.
    """
    circuit = prover.Circuit(program, batch, form)
    if cache is not None and (found := _cached(circuit, cache, target)) is not None:
        progress("keys: from the cache")
        return Keys(found, True)
    progress(f"keys: setting up {circuit.constraints} constraints")
    verifying_key, digest = set_up(program, str(batch) if form == "tree" else f"{form}:{batch}", target)
    if cache is not None:
        _store(circuit, cache, target, verifying_key, digest)
    return Keys(verifying_key, False)


def set_up(program: bytes, form: str, target: Path) -> tuple[bytes, bytes]:
    """(verifying key, SHA-256 of the proving key at `target`), by `setup_process.py`.

    `form`: how many records a model's circuit has (`flat:RECORDS`, if they are committed to in one), or
    `statement:RECORDS:VALUES:TOGETHER`. Raises CompileError.
    """
    script = Path(__file__).with_name("setup_process.py")
    command = from_sources("-P", script, form, target)
    done = subprocess.run(command, input=program, capture_output=True, timeout=SETUP_TIMEOUT)
    try:
        made = json.loads(done.stdout)
        return bytes.fromhex(made["verifying_key"]), bytes.fromhex(made["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = said[-1] if said else f"exit {done.returncode}"
        raise CompileError(f"the setup of the keys failed: {why}; try again") from error


def _names(circuit: prover.Circuit, cache: Path) -> tuple[Path, Path]:
    name = circuit.digest.hex()
    return cache / f"{name}.pk", cache / f"{name}.json"


def _cached(circuit: prover.Circuit, cache: Path, target: Path) -> bytes | None:
    key, facts = _names(circuit, cache)
    try:
        recorded = json.loads(facts.read_text())
        verifying_key = bytes.fromhex(recorded["verifying_key"])
        if prover.check_key(key, circuit) != (verifying_key, bytes.fromhex(recorded["sha256"])):
            return None
    except (OSError, ValueError, KeyError, prover.ProverError):
        return None
    copy_whole(key, target)
    return verifying_key


def _store(circuit: prover.Circuit, cache: Path, source: Path, verifying_key: bytes, digest: bytes) -> None:
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    key, facts = _names(circuit, cache)
    copy_whole(source, key)
    record = json.dumps({"sha256": digest.hex(), "verifying_key": verifying_key.hex()})
    write_whole(facts, record.encode())
