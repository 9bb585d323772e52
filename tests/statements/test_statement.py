"""Statements proved and verified: true ones pass, everything else does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from proofward_prover import verify
from typer.testing import CliRunner

from proofward.cli import app
from proofward.client import statements
from proofward.client.answer import examine
from proofward.evidence import proof_file
from proofward.evidence.bundle import save_bundle
from proofward.evidence.proof_file import ProofFileError
from proofward.evidence.verdict import Outcome, outcome_of
from proofward.statements import accuracy, keys
from proofward.statements import statement as files
from proofward.statements.errors import StatementError
from proofward.statements.keys import StatementKey
from proofward.statements.statement import Opened, Statement
from proofward.zkml import Artifact
from proofward.zkml.groth16.records import open_record
from tests.evidence import GENESIS, Evidence, pinned


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


def opened(evidence: Evidence) -> Opened:
    """What the job's client has of its output."""
    public = evidence.artifact.public
    _, payload = examine(public, evidence.context, evidence.bundle.result.sealed_output, evidence.reply_key)
    assert payload is not None
    values = np.array(payload.values, dtype=np.int64).reshape(1, -1)
    salt = open_record(public.manifest, "output", values, payload.output_salt, 0).salt
    return Opened(
        [evidence.bundle.result.output_commitment],
        values.tolist(),
        [salt],
        genesis=GENESIS,
        jobs=[evidence.bundle.job.id],
    )


def sentence(evidence: Evidence, more: int = 0) -> str:
    """That the only output is at least what it is, and a little more."""
    public = evidence.artifact.public
    value = (opened(evidence).values[0][0] + more) / public.manifest.output.scale
    return f'"{public.output_names[0]}" >= {value:.30f}'


@pytest.fixture(scope="module")
def key(evidence: Evidence, shelf: Path) -> StatementKey:
    public = evidence.artifact.public
    return statements.key_for(sentence(evidence), public, 1, False, "output", shelf)


@pytest.fixture(scope="module")
def statement(evidence: Evidence, key: StatementKey) -> Statement:
    return files.prove(sentence(evidence), evidence.artifact.public, opened(evidence), key)


def judged(statement: Statement, evidence: Evidence, key: StatementKey, **options: bool) -> Outcome:
    chosen = {"development": True, "own_key": False} | options
    checks = files.checks(statement, evidence.artifact.public, key, **chosen)
    checks += statements.bundle_checks([evidence.bundle], statement, pinned(evidence))
    return outcome_of(checks)


def test_a_true_sentence_is_accepted_and_shows_nothing_else(
    statement: Statement, evidence: Evidence, key: StatementKey, tmp_path: Path
) -> None:
    statement.save(tmp_path / "s.json")
    again = files.load(tmp_path / "s.json")
    assert again == statement
    assert judged(again, evidence, key) is Outcome.ACCEPTED
    assert len(bytes.fromhex(again.proof)) == 256
    text = (tmp_path / "s.json").read_text()
    assert opened(evidence).salts[0].hex() not in text
    assert str(opened(evidence).values[0][0] - 1) not in text


def test_what_is_false_is_not_proved(evidence: Evidence, key: StatementKey) -> None:
    with pytest.raises(StatementError) as refused:
        files.prove(sentence(evidence, 1), evidence.artifact.public, opened(evidence), key)
    assert refused.value.code == "false"


@pytest.mark.parametrize(
    "fault",
    ["sentence", "threshold", "commitment", "proof", "manifest", "key", "subject", "job", "genesis", "twice"],
)
def test_a_changed_statement_is_refused(
    fault: str, statement: Statement, evidence: Evidence, key: StatementKey
) -> None:
    other = "ab" * 32
    name = evidence.artifact.public.output_names[0]
    faults: dict[str, dict[str, Any]] = {
        "sentence": {"sentence": sentence(evidence, 1)},
        "threshold": {"sentence": sentence(evidence, -1)},
        "commitment": {"commitments": [f"{1:064x}"]},
        "proof": {"proof": statement.proof[:-1] + ("0" if statement.proof[-1] != "0" else "1")},
        "manifest": {"manifest_hash": other},
        "key": {"key": other},
        "subject": {"subject": "input", "sentence": f'"{name}" >= 0'},
        "job": {"jobs": [other]},
        "genesis": {"genesis": other},
        "twice": {
            "commitments": statement.commitments * 2,
            "jobs": (statement.jobs or []) * 2,
            "sentence": f"all: {statement.sentence}",
        },
    }
    forged = statement.model_copy(update=faults[fault])
    assert judged(forged, evidence, key) is Outcome.REFUSED


