"""Receipts and sessions on disk: written once, never changed, there before the last byte of an answer leaves.

SQLite in WAL mode, synchronous: a transaction that was committed is there after a kill at any point. What is
written together is committed together, so that many requests share one sync of the disk.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proofward.database import NewerSchema, migrate
from proofward.protocol import sha256
from proofward_gateway.channel import GatewayError

_STEPS: Final = (
    (
        """CREATE TABLE IF NOT EXISTS receipts (
            id TEXT PRIMARY KEY, chat_id TEXT, credential BLOB, document TEXT NOT NULL, at INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX IF NOT EXISTS receipts_chat ON receipts (chat_id)",
        "CREATE INDEX IF NOT EXISTS receipts_at ON receipts (at)",
        """CREATE TABLE IF NOT EXISTS sessions (
            id TEXT PRIMARY KEY, document TEXT NOT NULL, at INTEGER NOT NULL
        ) STRICT""",
        """CREATE TRIGGER IF NOT EXISTS receipts_stay BEFORE UPDATE ON receipts
            BEGIN SELECT RAISE(ABORT, 'final'); END""",
        """CREATE TRIGGER IF NOT EXISTS sessions_stay BEFORE UPDATE ON sessions
            BEGIN SELECT RAISE(ABORT, 'final'); END""",
    ),
)
_BATCH: Final = 256
_DAY: Final = 24 * 3600
_SESSION_EXTRA: Final = 7 * _DAY
"""Sessions outlive the receipts that cite them by this much (ACI section 8, retention)."""


class StoreError(GatewayError):
    """Receipts cannot be written or read: nothing is answered without one."""

    code = "store-failed"


@dataclass(frozen=True, slots=True)
class Stored:
    """A receipt, and the digest of the credential that it belongs to (None: of nobody's)."""

    document: dict[str, Any]
    credential: bytes | None


def credential_digest(receipt_id: str, credential: str) -> bytes:
    """What is kept of an API key: bound to one receipt, so that no two receipts show one caller."""
    return sha256(b"proofward/gateway-credential/v1" + receipt_id.encode() + b"\0" + credential.encode())


class Store:
    """One writer's thread; reads go beside it. `close` waits for what was handed in."""

    def __init__(self, folder: Path, *, retention_days: int, clock: Callable[[], float]) -> None:
        """Raises StoreError."""
        self._clock, self._retention = clock, retention_days * _DAY
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = folder / "receipts.sqlite"
            self._writer = _open(path)
            migrate(self._writer, _STEPS)
            self._forget()
            self._reader = _open(path)
        except (OSError, sqlite3.Error, NewerSchema) as error:
            raise StoreError(f"{folder} cannot hold receipts: {error}") from None
        self._thread = threading.Thread(target=self._work, name="receipts", daemon=True)
        self._thread.start()

    def put_receipt(self, receipt: dict[str, Any], credential: bytes | None) -> asyncio.Future[None]:
        """Hand a receipt in, at once; the future ends when it is on disk. Raises StoreError through it."""
        row = (
            receipt["receipt_id"],
            receipt["chat_id"],
            credential,
            json.dumps(receipt),
            receipt["served_at"],
        )
        return self._put("INSERT INTO receipts VALUES (?, ?, ?, ?, ?)", row)

    def put_session(self, session_id: str, document: dict[str, Any]) -> asyncio.Future[None]:
        """As `put_receipt`; the same session twice is one."""
        row = (session_id, json.dumps(document), int(self._clock()))
        return self._put("INSERT OR IGNORE INTO sessions VALUES (?, ?, ?)", row)

    async def receipt(self, name: str) -> Stored | None:
        """By its id, or the newest by an answer's id."""
        sql = (
            "SELECT document, credential FROM receipts WHERE id = ?1 OR chat_id = ?1 "
            "ORDER BY id = ?1 DESC, at DESC, rowid DESC LIMIT 1"
        )
        row = await asyncio.to_thread(self._read, sql, (name,))
        return None if row is None else Stored(json.loads(row[0]), row[1])

    async def session(self, session_id: str) -> dict[str, Any] | None:
        """A session's whole document."""
        row = await asyncio.to_thread(self._read, "SELECT document FROM sessions WHERE id = ?", (session_id,))
        return None if row is None else dict(json.loads(row[0]))

    def close(self) -> None:
        """Write what is left, and stop."""
        self._jobs.put(None)
        self._thread.join()
        self._reader.close()
        self._writer.close()

    def _put(self, sql: str, row: tuple[Any, ...]) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._jobs.put(_Job(sql, row, loop, future))
        return future

    def _read(self, sql: str, row: tuple[Any, ...]) -> Any:
        with self._lock:
            return self._reader.execute(sql, row).fetchone()

    def _work(self) -> None:
        more, last = True, self._clock()
        while more:
            jobs = [self._jobs.get()]
            while len(jobs) < _BATCH and not self._jobs.empty():
                jobs.append(self._jobs.get())
            more = None not in jobs
            self._write([job for job in jobs if job is not None])
            if self._clock() - last > 3600:
                last = self._clock()
                self._forget()

    def _write(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._writer.execute(job.sql, job.row)
            self._writer.execute("COMMIT")
            error = None
        except sqlite3.Error as caught:
            error = StoreError(f"a receipt could not be written ({type(caught).__name__}): is the disk full?")
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        for job in jobs:
            job.end(error)

    def _forget(self) -> None:
        now = int(self._clock())
        self._writer.execute("DELETE FROM receipts WHERE at < ?", (now - self._retention,))
        self._writer.execute("DELETE FROM sessions WHERE at < ?", (now - self._retention - _SESSION_EXTRA,))


@dataclass(frozen=True, slots=True)
class _Job:
    sql: str
    row: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]

    def end(self, error: StoreError | None) -> None:
        def settle() -> None:
            if self.future.done():
                return
            if error is None:
                self.future.set_result(None)
            else:
                self.future.set_exception(error)

        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(settle)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
