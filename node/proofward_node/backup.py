"""`proofward worker backup` and `restore`: the worker's files as one folder, so that no journal runs twice.

A copy of a running worker is for the day when its disk is lost. A *move* ends the original: it is marked
before the copy is made, and the daemon does not start on it again. A backup is restored once: it is marked as
well, before its files are in place.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from proofward.chain import accounts
from proofward.errors import ProofwardError
from proofward.files import copy_whole, read_whole, replacing, write_new
from proofward.protocol import sha256
from proofward_node.config import NodeConfig
from proofward_node.journal import MOVED, JournalError, lock, select

FILES = ("journal.sqlite", "outbox.sqlite", "diary.sqlite")
"""The journal first: the outbox must not be older than it."""
MANIFEST, HOLD, USED = "backup.json", "hold.json", "restored.json"
FORMAT = "proofward/backup/v1"


class BackupRefused(ProofwardError):
    """No backup can be made or restored. `code` says why."""

    code = "refused"


@dataclass(frozen=True, slots=True)
class Backup:
    """What was copied: the folder, its id, the files, and whether the original was ended."""

    folder: Path
    id: str
    files: tuple[str, ...]
    moved: bool


def backup(config: NodeConfig, folder: Path, *, move: bool = False) -> Backup:
    """Copy journal, outbox, diary and hold into a new folder, by SQLite's own backup, beside a daemon or not.

    With `move` the daemon must not run, and the original journal is ended. Raises BackupRefused, JournalError
    (the daemon runs).
    """
    if not config.journal.is_file():
        raise BackupRefused(f"there is no journal at {config.journal}", code="not-found")
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise BackupRefused(f"{folder} exists already and is not overwritten; give another name") from None
    except OSError as error:
        raise BackupRefused(f"cannot make {folder}: {error.strerror}") from error
    made = secrets.token_hex(8)
    try:
        if not move:
            return _copy(config, folder, made, moved=False)
        with _alone(config.journal):
            # the copy is made before the mark, so that a death between leaves the original whole
            done = _copy(config, folder, made, moved=True)
            _mark(config.journal, made)
            return done
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise BackupRefused(f"no backup was made in {folder}: {error}") from error
    except JournalError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _copy(config: NodeConfig, folder: Path, made: str, *, moved: bool) -> Backup:
    files = []
    for name in FILES:
        source = config.worker.data_dir / name
        if not source.is_file():
            continue
        target = folder / name
        target.touch(mode=0o600)
        reading = sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)
        with closing(reading) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
        files.append(name)
    with suppress(FileNotFoundError):
        copy_whole(config.hold, folder / HOLD)
        files.append(HOLD)
    about = {
        "format": FORMAT,
        "id": made,
        "account": f"0x{accounts.named(config.signer).hex()}",
        "made_at": int(time.time()),
        "moved": moved,
        "sha256": {name: _digest(folder / name) for name in files},
    }
    _sync(folder)
    write_new(folder / MANIFEST, f"{json.dumps(about, indent=1, sort_keys=True)}\n".encode(), mode=0o666)
    return Backup(folder, made, tuple(files), moved)


def restore(config: NodeConfig, folder: Path, *, lost: bool = False, replace: bool = False) -> Backup:
    """Put a backup's files into the configuration's data folder; the daemon must not run there.

    A mere copy is restored only when the original is `lost`: it could run still, elsewhere.

    Raises BackupRefused: damaged, of another account, restored before, or in the place of a journal that is
    there (unless `replace`: the old files are kept beside, named `.replaced`). JournalError: the daemon runs.
    """
    about = _manifest(folder)
    if about["account"] != f"0x{accounts.named(config.signer).hex()}":
        raise BackupRefused(
            f"{folder} is of the account {about['account']}, not of this configuration's",
            code="other-account",
        )
    if not about["moved"] and not lost:
        raise BackupRefused(
            f"{folder} is a copy, whose original may run: give --lost when that one can never start again, "
            "or make the backup with --move",
            code="original-may-run",
        )
    for name, digest in about["sha256"].items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise BackupRefused(f"{folder / name} is damaged: it is not what {MANIFEST} says", code="damaged")
    config.worker.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(config.journal):
        moved_away = _moved(config.journal)
        if config.journal.exists() and not replace and moved_away is None:
            raise BackupRefused(
                f"there is a journal at {config.journal} already; --replace keeps it beside, if it must be"
            )
        with ExitStack() as staged:  # a disk that is full is found so before anything is marked or put away
            for name in about["sha256"]:
                _stage(folder / name, staged.enter_context(replacing(config.worker.data_dir / name)))
            _use(folder)
            for name in (*FILES, HOLD):
                _put_away(config.worker.data_dir / name)
    return Backup(folder, str(about["id"]), tuple(about["sha256"]), bool(about["moved"]))


def _stage(source: Path, target: BinaryIO) -> None:
    with source.open("rb") as read:
        shutil.copyfileobj(read, target)
    target.flush()
    os.fsync(target.fileno())


def _use(folder: Path) -> None:
    """Mark the backup as restored; one process can."""
    mark = {"restored_at": int(time.time()), "host": os.uname().nodename}
    try:
        write_new(folder / USED, json.dumps(mark).encode(), mode=0o666)
    except FileExistsError:
        said = (folder / USED).read_text(encoding="utf-8", errors="replace")[:200]
        raise BackupRefused(
            f"{folder} was restored before ({said}): a journal never runs twice; make a new backup of the "
            f"worker that runs it, or, if that one is lost, remove {folder / USED}",
            code="restored-before",
        ) from None
    except OSError as error:
        raise BackupRefused(
            f"{folder} cannot be marked as restored ({error.strerror}): copy it where it can be written"
        ) from error


def _put_away(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.replace(old.with_name(f"{old.name}.replaced"))


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads(read_whole(folder / MANIFEST, 1 << 16))
        names = set(about["sha256"])
        if about["format"] != FORMAT or not names <= {*FILES, HOLD} or FILES[0] not in names:
            raise ValueError("its manifest names other files")
        return dict(about)
    except FileNotFoundError:
        raise BackupRefused(f"there is no backup in {folder}", code="not-found") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BackupRefused(f"{folder} is no backup: {error}", code="damaged") from None


def _mark(journal: Path, made: str) -> None:
    with closing(sqlite3.connect(journal, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=FULL")
        database.execute("INSERT INTO meta VALUES (?, ?)", (MOVED, made.encode()))


def _moved(journal: Path) -> bytes | None:
    rows = select(journal, f"SELECT value FROM meta WHERE key = '{MOVED}'")
    return bytes(rows[0][0]) if rows else None


@contextmanager
def _alone(journal: Path) -> Iterator[None]:
    """The journal's own lock. Raises JournalError when a daemon has it."""
    held = lock(journal)
    try:
        yield
    finally:
        os.close(held)


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hex()


def _sync(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        if path.is_file() or path == folder:
            number = os.open(path, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)