def test_keys_of_one_party_are_refused_outside_development(
    statement: Statement, evidence: Evidence, key: StatementKey
) -> None:
    assert judged(statement, evidence, key, development=False) is Outcome.REFUSED
    assert judged(statement, evidence, key, development=False, own_key=True) is Outcome.ACCEPTED
    assert files.flags(key, own_key=False) == ("setup: dev",)


def test_keys_of_ones_own_do_not_hide_whose_the_models_are(evidence: Evidence, key: StatementKey) -> None:
    assert files.flags(key, own_key=True) == ()
    assert statements.bundle_flags([evidence.bundle, evidence.bundle]) == ("simulated", "setup: dev")


def test_a_key_of_another_circuit_is_found_out(
    evidence: Evidence, key: StatementKey, shelf: Path, tmp_path: Path
) -> None:
    """A publisher's key of a circuit that says yes to everything, under the name of this one."""
    public = evidence.artifact.public
    other = statements.key_for(f"any: {sentence(evidence)}", public, 2, False, "output", shelf)
    forged = tmp_path / "forged"
    forged.mkdir()
    (forged / "key.json").write_text((key.folder / "key.json").read_text())
    for name in ("vk.bin", "pk.bin"):
        (forged / name).write_bytes((other.folder / name).read_bytes())
    assert keys.load(forged).is_circuits() is False
    facts = json.loads((key.folder / "key.json").read_text())
    (forged / "key.json").write_text(json.dumps(facts | {"records": 2, "together": True}))
    with pytest.raises(StatementError, match="another version"):
        keys.load(forged)


@pytest.mark.parametrize("junk", [bytes(640), b"\xff" * 640], ids=["zeros", "ones"])
def test_a_key_that_is_none_is_a_verdict_and_no_error(
    junk: bytes, statement: Statement, evidence: Evidence, key: StatementKey, tmp_path: Path
) -> None:
    (tmp_path / "key.json").write_text((key.folder / "key.json").read_text())
    (tmp_path / "vk.bin").write_bytes(junk)
    named = statement.model_copy(update={"key": hashlib.sha256(junk).hexdigest()})
    assert judged(named, evidence, keys.load(tmp_path)) is Outcome.REFUSED


def test_two_jobs_are_counted(shelf: Path, artifact: Artifact) -> None:
    manifest = artifact.public.manifest
    bounds = [tuple(one) for one in manifest.lane_params["output_bounds"]]
    values = [[bounds[0][0]], [bounds[0][1]]]
    parts = [
        (artifact.public.commit_output(np.array([one], dtype=np.int64), bytes([i] * 32)),
         open_record(manifest, "output", np.array([one], dtype=np.int64), bytes([i] * 32), 0).salt)
        for i, one in enumerate(values)
    ]  # fmt: skip
    both = Opened([c for c, _ in parts], values, [s for _, s in parts])
    middle = (bounds[0][0] + bounds[0][1]) // 2 / manifest.output.scale
    said = f'"{artifact.public.output_names[0]}" >= {middle:.9f}'
    key = statements.key_for(f"any: {said}", artifact.public, 2, False, "output", shelf)
    for quantifier, true in [("any", True), ("all", False), ("exactly 1", True), ("at most 0", False),
                             ("record 1", True), ("record 0", False)]:  # fmt: skip
        text = f"{quantifier}: {said}"
        if not true:
            with pytest.raises(StatementError, match="not true"):
                files.prove(text, artifact.public, both, key)
            continue
        made = files.prove(text, artifact.public, both, key)
        meant = made.meaning(artifact.public)
        arguments = (made.first_input(), meant.shape.word(meant.claim), bytes.fromhex(made.proof))
        assert verify(key.verifying_key, *arguments)
        swapped = replace(both, commitments=list(reversed(both.commitments)))
        with pytest.raises(StatementError, match="other commitments"):
            files.prove(text, artifact.public, swapped, key)


