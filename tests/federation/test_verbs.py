"""The verbs, as a shell calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from proofward.cli.verbs import Groups
from proofward_federation.verbs import register
from tests.federation.world import POLICY, UNITS, study_of


@pytest.fixture(scope="module")
def cli() -> typer.Typer:
    root = typer.Typer()
    register(Groups(root, typer.Typer(), typer.Typer(), typer.Typer()))
    return root


def _run(cli: typer.Typer, *arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def test_a_site_says_what_it_lets(cli: typer.Typer, tmp_path: Path) -> None:
    site, good, bad = tmp_path / "site.toml", tmp_path / "good.json", tmp_path / "bad.json"
    site.write_text(POLICY)
    good.write_bytes(study_of().document())
    bad.write_bytes(study_of(deviation=UNITS).document())
    told = json.loads(_run(cli, "federation", "policy", str(site), "--json").stdout)
    assert told["round_nano_rho"] == 125_000_000
    assert _run(cli, "federation", "admit", str(site), str(good)).exit_code == 0
    refused = _run(cli, "federation", "admit", str(site), str(bad), "--json")
    assert refused.exit_code == 1
    assert "policy-noise" in refused.output
    costs = json.loads(_run(cli, "federation", "budget", str(good), "--json").stdout)
    assert costs["total_nano_rho"] == 3 * costs["round_nano_rho"]
    assert _run(cli, "federation", "budget", str(tmp_path / "none.json")).exit_code == 1


def test_a_hospital_notes_who_agrees_and_strikes_who_does_not(cli: typer.Typer, tmp_path: Path) -> None:
    register_file = ("--register", str(tmp_path / "consents.json"))
    for record in ("1", "2"):
        assert _run(cli, "consent", "note", record, *register_file, "--purpose", "cardiology").exit_code == 0
    show = ("consent", "show", *register_file, "--purpose", "cardiology", "--json")
    before = json.loads(_run(cli, *show).stdout)
    assert _run(cli, "consent", "strike", "1", *register_file).exit_code == 0
    after = json.loads(_run(cli, *show).stdout)
    assert (before["live"], after["live"]) == (2, 1)
    assert before["root"] != after["root"]
    assert _run(cli, "consent", "strike", "1", *register_file).exit_code == 1
    assert _run(cli, "consent", "note", "3", *register_file, "--purpose", "profit").exit_code == 1
    assert Path(register_file[1]).stat().st_mode & 0o777 == 0o600


def test_a_published_series_is_watched(cli: typer.Typer, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    rows = [(40, 40)] * 9 + [(41, 95)]
    path.write_text("north,south\n" + "".join(f"{north},{south}\n" for north, south in rows))
    watch = ("federation", "watch", str(path), "--deviation", "4.05", "--json")
    told = json.loads(_run(cli, *watch).stdout)
    assert told["alarms"] == {"column 1 (north)": [], "column 2 (south)": [9]}
    path.write_text("north\n1\n\n2,3\n")
    assert _run(cli, *watch).exit_code == 2


def test_a_patient_s_wallet_and_a_hospital_s_register(cli: typer.Typer, tmp_path: Path) -> None:
    pytest.importorskip("openvc", reason="make federation installs openvc-core")
    wallet, register_file = str(tmp_path / "me.json"), str(tmp_path / "consents.json")
    given, back = str(tmp_path / "given"), str(tmp_path / "back")
    hospital = ("--register", register_file, "--hospital", "VA")
    grant = ("consent", "grant", "VA", "--wallet", wallet, "--purpose", "cardiology", "--out", given)
    assert _run(cli, *grant).exit_code == 0
    assert _run(cli, "consent", "accept", "7", given, *hospital).exit_code == 0
    assert _run(cli, "consent", "accept", "8", given, *hospital).exit_code == 1
    assert _run(cli, "consent", "accept", "7", wallet, *hospital).exit_code == 1
    show = ("consent", "show", "--register", register_file, "--purpose", "cardiology")
    assert "1 live" in _run(cli, *show).stdout
    assert _run(cli, "consent", "revoke", "VA", "--wallet", wallet, "--out", back).exit_code == 0
    assert _run(cli, "consent", "take-back", back, *hospital).exit_code == 0
    assert _run(cli, *show).exit_code == 1


def test_a_revocation_that_is_not_known_here_stops_none_beside_it(cli: typer.Typer, tmp_path: Path) -> None:
    pytest.importorskip("openvc", reason="make federation installs openvc-core")
    wallet, register_file = str(tmp_path / "me.json"), str(tmp_path / "consents.json")
    back, hospital = tmp_path / "back", ("--register", register_file, "--hospital", "VA")
    for purpose in ("quality", "cardiology"):
        given = str(tmp_path / purpose)
        grant = ("consent", "grant", "VA", "--wallet", wallet, "--purpose", purpose, "--out", given)
        assert _run(cli, *grant).exit_code == 0
    assert _run(cli, "consent", "accept", "7", str(tmp_path / "cardiology"), *hospital).exit_code == 0
    assert _run(cli, "consent", "revoke", "VA", "--wallet", wallet, "--out", str(back)).exit_code == 0
    took = ("consent", "take-back", str(back), *hospital, "--json")
    assert json.loads(_run(cli, *took).stdout) == {"records": ["7"], "unknown": 1}
    late = _run(cli, "consent", "accept", "8", str(tmp_path / "quality"), *hospital, "--json")
    assert late.exit_code == 1
    assert "consent-revoked" in late.output
    again = ("consent", "grant", "VA", "--wallet", wallet, "--purpose", "cardiology", "--out", given)
    assert _run(cli, *again).exit_code == 0
    assert _run(cli, "consent", "accept", "7", given, *hospital).exit_code == 0
    assert _run(cli, "consent", "revoke", "VA", "--wallet", wallet, "--out", str(back)).exit_code == 0
    back.write_text("no revocation\n" + back.read_text())
    assert _run(cli, *took).exit_code == 1
    show = ("consent", "show", "--register", register_file, "--purpose", "cardiology")
    assert _run(cli, *show).exit_code == 1, "those beside the one that is none were followed"
