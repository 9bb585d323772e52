"""What converters are known to leave out of a model: such a graph is valid, and answers otherwise than the
library that was trained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from proofward.zkml.errors import UnsupportedModel

_SKL2ONNX = "skl2onnx"
_TUNED = re.compile(r"(?:label|proba)_tuned[0-9]*")
_TRACKS = "nodes_missing_value_tracks_true"
_ONNXMLTOOLS = "OnnxMLTools"
_CATBOOST = "CatBoostModel"
_FOREST_DIVISOR = 100.0
_COMPARE = "give the library's own predictions (--expected) to have it decided"
_CATBOOST_ENDS = {"Poisson": "an exponential", "Tweedie": "an exponential", "MultiClassOneVsAll": "sigmoids"}
"""CatBoost's objectives whose predictions are computed from the scores, which its exporter does not write."""


def refuse_tuned_threshold(proto: onnx.ModelProto) -> None:
    """skl2onnx writes the estimator inside a TunedThresholdClassifierCV, and not its threshold. Raises
    UnsupportedModel.
    """
    names = (name for node in proto.graph.node for name in node.input)
    if proto.producer_name == _SKL2ONNX and any(_TUNED.fullmatch(name) for name in names):
        raise UnsupportedModel(
            "skl2onnx leaves out the threshold of a TunedThresholdClassifierCV, so that the export decides "
            "at a half; export its estimator_ and apply the threshold to the probability where it is read"
        )


def without_directions(proto: onnx.ModelProto) -> bool:
    """Whether nothing says where trees send missing values: of scikit-learn's own trees skl2onnx writes
    that all go to the right.
    """
    tracks: Iterable[int] = (
        track
        for node in proto.graph.node
        for attribute in node.attribute
        if attribute.name == _TRACKS
        for track in attribute.ints
    )
    return proto.producer_name == _SKL2ONNX and not any(tracks)


def refuse_doubtful(model: bytes) -> None:
    """Refuse models of converters that are known to change such models, where nobody compared the library's
    answers. Raises UnsupportedModel; bytes that are no model are refused elsewhere.
    """
    try:
        proto = onnx.load_model_from_string(model)
    except Exception:  # noqa: BLE001 - protobuf's errors have no common base
        return
    doubt = _doubled_logit(proto) or _forest_divisor(proto) or _catboost(proto)
    if doubt is not None:
        raise UnsupportedModel(f"{doubt}, or {_COMPARE}")


def _doubled_logit(proto: onnx.ModelProto) -> str | None:
    """skl2onnx writes softmax(-s, s), the sigmoid of 2 s, for a discriminant analysis of two classes."""
    for node in proto.graph.node if proto.producer_name == _SKL2ONNX else ():
        given = _attributes(node)
        if node.op_type == "LinearClassifier" and _of_two(given) and _opposite(given.get("coefficients", ())):
            return (
                "skl2onnx doubles the logit of a LinearDiscriminantAnalysis of two classes, and this graph "
                "is as it writes them: export it with raw_scores"
            )
    return None


def _of_two(given: dict[str, Any]) -> bool:
    return given.get("post_transform") == b"SOFTMAX" and len(given.get("intercepts", ())) == 2


def _opposite(coefficients: Sequence[float]) -> bool:
    """Whether the second class's are the first's with the other sign."""
    half = len(coefficients) // 2
    return half > 0 and np.array_equal(coefficients[:half], np.negative(coefficients[half:]))


def _forest_divisor(proto: onnx.ModelProto) -> str | None:
    """OnnxMLTools divides the sum of LightGBM's random forest by 100, however many trees there are."""
    if proto.producer_name != _ONNXMLTOOLS:
        return None
    constants = {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}
    divisors = [constants.get(node.input[1]) for node in proto.graph.node if node.op_type == "Div"]
    divided = any(one is not None and (one == _FOREST_DIVISOR).all() for one in divisors)
    ensembles = [_attributes(node) for node in proto.graph.node if node.op_type == "TreeEnsembleRegressor"]
    trees = sum(len(set(given.get("nodes_treeids", ()))) for given in ensembles)
    if not divided or trees in (0, _FOREST_DIVISOR):
        return None
    return (
        f"OnnxMLTools divides the sum of a LightGBM random forest by 100, and this one has {trees} trees: "
        "train 100, or boost"
    )


def _catboost(proto: onnx.ModelProto) -> str | None:
    """CatBoost's exporter tells the objective and the threshold beside the graph, and not in it."""
    if proto.graph.name != _CATBOOST:
        return None
    told = {entry.key: entry.value for entry in proto.metadata_props}
    threshold = told.get("binclass_probability_threshold", "0.5")
    if threshold != "0.5":
        return (
            f"CatBoost decides at the probability {threshold[:20]!r}, and its export at a half: remove the "
            "threshold and apply it where the probability is read"
        )
    objective = _objective(told.get("params", ""))
    if objective in _CATBOOST_ENDS:
        return (
            f"CatBoost's predictions of the objective {objective} are {_CATBOOST_ENDS[objective]} of the "
            "scores, and its export lacks them: train with another objective"
        )
    return None


def _objective(params: str) -> str | None:
    try:
        found = json.loads(params)["metrics"]["objective_metric"]["type"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) else None


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
