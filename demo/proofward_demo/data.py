"""The demo's data and model: the Wisconsin breast-cancer set and an MLP trained on it here and now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

HIDDEN = 16
SEED = 7


@dataclass(frozen=True)
class DemoModel:
    """A trained model with the records it has not seen.

    ``onnx``: serialised model, input ``x`` float32 [n, 30] in the data set's own units, output ``p`` [n, 1]:
    the probability of a benign finding. ``calibration``: training records [n, 30]. ``records``, ``truth``:
    held-out records and their labels (0 malignant, 1 benign).
    """

    onnx: bytes
    calibration: NDArray[np.float64]
    records: NDArray[np.float64]
    truth: NDArray[np.int64]
    accuracy: float


def train() -> DemoModel:
    """Train a 30-16-1 MLP (Wolberg et al. 1995 data, as scikit-learn ships it) and export it to ONNX."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_held, y_train, y_held = train_test_split(x, y, test_size=0.3, random_state=SEED, stratify=y)
    scaler = StandardScaler().fit(x_train)
    mlp = MLPClassifier((HIDDEN,), alpha=1.0, max_iter=600, random_state=SEED)
    mlp.fit(scaler.transform(x_train), y_train)
    model = _export(mlp.coefs_, mlp.intercepts_, scaler.mean_, scaler.scale_)
    accuracy = float(mlp.score(scaler.transform(x_held), y_held))
    return DemoModel(model, x_train, x_held, y_held.astype(np.int64), accuracy)


def _export(
    weights: list[NDArray[np.float64]],
    biases: list[NDArray[np.float64]],
    mean: NDArray[np.float64],
    deviation: NDArray[np.float64],
) -> bytes:
    """Write the MLP as ONNX, its standardisation folded into the first layer so that it takes raw units."""
    first = weights[0] / deviation[:, None]
    first_bias = biases[0] - mean @ first
    tensors = {"w0": first, "b0": first_bias, "w1": weights[1], "b1": biases[1]}
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["h"], name="hidden"),
        helper.make_node("Relu", ["h"], ["a"], name="relu"),
        helper.make_node("Gemm", ["a", "w1", "b1"], ["logit"], name="logit"),
        helper.make_node("Sigmoid", ["logit"], ["p"], name="probability"),
    ]
    graph = helper.make_graph(
        nodes,
        "breast-cancer-mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", first.shape[0]])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised
