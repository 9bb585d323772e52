"""How many of a test set are right, proved; the set stays private, the count cannot be another."""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from proofward_prover import evaluate
from scipy.stats import beta
from typer.testing import CliRunner

from proofward.cli import app
from proofward.evidence.verdict import Outcome, outcome_of
from proofward.statements import accuracy
from proofward.statements.accuracy import AccuracyKey, TestSet
from proofward.statements.errors import StatementError
from proofward.zkml import Artifact, CompileOptions, compile_model
from proofward.zkml.groth16.program.program import Program
from proofward.zkml.manifest import Task
from tests.zkml.onnx_models import Graph, hasty

RECORDS = 5


@hasty()
def model(folder: Path, classes: int) -> Artifact:
    graph = Graph((3,), seed=3)
    graph.node("Gemm", graph.weights(4, 3), graph.weights(4), transB=1)
    graph.node("Relu")
    graph.node("Gemm", graph.weights(classes, 4), graph.weights(classes), transB=1)
    graph.node("Sigmoid" if classes == 1 else "Softmax")
    task: Task = "binary" if classes == 1 else "multiclass"
    options = CompileOptions(task=task, lane="groth16", accuracy_bound=0.5, max_shift=10.0)
    return compile_model(graph.model(), graph.records(64), folder, name="small", options=options)


@pytest.fixture(scope="module", params=[1, 3])
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return model(tmp_path_factory.mktemp("accuracy") / f"classes{request.param}", request.param)


@pytest.fixture(scope="module")
def program(artifact: Artifact) -> Program:
    return Program.decode((artifact.path / "private" / "program.bin").read_bytes())


@pytest.fixture(scope="module")
def key(artifact: Artifact, program: Program, tmp_path_factory: pytest.TempPathFactory) -> AccuracyKey:
    return accuracy.key_for(program, artifact.public, RECORDS, tmp_path_factory.mktemp("keys") / "key")


def infer(artifact: Artifact, values: np.ndarray) -> np.ndarray:
    return np.concatenate([artifact.infer(record[None]) for record in values])


def held(artifact: Artifact, right: int) -> TestSet:
    """Records of which so many are right."""
    rng = np.random.default_rng(7)
    values = artifact.public.quantize(rng.uniform(-0.9, 0.9, (RECORDS, 3)))
    classes = max(2, artifact.manifest.output.length)
    decided = np.array([int(str(one)) for one in artifact.public.decide(infer(artifact, values))])
    truth = np.where(np.arange(RECORDS) < right, decided, (decided + 1) % classes)
    return TestSet(values, truth.astype(np.int64), b"\x07" * 32)


def test_the_program_counts_as_the_model_decides(artifact: Artifact, program: Program) -> None:
    counting = accuracy.counting(program, artifact.manifest, RECORDS).encode()
    for right in (0, 2, RECORDS):
        assert evaluate(counting, held(artifact, right).flat()) == [right]


def judged(
    proved: accuracy.Accuracy, artifact: Artifact, program: Program, key: AccuracyKey, **more: Any
) -> Outcome:
    options: dict[str, Any] = {"development": True, "own_key": False} | more
    return outcome_of(accuracy.checks(proved, artifact.public, program, key.folder, **options))


def test_a_count_is_proved_and_no_other_is_believed(
    artifact: Artifact, program: Program, key: AccuracyKey, tmp_path: Path
) -> None:
    test_set = held(artifact, 4)
    proved = accuracy.prove_accuracy(artifact.public, key, test_set)
    assert proved.right == 4
    proved.save(tmp_path / "a.json")
    again = accuracy.load(tmp_path / "a.json")
    root = accuracy.root_of(key.circuit.input_bounds, test_set)
    assert judged(again, artifact, program, key, root=root) is Outcome.ACCEPTED
    assert judged(again, artifact, program, key, development=False) is Outcome.REFUSED
    assert judged(again, artifact, program, key, root=bytes(32)) is Outcome.REFUSED
    for change in ({"right": 5}, {"records": 4}, {"root": f"{1:064x}"}, {"key": "ab" * 32},
                   {"manifest_hash": "ab" * 32}, {"proof": "00" * 256}):  # fmt: skip
        assert judged(again.model_copy(update=change), artifact, program, key) is Outcome.REFUSED
    junk = replace(key, folder=tmp_path / "junk")
    junk.folder.mkdir()
    (junk.folder / "vk.bin").write_bytes(bytes(640))
    named = again.model_copy(update={"key": hashlib.sha256(bytes(640)).hexdigest()})
    assert judged(named, artifact, program, junk) is Outcome.REFUSED
    other = TestSet(test_set.values, test_set.truth, b"\x08" * 32)
    assert accuracy.root_of(key.circuit.input_bounds, other) != root


def test_the_command_line_counts_and_verifies(artifact: Artifact, key: AccuracyKey, tmp_path: Path) -> None:
    test_set = held(artifact, 3)
    rows = artifact.manifest.input.quantiser.restore(test_set.values)  # type: ignore[union-attr]
    table, out = tmp_path / "held.csv", tmp_path / "accuracy.json"
    lines = [
        ",".join(f"{x!r}" for x in [*row.tolist(), int(y)])
        for row, y in zip(rows, test_set.truth, strict=True)
    ]
    table.write_text("\n".join(lines) + "\n")
    folder, keys = str(artifact.path), str(key.folder)
    asked = ["statement", "accuracy", folder, "--evaluation", str(table), "--out", str(out), "--key", keys]
    done = CliRunner().invoke(app, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["right"], told["records"]) == (3, RECORDS)
    salt = tmp_path / "accuracy.json.salt"
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    verify = ["statement", "verify", str(out), "--artifact", folder, "--key", keys, "--root", told["root"]]
    good = CliRunner().invoke(app, [*verify, "--dev"])
    assert good.exit_code == 0, good.output
    assert "3 of 5 records are right" in good.output
    assert CliRunner().invoke(app, verify).exit_code == 1
    again = CliRunner().invoke(app, [*asked, "--json"])
    assert json.loads(again.stdout)["root"] == told["root"]


def test_a_proof_that_fails_leaves_no_salt(
    artifact: Artifact, key: AccuracyKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> accuracy.Accuracy:
        raise StatementError("no proof")

    monkeypatch.setattr(accuracy, "prove_accuracy", fail)
    table = tmp_path / "held.csv"
    table.write_text("0.1,0.1,0.1,1\n" * RECORDS)
    asked = ["statement", "accuracy", str(artifact.path), "--evaluation", str(table)]
    done = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "a.json"), "--key", str(key.folder)])
    assert "no proof" in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["held.csv"]


def test_what_decides_nothing_is_never_right(artifact: Artifact, program: Program) -> None:
    changed = artifact.manifest.model_copy(
        update={"output": artifact.manifest.output.model_copy(update={"decision": "value"})}
    )
    with pytest.raises(StatementError, match="decides between no classes"):
        accuracy.counting(program, changed, RECORDS)
    with pytest.raises(StatementError, match="8192"):
        accuracy.counting(program, artifact.manifest, 3000)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 143), (143, 143), (140, 143), (7, 10), (250, 1000)])
def test_the_interval_is_clopper_and_pearsons(k: int, n: int) -> None:
    low, high = accuracy.clopper_pearson(k, n)
    assert low == pytest.approx(0.0 if k == 0 else beta.ppf(0.025, k, n - k + 1), abs=1e-9)
    assert high == pytest.approx(1.0 if k == n else beta.ppf(0.975, k + 1, n - k), abs=1e-9)