def test_the_command_line_proves_and_verifies(
    evidence: Evidence, statement: Statement, key: StatementKey, tmp_path: Path
) -> None:
    file, bundle = tmp_path / "s.json", tmp_path / "job.bundle"
    statement.save(file)
    save_bundle(evidence.bundle, bundle)
    public = str(evidence.artifact.path / "public")
    run = CliRunner()
    arguments = ["statement", "verify", str(file), "--artifact", public, "--key", str(key.folder)]
    policy = pinned(evidence)
    assert policy.genesis is not None
    assert policy.measurements is not None
    (measurement,) = policy.measurements
    pins = ["--genesis", policy.genesis.hex(), "--measurement", measurement.hex()]
    good = run.invoke(app, [*arguments, "--bundle", str(bundle), *pins, "--dev"])
    assert good.exit_code == 0, good.output
    assert "setup: dev" in good.output.splitlines()[-1]
    alone = run.invoke(app, [*arguments, "--dev", "--json"])
    assert alone.exit_code == 7
    assert json.loads(alone.stdout)["outcome"] == "incomplete"
    refused = run.invoke(app, [*arguments, "--bundle", str(bundle), *pins])
    assert refused.exit_code == 1
    shown = run.invoke(app, ["statement", "show", str(file), "--artifact", public])
    assert shown.exit_code == 0
    assert "integer" in shown.output


def test_a_proof_file_is_opened_by_its_salts(
    evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROOFWARD_STATE", str(tmp_path / "state"))
    run, out, made = CliRunner(), tmp_path / "proof.json", tmp_path / "s.json"
    record = tmp_path / "record.csv"
    record.write_text("0.25,-0.5,0.75\n")
    folder = str(evidence.artifact.path)
    proved = run.invoke(app, ["prove", folder, "--input", str(record), "--out", str(out)])
    assert proved.exit_code == 0, proved.output
    said = ["--that", sentence(evidence), "--artifact", folder, "--input", str(record)]
    done = run.invoke(app, ["statement", "prove", str(out), *said, "--out", str(made), "--json"])
    assert done.exit_code == 0, done.output
    keys_ = tmp_path / "state" / "statement-keys" / "1-1x48-48"
    judged = run.invoke(
        app,
        ["statement", "verify", str(made), "--artifact", folder, "--key", str(keys_), "--own-key", "--json"],
    )
    assert judged.exit_code == 7
    assert all(check["ok"] is not False for check in json.loads(judged.stdout)["checks"])
    record.write_text("0.25,-0.5,0.1\n")
    other = run.invoke(app, ["statement", "prove", str(out), *said, "--out", str(made)])
    assert other.exit_code == 1
    assert "not the ones" in other.output


@pytest.mark.parametrize("span", [0, 3, 50, 60])
def test_keys_of_no_possible_scale_are_refused(span: int, key: StatementKey, tmp_path: Path) -> None:
    facts = json.loads((key.folder / "key.json").read_text())
    (tmp_path / "key.json").write_text(json.dumps({**facts, "widths": [0], "span": span}))
    (tmp_path / "vk.bin").write_bytes(key.verifying_key)
    with pytest.raises(StatementError):
        keys.load(tmp_path)


def test_no_more_records_are_right_than_there_are(tmp_path: Path) -> None:
    told = {name: "00" * 32 for name in ("manifest_hash", "root", "key")}
    said = {"format": accuracy.FORMAT, **told, "records": 20, "right": 21, "proof": "00" * 256}
    (tmp_path / "accuracy.json").write_text(json.dumps(said))
    with pytest.raises(StatementError):
        accuracy.load(tmp_path / "accuracy.json")


@pytest.mark.parametrize("load", [files.load, accuracy.load])
def test_a_file_that_is_nested_without_end_is_refused(load: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text("[" * 30_000)
    with pytest.raises(StatementError):
        load(tmp_path / "file.json")


@pytest.mark.parametrize("salt", ["", "00", "00" * 33])
def test_salts_of_another_length_are_refused(salt: str, tmp_path: Path) -> None:
    told = {"format": proof_file.SALTS_FORMAT, "input_salt": salt, "output_salt": "00" * 32}
    (tmp_path / "proof.json.salts").write_text(json.dumps(told))
    with pytest.raises(ProofFileError):
        proof_file.load_salts(tmp_path / "proof.json")
