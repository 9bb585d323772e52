"""The index's SQLite file: what happened in which block, and each record as it last was.

It is a convenience. One process writes it, block after block with the cursor in the same transaction, so that
one that is killed goes on where it was; readers have connections of their own.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from proofward.database import NewerSchema, migrate
from proofward.errors import ProofwardError

DAY_MS: Final = 86_400_000
_SCHEMA: Final = (
    "CREATE TABLE chain (genesis BLOB NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL)",
    "CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash BLOB NOT NULL, time INTEGER NOT NULL, "
    "extrinsics INTEGER NOT NULL)",
    "CREATE INDEX blocks_hash ON blocks (hash)",
    "CREATE TABLE extrinsics (hash BLOB NOT NULL, block INTEGER NOT NULL, place INTEGER NOT NULL, "
    "signer BLOB, call TEXT NOT NULL, PRIMARY KEY (block, place)) WITHOUT ROWID",
    "CREATE INDEX extrinsics_hash ON extrinsics (hash)",
    "CREATE TABLE events (block INTEGER NOT NULL, place INTEGER NOT NULL, extrinsic INTEGER, "
    "pallet TEXT NOT NULL, name TEXT NOT NULL, subject BLOB, account BLOB, fields TEXT NOT NULL, "
    "PRIMARY KEY (block, place)) WITHOUT ROWID",
    "CREATE INDEX events_subject ON events (subject, block)",
    "CREATE INDEX events_account ON events (account, block)",
    "CREATE INDEX events_name ON events (pallet, name, block)",
    "CREATE TABLE jobs (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, client BLOB NOT NULL, "
    "model BLOB NOT NULL, status TEXT NOT NULL, worker BLOB, level TEXT, setup TEXT, price TEXT NOT NULL, "
    "paid TEXT, royalty TEXT, proof_bytes INTEGER, output_bytes INTEGER, submitted_at INTEGER NOT NULL, "
    "claimed_at INTEGER, ended_at INTEGER, deadline INTEGER NOT NULL, attempts INTEGER NOT NULL, "
    "min_level TEXT NOT NULL, day INTEGER NOT NULL, seconds REAL)",
    "CREATE INDEX jobs_status ON jobs (status, number)",
    "CREATE INDEX jobs_model ON jobs (model, number)",
    "CREATE INDEX jobs_client ON jobs (client, number)",
    "CREATE INDEX jobs_worker ON jobs (worker, number)",
    "CREATE INDEX jobs_day ON jobs (day, status, seconds)",
    "CREATE INDEX jobs_level ON jobs (level, number)",
    "CREATE TABLE records (kind TEXT NOT NULL, id BLOB NOT NULL, block INTEGER NOT NULL, "
    "gone INTEGER NOT NULL, fields TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID",
    # amounts are text: they may be above SQLite's largest integer
    "CREATE TABLE totals (kind TEXT NOT NULL, id BLOB NOT NULL, jobs INTEGER NOT NULL, paid TEXT NOT NULL, "
    "royalty TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID",
)
_ANEW: Final = tuple(
    f"DELETE FROM {table}" for table in ("blocks", "extrinsics", "events", "jobs", "records", "totals")
)
"""An older index has read its blocks without what is in them (sessions; members and studies): filled anew."""
_SESSIONS: Final = (
    "ALTER TABLE totals ADD COLUMN records INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX records_opened ON records (kind, json_extract(fields, '$.opened_at'), id)",
    *_ANEW,
)
"""What sessions paid, and sessions in the order of their opening, page by page."""
STEPS: Final = (_SCHEMA, _ANEW, _ANEW, _SESSIONS)


class IndexUnusable(ProofwardError):
    """The explorer's index cannot be used: of another chain, of a later release, or damaged."""

    code = "index-unusable"


def open_index(path: Path) -> sqlite3.Connection:
    """The one writing connection, its schema up to date. Raises IndexUnusable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        migrate(database, STEPS)
    except (sqlite3.Error, OSError, NewerSchema) as error:
        raise IndexUnusable(
            f"the index {path} cannot be used ({error}): give another --index, or begin anew with --rebuild"
        ) from error
    return database


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Raises IndexUnusable."""
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise IndexUnusable(f"the index {path} cannot be read ({error})") from error
    return database


def remove(path: Path) -> None:
    """Take the index's files away. Raises IndexUnusable."""
    try:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise IndexUnusable(f"the index {path} cannot be removed: {error.strerror}") from error
