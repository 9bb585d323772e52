"""What a compiled model answers is what ONNX Runtime answers: scalers before trees, imputers, labels,
tasks.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from proofward.publisher.build import Reading, artifact
from proofward.zkml import (
    AccuracyError,
    CompileError,
    CompileOptions,
    Evaluation,
    InputRangeError,
    UnsupportedModel,
    compile_model,
    dry_run,
)
from proofward.zkml.compile import compile_request
from proofward.zkml.external import refuse_external, whole
from proofward.zkml.groth16.compiler import float_model
from proofward.zkml.groth16.compiler.onnx_frontend import trace
from proofward.zkml.groth16.compiler.recompile import lower_ensemble, recompile
from proofward.zkml.groth16.program import reference
from proofward.zkml.report import lines as report_lines
from proofward.zkml.task import resolve
from tests.zkml.onnx_models import GROTH16, REGRESSION, Graph, tree_of_gaps


def _data(n: int, features: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, features))


def test_thresholds_behind_a_scaler_are_exact_on_the_threshold_itself() -> None:
    """Integers as inputs: a scaled value then meets a threshold often, and float32 rounding decides."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, (300, 3)).astype(np.float64)
    y = x @ [1.0, -2.0, 0.5]
    scaler = StandardScaler().fit(x)
    trees = GradientBoostingRegressor(n_estimators=20, max_depth=3, random_state=0).fit(
        scaler.transform(x), y
    )
    proto = to_onnx(make_pipeline(scaler, trees), x[:1].astype(np.float32))
    node = next(n for n in proto.graph.node if n.op_type.startswith("TreeEnsemble"))
    for attribute in node.attribute:
        if attribute.name == "nodes_values":  # put the thresholds on values that the scaler gives
            grid = ((x.astype(np.float32) - np.float32(scaler.mean_)) / np.float32(scaler.scale_)).reshape(-1)
            near = [float(grid[np.abs(grid - v).argmin()]) for v in attribute.floats]
            attribute.floats[:] = near
    model = proto.SerializeToString()
    traced = trace(model)
    lowered = lower_ensemble(traced)
    ours = reference.evaluate(lowered.program, lowered.quantiser.quantize(x)) / lowered.scale
    np.testing.assert_allclose(ours, float_model.scores(model, traced, x), rtol=1e-5)


def test_a_missing_value_is_what_the_model_imputes_and_nowhere_else(tmp_path: Path) -> None:
    x = _data(200, 3, 1)
    y = (x[:, 0] > 0).astype(int)
    x[::7, 1] = np.nan
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(x, y)
    model = to_onnx(pipeline, x[:1].astype(np.float32)).SerializeToString()
    made = compile_model(model, x, tmp_path / "m", name="m", options=GROTH16, evaluation=Evaluation(x, y))
    assert made.manifest.input.missing
    record = np.array([[0.5, np.nan, -0.25]])
    q = made.public.quantize(record)
    assert made.public.decide(made.infer(q)) == [str(pipeline.predict(record)[0])]
    graph = Graph((3,))
    graph.node("Gemm", graph.weights(3, 1))
    with pytest.raises(CompileError, match="missing"):
        compile_model(
            graph.model(),
            x,
            tmp_path / "n",
            name="n",
            options=REGRESSION,
        )


def test_a_flag_takes_its_two_values_alone(tmp_path: Path) -> None:
    x = _data(100, 2, 2)
    x[:, 1] = np.arange(100) % 2
    graph = Graph((2,))
    graph.node("Gemm", graph.weights(2, 1))
    made = compile_model(graph.model(), x, tmp_path / "m", name="m", options=REGRESSION)
    made.public.quantize(np.array([[0.1, 1.0]]))
    with pytest.raises(InputRangeError, match="0 or 1 alone"):
        made.public.quantize(np.array([[0.1, 0.4]]))


