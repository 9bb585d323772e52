"""Records at rest: erased by their key, in every copy of the vault."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from proofward.cli import app
from proofward_federation.consents import Register
from proofward_federation.errors import FederationError
from proofward_federation.folder import read_site, read_table_of
from proofward_federation.site import Records
from proofward_federation.vault import KEYS, VAULT, Vault
from tests.federation.world import POLICY

RECORDS = Records(("1", "2", "3"), {"age": np.array([50.0, 60.0, 70.5]), "chol": np.array([1.0, 2.0, 3.0])})


def test_a_record_whose_key_is_gone_opens_in_no_copy(tmp_path: Path) -> None:
    held = Vault.seal(tmp_path, RECORDS)
    assert (tmp_path / KEYS).stat().st_mode & 0o777 == 0o600
    key = held.keys["2"].hex()
    backup = (tmp_path / VAULT).read_bytes()
    Vault.load(tmp_path).erase("2")
    assert key not in (tmp_path / KEYS).read_text()
    (tmp_path / VAULT).write_bytes(backup)
    left = Vault.load(tmp_path).open()
    assert left.names == ("1", "3")
    assert left.columns["age"].tolist() == [50.0, 70.5]
    with pytest.raises(FederationError) as refused:
        Vault.load(tmp_path).erase("2")
    assert refused.value.code == "unknown-record"
    with pytest.raises(FederationError) as refused:
        Vault.seal(tmp_path, RECORDS)
    assert refused.value.code == "vault-exists"


def test_two_erasures_at_once_bring_no_key_back(tmp_path: Path) -> None:
    Vault.seal(tmp_path, RECORDS)
    one, other = Vault.load(tmp_path), Vault.load(tmp_path)
    one.erase("1")
    other.erase("2")  # it has read the first one's key before that was destroyed
    assert Vault.load(tmp_path).open().names == ("3",)


@pytest.mark.parametrize("fault", ["two records exchanged", "a byte", "a column renamed", "no vault", "text"])
def test_a_vault_that_was_changed_is_refused(fault: str, tmp_path: Path) -> None:
    Vault.seal(tmp_path, RECORDS)
    body = json.loads((tmp_path / VAULT).read_text())
    records = body["records"]
    match fault:
        case "two records exchanged":
            records["1"], records["2"] = records["2"], records["1"]
        case "a byte":
            records["1"] = records["1"][:-2] + f"{int(records['1'][-2:], 16) ^ 1:02x}"
        case "a column renamed":
            body["columns"] = ["chol", "age"]
        case "no vault":
            body = []
        case _:
            records["1"] = "zz"
    (tmp_path / VAULT).write_text(json.dumps(body))
    with pytest.raises(FederationError) as refused:
        Vault.load(tmp_path).open()
    assert refused.value.code == "bad-vault"


def test_a_hospital_seals_its_records_and_erases_one(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(POLICY)
    (tmp_path / "records.csv").write_text("record,age,chol,num\n1,50,200,0\n2,60,210,1\n")
    register = Register()
    for name in ("1", "2"):
        register.grant(name, "cardiology", int(time.time()) + 1_000)
    register.save(tmp_path / "consents.json")
    before = read_site(tmp_path)._records
    run = CliRunner()
    assert run.invoke(app, ["federation", "seal-records", str(tmp_path)]).exit_code == 0
    assert not (tmp_path / "records.csv").exists()
    sealed = read_site(tmp_path)._records
    assert sealed.names == before.names
    assert all(np.array_equal(sealed.columns[name], before.columns[name]) for name in before.columns)
    shutil.copy(tmp_path / VAULT, tmp_path / "backup")
    assert run.invoke(app, ["consent", "erase", "2", "--folder", str(tmp_path)]).exit_code == 0
    assert read_site(tmp_path)._records.names == ("1",)
    assert Register.load(tmp_path / "consents.json").live("cardiology", int(time.time())).records == ("1",)
    again = run.invoke(app, ["consent", "erase", "2", "--folder", str(tmp_path), "--json"])
    assert again.exit_code != 0


def test_a_missing_value_is_sealed_and_leaves_no_record_in_clear(tmp_path: Path) -> None:
    (tmp_path / "records.csv").write_text("record,age,never_asked\n1,50,\n2,60,3\n")
    done = CliRunner().invoke(app, ["federation", "seal-records", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {VAULT, KEYS}
    found = Vault.load(tmp_path).open()
    assert np.array_equal(found.columns["never_asked"], [np.nan, 3], equal_nan=True)


@pytest.mark.parametrize("fault", ["a value", "the vault's bytes"])
def test_a_vault_that_does_not_give_the_records_back_is_removed(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "records.csv").write_text("record,age\n1,50\n2,60\n")
    if fault == "a value":
        monkeypatch.setattr(Vault, "open", lambda _: Records(("1", "2"), {"age": np.array([50.0, 61.0])}))
    else:
        seal = Vault.seal

        def torn(folder: Path, records: Records) -> None:
            seal(folder, records)
            (folder / VAULT).write_text("{")

        monkeypatch.setattr(Vault, "seal", torn)
    assert CliRunner().invoke(app, ["federation", "seal-records", str(tmp_path)]).exit_code == 1
    assert {path.name for path in tmp_path.iterdir()} == {"records.csv"}


def test_records_in_clear_beside_a_vault_are_refused(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(POLICY)
    Register().save(tmp_path / "consents.json")
    Vault.seal(tmp_path, RECORDS)
    (tmp_path / "records.csv").write_text("record,age\n1,50\n")
    for read in (read_site, read_table_of):
        with pytest.raises(FederationError, match="in clear") as refused:
            read(tmp_path)
        assert refused.value.code == "bad-records"
