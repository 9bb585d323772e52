"""The models that are measured: each one's ONNX bytes, the same without its last function (for ezkl), and its
records.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx

from bench import data
from bench.training import Conv, to_onnx, train
from proofward.zkml.report import MAX_SHIFT

CONV_1D = (Conv(4, (1, 5)), Conv(8, (1, 5)))
CONV_2D = (Conv(4, (3, 3), (2, 2)), Conv(8, (3, 3), (2, 2)))


@dataclass(frozen=True)
class Model:
    """A trained model and its split; `title` says what it decides. `loss` is what is accepted of
    accuracy, and as the share of other decisions, `shift` of a score.
    """

    name: str
    title: str
    onnx: bytes
    split: data.Split
    loss: float = 0.005
    shift: float = MAX_SHIFT


def mlp() -> Model:
    """30-16-1 on breast cancer, in raw units."""
    split = data.breast_cancer()
    return Model("mlp", "breast cancer, MLP 30-16-1", _mlp(split, 16), split)


def cnn1d() -> Model:
    """conv4, conv8, fc5 on 187 samples."""
    split = data.venous_pressure()
    net = train(split, (1, 187), CONV_1D, 5, epochs=30, rate=5e-3, decay=1e-2, noise=0.1)
    # by default it is refused: its five classes lie close together
    return Model("cnn1d", "venous pressure, 5 animals, 1-D CNN", to_onnx(net, True), split, 0.03, 0.2)


def cnn2d() -> Model:
    """conv4 stride 2, conv8 stride 2, fc2 on 28 x 28 on whether a digit is odd."""
    split = data.digits()
    split = data.Split(split.train_x, split.train_y % 2, split.test_x, split.test_y % 2)
    net = train(split, (28, 28), CONV_2D, 2, epochs=30, rate=5e-3)
    return Model("cnn2d", "digits 28 x 28, odd or even, 2-D CNN", to_onnx(net, False), split)


def trees() -> Model:
    """Gradient boosting, 50 trees of depth 3, on the four hospitals' heart disease."""
    split = data.heart_disease()
    return Model("trees", "heart disease, gradient boosting 50 x 3", _boosting(split), split)


def heart_mlp() -> Model:
    """An MLP on the four hospitals' heart disease."""
    split = data.heart_disease()
    return Model("heart_mlp", "heart disease, MLP 16", _mlp(split, 16), split)


def heart_forest() -> Model:
    """A random forest on the four hospitals' heart disease."""
    from sklearn.ensemble import RandomForestClassifier

    split = data.heart_disease()
    forest = RandomForestClassifier(n_estimators=30, max_depth=5, random_state=0).fit(
        split.train_x, split.train_y
    )
    return Model("heart_forest", "heart disease, random forest 30 x 5", _convert(forest, split), split)


def cancer_trees() -> Model:
    """Gradient boosting, 50 trees of depth 3, on breast cancer."""
    split = data.breast_cancer()
    return Model("cancer_trees", "breast cancer, gradient boosting 50 x 3", _boosting(split), split)


def digits_cnn() -> Model:
    """All ten digits, with the 2-D CNN's layers."""
    split = data.digits()
    net = train(split, (28, 28), CONV_2D, 10, epochs=40, rate=5e-3)
    return Model("digits_cnn", "digits 28 x 28, ten classes, 2-D CNN", to_onnx(net, False), split)


BENCH: dict[str, Callable[[], Model]] = {"mlp": mlp, "cnn1d": cnn1d, "cnn2d": cnn2d, "trees": trees}
ACCURACY: tuple[Callable[[], Model], ...] = (
    mlp,
    cancer_trees,
    heart_mlp,
    trees,
    heart_forest,
    cnn1d,
    cnn2d,
    digits_cnn,
)


def for_ezkl(model: bytes) -> bytes:
    """The model with a batch of one, ending at its logits: sigmoid and softmax decide nothing and cost ezkl a
    lookup.
    """
    proto = onnx.load_model_from_string(model)
    graph = proto.graph
    last = graph.node[-1]
    if last.op_type in ("Sigmoid", "Softmax"):
        graph.node.remove(last)
        graph.output[0].name = last.input[0]
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return bytes(proto.SerializeToString())


def _mlp(split: data.Split, hidden: int) -> bytes:
    """scikit-learn's MLP with its standardisation folded into the first layer."""
    from onnx import TensorProto, helper, numpy_helper
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(split.train_x)
    net = MLPClassifier((hidden,), alpha=1.0, max_iter=1000, random_state=0)
    net.fit(scaler.transform(split.train_x), split.train_y)
    first = net.coefs_[0] / scaler.scale_[:, None]
    tensors = {
        "w0": first,
        "b0": net.intercepts_[0] - scaler.mean_ @ first,
        "w1": net.coefs_[1],
        "b1": net.intercepts_[1],
    }
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["h"], name="hidden"),
        helper.make_node("Relu", ["h"], ["a"], name="relu"),
        helper.make_node("Gemm", ["a", "w1", "b1"], ["z"], name="logit"),
        helper.make_node("Sigmoid", ["z"], ["p"], name="sigmoid"),
    ]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", split.train_x.shape[1]])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(proto.SerializeToString())


def _boosting(split: data.Split) -> bytes:
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(n_estimators=50, max_depth=3, random_state=0)
    return _convert(model.fit(split.train_x, split.train_y), split)


def _convert(model: object, split: data.Split) -> bytes:
    from skl2onnx import to_onnx as convert

    return bytes(convert(model, split.train_x[:1].astype(np.float32)).SerializeToString())