def test_the_task_is_asked_for_where_it_is_not_certain() -> None:
    flags, classes, values = np.array([0.0, 1, 1]), np.array([0.0, 2, 1]), np.array([0.5, 7, 1])
    assert resolve(None, "value", "raw", 1, values) == ("regression", "value")
    assert resolve(None, "value", "raw", 3, classes) == ("multiclass", "argmax")
    assert resolve("multilabel", "value", "raw", 3, None) == ("multilabel", "multilabel")
    for truth, length in ((None, 1), (flags, 1), (2 * flags - 1, 1), (flags + 1, 1), (None, 3), (values, 3)):
        with pytest.raises(CompileError, match="--task") as caught:
            resolve(None, "value", "raw", length, truth)
        assert caught.value.code == "task-needed"
    with pytest.raises(CompileError, match="does not fit"):
        resolve("regression", "sigmoid", "decided", 1, None)


@pytest.mark.parametrize(
    ("fault", "truth", "says"),
    [
        ("no class", np.arange(100.0) % 2 + 1, "none of the model's classes"),
        ("nan", np.full(100, np.nan), "truth"),
    ],
)
def test_a_truth_that_is_none_is_refused(tmp_path: Path, fault: str, truth: np.ndarray, says: str) -> None:
    x = _data(100, 2, 3)
    graph = Graph((2,))
    graph.node("Gemm", graph.weights(2, 1))
    graph.node("Sigmoid")
    with pytest.raises(CompileError, match=says):
        compile_model(
            graph.model(), x, tmp_path / "m", name="m", options=GROTH16, evaluation=Evaluation(x, truth)
        )


def test_a_label_that_contradicts_its_scores_is_refused(tmp_path: Path) -> None:
    """The graph's label is the smallest score's class."""
    graph = Graph((3,))
    scores = graph.node("Gemm", graph.weights(3, 3, scale=1.0))
    graph.raw("Softmax", [scores])
    model = onnx.load_model_from_string(graph.model())
    model.graph.node.append(helper.make_node("ArgMin", [scores], ["label"], axis=1, keepdims=0))
    model.graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, None))
    with pytest.raises(UnsupportedModel, match="own label"):
        compile_model(model.SerializeToString(), _data(60, 3, 4), tmp_path / "m", name="m", options=GROTH16)


def test_weights_beside_the_file_are_taken_in_from_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = Graph((3,))
    graph.node("Gemm", graph.weights(3, 2))
    graph.node("Softmax")
    inside = graph.model()
    folder, elsewhere = tmp_path / "a", tmp_path / "b"
    folder.mkdir()
    elsewhere.mkdir()
    onnx.save_model(
        onnx.load_model_from_string(inside), str(folder / "m.onnx"), save_as_external_data=True,
        location="m.data", size_threshold=0,
    )  # fmt: skip
    (elsewhere / "m.data").write_bytes(bytes(24))
    monkeypatch.chdir(elsewhere)
    data, taken_in = whole(folder / "m.onnx")
    assert taken_in
    refuse_external(data)
    x = _data(5, 3, 5)
    assert np.array_equal(
        float_model.scores(data, trace(data), x), float_model.scores(inside, trace(inside), x)
    )
    with pytest.raises(UnsupportedModel, match="beside it"):
        compile_model((folder / "m.onnx").read_bytes(), x, tmp_path / "m", name="m")


