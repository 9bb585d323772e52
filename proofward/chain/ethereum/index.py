"""Which block holds which Ethereum transaction and log: an SQLite file, in memory or beside a ledger."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from proofward.chain.errors import ChainError

_VERSION: Final = 1
_SCHEMA: Final = """
create table chain (genesis blob not null);
create table blocks (number integer primary key, hash blob not null, bloom blob);
create index blocks_by_hash on blocks (hash);
create index blocks_with_logs on blocks (number) where bloom is not null;
create table transactions (hash blob primary key, block integer not null) without rowid;
"""


class EthIndex:
    """Of each finalised block that was read: its Ethereum hash, its transactions, and the Bloom filter of its
    logs. It only says where to look; what is there is read from the chain. Safe to use from several threads.
    """

    def __init__(self, genesis: bytes, path: Path | None = None) -> None:
        """`path` keeps it; a file of another chain or another form is begun anew. Raises ChainError when the
        file cannot be used.
        """
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            if not self._is_of(genesis):
                self._begin(genesis)
        except sqlite3.Error as error:
            raise ChainError(
                f"the index of Ethereum transactions {path} cannot be used ({error}): remove it",
                code="index-unusable",
            ) from error

    def _is_of(self, genesis: bytes) -> bool:
        if self._db.execute("pragma user_version").fetchone()[0] != _VERSION:
            return False
        return bool(self._db.execute("select 1 from chain where genesis = ?", (genesis,)).fetchone())

    def _begin(self, genesis: bytes) -> None:
        names = self._db.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (name,) in names:
            self._db.execute(f'drop table "{name}"')
        self._db.executescript(_SCHEMA)
        self._db.execute("insert into chain values (?)", (genesis,))
        self._db.execute(f"pragma user_version = {_VERSION}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def add(self, number: int, name: bytes, bloom: int, transactions: Iterable[bytes]) -> None:
        """A finalised block: its number, Ethereum hash, logs' Bloom filter (0: no logs) and transactions."""
        filter_ = bloom.to_bytes(256, "big") if bloom else None
        with self._lock, self._db:
            self._db.execute("begin")
            self._db.execute("insert or replace into blocks values (?, ?, ?)", (number, name, filter_))
            self._db.executemany(
                "insert or replace into transactions values (?, ?)", [(one, number) for one in transactions]
            )

    def last(self) -> tuple[int, bytes] | None:
        """The highest block in the index and its Ethereum hash."""
        with self._lock:
            row = self._db.execute("select number, hash from blocks order by number desc limit 1").fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]))

    def forget(self, number: int) -> None:
        """Drop this block and all above it."""
        with self._lock, self._db:
            self._db.execute("begin")
            self._db.execute("delete from blocks where number >= ?", (number,))
            self._db.execute("delete from transactions where block >= ?", (number,))

    def block(self, name: bytes) -> int | None:
        """The number of the block of this Ethereum hash."""
        return self._number("select number from blocks where hash = ?", name)

    def transaction(self, name: bytes) -> int | None:
        """The number of the block that holds this transaction."""
        return self._number("select block from transactions where hash = ?", name)

    def missing(self, first: int, last: int) -> list[int]:
        """Blocks from first to last that are not in the index, in order."""
        with self._lock, closing(self._db.cursor()) as cursor:
            rows = cursor.execute("select number from blocks where number between ? and ?", (first, last))
            have = {number for (number,) in rows}
        return [number for number in range(first, last + 1) if number not in have]

    def count(self, first: int, last: int) -> int:
        """How many of the blocks from first to last are in the index."""
        query = "select count(*) from blocks where number between ? and ?"
        with self._lock:
            return int(self._db.execute(query, (first, last)).fetchone()[0])

    def with_logs(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Number and Bloom filter of the indexed blocks from first to last that have logs, in order."""
        query = "select number, bloom from blocks where number between ? and ? and bloom is not null"
        with self._lock:
            rows = self._db.execute(f"{query} order by number", (first, last)).fetchall()
        for number, bloom in rows:
            yield number, int.from_bytes(bloom, "big")

    def _number(self, query: str, key: bytes) -> int | None:
        with self._lock:
            row = self._db.execute(query, (key,)).fetchone()
        return None if row is None else int(row[0])
