"""The training library's own predictions beside both models' answers, and what shows without them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from onnx import TensorProto, helper, numpy_helper
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from typer.testing import CliRunner

from proofward import expected as written
from proofward.check import Check
from proofward.cli import app
from proofward.publisher.audit import Brought, audit
from proofward.publisher.build import Reading, setup_request
from proofward.publisher.predictions import read_expected
from proofward.tables import TableError
from proofward.zkml import (
    AccuracyError,
    CompileError,
    CompileOptions,
    UnsupportedModel,
    dry_run,
    load_public,
)
from proofward.zkml.expected import Answered, Expected, compare
from proofward.zkml.groth16.compiler.onnx_frontend.omissions import refuse_doubtful
from proofward.zkml.manifest import Feature, Manifest
from proofward.zkml.options import Wishes
from proofward.zkml.report import Bounds, Scores, probabilities

CLASSES = ("mild", "none", "severe")


def _records(count: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).integers(-40, 40, (count, 4)) / 8)


def _truth(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.digitize(x[:, 0] + x[:, 1], [-1.0, 1.0]))


@dataclass(frozen=True)
class World:
    """A tree of three classes with names, compiled by the verb with what scikit-learn says of its records."""

    folder: Path
    tree: DecisionTreeClassifier
    x: np.ndarray

    @property
    def onnx(self) -> bytes:
        return (self.folder / "m.onnx").read_bytes()

    @property
    def public(self) -> Path:
        return self.folder / "made" / "public"

    def library(self, check: str = "library", **brought: Any) -> list[Check]:
        found = audit(self.folder / "m.onnx", self.public, None, "", brought=Brought(**brought))
        return [one for one in found.checks if one.name == check]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder, x = tmp_path_factory.mktemp("expected"), _records(120)
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(x, np.array(CLASSES)[_truth(x)])
    made = to_onnx(tree, x[:1].astype(np.float32), options={id(tree): {"zipmap": False}})
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    np.savetxt(folder / "cal.csv", x, delimiter=",")
    written(tree, x[:50], folder / "expected.csv")
    done = CliRunner().invoke(app, _compile(folder, "made", folder / "expected.csv"))
    assert done.exit_code == 0, done.output
    return World(folder, tree, x)


def _compile(folder: Path, out: str, expected: Path | None) -> list[str]:
    given = ["compile", str(folder / "m.onnx"), "--calibration", str(folder / "cal.csv"), "--json"]
    return [
        *given,
        "--out",
        str(folder / out),
        *([] if expected is None else ["--expected", str(expected)]),
    ]


def _estimate(world: World, expected: Expected) -> Any:
    return dry_run(world.onnx, world.x, options=CompileOptions(expected=expected))[1].expected


def test_the_manifest_says_what_was_compared_and_keeps_its_bytes_where_nothing_was(world: World) -> None:
    manifest = load_public(world.public).manifest
    found = manifest.expected
    assert found is not None
    assert (found.records, found.refused, found.flips) == (50, 0, 0)
    assert found.methods == ["predict", "predict_proba"]
    assert found.digest == written(world.tree, world.x[:50]).digest()
    assert Manifest.parse(manifest.canonical()) == manifest
    without = manifest.model_copy(update={"expected": None})
    assert b"expected" not in without.canonical()


def test_an_auditor_with_the_predictions_recomputes_it_and_without_them_sees_whose_word_it_is(
    world: World,
) -> None:
    checks = world.library(expected=world.folder / "expected.csv")
    assert [(one.name, one.ok) for one in checks] == [("library", True)]
    assert "50 records, the publisher's" in checks[0].detail
    [told] = world.library("expected")
    assert (told.word, "the publisher's own word" in told.detail) == ("said", True)
    written(world.tree, world.x[50:70], world.folder / "others.csv")
    [others] = world.library(expected=world.folder / "others.csv")
    assert others.ok
    assert "others than the publisher's" in others.detail
    other = DecisionTreeClassifier(max_depth=1).fit(world.x, np.array(CLASSES)[_truth(world.x)])
    written(other, world.x[:20], world.folder / "another.csv")
    [lie] = world.library(expected=world.folder / "another.csv")
    assert lie.ok is False
    assert "by ONNX Runtime" in lie.detail
    [strict] = world.library(expected=world.folder / "expected.csv", max_shift=-1.0)
    assert strict.ok is False
    assert "a shift above -1 is refused" in strict.detail


def test_a_model_that_was_not_compared_says_so(world: World) -> None:
    done = CliRunner().invoke(
        app, [*_compile(world.folder, "blind", None)[:-3], "--out", str(world.folder / "b")]
    )
    assert done.exit_code == 0, done.output
    assert "library  not compared" in done.output
    found = audit(world.folder / "m.onnx", world.folder / "b" / "public", None, "")
    [check] = [one for one in found.checks if one.name == "library"]
    assert (check.ok, check.required, check.detail.startswith("not checked")) == (None, False, True)


def test_an_artefact_that_was_not_compared_is_not_taken_for_one_that_was(world: World) -> None:
    again = _compile(world.folder, "b2", None)
    assert CliRunner().invoke(app, again).exit_code == 0
    done = CliRunner().invoke(app, _compile(world.folder, "b2", world.folder / "expected.csv"))
    assert "holds the artefact of another expected" in done.output
    assert CliRunner().invoke(app, _compile(world.folder, "made", None)).exit_code == 0
    compiled = [
        "compile",
        str(world.folder / "made"),
        *again[2:4],
        "--expected",
        str(world.folder / "expected.csv"),
    ]
    assert "compiled already" in CliRunner().invoke(app, compiled).output


def test_three_classes_of_parallel_trees_are_exchanged_by_the_converter_and_refused(tmp_path: Path) -> None:
    x = _records(150).astype(np.float32)
    model = xgboost.XGBRFClassifier(n_estimators=4, max_depth=3, random_state=0, n_jobs=1)
    model.fit(x, _truth(x))
    made = convert_xgboost(model, initial_types=[("input", FloatTensorType([None, 4]))], target_opset=15)
    options = CompileOptions(expected=written(model, x[:60]))
    with pytest.raises(
        UnsupportedModel, match=r"'predict' of expected record \d+ is \d by the library and \d"
    ):
        dry_run(made.SerializeToString(), x.astype(np.float64), options=options)


def test_a_row_too_late_is_a_difference_and_another_order_is_named(world: World) -> None:
    told = written(world.tree, world.x[:50])
    rolled = replace(told, columns={name: np.roll(column, 1) for name, column in told.columns.items()})
    with pytest.raises(UnsupportedModel, match="differ"):
        _estimate(world, rolled)
    x = _records(120)
    line = LinearRegression().fit(x, x @ [1, 2, 3, 4.0])
    made = to_onnx(line, x[:1].astype(np.float32)).SerializeToString()
    backwards = Expected(x, {"predict": line.predict(x)[::-1]})
    with pytest.raises(UnsupportedModel, match="in another order"):
        dry_run(made, x, options=CompileOptions(expected=backwards))


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"predict_proba:mild": 0.0, "predict_proba:none": 1.0}, "name a column for each class"),
        (
            {"predict_proba:0": 0.0, "predict_proba:1": 0.0, "predict_proba:2": 0.0},
            "and this model gives predict",
        ),
        ({"predict:0": 0.0}, "name a column for each class"),
        ({"decision_function": 0.0}, "and this model gives predict, predict_proba:mild"),
        ({"predict": np.nan}, r"of record 0 \(line 2\) is missing or not finite"),
        ({"prediction": 0.0}, "not 'prediction'"),
        ({}, "one column at least"),
        ({"predict": np.zeros((50, 2))}, r"has shape \[50, 2\] for 50 records"),
        ({"predict": np.zeros(49)}, r"has shape \[49\] for 50 records"),
    ],
)
def test_answers_that_do_not_fit_are_refused_by_name(
    columns: dict[str, Any], says: str, world: World
) -> None:
    given = {n: np.full(50, v) if isinstance(v, float) else v for n, v in columns.items()}
    with pytest.raises(CompileError, match=says):
        _estimate(world, Expected(world.x[:50], given, range(2, 52)))


@pytest.mark.parametrize("seed", range(6))
def test_one_answer_that_is_changed_among_many_is_seen(seed: int) -> None:
    random = np.random.default_rng(seed)
    records, classes = int(random.integers(1, 40)), int(random.integers(2, 6))
    logits = random.normal(size=(records, classes)) * 3
    shares = probabilities("softmax", logits)
    answered = Answered(
        Scores("softmax", shares, logits, shares, shares, "probability"),
        np.ones(records, dtype=bool),
        probabilities=True,
    )
    columns = {f"predict_proba:{i}": shares[:, i] for i in range(classes)}
    columns["predict"] = logits.argmax(axis=1).astype(float)
    x, at = np.zeros((records, 1)), int(random.integers(records))
    assert compare(Expected(x, columns), answered, Bounds()).records == records
    for name, column in columns.items():
        changed = column.copy()
        changed[at] = (changed[at] + 1) % classes if name == "predict" else changed[at] + 2e-4
        with pytest.raises(UnsupportedModel, match=f"'{name}' of expected record {at} "):
            compare(Expected(x, columns | {name: changed}), answered, Bounds())


def test_words_where_the_model_gives_numbers_are_refused(world: World) -> None:
    column = np.full(50, "many")
    given = {f"predict_proba:{name}": column for name in CLASSES}
    with pytest.raises(CompileError, match="holds words, and the model gives numbers"):
        _estimate(world, Expected(world.x[:50], given))


def test_answers_that_are_all_the_same_are_compared_by_their_size() -> None:
    value = np.full((3, 1), 1e-6)
    scores = Scores("value", value, value, value, value, "spread")
    answered = Answered(scores, np.ones(3, dtype=bool))
    assert compare(Expected(np.zeros((3, 1)), {"predict": value[:, 0]}), answered, Bounds()).flips == 0
    with pytest.raises(UnsupportedModel, match="is 2e-06 by the library and 1e-06"):
        compare(Expected(np.zeros((3, 1)), {"predict": 2 * value[:, 0]}), answered, Bounds())


def test_records_of_other_features_are_refused(world: World) -> None:
    with pytest.raises(CompileError, match="3 features and the model 4"):
        _estimate(world, Expected(world.x[:50, :3], {"predict": np.full(50, "mild")}))


def _compared(column: np.ndarray, circuit: np.ndarray, **bounds: float) -> Any:
    """A model of one probability, of whose library and ONNX Runtime say `column` of record i."""
    scores = Scores(
        "sigmoid",
        (column - 0.5)[:, None],
        (circuit - 0.5)[:, None],
        column[:, None],
        circuit[:, None],
        "probability",
    )
    taken = np.ones(len(column), dtype=bool)
    told = {"predict": (column > 0.5).astype(float), "predict_proba": column}
    expected = Expected(np.zeros((len(column), 1)), told)
    return compare(expected, Answered(scores, taken, probabilities=True), Bounds(**bounds))


def test_a_flip_beyond_the_bound_and_a_shift_beyond_it_name_the_record() -> None:
    p = np.linspace(0.11, 0.89, 40)
    flipped = p.copy()
    flipped[19] = 0.501
    with pytest.raises(AccuracyError, match=r"decides 1 of 40 expected records .* first record 19"):
        _compared(p, flipped)
    assert _compared(p, flipped, disagreement=0.025).flips == 1
    moved = p.copy()
    moved[30] += 0.2
    with pytest.raises(AccuracyError, match=r"'predict_proba' of expected record 30 is 0\.71 by the library"):
        _compared(p, moved)


def _told(scores: Scores, columns: dict[str, Any], *, labels: list[str] | None = None, **known: Any) -> Any:
    count = len(scores.float_)
    expected = Expected(np.zeros((count, 1)), columns)
    return compare(expected, Answered(scores, np.ones(count, dtype=bool), labels, **known), Bounds())


def _values(library: list[float], model: list[float]) -> Any:
    """A regression's answers, of which the circuit's are its model's."""
    made = np.array(model)[:, None]
    return _told(Scores("value", made, made, made, made, "spread"), {"predict": library})


