"""Trees whose comparisons happen in another precision than float32, asked right beside their thresholds; and
labels that follow a rule of their own where calibration does not show it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.cases.generated import data
from tests.cases.generated.case import Case, Made

THRESHOLDS = (0.1, 0.3, 1.0)
OFFSET, SPREAD = (0.3, 0.7), (3.0, 7.0)
FLOAT, DOUBLE, HALF, WHOLE = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT64
_DTYPES: dict[int, type[Any]] = {FLOAT: np.float32, DOUBLE: np.float64, HALF: np.float16}


def cases() -> list[Case]:
    """All of them."""
    found = []
    for at in THRESHOLDS:
        name = str(at).replace(".", "_")
        found += [
            _case(f"double_{name}", DOUBLE, at),
            _case(f"double_lt_{name}", DOUBLE, at, mode="BRANCH_LT"),
            _case(f"double_eq_{name}", DOUBLE, at, mode="BRANCH_EQ"),
            _case(f"double_cast_{name}", DOUBLE, at, FLOAT),
            _case(f"through_double_{name}", FLOAT, at, DOUBLE, FLOAT),
            _case(f"through_half_{name}", FLOAT, at, HALF, FLOAT),
            _case(f"half_{name}", HALF, at, FLOAT),
            _case(f"scaled_{name}", FLOAT, at, scaled=FLOAT),
            _case(f"scaled_double_{name}", DOUBLE, at, FLOAT, scaled=DOUBLE),
            _case(f"scaled_in_double_{name}", FLOAT, at, DOUBLE, FLOAT, scaled=DOUBLE),
            _case(f"scaled_in_half_{name}", FLOAT, at, HALF, FLOAT, scaled=HALF),
        ]
    return [
        *found,
        Case("prec_wholes", lambda: _made(WHOLE, 2.0**24 + 4, (FLOAT,), None, "BRANCH_LEQ")),
        Case("prec_wholes_double", lambda: _made(WHOLE, 2.0**24 + 4, (DOUBLE,), None, "BRANCH_LEQ")),
        Case("prec_forest_of_doubles", lambda: _forest()),
        Case("prec_scaled_forest_of_doubles", lambda: _forest(StandardScaler())),
        Case("prec_huge_leaves", lambda: _leaves(1e30)),
        Case("prec_large_leaves", lambda: _leaves(1e8)),
        Case("prec_leaf_nobody_reaches", lambda: _leaves(float("nan"), at=1e6)),
        Case("prec_label_at_half", lambda: _label(0.5)),
        Case("prec_label_at_three_tenths", lambda: _label(0.3)),
        Case("prec_label_next_to_half", lambda: _label(0.4999)),
        Case("prec_dropout_training", lambda: _dropout(True)),
        Case("prec_dropout", lambda: _dropout(False)),
    ]


def _case(name: str, given: int, at: float, *casts: int, scaled: int = 0, mode: str = "BRANCH_LEQ") -> Case:
    return Case(f"prec_{name}", lambda: _made(given, at, casts, scaled or None, mode))


def _made(given: int, at: float, casts: Sequence[int], scaled: int | None, mode: str) -> Made:
    """Two stumps at a threshold, behind casts and (before the last of them) a scaler."""
    nodes, constants, last = [], [], "x"
    steps: list[tuple[str, Any]] = [("Cast", kind) for kind in casts]
    if scaled is not None:
        steps[-1 if casts else 0 : -1 if casts else 0] = [("Sub", OFFSET), ("Div", SPREAD)]
        if given == DOUBLE and scaled == DOUBLE:
            steps = [("Sub", OFFSET), ("Div", SPREAD), *[("Cast", kind) for kind in casts]]
        at = (at - OFFSET[0]) / SPREAD[0]
    for number, (op, what) in enumerate(steps):
        name = f"t{number}"
        if op == "Cast":
            nodes.append(helper.make_node("Cast", [last], [name], to=what))
        else:
            assert scaled is not None
            constants.append(numpy_helper.from_array(np.array([what], dtype=_DTYPES[scaled]), f"c{number}"))
            nodes.append(helper.make_node(op, [last, f"c{number}"], [name]))
        last = name
    nodes.append(_stumps(last, float(np.float32(at)), mode))
    if given == WHOLE:
        rng = np.random.default_rng(3)
        train = np.rint(at) + rng.integers(-6, 7, (60, 2))
        return Made(_model(nodes, constants, given), train, train[::-1], "values", "regression", True)
    centre = at if scaled is None else at * SPREAD[0] + OFFSET[0]
    return Made(_model(nodes, constants, given), *_near(centre), "values", "regression", True)


def _near(at: float) -> tuple[np.ndarray, np.ndarray]:
    """Ordinary records to calibrate on; those that are asked come as close to the threshold as 1e-9."""
    rng = np.random.default_rng(7)
    asked = at + rng.normal(size=(400, 2)) * 10.0 ** rng.integers(-9, 0, (400, 1))
    return rng.normal(size=(60, 2)) * 2, asked


def _stumps(reads: str, at: float, mode: str, weights: Sequence[float] = (1.0, -2.5, 3.0, 0.5)) -> Any:
    return helper.make_node(
        "TreeEnsembleRegressor",
        [reads],
        ["y"],
        name="trees",
        domain="ai.onnx.ml",
        nodes_treeids=[0, 0, 0, 1, 1, 1],
        nodes_nodeids=[0, 1, 2, 0, 1, 2],
        nodes_featureids=[0, 0, 0, 1, 0, 0],
        nodes_values=[at, 0.0, 0.0, at, 0.0, 0.0],
        nodes_modes=[mode, "LEAF", "LEAF", mode, "LEAF", "LEAF"],
        nodes_truenodeids=[1, 0, 0, 1, 0, 0],
        nodes_falsenodeids=[2, 0, 0, 2, 0, 0],
        target_treeids=[0, 0, 1, 1],
        target_nodeids=[1, 2, 1, 2],
        target_ids=[0] * 4,
        target_weights=list(weights),
        n_targets=1,
    )


def _model(nodes: list[Any], constants: list[Any], given: int, outputs: list[Any] | None = None) -> bytes:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", given, [None, 2])],
        outputs or [helper.make_tensor_value_info("y", FLOAT, [None, 1])],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def _forest(*before: Any) -> Made:
    """As `to_onnx(model, X)` writes it where X is float64, as most people's is."""
    model = make_pipeline(*before, RandomForestClassifier(3, max_depth=3, random_state=0))
    train, asked = data.table(), data.probing(data.table(60, seed=1)) * (1 + 1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(train, data.binary(train))
        proto = to_onnx(model, train[:1])
    assert proto.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    return Made(proto.SerializeToString(), train, asked, "label", None, True)


def _leaves(large: float, at: float = 0.3) -> Made:
    node = _stumps("x", at, "BRANCH_GT", (large, 1.0, 2.0, 0.5))
    return Made(_model([node], [], FLOAT), *_near(0.3), "values", "regression", True)


def _label(at: float) -> Made:
    """A label of its own beside the probability; in calibration none lies between a half and 0.3."""
    weights = numpy_helper.from_array(np.array([[2.0], [-1.5]], dtype=np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["p"]),
        helper.make_node("Greater", ["p", "at"], ["above"]),
        helper.make_node("Cast", ["above"], ["label"], to=WHOLE),
    ]
    outputs = [
        helper.make_tensor_value_info("label", WHOLE, [None, 1]),
        helper.make_tensor_value_info("p", FLOAT, [None, 1]),
    ]
    constants = [weights, numpy_helper.from_array(np.array([at], dtype=np.float32), "at")]
    rng = np.random.default_rng(3)
    train, asked = rng.normal(size=(400, 2)), rng.normal(size=(60, 2))
    sure = train[np.abs(train @ [2.0, -1.5]) > 1.5]
    return Made(_model(nodes, constants, FLOAT, outputs), sure, asked, "label")


def _dropout(training: bool) -> Made:
    constants = [
        numpy_helper.from_array(np.array([[2.0], [-1.5]], dtype=np.float32), "w"),
        numpy_helper.from_array(np.array(0.5, dtype=np.float32), "share"),
        numpy_helper.from_array(np.array(training), "training"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Dropout", ["z", "share", "training"], ["y"]),
    ]
    rng = np.random.default_rng(3)
    train, asked = rng.normal(size=(80, 2)), rng.normal(size=(40, 2))
    return Made(_model(nodes, constants, FLOAT), train, asked, "values", "regression")
