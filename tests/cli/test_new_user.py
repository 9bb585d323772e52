"""Four models as people train them, by the command line alone: a table with a header in, the library's own
answers out, audited.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import onnxruntime
import pytest
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from proofward.cli import app
from tests.zkml.onnx_models import Graph

Floats = np.ndarray
HEAD = "age [years],bp [mmHg],chol [mg/dL],st"
WORDS = np.array(["sick", "well"])


def _records(count: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    columns = (rng.integers(20, 90, count), rng.integers(90, 190, count), rng.integers(120, 320, count))
    return np.column_stack([*columns, rng.integers(0, 40, count) / 8]).astype(np.float64)


def _truth(x: Floats) -> Floats:
    return np.asarray(x[:, 0] / 40 + x[:, 1] / 60 - x[:, 3] > 1.6).astype(int)


def _scikit(x: Floats, y: Floats, path: Path) -> Callable[[Floats], Any]:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, WORDS[y])
    path.write_bytes(to_onnx(model, x[:1].astype(np.float32)).SerializeToString())
    return lambda asked: model.predict_proba(asked)[:, list(model.classes_).index("well")]


def _boosted(model: Any, convert: Any, **options: Any) -> Callable[[Floats, Floats, Path], Any]:
    def made(x: Floats, y: Floats, path: Path) -> Callable[[Floats], Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converters' own
            model.fit(x.astype(np.float32), y)
            types = [("input", FloatTensorType([None, 4]))]
            proto = convert(model, initial_types=types, target_opset=15, **options)
        path.write_bytes(proto.SerializeToString())
        return lambda asked: model.predict_proba(asked.astype(np.float32))[:, 1]

    return made


def _torch_style(x: Floats, y: Floats, path: Path) -> Callable[[Floats], Any]:
    """Dense layers whose weights lie beside the file, as exporters write them today."""
    graph = Graph((4,), seed=4)
    weights = np.array([[1 / 40], [1 / 60], [0.0], [-1.0]], dtype=np.float32)
    graph.node("Gemm", np.hstack([weights, -weights]), np.array([-1.6, 1.6], dtype=np.float32))
    graph.node("Relu")
    graph.node("Gemm", np.array([[4.0], [-4.0]], dtype=np.float32))
    graph.node("Sigmoid")
    onnx.save_model(
        onnx.load_model_from_string(graph.model()), str(path), save_as_external_data=True,
        location="weights.data", size_threshold=0,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(str(path))
    return lambda asked: session.run(None, {"x": asked.astype(np.float32)})[0][:, 0]


XGBOOST = xgboost.XGBClassifier(n_estimators=6, max_depth=3, n_jobs=1, random_state=0)
LIGHTGBM = lightgbm.LGBMClassifier(n_estimators=6, num_leaves=6, n_jobs=1, random_state=0, verbose=-1)
#: How each is trained and written, and whether its records lack values.
MODELS: dict[str, tuple[Callable[[Floats, Floats, Path], Any], bool]] = {
    "scikit": (_scikit, False),
    "xgboost": (_boosted(XGBOOST, convert_xgboost), True),
    "lightgbm": (_boosted(LIGHTGBM, convert_lightgbm, zipmap=False), False),
    "torch": (_torch_style, False),
}


def _line(row: Floats) -> str:
    return ",".join("" if np.isnan(value) else repr(float(value)) for value in row) + "\n"


def _proofward(*arguments: Any, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == code, done.output
    value: dict[str, Any] = json.loads(done.stdout)
    return value


@pytest.mark.parametrize("name", MODELS)
def test_a_new_user_s_model_answers_as_its_library_does(name: str, tmp_path: Path) -> None:
    train, gaps = MODELS[name]
    x, held = _records(240, 1), _records(80, 2)
    y, known = _truth(x), _truth(held)
    if gaps:
        x[::5, 2], held[::7, 2] = np.nan, np.nan
    predicted = train(x, y, tmp_path / "m.onnx")
    (tmp_path / "train.csv").write_text(HEAD + "\n" + "".join(map(_line, x)))
    # held out: other order, the truth in the middle, in words where the model's classes are
    spelt = WORDS[known] if name == "scikit" else known
    both = zip(held, spelt, strict=True)
    rows = [f"{_line(row[[3, 0]]).strip()},{word},{_line(row[[2, 1]])}" for row, word in both]
    (tmp_path / "held.csv").write_text("st,age,state,chol,bp\n" + "".join(rows))
    tables = ("--calibration", tmp_path / "train.csv", "--evaluation", tmp_path / "held.csv")
    command = ("compile", tmp_path / "m.onnx", *tables, "--truth", "state", "--batch", 4)
    made = _proofward(*command)
    assert (made["lane"], made["features"]) == ("groth16", ["age", "bp", "chol", "st"])
    assert made["accuracy"]["integer"] >= 0.8
    assert _proofward(*command)["manifest_hash"] == made["manifest_hash"]
    assert "another max_shift" in _proofward(*command, "--max-shift", 0.05, code=1)["error"]["message"]

    chance = predicted(held)
    asked = held[np.flatnonzero(np.abs(chance - 0.5) > 0.15)[:4]]
    if gaps:
        assert np.isnan(asked).any()
    # ages in months, bars between columns, again another order
    months = asked * [12, 1, 1, 1]
    body = "".join(_line(row[[1, 3, 0, 2]]).replace(",", "|") for row in months)
    (tmp_path / "asked.csv").write_text("bp|st|age [mo]|chol\n" + body)
    folder, proof = made["artifact"], tmp_path / "proof.json"
    answered = _proofward("prove", folder, "--input", tmp_path / "asked.csv", "--out", proof)
    positive = (predicted(asked) > 0.5).astype(int)
    assert answered["decisions"] == [str(one) for one in (WORDS[positive] if name == "scikit" else positive)]
    _proofward("verify", proof, "--artifact", f"{folder}/public", "--dev", code=6)
    audit = ("model", "audit", tmp_path / "m.onnx", "--artifact", f"{folder}/public")
    records = ("--records", tmp_path / "held.csv", "--truth", "state")
    verdict = _proofward(*audit, *records, code=8)["verdict"]
    assert verdict.startswith("NOT VERIFIABLE: the keys rest on the publisher alone"), verdict
    assert "not checked" not in verdict
