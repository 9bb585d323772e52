"""Models of XGBoost and LightGBM, by onnxmltools."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from proofward import expected
from proofward.zkml.expected import Expected
from tests.cases.generated import data
from tests.cases.generated.case import Case, Made

Truth = Callable[[np.ndarray], np.ndarray]
ORDINARY = 60
"""Records that are like those of training; others follow."""


def _made(model: Any, truth: Truth, reads: str, gaps: bool, convert: Any, options: dict[str, Any]) -> Made:
    train, asked = data.table(), data.probing(data.table(ORDINARY, seed=1))
    known = truth(train)
    if gaps:
        train, asked = data.with_gaps(train), data.with_gaps(asked, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(train.astype(np.float32), known)
        types = [("input", FloatTensorType([None, data.FEATURES]))]
        proto = convert(model, initial_types=types, target_opset=15, **options)
        told = _library(model, asked)
    return Made(
        proto.SerializeToString(), train, asked, reads, None, True, library=told  # type: ignore[arg-type]
    )  # fmt: skip


def _library(model: Any, asked: np.ndarray) -> Expected:
    """The model's own answers; of categories to ordinary records, for LightGBM takes others as missing."""
    given = model.get_params()
    rows = asked[:ORDINARY] if given.get("categorical_feature") else asked
    raw = given["objective"] == "multi:softmax"  # under the name of probabilities
    return expected(model, rows.astype(np.float32), methods=["predict"] if raw else None)


def _xgb(name: str, truth: Truth, reads: str = "label", *, gaps: bool = False, **how: Any) -> Case:
    value = reads == "values"
    kind = how.pop("kind", xgboost.XGBRegressor if value else xgboost.XGBClassifier)
    wanted = {"n_estimators": 4, "max_depth": 3, "random_state": 0, "n_jobs": 1, **how}
    return Case(f"xgb_{name}", lambda: _made(kind(**wanted), truth, reads, gaps, convert_xgboost, {}))


def _lgb(
    name: str, truth: Truth, reads: str = "label", *, gaps: bool = False, options: dict[str, Any] | None =
    None,
    **how: Any
) -> Case:  # fmt: skip
    value = reads == "values"
    kind = how.pop("kind", lightgbm.LGBMRegressor if value else lightgbm.LGBMClassifier)
    wanted = {
        "n_estimators": 4,
        "num_leaves": 6,
        "min_child_samples": 5,
        "verbose": -1,
        "n_jobs": 1,
        "random_state": 0,
    }
    wanted |= how
    return Case(
        f"lgb_{name}", lambda: _made(kind(**wanted), truth, reads, gaps, convert_lightgbm, options or {})
    )


def _counts(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(np.exp(np.clip(data.score(x), -2, 3))))


def _share(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-data.score(x))))