def test_the_report_is_on_records_that_chose_nothing(tmp_path: Path) -> None:
    x = _data(300, 2, 6)
    y = (x.sum(axis=1) > 0).astype(int)
    graph = Graph((2,))
    graph.node("Gemm", np.array([[3.0], [3.0]], dtype=np.float32))
    graph.node("Sigmoid")
    table = tmp_path / "cal.csv"
    table.write_text("a,b\n" + "\n".join(f"{p},{q}" for p, q in x[:200].tolist()))
    held = tmp_path / "held.csv"
    rows = [*zip(y[200:].tolist(), x[200:, 1].tolist(), x[200:, 0].tolist(), strict=True), (1, 99.0, 99.0)]
    held.write_text("sick,b,a\n" + "\n".join(",".join(map(str, row)) for row in rows))
    (tmp_path / "m.onnx").write_bytes(graph.model())
    made = artifact(tmp_path / "m.onnx", table, held, out=tmp_path / "out", reading=Reading(truth="sick"))
    accuracy, report = made.manifest.accuracy, made.manifest.accuracy.report
    assert report is not None
    assert (report.given, report.refused, accuracy.records, report.held_out) == (101, 1, 100, True)
    assert accuracy.float_ == 1.0
    assert report.float_interval[0] == pytest.approx(1 / (1 + 1.959964**2 / 100), abs=1e-6)
    assert report.agreement == 1 - (report.flips or 0) / 100
    assert 0 < report.mean_shift <= report.largest_shift <= 0.1
    assert [feature.name for feature in made.manifest.input.features or []] == ["a", "b"]


def _near_the_line(n: int, seed: int) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A logistic model whose records lie close to its decision."""
    graph = Graph((2,))
    graph.node("Gemm", np.array([[1.0], [1.0]], dtype=np.float32))
    graph.node("Sigmoid")
    x = _data(n, 2, seed)
    return graph.model(), x, (x.sum(axis=1) > 0).astype(int)


def test_searched_chosen_and_reported_records_are_three_and_said(tmp_path: Path) -> None:
    model, x, y = _near_the_line(400, 7)
    request = compile_request(model, x[:300], Evaluation(x[300:], y[300:]))
    assert request.choice is not None
    parts = [request.calibration, request.choice, request.held_out.x]
    assert [len(part) for part in parts] == [240, 60, 100]
    rows = [tuple(row) for part in parts for row in part.tolist()]
    assert len(set(rows)) == 400
    lane, estimate = dry_run(model, x[:300], evaluation=Evaluation(x[300:], y[300:]))
    report = estimate.accuracy.report
    assert lane == "groth16"
    assert report is not None
    assert (report.searched, report.chosen, report.given) == (240, 60, 100)
    said = "\n".join(report_lines(estimate.accuracy))
    for wanted in ("searched with 240", "chosen by 60 others", "100 held-out", "0 refused", "agreement"):
        assert wanted in said
    for wanted in ("shift    largest", "95 % intervals", "false negatives"):
        assert wanted in said


def test_a_dry_run_reports_and_makes_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proofward.zkml.groth16.keys.make", lambda *_a, **_k: pytest.fail("keys were made"))
    model, x, y = _near_the_line(300, 8)
    _, estimate = dry_run(model, x[:200], evaluation=Evaluation(x[200:], y[200:]))
    assert 0 < estimate.rows <= estimate.domain
    assert estimate.prove_ms > 0
    assert estimate.memory_bytes > estimate.key_bytes > 0
    assert sum(count for _, count in estimate.by_layer) == estimate.rows


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (replace(GROTH16, max_disagreement=0.0, accuracy_bound=0.5), "disagreement"),
        (replace(GROTH16, max_shift=1e-9), "shift"),
    ],
)
def test_bounds_that_no_integers_keep_are_refused_by_name(
    tmp_path: Path, options: CompileOptions, says: str
) -> None:
    model, x, y = _near_the_line(400, 9)
    x[300:] *= 0.001  # every record of the report is a near tie
    with pytest.raises(AccuracyError, match=says):
        compile_model(
            model, x[:300], tmp_path / "m", name="m", evaluation=Evaluation(x[300:], y[300:]), options=options
        )  # fmt: skip


def test_a_larger_bound_takes_fewer_bits() -> None:
    model, x, _ = _near_the_line(400, 10)
    costs = [dry_run(model, x, options=CompileOptions(max_shift=shift))[1].rows for shift in (0.002, 0.1)]
    assert costs[1] < costs[0]


def test_a_missing_value_takes_the_trees_own_direction(tmp_path: Path) -> None:
    """Of the features that lacked values in calibration; elsewhere a gap is refused."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=(300, 2))
    y = ((x[:, 0] > 0) ^ (x[:, 1] > 0.5)).astype(int)
    x[::4, 0] = np.nan
    trees, model = tree_of_gaps(x, y)
    made = compile_model(model, x, tmp_path / "m", name="m", options=GROTH16, evaluation=Evaluation(x, y))
    assert made.manifest.input.missing
    record = np.array([[np.nan, 0.7], [np.nan, -0.7], [0.3, 0.7]])
    decided = [made.public.decide(made.infer(made.public.quantize(row[None])))[0] for row in record]
    assert decided == [str(label) for label in trees.predict(record)]
    with pytest.raises(InputRangeError, match="feature 1 is missing"):
        made.public.quantize(np.array([[0.3, np.nan]]))
    remade = recompile(model, made.manifest.input.quantiser, None)
    assert remade.quantiser == made.manifest.input.quantiser