def test_few_or_equal_small_values_are_compared_by_their_own_size() -> None:
    for count in (1, 3):
        assert _values([2e-5] * count, [2e-5] * count).largest_shift == 0
        with pytest.raises(UnsupportedModel, match="'predict' of expected record 0 is 2e-05"):
            _values([2e-5] * count, [1e-5] * count)
    assert _values([0.1] * 3, [0.1 + 1e-9] * 3).largest_shift < 1e-6


def test_what_is_no_number_is_never_the_same() -> None:
    with pytest.raises(UnsupportedModel, match="1 of 2 records differ"):
        _values([1.0, 2.0], [1.0, np.nan])


@pytest.mark.parametrize(
    ("classes", "given"),
    [
        (("01", "02"), ["01", "02"]),
        (("1", "2"), [1.0, 2.0]),
        ((1, 2), np.array([1, 2])),
        (("a, b", "é"), ["a, b", "é"]),
        ((0, 1), [False, True]),
    ],
)
def test_classes_are_the_model_s_however_a_number_is_written(classes: Any, given: Any) -> None:
    made = np.array([[-1.0], [1.0]])
    scores = Scores("sigmoid", made, made, made, made, "probability")
    labels = [str(one) for one in classes]
    assert _told(scores, {"predict": given}, labels=labels, classes=classes).flips == 0
    with pytest.raises(UnsupportedModel, match="2 of 2 records differ"):
        _told(scores, {"predict": given[::-1]}, labels=labels, classes=classes)