def cases() -> list[Case]:
    """All of them."""
    two, three, one = data.binary, data.classes, data.score
    rf: dict[str, Any] = {"subsample": 0.8, "colsample_bynode": 0.8}
    bag: dict[str, Any] = {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}
    plain: dict[str, Any] = {"options": {"zipmap": False}}
    split: dict[str, Any] = {
        "min_child_samples": 2,
        "cat_smooth": 0,
        "min_data_per_group": 1,
        "max_cat_to_onehot": 1,
    }
    return [
        _xgb("binary", two),
        _xgb("binary_one_tree", two, n_estimators=1),
        _xgb("binary_stump", two, max_depth=1),
        _xgb("binary_deep", two, max_depth=7, n_estimators=2),
        _xgb("binary_base_score", two, base_score=0.2),
        _xgb("binary_missing", two, gaps=True),
        _xgb("binary_hist", two, tree_method="hist", max_bin=8),
        _xgb("binary_exact", two, tree_method="exact"),
        _xgb("binary_leafwise", two, grow_policy="lossguide", max_leaves=5),
        _xgb("binary_weighted", two, scale_pos_weight=3.0),
        _xgb("binary_shrunk", two, learning_rate=0.01),
        _xgb("binary_forest", two, kind=xgboost.XGBRFClassifier, **rf),
        _xgb("binary_parallel", two, num_parallel_tree=2, subsample=0.7),
        _xgb("binary_early", two, n_estimators=3, max_delta_step=1),
        _xgb("binary_hinge", two, objective="binary:hinge"),
        _xgb("three", three),
        _xgb("three_softmax", three, objective="multi:softmax"),
        _xgb("three_softprob", three, objective="multi:softprob"),
        _xgb("three_missing", three, gaps=True),
        _xgb("three_base_score", three, base_score=0.7),
        _xgb("three_deep", three, max_depth=6, n_estimators=2),
        _xgb("three_forest", three, kind=xgboost.XGBRFClassifier, **rf),
        _xgb("value", one, "values"),
        _xgb("value_base_score", one, "values", base_score=3.5),
        _xgb("value_base_zero", one, "values", base_score=0.0),
        _xgb("value_missing", one, "values", gaps=True),
        _xgb("value_absolute", one, "values", objective="reg:absoluteerror"),
        _xgb("value_huber", one, "values", objective="reg:pseudohubererror"),
        _xgb("value_quantile", one, "values", objective="reg:quantileerror", quantile_alpha=0.8),
        _xgb("value_logistic", _share, "values", objective="reg:logistic"),
        _xgb("value_poisson", _counts, "values", objective="count:poisson"),
        _xgb("value_gamma", lambda x: _counts(x) + 1, "values", objective="reg:gamma"),
        _xgb("value_tweedie", _counts, "values", objective="reg:tweedie"),
        _xgb("value_forest", one, "values", kind=xgboost.XGBRFRegressor, **rf),
        _xgb("value_two", data.targets, "values"),
        _xgb("value_deep", one, "values", max_depth=8, n_estimators=2),
        _lgb("binary", two, **plain),
        _lgb("binary_zipmap", two),
        _lgb("binary_missing", two, gaps=True, **plain),
        _lgb("binary_one_tree", two, n_estimators=1, **plain),
        _lgb("binary_stump", two, num_leaves=2, **plain),
        _lgb("binary_dart", two, boosting_type="dart", **plain),
        _lgb("binary_goss", two, data_sample_strategy="goss", **plain),
        _lgb("binary_forest", two, **bag, **plain),
        _lgb("binary_linear_tree", two, linear_tree=True, **plain),
        _lgb("binary_unbalanced", two, is_unbalance=True, **plain),
        _lgb("binary_no_init", two, boost_from_average=False, **plain),
        _lgb("binary_zero_missing", two, gaps=True, zero_as_missing=True, **plain),
        _lgb("binary_no_missing", two, use_missing=False, **plain),
        _lgb("binary_sigmoid", two, sigmoid=2.0, **plain),
        _lgb("binary_category", two, categorical_feature=[1], **plain),
        _lgb("three", three, **plain),
        _lgb("three_zipmap", three),
        _lgb("three_missing", three, gaps=True, **plain),
        _lgb("three_ovr", three, objective="multiclassova", **plain),
        _lgb("three_forest", three, **bag, **plain),
        _lgb("three_dart", three, boosting_type="dart", **plain),
        _lgb("value", one, "values"),
        _lgb("value_missing", one, "values", gaps=True),
        _lgb("value_l1", one, "values", objective="regression_l1"),
        _lgb("value_huber", one, "values", objective="huber"),
        _lgb("value_quantile", one, "values", objective="quantile", alpha=0.8),
        _lgb("value_poisson", _counts, "values", objective="poisson"),
        _lgb("value_gamma", lambda x: _counts(x) + 1, "values", objective="gamma"),
        _lgb("value_tweedie", _counts, "values", objective="tweedie"),
        _lgb("value_forest", one, "values", **bag),
        _lgb("value_dart", one, "values", boosting_type="dart"),
        _lgb("value_split", one, "values", n_estimators=6, options={"split": 2}),
        _lgb("value_zero_missing", one, "values", gaps=True, zero_as_missing=True),
        _lgb("value_category", one, "values", categorical_feature=[1]),
        _lgb("value_categories", one, "values", categorical_feature=[0, 1], **split),
        _lgb("binary_categories", two, categorical_feature=[0, 1], **split, **plain),
    ]
