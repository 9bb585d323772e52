"""The journal refuses what would lose track of a bond or a proof."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from dataclasses import astuple
from pathlib import Path

import pytest

from proofward_node.journal import Journal, JournalError, Result, State, peek

IDENTITY = bytes(64)
JOB, MODEL = b"j" * 32, b"m" * 32
RESULT = Result(b"sealed", b"o" * 32, b"proof", 7, b"s" * 64)


def _walk(journal: Journal, *states: State) -> None:
    journal.see(JOB, MODEL)
    for state in states:
        journal.advance(JOB, state)


def test_a_result_survives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    journal = Journal(path, IDENTITY)
    _walk(journal, State.INSPECTED, State.CLAIMING, State.CLAIMED, State.WORKING)
    journal.proved(JOB, RESULT)
    journal.close()
    again = Journal(path, IDENTITY)
    entry = again.get(JOB)
    again.close()
    assert entry is not None
    assert (entry.state, entry.result, entry.attempt) == (State.PROVED, RESULT, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_intended_is_on_the_disk_and_what_was_seen_goes_with_it(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path / "j.sqlite", IDENTITY), list[str]()
    journal._db.set_trace_callback(lambda text: told.append(text.partition("synchronous=")[2]))
    _walk(journal, State.INSPECTED, State.CLAIMING, State.CLAIMED, State.WORKING)
    journal.proved(JOB, RESULT)
    journal.advance(JOB, State.COMPLETING)
    journal.advance(JOB, State.DONE, outcome="accepted")
    journal.close()
    seen, intended = "NORMAL", "FULL"
    assert [one for one in told if one] == [seen, seen, intended, seen, seen, intended, intended, seen]


@pytest.mark.parametrize(
    ("walk", "step"),
    [
        ([], State.CLAIMED),
        ([], State.COMPLETING),
        ([State.INSPECTED], State.WORKING),
        ([State.INSPECTED, State.CLAIMING], State.COMPLETING),
        ([State.INSPECTED, State.CLAIMING, State.CLAIMED], State.COMPLETING),
        ([State.INSPECTED, State.CLAIMING, State.CLAIMED, State.WORKING], State.CLAIMING),
    ],
)
def test_steps_that_do_not_exist(tmp_path: Path, walk: list[State], step: State) -> None:
    journal = Journal(tmp_path / "j.sqlite", IDENTITY)
    _walk(journal, *walk)
    before = journal.get(JOB)
    with pytest.raises(JournalError):
        journal.advance(JOB, step)
    assert journal.get(JOB) == before
    journal.close()


def test_a_second_result_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite", IDENTITY)
    _walk(journal, State.INSPECTED, State.CLAIMING, State.CLAIMED, State.WORKING)
    journal.proved(JOB, RESULT)
    with pytest.raises(JournalError):
        journal.proved(JOB, Result(b"other", b"o" * 32, b"proof", 7, b"s" * 64))
    journal.close()


def test_one_process_at_a_time_and_one_chain_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    journal = Journal(path, IDENTITY)
    with pytest.raises(JournalError, match="in use"):
        Journal(path, IDENTITY)
    journal.see(JOB, MODEL)
    assert [entry.job for entry in peek(path)] == [JOB]
    journal.close()
    with pytest.raises(JournalError, match="another chain"):
        Journal(path, bytes(63) + b"x")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    path.write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(JournalError, match="restore it"):
        Journal(path, IDENTITY)


def test_a_lock_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite.lock").mkdir()
    with pytest.raises(JournalError, match="cannot be locked"):
        Journal(tmp_path / "j.sqlite", IDENTITY)


FIRST_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE jobs (
    job BLOB PRIMARY KEY CHECK (length(job) = 32), model BLOB NOT NULL CHECK (length(model) = 32),
    state TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, lapses_at INTEGER, outcome TEXT,
    sealed_output BLOB, output_commitment BLOB, proof BLOB, receipt_block INTEGER, receipt_signature BLOB,
    updated REAL NOT NULL
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, updated);
"""


def test_a_file_from_before_there_were_versions_is_opened_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(FIRST_SCHEMA)
        old.execute("INSERT INTO meta VALUES ('identity', ?)", (IDENTITY,))
        row = (JOB, MODEL, "proved", 2, 70, None, *astuple(RESULT), 1.5)
        old.execute(f"INSERT INTO jobs VALUES ({','.join('?' * 12)})", row)
        old.commit()
    before = peek(path)
    journal = Journal(path, IDENTITY)
    (entry,) = journal.entries()
    assert [entry] == before
    assert (entry.state, entry.attempt, entry.lapses_at, entry.result) == (State.PROVED, 2, 70, RESULT)
    journal.advance(JOB, State.COMPLETING)
    journal.close()
    with contextlib.closing(sqlite3.connect(path)) as now:
        assert now.execute("PRAGMA user_version").fetchone() == (1,)
        now.execute("PRAGMA user_version = 2")
    with pytest.raises(JournalError, match="the release that wrote it"):
        Journal(path, IDENTITY)