def test_codes_that_no_double_tells_apart_are_never_the_same() -> None:
    made, codes = np.array([[-1.0], [1.0]]), ["999480451000087102", "999480451000087103"]
    scores = Scores("sigmoid", made, made, made, made, "probability")
    with pytest.raises(UnsupportedModel, match="2 of 2 records differ"):
        _told(scores, {"predict": [float(one) for one in codes]}, labels=codes, classes=codes)


def test_a_file_reads_back_as_it_was_written_in_any_dialect_and_order(tmp_path: Path, world: World) -> None:
    import pandas

    x = pandas.DataFrame(world.x[:30].copy(), columns=list("abcd"))
    x.iloc[3, 1] = np.nan
    told = written(world.tree, world.x[:30])
    frame = x.assign(**told.columns)
    frame[
        ["predict", "c", "predict_proba:severe", "a", "predict_proba:mild", "d", "b", "predict_proba:none"]
    ].to_csv(tmp_path / "e.csv", sep=";", index=False)
    features = [Feature(name=name) for name in "abcd"]
    read = read_expected(tmp_path / "e.csv", features, 4, classes=CLASSES)
    assert read.columns["predict"].tolist() == told.columns["predict"].tolist()
    assert read.digest() == Expected(x.to_numpy(), told.columns).digest() != told.digest()
    assert read.record(0) == "record 0 (line 2)"


