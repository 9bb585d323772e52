"""Every file of SQLite that we keep opens at each version that a release has written, with what it holds."""

from __future__ import annotations

import contextlib
import resource
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proofward.chain import outbox
from proofward.database import DiskFailed
from proofward.errors import ProofwardError
from proofward_gateway import store
from proofward_gateway.anchoring import run as anchoring
from proofward_gateway.inclusion import FILE
from proofward_node import diary, journal, session_journal

GENESIS = bytes(32)


@dataclass(frozen=True)
class Kept:
    """A kind of file: what leads from version to version, who opens it, and a row of its first version."""

    file: str
    steps: Sequence[Sequence[str]]
    open: Callable[[Path], Any]
    row: str


def _anchors(path: Path) -> Any:
    store.Store(path.parent, retention_days=30, clock=lambda: 1000.0).close()
    chain: Any = SimpleNamespace(genesis=GENESIS)
    return anchoring.Anchors(path.parent, chain, SimpleNamespace())


def _outbox(path: Path) -> Any:
    chain: Any = SimpleNamespace(genesis=GENESIS)
    return outbox.Outbox(path, chain)


FILES = {
    "journal": Kept(
        "j", journal.SCHEMA, lambda path: journal.Journal(path, b"i"), "meta VALUES ('a', x'00')"
    ),
    "outbox": Kept("o", outbox._SCHEMA, _outbox, f"chain (genesis) VALUES (x'{GENESIS.hex()}')"),
    "session journal": Kept(
        "s",
        session_journal.SCHEMA,
        session_journal.SessionJournal,
        f"vouchers VALUES (x'{GENESIS.hex()}', 0, x'00', 1, 1, x'00', x'00')",
    ),
    "diary": Kept(
        "d", diary.SCHEMA, diary.Diary, f"notes VALUES (1, x'{GENESIS.hex()}', 'c', '', 0, 1, x'00')"
    ),
    "receipts": Kept(
        "receipts.sqlite",
        store._STEPS,
        lambda path: store.Store(path.parent, retention_days=30, clock=lambda: 1000.0),
        "receipts VALUES ('r', NULL, NULL, '{}', 1000)",
    ),
    "anchors": Kept(
        FILE, anchoring._STEPS, _anchors, f"batches VALUES (0, 1, 1, '00', '{GENESIS.hex()}', '', NULL, NULL)"
    ),
}


def written(kept: Kept, path: Path, version: int, told: int) -> None:
    """A file as a release of that version left it, with a row; `told`: the version that it says."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        for step in kept.steps[:version]:
            for statement in step:
                database.execute(statement)
        database.execute(f"INSERT INTO {kept.row}")
        database.execute(f"PRAGMA user_version = {told}")


def seen(path: Path, table: str) -> tuple[int, set[tuple[str, str]], int]:
    """Version, the names of all it has, and how many rows the table holds."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        names = set(database.execute("SELECT type, name FROM sqlite_master"))
        return version, names, database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


@pytest.mark.parametrize("kept", FILES.values(), ids=FILES)
def test_a_file_of_each_version_before_is_opened_with_what_it_holds(kept: Kept, tmp_path: Path) -> None:
    table = kept.row.split()[0]
    (tmp_path / "new").mkdir()
    kept.open(tmp_path / "new" / kept.file).close()
    newest, names, _ = seen(tmp_path / "new" / kept.file, table)
    assert newest == len(kept.steps)
    # Version 0 with tables is what a release wrote before it told versions.
    unversioned = "IF NOT EXISTS" in kept.steps[0][0]
    for version, told in [(1, 0)] * unversioned + [(at, at) for at in range(1, newest + 1)]:
        folder = tmp_path / f"{version}-{told}"
        folder.mkdir()
        written(kept, folder / kept.file, version, told)
        kept.open(folder / kept.file).close()
        after, held, rows = seen(folder / kept.file, table)
        assert (after, held) == (newest, names), (version, told)
        assert rows >= 1, (version, told)


@pytest.mark.parametrize(
    "name", [name for name in FILES if name != "diary"]
)  # which costs the worker nothing
def test_a_file_of_a_later_release_is_refused(name: str, tmp_path: Path) -> None:
    kept = FILES[name]
    written(kept, tmp_path / kept.file, 1, 99)
    with pytest.raises(ProofwardError, match="the release that wrote it"):
        kept.open(tmp_path / kept.file)


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process grows meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["journal", "outbox", "session journal"])
def test_a_full_disk_is_blamed_and_not_the_file(name: str, tmp_path: Path) -> None:
    """Who is told to restore a file that is whole loses what it holds."""
    kept = FILES[name]
    with pytest.raises(DiskFailed, match="free space"), full_disk():
        kept.open(tmp_path / kept.file)
    kept.open(tmp_path / kept.file).close()
