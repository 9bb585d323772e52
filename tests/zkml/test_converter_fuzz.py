"""Random small models of scikit-learn, XGBoost and LightGBM: right beside ONNX Runtime, or refused in one
line.

`make fuzz` tries more of them: PROOFWARD_FUZZ is the number of graphs, of which this takes a twentieth.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import lightgbm
import numpy as np
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tests.cases.generated.case import Case, Made
from tests.cases.generated.run import run

FEATURES = 3
_steps = st.sampled_from(
    [(), (StandardScaler,), (MinMaxScaler,), (RobustScaler,), (SimpleImputer, StandardScaler)]
)
KINDS = ("tree", "forest", "extra", "boosted", "tree value", "logistic", "linear", "xgb", "xgb value", "lgb")
_models = st.sampled_from([*KINDS, "lgb value"])


def _model(kind: str, depth: int, trees: int) -> Any:
    few: dict[str, Any] = {"n_estimators": trees, "max_depth": depth, "random_state": 0}
    return {
        "tree": lambda: DecisionTreeClassifier(max_depth=depth, random_state=0),
        "forest": lambda: RandomForestClassifier(**few),
        "extra": lambda: ExtraTreesClassifier(**few),
        "boosted": lambda: GradientBoostingRegressor(**few),
        "tree value": lambda: DecisionTreeRegressor(max_depth=depth, random_state=0),
        "logistic": lambda: LogisticRegression(C=10.0**depth),
        "linear": LinearRegression,
        "xgb": lambda: xgboost.XGBClassifier(n_jobs=1, **few),
        "xgb value": lambda: xgboost.XGBRegressor(n_jobs=1, **few),
        "lgb": lambda: lightgbm.LGBMClassifier(n_jobs=1, verbose=-1, min_child_samples=3, **few),
        "lgb value": lambda: lightgbm.LGBMRegressor(n_jobs=1, verbose=-1, min_child_samples=3, **few),
    }[kind]()


def _made(
    kind: str, steps: tuple[Any, ...], classes: int, depth: int, trees: int, seed: int, grid: bool
) -> Made:
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 2, (130, FEATURES))
    x = (np.rint(x) if grid else x).astype(np.float32).astype(np.float64)
    value = "value" in kind or kind in ("linear", "boosted")
    score = x @ rng.normal(size=FEATURES) + np.abs(x[:, 0])
    y = score if value else np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    train, asked = x[:100], x[100:]
    boosted = kind.startswith(("xgb", "lgb"))
    gaps = (boosted and seed % 2 == 0) or (bool(steps) and steps[0] is SimpleImputer and not boosted)
    if gaps:
        train, asked = train.copy(), asked.copy()
        train[::6, 1], asked[::4, 1] = np.nan, np.nan
    if boosted:
        model = _model(kind, depth, trees).fit(train.astype(np.float32), y[:100])
        types = [("input", FloatTensorType([None, FEATURES]))]
        convert = convert_xgboost if kind.startswith("xgb") else convert_lightgbm
        options = {} if kind.startswith("xgb") else {"zipmap": False}
        proto = convert(model, initial_types=types, target_opset=15, **options)
    else:
        model = make_pipeline(*[step() for step in steps], _model(kind, depth, trees)).fit(train, y[:100])
        proto = to_onnx(model, np.zeros((1, FEATURES), dtype=np.float32))
    exact = kind not in ("logistic", "linear")
    return Made(
        proto.SerializeToString(), train, asked, "values" if value else "label",
        "regression" if value else None, exact,
    )  # fmt: skip


@settings(
    max_examples=max(25, int(os.environ.get("PROOFWARD_FUZZ", "0")) // 20),
    derandomize="PROOFWARD_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(
    _models, _steps, st.integers(2, 4), st.integers(1, 5), st.integers(1, 4), st.integers(0, 10_000),
    st.booleans()
)  # fmt: skip
def test_a_random_model_is_answered_rightly_or_refused(
    kind: str, steps: tuple[Any, ...], classes: int, depth: int, trees: int, seed: int, grid: bool
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = _made(kind, steps, classes, depth, trees, seed, grid)
    found = run(Case("random", lambda: made))
    assert found.outcome in ("right", "refused"), found.detail
    assert "\n" not in found.detail
