"""Sessions that run, and vouchers on the disk before they are posted: without them nothing of a window is
paid.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, fields
from pathlib import Path

from proofward.database import NewerSchema, blame_disk, migrate
from proofward_node.journal import JournalError

SCHEMA = (
    (
        """
        CREATE TABLE vouchers (
            session BLOB NOT NULL CHECK (length(session) = 32),
            number INTEGER NOT NULL,
            root BLOB NOT NULL,
            pages INTEGER NOT NULL,
            records INTEGER NOT NULL,
            signature BLOB NOT NULL,
            voucher BLOB NOT NULL,
            PRIMARY KEY (session, number)
        ) STRICT
        """,
    ),
    ("CREATE TABLE begun (session BLOB PRIMARY KEY CHECK (length(session) = 32), block INTEGER) STRICT",),
)


@dataclass(frozen=True, slots=True)
class Vouched:
    """A checkpoint that both ends have signed."""

    session: bytes
    number: int
    root: bytes
    pages: int
    records: int
    signature: bytes
    voucher: bytes


class SessionJournal:
    """One SQLite file, each change on the disk when its method returns."""

    def __init__(self, path: Path) -> None:
        """Raises JournalError when the file cannot be used, DiskFailed."""
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            migrate(self._db, SCHEMA)
        except (sqlite3.Error, OSError, NewerSchema) as error:
            blame_disk(error, path)
            raise JournalError(
                f"the sessions' journal {path} cannot be used ({error}); restore it"
            ) from error

    def save(self, vouched: Vouched) -> None:
        """Write a voucher down; the same one again is no error."""
        values = [getattr(vouched, field.name) for field in fields(Vouched)]
        self._db.execute("INSERT OR REPLACE INTO vouchers VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def get(self, session: bytes, number: int) -> Vouched | None:
        """A checkpoint's voucher, if the client has given it."""
        row = self._db.execute(
            "SELECT session, number, root, pages, records, signature, voucher FROM vouchers "
            "WHERE session = ? AND number = ?",
            (session, number),
        ).fetchone()
        return None if row is None else Vouched(*row)

    def waiting(self, session: bytes, number: int) -> int:
        """How many checkpoints are vouched for from `number` on."""
        row = self._db.execute(
            "SELECT COUNT(*) FROM vouchers WHERE session = ? AND number >= ?", (session, number)
        ).fetchone()
        return int(row[0])

    def begin(self, session: bytes, block: int) -> None:
        """Write down the block in which a session was opened; the same one again is no error."""
        self._db.execute("INSERT OR IGNORE INTO begun VALUES (?, ?)", (session, block))

    def sessions(self) -> dict[bytes, int]:
        """Sessions of which something is written down, and the block each was opened in, 0 if it is not."""
        rows = self._db.execute(
            "SELECT session, block FROM begun UNION ALL "
            "SELECT DISTINCT session, 0 FROM vouchers WHERE session NOT IN (SELECT session FROM begun)"
        )
        return {row[0]: row[1] for row in rows}

    def forget(self, session: bytes) -> None:
        """A session has ended."""
        for table in ("vouchers", "begun"):
            self._db.execute(f"DELETE FROM {table} WHERE session = ?", (session,))

    def close(self) -> None:
        """Close the file."""
        self._db.close()