def test_answers_alone_are_of_calibration_s_records_in_their_order(tmp_path: Path, world: World) -> None:
    file = tmp_path / "e.csv"
    file.write_text("predict\n" + "".join(f"{one}\n" for one in world.tree.predict(world.x)))
    read = read_expected(file, None, 4, calibration=world.x, classes=CLASSES)
    assert _estimate(world, read).records == 120
    for calibration in (world.x[:-1], None):
        with pytest.raises(TableError, match="120 lines without features"):
            read_expected(file, None, 4, calibration=calibration, classes=CLASSES)
    file.write_text("a,b,c,d\n1,2,3,4\n")
    with pytest.raises(TableError, match="no column named predict"):
        read_expected(file, None, 4)


def test_the_helper_names_what_estimators_give(world: World) -> None:
    x = world.x
    assert list(written(LinearRegression().fit(x, x[:, :2]), x).columns) == ["predict:0", "predict:1"]
    two = LogisticRegression().fit(x, x[:, 0] > 0)
    told = written(two, x).columns
    assert list(told) == ["predict", "predict_proba:0", "predict_proba:1"]
    assert set(told["predict"]) == {0.0, 1.0}
    scores = written(two, x, methods=["decision_function"]).columns
    assert list(scores) == ["decision_function"]
    with pytest.raises(CompileError, match=r"shape \[2, 2, 2\]"):
        written(_Odd(), x)


class _Odd:
    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.zeros((2, 2, 2))


@pytest.mark.parametrize(
    "names", [["01", "02", "3"], ["1.0", "2.0", "3.0"], [10, 20, 30], ["a,b", 'c"d', "é"]]
)
def test_classes_whose_names_are_numbers_or_odd_words_are_matched(
    names: list[Any], tmp_path: Path, world: World
) -> None:
    tree = DecisionTreeClassifier(max_depth=3).fit(world.x, np.array(names)[_truth(world.x)])
    made = to_onnx(tree, world.x[:1].astype(np.float32), options={id(tree): {"zipmap": False}})
    told = written(tree, world.x[:30], tmp_path / "e.csv")
    words = [one for one in names if isinstance(one, str)]
    read = read_expected(tmp_path / "e.csv", None, 4, classes=words)
    for expected in (told, read):
        found = dry_run(made.SerializeToString(), world.x, options=CompileOptions(expected=expected))[1]
        assert found.expected is not None
        assert found.expected.flips == 0