def test_a_missing_value_is_refused_where_the_converter_left_the_trees_direction_out() -> None:
    rng = np.random.default_rng(11)
    x = rng.normal(size=(300, 2))
    y = ((x[:, 0] > 0) ^ (x[:, 1] > 0.5)).astype(int)
    gappy = x.copy()
    gappy[::4, 0] = np.nan
    trees = DecisionTreeClassifier(max_depth=4, random_state=0).fit(gappy, y)
    model = to_onnx(trees, x[:1].astype(np.float32)).SerializeToString()
    with pytest.raises(UnsupportedModel, match="feature 0 lacks values in calibration, and skl2onnx"):
        dry_run(model, gappy)
    assert dry_run(model, x)[0] == "groth16"


def test_a_threshold_that_the_converter_left_out_is_told() -> None:
    x = _data(80, 2, 14)
    tuned = TunedThresholdClassifierCV(LogisticRegression(), cv=2).fit(x, x[:, 0] > 0)
    with pytest.raises(UnsupportedModel, match="threshold of a TunedThreshold"):
        trace(to_onnx(tuned, x[:1].astype(np.float32)).SerializeToString())


def test_a_model_of_whole_numbers_takes_no_others() -> None:
    x = np.random.default_rng(12).integers(0, 9, (200, 2)).astype(np.int64)
    model = to_onnx(DecisionTreeClassifier(max_depth=3).fit(x, x[:, 0] > 4), x[:1]).SerializeToString()
    quantiser = lower_ensemble(trace(model)).quantiser
    quantiser.quantize(x.astype(np.float64))
    with pytest.raises(InputRangeError, match="whole number"):
        quantiser.quantize(np.array([[4.5, 1.0]]))
    assert quantiser.taken(np.array([[4.5, 1.0], [4.0, 1.0]])).tolist() == [False, True]


def test_several_inputs_are_joined_by_name_and_an_output_is_chosen(tmp_path: Path) -> None:
    graph = Graph((1,))
    graph.raw("Concat", ["x", "z"], axis=1)
    hidden = graph.node("Gemm", np.array([[2.0], [-1.0]], dtype=np.float32))
    graph.raw("Sigmoid", [hidden])
    proto = onnx.load_model_from_string(graph.model())
    proto.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, 1]))
    proto.graph.output.append(helper.make_tensor_value_info(hidden, TensorProto.FLOAT, None))
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    x = _data(200, 2, 13)
    table = tmp_path / "cal.csv"
    table.write_text("z,x\n" + "\n".join(f"{z},{v}" for v, z in x.tolist()))
    with pytest.raises(UnsupportedModel, match="--output"):
        artifact(tmp_path / "m.onnx", table, None, out=tmp_path / "a")
    said: list[str] = []
    made = artifact(
        tmp_path / "m.onnx", table, None, out=tmp_path / "b", progress=said.append,
        reading=Reading(output=graph.last),
    )  # fmt: skip
    assert [feature.name for feature in made.manifest.input.features or []] == ["x", "z"]
    assert any("joined" in line for line in said)
    assert any("is kept" in line for line in said)
    for record in ([1.0, 0.5], [0.1, 1.5]):
        decided = made.public.decide(made.infer(made.public.quantize(np.array([record]))))
        assert decided == [str(int(2 * record[0] - record[1] > 0))]
    with pytest.raises(UnsupportedModel, match="no output"):
        artifact(tmp_path / "m.onnx", table, None, out=tmp_path / "c", reading=Reading(output="other"))


