"""Job secrets are private, whole, and never replaced."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from proofward.client.store import JobSecrets, JobStore, default_directory
from proofward.errors import NotFound, Refused

GENESIS = b"g" * 32


def _secrets(**changes: object) -> JobSecrets:
    fields: dict[str, object] = dict.fromkeys(
        ("job", "client", "model", "manifest_hash", "input_commitment", "input_salt", "reply_secret"),
        "ab" * 32,
    )
    return JobSecrets.model_validate({**fields, "genesis": GENESIS.hex(), "records": 1, **changes})


def test_saved_secrets_are_private_and_come_back(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "state", GENESIS)
    store.save(_secrets())
    store.save(_secrets())
    (path,) = store.directory.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    assert store.load(bytes.fromhex("ab" * 32)) == _secrets()
    assert store.jobs() == [bytes.fromhex("ab" * 32)]
    assert "abab" not in repr(_secrets()).replace("job=" + "ab" * 32, "")


def test_other_secrets_do_not_replace_them(tmp_path: Path) -> None:
    store = JobStore(tmp_path, GENESIS)
    store.save(_secrets())
    with pytest.raises(Refused):
        store.save(_secrets(input_salt="cd" * 32))
    assert store.load(bytes.fromhex("ab" * 32)) == _secrets()


def test_a_user_without_a_home_is_told_to_name_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROOFWARD_STATE", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    with pytest.raises(Refused, match="set PROOFWARD_STATE"):
        default_directory()


def test_missing_damaged_and_foreign_files(tmp_path: Path) -> None:
    store = JobStore(tmp_path, GENESIS)
    with pytest.raises(NotFound):
        store.load(b"j" * 32)
    (store.directory / f"{(b'j' * 32).hex()}.json").write_text("{}")
    with pytest.raises(Refused, match="damaged"):
        store.load(b"j" * 32)
    (store.directory / f"{(b'j' * 32).hex()}.json").write_text(_secrets().model_dump_json())
    with pytest.raises(Refused, match="another job"):
        store.load(b"j" * 32)
