"""What a compiled model answers is what ONNX Runtime answers: scalers before trees, imputers, labels,
tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from proofward.publisher.build import Choices, artifact
from proofward.zkml import CompileError, Evaluation, InputRangeError, UnsupportedModel, compile_model
from proofward.zkml.external import refuse_external, whole
from proofward.zkml.groth16.compiler import float_model
from proofward.zkml.groth16.compiler.onnx_frontend import trace
from proofward.zkml.groth16.compiler.recompile import lower_ensemble
from proofward.zkml.groth16.program import reference
from proofward.zkml.task import resolve
from tests.zkml.onnx_models import Graph


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
    made = compile_model(model, x, tmp_path / "m", name="m", lane="groth16", evaluation=Evaluation(x, y))
    assert made.manifest.input.missing
    record = np.array([[0.5, np.nan, -0.25]])
    q = made.public.quantize(record)
    assert made.public.decide(made.infer(q)) == [str(pipeline.predict(record)[0])]
    graph = Graph((3,))
    graph.node("Gemm", graph.weights(3, 1))
    with pytest.raises(CompileError, match="missing"):
        compile_model(graph.model(), x, tmp_path / "n", name="n", lane="groth16", task="regression")


def test_a_flag_takes_its_two_values_alone(tmp_path: Path) -> None:
    x = _data(100, 2, 2)
    x[:, 1] = np.arange(100) % 2
    graph = Graph((2,))
    graph.node("Gemm", graph.weights(2, 1))
    made = compile_model(graph.model(), x, tmp_path / "m", name="m", lane="groth16", task="regression")
    made.public.quantize(np.array([[0.1, 1.0]]))
    with pytest.raises(InputRangeError, match="0 or 1 alone"):
        made.public.quantize(np.array([[0.1, 0.4]]))


def test_the_task_is_asked_for_where_it_is_not_certain() -> None:
    flags, classes, values = np.array([0.0, 1, 1]), np.array([0.0, 2, 1]), np.array([0.5, 7, 1])
    assert resolve(None, "value", "raw", 1, values) == ("regression", "value")
    assert resolve(None, "value", "raw", 3, classes) == ("multiclass", "argmax")
    assert resolve("multilabel", "value", "raw", 3, None) == ("multilabel", "multilabel")
    for truth, length in ((None, 1), (flags, 1), (None, 3), (values, 3)):
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
            graph.model(), x, tmp_path / "m", name="m", lane="groth16", evaluation=Evaluation(x, truth)
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
        compile_model(model.SerializeToString(), _data(60, 3, 4), tmp_path / "m", name="m", lane="groth16")


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
    made = artifact(tmp_path / "m.onnx", table, held, out=tmp_path / "out", choices=Choices(truth="sick"))
    accuracy, report = made.manifest.accuracy, made.manifest.accuracy.report
    assert report is not None
    assert (report.given, report.refused, accuracy.records, report.held_out) == (101, 1, 100, True)
    assert accuracy.float_ == 1.0
    assert report.float_interval[0] == pytest.approx(1 / (1 + 1.959964**2 / 100), abs=1e-6)
    assert report.agreement == 1 - (report.flips or 0) / 100
    assert 0 < report.mean_shift <= report.largest_shift <= 0.1
    assert [feature.name for feature in made.manifest.input.features or []] == ["a", "b"]