def _several(path: Path, decision: str) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A model of two targets or labels, records, and the truth in the outputs' order."""
    graph = Graph((2,))
    graph.node("Gemm", np.array([[2.0, 0.1], [0.1, -3.0]], dtype=np.float32))
    x = _data(400, 2, 14)
    truth = x @ np.array([[2.0, 0.1], [0.1, -3.0]])
    return graph.model(), x, (truth > 0).astype(int) if decision == "multilabel" else truth


@pytest.mark.parametrize("task", ["multilabel", "multi-target"])
def test_a_truth_in_another_order_than_the_outputs_is_refused(tmp_path: Path, task: Any) -> None:
    """Its header would name the outputs: flu and covid would be exchanged, at an agreement of 1."""
    model, x, y = _several(tmp_path, task)
    with pytest.raises(CompileError, match=r"another order .* columns 2, 1 better"):
        dry_run(
            model, x[:200], evaluation=Evaluation(x[200:], y[200:, ::-1]), options=CompileOptions(task=task)
        )
    _, found = dry_run(
        model, x[:200], evaluation=Evaluation(x[200:], y[200:]), options=CompileOptions(task=task)
    )
    made = found.accuracy.report
    assert made is not None
    assert made.each is not None
    assert all(one > 0.99 and other > 0.97 for one, other in made.each)
    assert not made.warnings
    said = report_lines(found.accuracy, ["flu", "covid"])
    assert [line.split(":")[0].strip() for line in said if line.startswith("  ")] == ["flu", "covid"]


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("multi-target", r"r2 is worse than their mean.*: 2 \(-"),
        ("multilabel", r"labels less often right.*: 2 \(0"),
    ],
)
def test_one_output_that_is_worse_than_a_guess_is_named(tmp_path: Path, task: Any, says: str) -> None:
    """Beside one at 1.0 the mean of both looks well."""
    model, x, y = _several(tmp_path, task)
    y[:, 1] = 1 if task == "multilabel" else y[:, 1] + 20
    _, found = dry_run(
        model, x[:200], evaluation=Evaluation(x[200:], y[200:]), options=CompileOptions(task=task)
    )
    assert found.accuracy.report is not None
    assert re.search(says, "\n".join(found.accuracy.report.warnings))


def test_figures_below_a_guess_are_warned_of() -> None:
    model, x, y = _near_the_line(400, 15)
    _, found = dry_run(model, x[:300], evaluation=Evaluation(x[300:], 1 - y[300:]))
    assert found.accuracy.report is not None
    assert "below the largest class's share" in "".join(found.accuracy.report.warnings)
    graph = Graph((2,))
    graph.node("Gemm", graph.weights(2, 1))
    _, found = dry_run(
        graph.model(),
        x[:300],
        evaluation=Evaluation(x[300:], x[300:, 0] + 50),
        options=CompileOptions(task="regression"),
    )
    assert found.accuracy.report is not None
    assert "worse than its mean" in "".join(found.accuracy.report.warnings)


def test_held_out_records_that_calibration_has_too_are_counted() -> None:
    model, x, y = _near_the_line(400, 16)
    _, found = dry_run(model, x[:300], evaluation=Evaluation(x[290:], y[290:]))
    assert found.accuracy.report is not None
    assert "10 of 110 held-out records" in "".join(found.accuracy.report.warnings)
    _, found = dry_run(model, x, evaluation=Evaluation(x, y))
    assert found.accuracy.report is not None
    assert "400 of 400 held-out records" in "".join(found.accuracy.report.warnings)
