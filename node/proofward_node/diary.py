"""The diary: why each job that named this worker was left, and what the worker was at, from block to block.

One SQLite file beside the journal, for people's questions alone: nothing is decided by it, and a worker whose
diary cannot be written works on. A line is written when something changes, and its end is moved on while it
lasts. Bounded: old lines are deleted.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from proofward.database import NewerSchema, migrate
from proofward.logs import Logger
from proofward_node.ports import Head
from proofward_node.reasons import Code, Reason

log = Logger("proofward_node.diary")

SCHEMA = (
    (
        """
        CREATE TABLE notes (
            id INTEGER PRIMARY KEY, job BLOB NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL,
            began REAL NOT NULL, block INTEGER NOT NULL, hash BLOB NOT NULL
        ) STRICT
        """,
        "CREATE INDEX notes_by_job ON notes (job, id)",
        """
        CREATE TABLE stretches (
            id INTEGER PRIMARY KEY, code TEXT NOT NULL, detail TEXT NOT NULL,
            began REAL NOT NULL, block INTEGER NOT NULL, hash BLOB NOT NULL,
            ended REAL NOT NULL, last_block INTEGER NOT NULL, last_hash BLOB NOT NULL
        ) STRICT
        """,
    ),
)
KEEP, PRUNE_EVERY = 50_000, 500
"""Lines kept of each kind, and how many are written between two looks at that."""
DETAIL = 300
"""Characters kept of a detail."""
BEAT_SECONDS, SILENT_SECONDS = 5.0, 60.0
"""A stretch's end is moved on at most this often, and two ends further apart than `SILENT` have a time
between them in which nothing ran.
"""
REMEMBERED = 8192
"""Jobs whose newest note is remembered, so that the same is not written twice."""


@dataclass(frozen=True, slots=True)
class Note:
    """Why a job did not go on, first seen at this head. `at` in seconds since the epoch."""

    job: bytes
    reason: Reason
    at: float
    block: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Stretch:
    """What the worker was at between two heads; times in seconds since the epoch."""

    reason: Reason
    began: float
    block: int
    hash: bytes
    ended: float
    last_block: int
    last_hash: bytes


class Diary:
    """The open diary of the running daemon."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        self._told: dict[bytes, Reason] = {}
        self._stretch: tuple[Reason, int, float] | None = None
        self._written = 0
        self._failed = False
        self._db: sqlite3.Connection | None = None
        with self._forgiving():
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            migrate(self._db, SCHEMA)

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def note(self, job: bytes, reason: Reason, head: Head | None) -> None:
        """Write down why a job does not go on, unless that was its newest note."""
        before = self._told.get(job)
        if before is not None and before.code is reason.code and reason.code in _WORDY:
            return  # its detail counts blocks
        if before == reason or self._db is None:
            return
        self._told.pop(job, None)
        self._told[job] = reason
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        number, block = _block(head)
        with self._forgiving():
            self._db.execute(
                "INSERT INTO notes (job, code, detail, began, block, hash) VALUES (?, ?, ?, ?, ?, ?)",
                (job, reason.code, reason.detail[:DETAIL], self._clock(), number, block),
            )
            self._prune()

    def state(self, reason: Reason, head: Head | None) -> None:
        """Write down what the worker is at; the same as before only moves the end of its stretch."""
        if self._db is None:
            return
        now, (number, block) = self._clock(), _block(head)
        with self._forgiving():
            if self._stretch is not None and self._stretch[0].code is reason.code:
                said, row, beat = self._stretch
                if now - beat >= BEAT_SECONDS or said != reason:
                    self._end(row, now, number, block)
                    self._stretch = (reason, row, now)
                return
            if self._stretch is not None:
                self._end(self._stretch[1], now, number, block)
            cursor = self._db.execute(
                "INSERT INTO stretches (code, detail, began, block, hash, ended, last_block, last_hash) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (reason.code, reason.detail[:DETAIL], now, number, block, now, number, block),
            )
            self._stretch = (reason, int(cursor.lastrowid or 0), now)
            self._prune()

    def _end(self, row: int, now: float, number: int, block: bytes) -> None:
        assert self._db is not None
        self._db.execute(
            "UPDATE stretches SET ended = ?, last_block = ?, last_hash = ? WHERE id = ?",
            (now, number, block, row),
        )

    def _prune(self) -> None:
        self._written += 1
        if self._written % PRUNE_EVERY == 0 and self._db is not None:
            for table in ("notes", "stretches"):
                self._db.execute(
                    f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?", (KEEP,)
                )

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        try:
            yield
            self._failed = False
        except (sqlite3.Error, OSError, NewerSchema) as error:
            if not self._failed:
                log.warning("diary-failed", path=str(self._path), message=str(error))
            self._failed = True


_WORDY = frozenset({Code.DEADLINE, Code.BUSY, Code.TURN_WAITS, Code.OTHERS_FIRST})
"""Reasons whose detail changes with every block."""


def _block(head: Head | None) -> tuple[int, bytes]:
    return (0, b"") if head is None else (head.number, head.hash)


@dataclass(frozen=True, slots=True)
class Pages:
    """What a diary says: notes and stretches, oldest first."""

    notes: tuple[Note, ...] = ()
    stretches: tuple[Stretch, ...] = ()


def read(path: Path, since: float = 0.0, job: bytes | None = None) -> Pages:
    """The notes of one job, or all since a time, and the stretches that reach into the time since; another
    process may write meanwhile. No file, or one that cannot be read, says nothing.
    """
    with suppress(sqlite3.Error):
        if not path.is_file():
            return Pages()
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            where, values = ("job = ?", (job,)) if job is not None else ("began >= ?", (since,))
            notes = database.execute(
                f"SELECT job, code, detail, began, block, hash FROM notes WHERE {where} ORDER BY id", values
            ).fetchall()
            stretches = database.execute(
                "SELECT code, detail, began, block, hash, ended, last_block, last_hash FROM stretches "
                "WHERE ended >= ? ORDER BY id",
                (since,),
            ).fetchall()
        finally:
            database.close()
        return Pages(
            tuple(Note(row[0], _reason(row[1], row[2]), *row[3:]) for row in notes),
            tuple(Stretch(_reason(row[0], row[1]), *row[2:]) for row in stretches),
        )
    return Pages()


def _reason(code: str, detail: str) -> Reason:
    """A code of a later release is none that we know."""
    try:
        return Reason(Code(code), detail)
    except ValueError:
        return Reason(Code.UNKNOWN, f"{code} {detail}".strip())
