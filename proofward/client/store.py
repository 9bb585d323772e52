"""The client's own secrets, one file a job: the salt of the input's commitment and the private reply key.

Without its file a job's answer is lost for good, so the file is on the disk before the job is signed. Files
are 0600 in a 0700 directory, written whole or not at all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from proofward.errors import NotFound, Refused
from proofward.files import TooLong, read_whole, write_whole

_MAX_BYTES = 64 * 1024
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
T = TypeVar("T", bound=BaseModel)


class JobSecrets(BaseModel):
    """What opens a job's answer. Hex without a prefix; never log it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["proofward/job-secrets/v1"] = "proofward/job-secrets/v1"
    genesis: Hash
    job: Hash
    client: Hash
    model: Hash
    manifest_hash: Hash
    input_commitment: Hash
    input_salt: Hash
    reply_secret: Hash
    records: Annotated[int, Field(ge=1, le=32)]
    artifact: str | None = None
    """Where the model's public artefact lay when the job was submitted."""

    def __repr__(self) -> str:
        return f"JobSecrets(job={self.job})"


def default_directory() -> Path:
    """`$PROOFWARD_STATE`, else `proofward` below `$XDG_STATE_HOME` or `~/.local/state` (XDG base
    directories). Raises Refused where nobody knows a home.
    """
    if configured := os.environ.get("PROOFWARD_STATE"):
        return Path(configured)
    if base := os.environ.get("XDG_STATE_HOME"):
        return Path(base) / "proofward"
    try:
        return Path.home() / ".local" / "state" / "proofward"
    except RuntimeError:
        raise Refused(
            "this user has no home, where secrets would be kept: set PROOFWARD_STATE to a folder",
            code="usage",
        ) from None


def chain_folder(genesis: bytes, directory: Path | None = None) -> Path:
    """Where what concerns one chain is kept, below `directory` (default: `default_directory`); made, mode
    0700, if it is not there.
    """
    folder = (directory or default_directory()) / genesis.hex()[:16]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def read_secrets(kind: type[T], path: Path, absent: str) -> T:
    """Secrets as they were written. Raises NotFound, saying `absent`, or Refused for a damaged file."""
    try:
        return kind.model_validate_json(read_whole(path, _MAX_BYTES))
    except OSError as error:
        raise NotFound(absent) from error
    except (ValidationError, TooLong):
        raise Refused(f"{path} is damaged; restore it from a backup") from None


def kept_ids(folder: Path) -> list[bytes]:
    """Ids (32 bytes each) of the secrets in a folder."""
    return sorted(bytes.fromhex(path.stem) for path in folder.glob("*.json") if len(path.stem) == 64)


class JobStore:
    """The files of one chain's jobs, in `<directory>/<genesis>/`."""

    def __init__(self, directory: Path, genesis: bytes) -> None:
        self.directory = chain_folder(genesis, directory)
        self._genesis = genesis.hex()

    def save(self, record: JobSecrets) -> None:
        """Write a job's secrets; they are on the disk when this returns. Refuses to replace another
        record.
        """
        path = self._path(record.job)
        if path.exists() and self.load(bytes.fromhex(record.job)) != record:
            raise Refused(f"the secrets of job 0x{record.job} exist already at {path}; they are not replaced")
        write_whole(path, record.model_dump_json().encode())

    def load(self, job: bytes) -> JobSecrets:
        """The secrets of a job. Raises NotFound, or Refused for a file that is damaged or of another
        chain.
        """
        path = self._path(job.hex())
        absent = (
            f"no secrets of job 0x{job.hex()} in {self.directory}; only the client that submitted it can "
            "open it"
        )
        record = read_secrets(JobSecrets, path, absent)
        if record.job != job.hex() or record.genesis != self._genesis:
            raise Refused(f"{path} belongs to another job or chain")
        return record

    def forget(self, job: bytes) -> None:
        """Delete a job's secrets: nobody can open its answer any more. No error where there are none."""
        self._path(job.hex()).unlink(missing_ok=True)

    def jobs(self) -> list[bytes]:
        """Ids of the jobs whose secrets are here."""
        return kept_ids(self.directory)

    def _path(self, job: str) -> Path:
        return self.directory / f"{job}.json"
