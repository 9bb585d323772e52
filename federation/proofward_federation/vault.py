"""Records at rest, each under a key of its own, so that erasing one is destroying 32 bytes.

`records.vault` holds the columns' names and for each record AES-256-GCM of its values (f64 LE in the columns'
order) under its own key; `record-keys.json` (mode 0600) holds the keys. Backups of the vault may be kept:
without the key a record in them is noise. The limits: a copy of the key file keeps its records readable, so
it is not backed up with the vault; a disk may keep the old key file's blocks, so it lies on an encrypted one;
and what was published before keeps its noise and the record.
"""

from __future__ import annotations

import json
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proofward.files import read_whole, write_whole
from proofward_federation.errors import FederationError
from proofward_federation.locking import exclusive
from proofward_federation.site import Records

VAULT, KEYS = "records.vault", "record-keys.json"
FORMAT: Final = "proofward/records/v1"
MAX_BYTES: Final = 1 << 30
_NONCE: Final = 12


@dataclass(frozen=True, slots=True, repr=False)
class Vault:
    """A folder's sealed records; `keys` by record."""

    folder: Path
    columns: tuple[str, ...]
    sealed: dict[str, bytes]
    keys: dict[str, bytes] = field(repr=False)

    @classmethod
    def seal(cls, folder: Path, records: Records) -> Vault:
        """Write records into a folder. Raises FederationError(vault-exists)."""
        if (folder / VAULT).exists() or (folder / KEYS).exists():
            raise FederationError(f"{folder} has a vault: its records are not replaced", code="vault-exists")
        columns = tuple(records.columns)
        rows = records.features(columns, records.names)
        keys = {name: secrets.token_bytes(32) for name in records.names}
        sealed = {}
        for name, row in zip(records.names, rows, strict=True):
            nonce = secrets.token_bytes(_NONCE)
            plain = struct.pack(f"<{len(columns)}d", *row.tolist())
            sealed[name] = nonce + AESGCM(keys[name]).encrypt(nonce, plain, _bound(name, columns))
        found = cls(folder, columns, sealed, keys)
        found._save_keys()
        body = {"format": FORMAT, "columns": list(columns), "records": _hexed(sealed)}
        write_whole(folder / VAULT, json.dumps(body).encode())
        return found

    @staticmethod
    def remove(folder: Path) -> None:
        """Take back what `seal` wrote; the records have to be elsewhere."""
        for name in (VAULT, KEYS):
            (folder / name).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path) -> Vault:
        """Raises FederationError(bad-vault)."""
        try:
            body, keys = _read(folder / VAULT), _read(folder / KEYS)
            if body["format"] != FORMAT or not all(isinstance(name, str) for name in body["columns"]):
                raise ValueError("it has another format")
            return cls(folder, tuple(body["columns"]), _unhexed(body["records"]), _unhexed(keys))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise FederationError(
                f"the vault in {folder} cannot be read: {error}", code="bad-vault"
            ) from None

    def open(self) -> Records:
        """The records whose keys are there. Raises FederationError(bad-vault) for one that was changed."""
        names = [name for name in self.sealed if name in self.keys]
        rows = [self._opened(name) for name in names]
        table = np.asarray(rows, np.float64).reshape(len(names), len(self.columns))
        return Records(tuple(names), {column: table[:, at] for at, column in enumerate(self.columns)})

    def erase(self, name: str) -> None:
        """Destroy a record's key: nobody opens it again, here or in a copy of the vault.

        Raises FederationError(unknown-record).
        """
        with exclusive(self.folder):
            there = Vault.load(self.folder).keys  # another process may have erased since, and is not undone
            if there.pop(name, None) is None:
                raise FederationError(f"there is no record {name} here", code="unknown-record")
            self.keys.clear()
            self.keys.update(there)
            self._save_keys()

    def _opened(self, name: str) -> Sequence[float]:
        data = self.sealed[name]
        try:
            plain = AESGCM(self.keys[name]).decrypt(data[:_NONCE], data[_NONCE:], _bound(name, self.columns))
            return struct.unpack(f"<{len(self.columns)}d", plain)
        except (InvalidTag, ValueError, struct.error):
            raise FederationError(f"record {name} of the vault was changed", code="bad-vault") from None

    def _save_keys(self) -> None:
        write_whole(self.folder / KEYS, json.dumps(_hexed(self.keys)).encode())


def _bound(name: str, columns: Sequence[str]) -> bytes:
    """What a record is sealed for: its own place, and these columns."""
    return json.dumps([FORMAT, name, list(columns)]).encode()


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read_whole(path, MAX_BYTES))
    return found


def _hexed(values: dict[str, bytes]) -> dict[str, str]:
    return {name: value.hex() for name, value in values.items()}


def _unhexed(values: dict[str, Any]) -> dict[str, bytes]:
    return {name: bytes.fromhex(str(value)) for name, value in values.items()}
