"""The demo's data and models: the Wisconsin breast-cancer set, and two models trained on it here and now."""

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
    """A trained model of one `kind` (`mlp`, `logistic`), with the records it has not seen.

    `onnx`: serialised model, input `x` float32 [n, 30] in the data set's own units, output `p` [n, 1]:
    the probability of a benign finding. `calibration`: training records [n, 30]. `records`, `truth`:
    held-out records and their labels (0 malignant, 1 benign).
    """

    kind: str
    onnx: bytes
    calibration: NDArray[np.float64]
    records: NDArray[np.float64]
    truth: NDArray[np.int64]
    accuracy: float


def train() -> list[DemoModel]:
    """Train a 30-16-1 MLP and a logistic regression (Wolberg et al. 1995 data, as scikit-learn ships it)."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_held, y_train, y_held = train_test_split(x, y, test_size=0.3, random_state=SEED, stratify=y)
    scaler = StandardScaler().fit(x_train)
    mlp = MLPClassifier((HIDDEN,), alpha=1.0, max_iter=600, random_state=SEED)
    logistic = LogisticRegression(C=0.1)
    models = []
    for kind, trained in (("mlp", mlp), ("logistic", logistic)):
        trained.fit(scaler.transform(x_train), y_train)
        layers = (
            list(zip(mlp.coefs_, mlp.intercepts_, strict=True))
            if trained is mlp
            else [(logistic.coef_.T, logistic.intercept_)]
        )
        models.append(
            DemoModel(
                kind,
                _export(kind, layers, scaler.mean_, scaler.scale_),
                x_train,
                x_held,
                y_held.astype(np.int64),
                float(trained.score(scaler.transform(x_held), y_held)),
            )
        )
    return models


def _export(
    kind: str,
    layers: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    mean: NDArray[np.float64],
    deviation: NDArray[np.float64],
) -> bytes:
    """Write layers (weights, bias) as ONNX, the standardisation folded into the first: it takes raw units."""
    weights, bias = layers[0]
    scaled = weights / deviation[:, None]
    layers = [(scaled, bias - mean @ scaled), *layers[1:]]
    tensors: dict[str, NDArray[np.float64]] = {}
    nodes, last = [], "x"
    for at, (w, b) in enumerate(layers):
        tensors |= {f"w{at}": w, f"b{at}": b}
        nodes.append(helper.make_node("Gemm", [last, f"w{at}", f"b{at}"], [f"h{at}"], name=f"layer{at}"))
        last = f"h{at}"
        if at + 1 < len(layers):
            nodes.append(helper.make_node("Relu", [last], [f"a{at}"], name=f"relu{at}"))
            last = f"a{at}"
    nodes.append(helper.make_node("Sigmoid", [last], ["p"], name="probability"))
    graph = helper.make_graph(
        nodes,
        f"breast-cancer-{kind}",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", scaled.shape[0]])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised
