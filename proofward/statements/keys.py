"""A statement's keys: a folder with the proving key, the verifying key, and what they are for.

A shape has one circuit, so models whose outputs have one shape share keys. Whoever made them can forge
statements, unless they have forgotten what they knew: `setup` says who that was, and a reader who made them
alone need believe nobody.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from proofward_prover import Proof, ProverError, ProvingKey, check_key, prove_statement, verify

from proofward.files import read_whole, write_together
from proofward.protocol import strict_json
from proofward.statements.errors import StatementError
from proofward.statements.program import Shape, program
from proofward.zkml.groth16.keys import set_up

FORMAT = "proofward/statement-key/v1"
VERIFYING_KEY_BYTES = 640
_MAX_FACTS = 16 << 10


@dataclass(frozen=True)
class StatementKey:
    """Keys in `folder`; a reader has the proving key too, or has not."""

    shape: Shape
    verifying_key: bytes
    folder: Path
    setup: str = "dev"

    @property
    def hash(self) -> bytes:
        """SHA-256 of the verifying key: the key's name."""
        return hashlib.sha256(self.verifying_key).digest()

    def verify(self, root: bytes, word: bytes, proof: bytes) -> bool:
        """Whether the proof shows this claim of this commitment; no proof does under what is no key."""
        try:
            return verify(self.verifying_key, root, word, proof)
        except ProverError:
            return False

    def prove(self, values: Sequence[int], salts: Sequence[bytes]) -> Proof:
        """A proof, verified before it is returned. Raises StatementError."""
        try:
            return prove_statement(self._proving, self.shape.circuit, values, salts)
        except ProverError as error:
            raise StatementError(f"the statement could not be proved: {error}", code=error.code) from error

    def warm(self) -> None:
        """Load and check the proving key now, not in the first proof. Raises StatementError."""
        _ = self._proving

    def is_circuits(self) -> bool | None:
        """Whether these keys are this shape's circuit's: every point of the proving key is checked, and None
        where there is none.
        """
        path = self.folder / "pk.bin"
        if not path.is_file():
            return None
        try:
            return check_key(path, self.shape.circuit)[0] == self.verifying_key
        except ProverError:
            return False

    @cached_property
    def _proving(self) -> ProvingKey:
        path = self.folder / "pk.bin"
        try:
            return ProvingKey.load(path, self.shape.circuit, verifying_key=self.verifying_key)
        except ProverError as error:
            raise StatementError(
                f"the proving key {path} is unusable ({error}); ask its maker for it, or make keys with "
                "`proofward statement setup`",
                code="bad-statement-key",
            ) from error


def make(shape: Shape, folder: Path) -> StatementKey:
    """Make keys of a shape in `folder`, in a process that ends with it. Raises StatementError when there is
    something, CompileError when the setup fails.
    """
    if folder.exists() and any(folder.iterdir()):
        raise StatementError(f"{folder} holds something already; name a new folder", code="folder-used")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    form = f"statement:{shape.records}:{len(shape.widths)}:{int(shape.together)}"
    key, digest = set_up(program(shape).encode(), form, folder / "pk.bin")
    facts = {
        "format": FORMAT,
        "records": shape.records,
        "widths": list(shape.widths),
        "span": shape.span,
        "together": shape.together,
        "circuit_digest": shape.circuit.digest.hex(),
        "proving_key": digest.hex(),
        "setup": "dev",
    }
    told = json.dumps(facts, indent=1, sort_keys=True).encode()
    write_together([(folder / "vk.bin", key, 0o666), (folder / "key.json", told, 0o666)])
    return StatementKey(shape, key, folder)


def load(folder: Path) -> StatementKey:
    """Read keys. Raises StatementError for what is none, or is of another circuit than it says."""
    try:
        facts: dict[str, Any] = strict_json.loads(
            read_whole(folder / "key.json", _MAX_FACTS), limit=_MAX_FACTS
        )
        key = read_whole(folder / "vk.bin", VERIFYING_KEY_BYTES)
        if facts["format"] != FORMAT or len(key) != VERIFYING_KEY_BYTES:
            raise ValueError
        records, widths, span = facts["records"], tuple(facts["widths"]), facts["span"]
        if not all(type(one) is int for one in (records, *widths, span)):
            raise ValueError
        shape = Shape(records, widths, span, facts["together"] is True)
        digest, setup = bytes.fromhex(facts["circuit_digest"]), str(facts["setup"])
        if setup != "dev":
            raise ValueError("statements have no other setup yet")
    except OSError as error:
        raise StatementError(
            f"no statement keys in {folder} ({error.strerror}); `proofward statement setup` makes some",
            code="not-found",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StatementError(
            f"{folder} holds no statement keys ({FORMAT})", code="bad-statement-key"
        ) from error
    if shape.circuit.digest != digest:
        raise StatementError(
            f"the keys in {folder} are of another version of the circuit; make them anew",
            code="bad-statement-key",
        )
    return StatementKey(shape, key, folder, setup)


def find_or_make(shape: Shape, shelf: Path) -> StatementKey:
    """The keys of a shape on a shelf of one's own, made there when there are none."""
    folder = shelf / shape.name
    return load(folder) if (folder / "key.json").is_file() else make(shape, folder)