def test_an_enclave_that_compares_nothing_is_not_asked_to(world: World) -> None:
    with pytest.raises(CompileError, match="compares no expected answers"):
        Wishes.of(CompileOptions(expected=written(world.tree, world.x)))
    folder, reading = world.folder, Reading(expected=world.folder / "expected.csv")
    with pytest.raises(CompileError, match="compares no expected answers"):
        setup_request(
            folder / "m.onnx", folder / "cal.csv", None, name=None, options=CompileOptions(), reading=reading
        )


# What the graph or what stands beside it shows ---------------------------------------------------------


def test_a_discriminant_analysis_of_two_classes_has_a_doubled_logit_and_is_refused() -> None:
    x = _records(120)
    model = LinearDiscriminantAnalysis().fit(x, x[:, 0] + x[:, 1] > 0)
    made = to_onnx(
        model, x[:1].astype(np.float32), options={id(model): {"zipmap": False}}
    ).SerializeToString()
    with pytest.raises(UnsupportedModel, match="doubles the logit"):
        dry_run(made, x)
    with pytest.raises(UnsupportedModel, match="'predict_proba:0' of expected record"):
        dry_run(made, x, options=CompileOptions(expected=written(model, x)))


def test_coefficients_of_no_two_classes_are_not_looked_at_further() -> None:
    node = helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "y"],
        domain="ai.onnx.ml",
        post_transform="SOFTMAX",
        intercepts=[0.0, 0.0],
        coefficients=[1.0, 2.0, 3.0],
    )
    made = helper.make_model(helper.make_graph([node], "g", [], []), producer_name="skl2onnx")
    refuse_doubtful(made.SerializeToString())


def _forest(trees: int, divisor: float) -> bytes:
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["sum"],
        domain="ai.onnx.ml",
        nodes_treeids=list(range(trees)),
        nodes_nodeids=[0] * trees,
    )
    div = helper.make_node("Div", ["sum", "by"], ["y"])
    by = numpy_helper.from_array(np.array([divisor], dtype=np.float32), "by")
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
    made = helper.make_model(
        helper.make_graph([node, div], "g", [], [value], [by]), producer_name="OnnxMLTools"
    )
    return bytes(made.SerializeToString())


@pytest.mark.parametrize(("trees", "divisor", "refused"), [(4, 100, True), (100, 100, False), (4, 4, False)])
def test_a_forest_that_the_converter_divides_by_a_hundred_has_a_hundred_trees(
    trees: int, divisor: float, refused: bool
) -> None:
    if not refused:
        refuse_doubtful(_forest(trees, divisor))
        return
    with pytest.raises(UnsupportedModel, match="by 100, and this one has 4 trees"):
        refuse_doubtful(_forest(trees, divisor))


def _objective(name: str) -> dict[str, str]:
    return {"params": json.dumps({"metrics": {"objective_metric": {"type": name}}})}


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        ({"binclass_probability_threshold": "0.3"}, "decides at the probability '0.3'"),
        ({"params": json.dumps({"metrics": {"objective_metric": {"type": "Poisson"}}})}, "an exponential"),
        (
            {"params": json.dumps({"metrics": {"objective_metric": {"type": "MultiClassOneVsAll"}}})},
            "sigmoids",
        ),
    ],
)
def test_what_catboost_says_beside_its_graph_is_read(beside: dict[str, str], says: str) -> None:
    with pytest.raises(UnsupportedModel, match=says):
        refuse_doubtful(_catboost(beside))


@pytest.mark.parametrize(
    "beside",
    [{}, {"params": "{"}, {"params": '{"metrics": []}'}, {"binclass_probability_threshold": "0.5"}],
)
def test_a_catboost_model_that_says_nothing_odd_is_taken(beside: dict[str, str]) -> None:
    refuse_doubtful(_catboost(beside))


def _catboost(beside: dict[str, str]) -> bytes:
    made = helper.make_model(helper.make_graph([], "CatBoostModel", [], []))
    helper.set_model_props(made, beside)
    return bytes(made.SerializeToString())
