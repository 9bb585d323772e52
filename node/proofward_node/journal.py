"""The journal: what the node is about to do, written down before it does it.

One SQLite file in WAL mode. What is intended, and a proof, is on the disk when the method returns
(`synchronous=FULL`); what was merely seen, which the chain tells again, goes there with the next of these. A
loss of power can take the latter back, as an older copy would; a death of the process takes nothing. A job
moves along

    seen -> inspected -> claiming -> claimed -> working -> proved -> completing -> done
                             |          |          |         |           |
      |                      +----------+----------+---------+-> releasing -> done
      +-> declining -> done

and back to `seen` when its claim has ended without a verdict; nowhere else: an illegal step raises, since it
would mean that the node has lost track of its own bond. A proof, once stored, is never overwritten and never
dropped while its claim stands, so that a restart resends and does not compute again. (A receipt names a block
within the claim, so a proof is worth nothing to a later claim.)
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from proofward.database import NewerSchema, blame_disk, migrate
from proofward.errors import ProofwardError

SCHEMA = (
    (
        "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT",
        """
        CREATE TABLE IF NOT EXISTS jobs (
            job BLOB PRIMARY KEY CHECK (length(job) = 32),
            model BLOB NOT NULL CHECK (length(model) = 32),
            state TEXT NOT NULL,
            attempt INTEGER NOT NULL DEFAULT 0,
            lapses_at INTEGER,
            outcome TEXT,
            sealed_output BLOB, output_commitment BLOB, proof BLOB, receipt_block INTEGER,
            receipt_signature BLOB,
            updated REAL NOT NULL
        ) STRICT
        """,
        "CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, updated)",
    ),
)
"""What leads from one version of the file to the next; see `proofward.database`."""
MOVED = "moved"
"""In `meta` of a journal that goes on elsewhere: the id of the backup that it left with."""
KEEP_DONE = 10_000
"""Finished jobs kept for `worker status`; older ones are deleted."""


class JournalError(ProofwardError):
    """The journal cannot be used, or a step was asked for that the state machine does not have."""

    code = "journal"


class State(StrEnum):
    """Where a job stands, from this node's side. `claiming`, `completing`, `releasing` and `declining` are
    intents: the extrinsic may be out.
    """

    SEEN = "seen"
    INSPECTED = "inspected"
    CLAIMING = "claiming"
    CLAIMED = "claimed"
    WORKING = "working"
    PROVED = "proved"
    COMPLETING = "completing"
    RELEASING = "releasing"
    DECLINING = "declining"
    DONE = "done"


HELD = (State.CLAIMING, State.CLAIMED, State.WORKING, State.PROVED, State.COMPLETING, State.RELEASING)
"""States in which this node holds, or may hold, a claim."""

_LASTING = frozenset({State.CLAIMING, State.PROVED, State.COMPLETING, State.RELEASING, State.DECLINING})
"""Entered before something is done that must not be done twice, or with what cannot be had again."""

_STEPS: dict[State, frozenset[State]] = {
    State.SEEN: frozenset({State.INSPECTED, State.RELEASING, State.DECLINING, State.DONE}),
    State.INSPECTED: frozenset({State.SEEN, State.CLAIMING, State.RELEASING, State.DECLINING, State.DONE}),
    State.CLAIMING: frozenset({State.SEEN, State.CLAIMED, State.DONE}),
    State.CLAIMED: frozenset({State.WORKING, State.RELEASING, State.SEEN, State.DONE}),
    State.WORKING: frozenset({State.WORKING, State.PROVED, State.RELEASING, State.SEEN, State.DONE}),
    State.PROVED: frozenset({State.COMPLETING, State.RELEASING, State.SEEN, State.DONE}),
    State.COMPLETING: frozenset({State.COMPLETING, State.RELEASING, State.SEEN, State.DONE}),
    State.RELEASING: frozenset({State.RELEASING, State.DECLINING, State.SEEN, State.DONE}),
    State.DECLINING: frozenset({State.SEEN, State.DONE}),
    State.DONE: frozenset({State.SEEN}),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What the enclave handed out for a job: everything `Jobs.complete` needs, all of it public or sealed."""

    sealed_output: bytes
    output_commitment: bytes
    proof: bytes
    receipt_block: int
    receipt_signature: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One job's line. `attempt` counts this node's claims on it; `result` is there from `proved` on."""

    job: bytes
    model: bytes
    state: State
    attempt: int
    lapses_at: int | None
    outcome: str | None
    result: Result | None
    updated: float


def lock(journal: Path) -> int:
    """The file that one process at a time holds, locked, to be closed. Raises JournalError, DiskFailed."""
    try:
        held = os.open(f"{journal}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        blame_disk(error, journal)
        raise JournalError(
            f"journal {journal} cannot be locked ({error.strerror}): give this account all in its folder"
        ) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        raise JournalError(f"journal {journal} is in use by a worker process; stop it first") from error
    return held


class Journal:
    """The open journal. One process at a time: a second one is refused by a lock on `<path>.lock`.

    Args:
        path: the database file; made with mode 0600.
        identity: genesis hash and account id, 64 bytes; a journal of another chain or account is refused.
        clock: seconds since the epoch, for `updated`.
    """

    sync = "NORMAL", "FULL"

    def __init__(self, path: Path, identity: bytes, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._clock = clock
        self._lock = lock(path)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.row_factory = sqlite3.Row
            migrate(self._db, SCHEMA)
            held = self.get_meta("identity")
            if held is None:
                self.set_meta("identity", identity)
        except (sqlite3.DatabaseError, OSError, NewerSchema) as error:
            os.close(self._lock)
            blame_disk(error, path)
            raise JournalError(
                f"journal {path} is not usable ({error}); restore it from a backup or move it away"
            ) from error
        if (gone := self.get_meta(MOVED)) is not None:
            self.close()
            raise JournalError(
                f"journal {path} was moved away with backup {gone.decode(errors='replace')}: run that one, "
                "or bring it back with `proofward worker restore`"
            )
        if held not in (None, identity):
            self.close()
            raise JournalError(
                f"journal {path} belongs to another chain or account; use another worker.data_dir"
            )

    def close(self) -> None:
        """Close the database and give up the lock."""
        self._db.close()
        os.close(self._lock)

    # meta -----------------------------------------------------------------------------------------

    def get_meta(self, key: str) -> bytes | None:
        """The bytes stored under `key`, if any."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def set_meta(self, key: str, value: bytes, *, lasting: bool = True) -> None:
        """Store `value` under `key`, on the disk if it is to be `lasting`."""
        with self._transaction(lasting=lasting):
            self._db.execute(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )

    # jobs -----------------------------------------------------------------------------------------

    def get(self, job: bytes) -> Entry | None:
        """The job's line, if there is one."""
        row = self._db.execute("SELECT * FROM jobs WHERE job = ?", (job,)).fetchone()
        return None if row is None else _entry(row)

    def entries(self, *states: State) -> list[Entry]:
        """The lines in any of `states` (all lines when none is given), oldest change first."""
        marks = ",".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        rows = self._db.execute(f"SELECT * FROM jobs {where} ORDER BY updated, job", tuple(states)).fetchall()
        return [_entry(row) for row in rows]

    def see(self, job: bytes, model: bytes) -> Entry:
        """Write the job down as seen, unless it is known already; returns its line."""
        with self._transaction(lasting=False):
            self._db.execute(
                "INSERT INTO jobs (job, model, state, updated) VALUES (?, ?, ?, ?) ON CONFLICT (job) DO "
                "NOTHING",
                (job, model, State.SEEN, self._clock()),
            )
        entry = self.get(job)
        assert entry is not None
        return entry

    def advance(
        self, job: bytes, to: State, *, lapses_at: int | None = None, outcome: str | None = None
    ) -> Entry:
        """Move a job to `to`. Entering `claiming` counts an attempt; `outcome` says why, and is required
        for `done`.

        Raises:
            JournalError: unknown job, or a step that the state machine does not have.
        """
        if to is State.DONE and outcome is None:
            raise JournalError(f"job 0x{job.hex()} cannot be done without an outcome")
        with self._transaction(lasting=to in _LASTING):
            entry = self._step(job, to)
            if to is State.COMPLETING and entry.result is None:
                raise JournalError(f"job 0x{job.hex()} has no result to complete with")
            self._db.execute(
                "UPDATE jobs SET state = ?, attempt = attempt + ?, lapses_at = coalesce(?, lapses_at), "
                "outcome = ?, updated = ? "
                "WHERE job = ?",
                (to, int(to is State.CLAIMING), lapses_at, outcome, self._clock(), job),
            )
            if to in (State.SEEN, State.DONE):
                self._db.execute(
                    "UPDATE jobs SET sealed_output = NULL, output_commitment = NULL, proof = NULL, "
                    "receipt_block = NULL, "
                    "receipt_signature = NULL, lapses_at = NULL WHERE job = ?",
                    (job,),
                )
            if to is State.DONE:
                self._prune()
        after = self.get(job)
        assert after is not None
        return after

    def proved(self, job: bytes, result: Result) -> Entry:
        """Store the enclave's result; the job is `proved` and its proof is kept until the end.

        Raises:
            JournalError: unknown job, illegal step, or another result is stored already.
        """
        with self._transaction():
            entry = self._step(job, State.PROVED)
            if entry.result is not None and entry.result != result:
                raise JournalError(f"job 0x{job.hex()} has a result already; it is resent, not replaced")
            self._db.execute(
                "UPDATE jobs SET state = ?, sealed_output = ?, output_commitment = ?, proof = ?, "
                "receipt_block = ?, "
                "receipt_signature = ?, updated = ? WHERE job = ?",
                (
                    State.PROVED,
                    result.sealed_output,
                    result.output_commitment,
                    result.proof,
                    result.receipt_block,
                    result.receipt_signature,
                    self._clock(),
                    job,
                ),
            )
        after = self.get(job)
        assert after is not None
        return after

    def counts(self) -> dict[str, int]:
        """Number of jobs by state, and by `done:<outcome>`."""
        rows = self._db.execute(
            "SELECT state, outcome, count(*) FROM jobs GROUP BY state, outcome"
        ).fetchall()
        out: dict[str, int] = {}
        for state, outcome, count in rows:
            key = f"{state}:{outcome}" if state == State.DONE else state
            out[key] = out.get(key, 0) + count
        return out

    # inside ---------------------------------------------------------------------------------------

    def _step(self, job: bytes, to: State) -> Entry:
        entry = self.get(job)
        if entry is None:
            raise JournalError(f"job 0x{job.hex()} is not in the journal")
        if to not in _STEPS[entry.state]:
            raise JournalError(f"job 0x{job.hex()} cannot go from {entry.state} to {to}")
        return entry

    def _prune(self) -> None:
        self._db.execute(
            "DELETE FROM jobs WHERE job IN (SELECT job FROM jobs WHERE state = ? ORDER BY updated DESC "
            "LIMIT -1 OFFSET ?)",
            (State.DONE, KEEP_DONE),
        )

    @contextmanager
    def _transaction(self, *, lasting: bool = True) -> Iterator[None]:
        self._db.execute(f"PRAGMA synchronous={self.sync[lasting]}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def peek(path: Path, done: int = KEEP_DONE) -> list[Entry]:
    """The lines of a journal that another process may hold open, oldest change first, of those that are done
    the newest `done`; nothing is written.

    Raises:
        JournalError: there is no journal at `path`, or it cannot be read.
    """
    if not path.is_file():
        raise JournalError(f"no journal at {path}; the worker has not run with this data directory")
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        database.row_factory = sqlite3.Row
        try:
            rows = database.execute(
                "SELECT * FROM jobs WHERE state != ? OR job IN "
                "(SELECT job FROM jobs WHERE state = ? ORDER BY updated DESC LIMIT ?) ORDER BY updated, job",
                (State.DONE, State.DONE, done),
            ).fetchall()
            return [_entry(row) for row in rows]
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        raise JournalError(f"journal {path} is not readable ({error})") from error


def in_use(path: Path) -> bool | None:
    """Whether a process has the journal open, by the kernel's list of locks (proc(5), /proc/locks); None
    where there is no such list. Nothing is locked for the question, which could make a daemon's start fail.
    """
    try:
        lock = os.stat(f"{path}.lock")
        held = Path("/proc/locks").read_text(encoding="ascii")
    except FileNotFoundError:
        return False if Path("/proc/locks").exists() else None
    except OSError:
        return None
    name = f"{os.major(lock.st_dev):02x}:{os.minor(lock.st_dev):02x}:{lock.st_ino}"
    return any("FLOCK" in line and name in line.split() for line in held.splitlines())


def select(path: Path, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query over a database that another process may hold open; none when it cannot be read."""
    if not path.is_file():
        return []
    with suppress(sqlite3.Error):
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()
    return []


def _entry(row: sqlite3.Row) -> Entry:
    result = None
    if row["sealed_output"] is not None:
        result = Result(**{field.name: row[field.name] for field in fields(Result)})
    return Entry(
        job=row["job"],
        model=row["model"],
        state=State(row["state"]),
        attempt=row["attempt"],
        lapses_at=row["lapses_at"],
        outcome=row["outcome"],
        result=result,
        updated=row["updated"],
    )
