"""A session's secrets, and the inputs that its client has not vouched for: what a client needs after a crash.

Files are 0600 in a 0700 folder. The secrets are written before the session is opened; inputs before they are
sent.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from proofward.client.store import Hash, chain_folder, kept_ids, read_secrets
from proofward.errors import Refused
from proofward.files import write_whole

Integers = NDArray[np.int64]
_HEADER = 8


class SessionSecrets(BaseModel):
    """What a session's client keeps. Hex without a prefix; never log it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["proofward/session-secrets/v1"] = "proofward/session-secrets/v1"
    genesis: Hash
    session: Hash
    client: Hash
    worker: Hash
    model: Hash
    manifest_hash: Hash
    secret: Hash
    voucher_seed: Hash
    hpke_key: Annotated[str, Field(pattern=r"^[0-9a-f]+$", max_length=2432)]
    receipt_key: Hash
    epoch: Annotated[int, Field(ge=0)]
    endpoint: Annotated[str, Field(max_length=128)]
    price: Annotated[int, Field(ge=0)]
    sample: Annotated[int, Field(ge=1)]
    bond: Annotated[int, Field(ge=0)]
    since: Annotated[int, Field(ge=0)]
    """The finalised block before the session was opened."""
    artifact: str | None = None

    def __repr__(self) -> str:
        return f"SessionSecrets(session={self.session})"


class SessionStore:
    """The files of one chain's sessions, in `<directory>/<genesis>/sessions/`."""

    def __init__(self, directory: Path, genesis: bytes) -> None:
        self.directory = chain_folder(genesis, directory) / "sessions"
        self.directory.mkdir(exist_ok=True, mode=0o700)
        self._genesis = genesis.hex()

    def save(self, record: SessionSecrets) -> None:
        """Write a session's secrets; they are on the disk when this returns."""
        write_whole(self._path(record.session, "json"), record.model_dump_json().encode())

    def load(self, session: bytes) -> SessionSecrets:
        """The secrets of a session. Raises NotFound, Refused."""
        path = self._path(session.hex(), "json")
        absent = (
            f"no secrets of session 0x{session.hex()} in {self.directory}; only the client that opened it "
            "can use it"
        )
        record = read_secrets(SessionSecrets, path, absent)
        if record.session != session.hex() or record.genesis != self._genesis:
            raise Refused(f"{path} belongs to another session or chain")
        return record

    def sessions(self) -> list[bytes]:
        """Ids of the sessions whose secrets are here."""
        return kept_ids(self.directory)

    def inputs(self, session: bytes) -> InputLog:
        """The inputs that were not vouched for."""
        return InputLog(self._path(session.hex(), "inputs"))

    def pages(self, session: bytes) -> Path:
        """Where the receipts of the session's pages are kept, one JSON object a line."""
        return self._path(session.hex(), "pages")

    def double(self, session: bytes) -> Path:
        """Where two receipts of one page are kept, should its enclave ever sign two."""
        return self._path(session.hex(), "double")

    def _path(self, session: str, kind: str) -> Path:
        return self.directory / f"{session}.{kind}"


def append_line(path: Path, line: str) -> None:
    """Append a line of ASCII, or several; one that a kill cut off is ended before it."""
    with path.open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 1, 0))
        torn = file.read(1) not in (b"", b"\n")
        file.write((b"\n" if torn else b"") + line.encode("ascii") + b"\n")


class InputLog:
    """int64 rows from record `base` of a session on, in a file that outlives the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            write_whole(path, bytes(_HEADER))
        self._file = path.open("ab")

    def append(self, rows: Integers) -> None:
        """Write rows down before they are sent."""
        self._file.write(rows.astype("<i8").tobytes())
        self._file.flush()

    def read(self, features: int) -> tuple[int, Integers]:
        """The first row's number, and the rows; a last one that was cut off is left out."""
        data = self._path.read_bytes()
        base = int.from_bytes(data[:_HEADER], "little")
        values = np.frombuffer(data[_HEADER : len(data) - (len(data) - _HEADER) % 8], dtype="<i8")
        whole = len(values) // features * features
        return base, values[:whole].astype(np.int64).reshape(-1, features)

    def keep(self, base: int, rows: Integers) -> None:
        """Hold these rows and no others: what came before is vouched for."""
        write_whole(self._path, base.to_bytes(_HEADER, "little") + rows.astype("<i8").tobytes())
        self.close()
        self._file = self._path.open("ab")

    def close(self) -> None:
        """Close the file; what a full disk did not take is given up."""
        with suppress(OSError):
            self._file.close()
