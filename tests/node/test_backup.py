"""Backups: whole beside a running daemon, restored once, and never so that one journal runs twice."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from proofward.chain import accounts
from proofward_node.backup import BackupRefused, backup, restore
from proofward_node.config import NodeConfig, load
from proofward_node.holding import Hold, read, write
from proofward_node.journal import Journal, JournalError, State
from proofward_node.reasons import Code
from tests.node.world import GENESIS, MODEL

ALICE = accounts.address("//Alice")


def worker(folder: Path, account: str = "//Alice") -> NodeConfig:
    (folder / "data").mkdir(parents=True)
    path = folder / "worker.toml"
    path.write_text(
        f'[worker]\ndev_account = "{account}"\ndata_dir = "data"\n'
        '[enclave]\nprovider = "simulator"\nmodels = "models"\n'
    )
    return load(path)


@pytest.fixture
def first(tmp_path: Path) -> NodeConfig:
    config = worker(tmp_path / "first")
    journal = Journal(config.journal, GENESIS + ALICE)
    journal.see(b"j" * 32, MODEL.id)
    journal.close()
    with closing(sqlite3.connect(config.outbox)) as outbox:
        outbox.execute("CREATE TABLE outbox (key TEXT)")
    return config


def jobs(config: NodeConfig) -> list[bytes]:
    with closing(Journal(config.journal, GENESIS + ALICE)) as journal:
        return [entry.job for entry in journal.entries(State.SEEN)]


def test_a_move_ends_the_original_and_goes_on_elsewhere(first: NodeConfig, tmp_path: Path) -> None:
    write(first.hold, Hold(Code.DRAINING, "for the move"))
    made = backup(first, tmp_path / "b", move=True)
    assert set(made.files) == {"journal.sqlite", "outbox.sqlite", "hold.json"}
    with pytest.raises(JournalError, match="moved away"):
        Journal(first.journal, GENESIS + ALICE)
    second = worker(tmp_path / "second")
    restore(second, tmp_path / "b")
    assert jobs(second) == [b"j" * 32]
    assert read(second.hold) is not None, "a drained worker stays drained"
    with pytest.raises(BackupRefused, match="never runs twice"):
        restore(first, tmp_path / "b")


def test_a_moved_journal_can_come_back(first: NodeConfig, tmp_path: Path) -> None:
    backup(first, tmp_path / "b", move=True)
    restore(first, tmp_path / "b")
    assert jobs(first) == [b"j" * 32]


def test_a_copy_is_whole_beside_a_running_daemon_and_restored_only_when_the_original_is_lost(
    first: NodeConfig, tmp_path: Path
) -> None:
    with closing(Journal(first.journal, GENESIS + ALICE)) as journal:
        journal.see(b"k" * 32, MODEL.id)  # in the write-ahead log alone
        backup(first, tmp_path / "b")
        with pytest.raises(JournalError, match="in use"):
            backup(first, tmp_path / "c", move=True)
        assert not (tmp_path / "c").exists()
    second = worker(tmp_path / "second")
    with pytest.raises(BackupRefused, match="original may run"):
        restore(second, tmp_path / "b")
    restore(second, tmp_path / "b", lost=True)
    assert jobs(second) == [b"j" * 32, b"k" * 32]
    assert not list((tmp_path / "second").rglob("*.key"))


def test_no_journal_is_replaced_that_runs_or_is_there(first: NodeConfig, tmp_path: Path) -> None:
    backup(first, tmp_path / "b")
    with closing(Journal(first.journal, GENESIS + ALICE)) as journal:
        journal.see(b"n" * 32, MODEL.id)
        with pytest.raises(JournalError, match="in use"):
            restore(first, tmp_path / "b", lost=True, replace=True)
    with pytest.raises(BackupRefused, match="a journal at"):
        restore(first, tmp_path / "b", lost=True)
    restore(first, tmp_path / "b", lost=True, replace=True)
    assert jobs(first) == [b"j" * 32]
    assert (first.worker.data_dir / "journal.sqlite.replaced").exists()


def _cut(folder: Path) -> None:
    path = folder / "outbox.sqlite"
    path.write_bytes(path.read_bytes()[:-1])


def _elsewhere(folder: Path) -> None:
    path = folder / "backup.json"
    path.write_text(path.read_text().replace('"outbox.sqlite"', '"../../worker.key"'))


@pytest.mark.parametrize(
    ("fault", "damage", "code"),
    [
        ("a file is cut", _cut, "damaged"),
        ("a file is gone", lambda folder: (folder / "journal.sqlite").unlink(), "damaged"),
        ("it names a file elsewhere", _elsewhere, "damaged"),
        ("no manifest", lambda folder: (folder / "backup.json").unlink(), "not-found"),
        ("no JSON", lambda folder: (folder / "backup.json").write_bytes(b"{"), "damaged"),
    ],
)
def test_attack_backup(
    fault: str, damage: Callable[[Path], None], code: str, first: NodeConfig, tmp_path: Path
) -> None:
    backup(first, tmp_path / "b", move=True)
    damage(tmp_path / "b")
    second = worker(tmp_path / "second")
    with pytest.raises(BackupRefused) as caught:
        restore(second, tmp_path / "b")
    assert caught.value.code == code, fault
    assert not list(second.worker.data_dir.glob("*.sqlite")), "nothing was put in place"


def test_a_backup_of_another_account_is_refused(first: NodeConfig, tmp_path: Path) -> None:
    backup(first, tmp_path / "b", move=True)
    with pytest.raises(BackupRefused, match="account"):
        restore(worker(tmp_path / "second", "//Bob"), tmp_path / "b")


def test_nothing_is_overwritten_and_nothing_made_of_nothing(first: NodeConfig, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(BackupRefused, match="exists already"):
        backup(first, tmp_path / "b")
    with pytest.raises(BackupRefused, match="no journal"):
        backup(worker(tmp_path / "empty"), tmp_path / "c")


def test_a_restore_onto_a_full_disk_leaves_what_was_there_and_can_be_made_again(
    first: NodeConfig, tmp_path: Path
) -> None:
    """It left a journal without its outbox, and the backup as used."""
    with closing(sqlite3.connect(first.outbox)) as outbox, outbox:
        outbox.execute("INSERT INTO outbox VALUES (zeroblob(500000))")
    backup(first, tmp_path / "b", move=True)
    second = worker(tmp_path / "second")
    Journal(second.journal, GENESIS + ALICE).close()
    before = second.journal.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            restore(second, tmp_path / "b", replace=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert second.journal.read_bytes() == before
    assert not second.outbox.exists()
    restore(second, tmp_path / "b", replace=True)
    assert jobs(second) == [b"j" * 32]
    assert second.outbox.stat().st_size > 400_000
