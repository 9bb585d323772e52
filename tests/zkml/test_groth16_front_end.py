"""Each supported operator, traced into affine maps and ReLUs, equals ONNX Runtime; the others are refused by
name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from proofward.zkml.errors import UnsupportedModel
from proofward.zkml.groth16.compiler.onnx_frontend import trace
from proofward.zkml.groth16.errors import UnsupportedOperator
from tests.zkml.onnx_models import Graph, run


def gemm(g: Graph) -> None:
    g.node("Gemm", g.weights(5, 8), g.weights(5), transB=1, alpha=0.5, beta=2.0)
    g.node("Relu")
    g.node("MatMul", g.weights(5, 3))
    g.node("Add", g.weights(3))


def conv1d(g: Graph) -> None:
    g.node("Conv", g.weights(4, 2, 3), g.weights(4), strides=[2], pads=[1, 2], dilations=[2])
    g.node("BatchNormalization", g.weights(4), g.weights(4), g.weights(4), np.abs(g.weights(4)) + 0.1)
    g.node("LeakyRelu", alpha=0.1)
    g.node("AveragePool", kernel_shape=[2], strides=[2], pads=[1, 0])
    g.node("Flatten")


def conv2d(g: Graph) -> None:
    g.node("Conv", g.weights(4, 1, 3, 2), g.weights(4), group=2, strides=[1, 2], pads=[1, 0, 1, 1])
    g.node("Relu")
    g.node("MaxPool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
    g.node("Conv", g.weights(3, 4, 1, 1))
    g.node("Clip", np.float32(-0.2), np.float32(0.7))
    g.node("GlobalAveragePool")
    g.node("Reshape", np.array([0, -1], dtype=np.int64))


def same_padding(g: Graph) -> None:
    g.node("Conv", g.weights(2, 2, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER")
    g.node("AveragePool", kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=1)
    g.node("Transpose", perm=[0, 2, 3, 1])
    g.node("Reshape", np.array([-1, 2], dtype=np.int64))
    g.node("Flatten", axis=0)


def pooled(g: Graph) -> None:
    g.node("MaxPool", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)
    g.node("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    g.node("ReduceMax", axes=[3], keepdims=0)
    g.node("ReduceSum", np.array([2], dtype=np.int64), keepdims=0)


def bent(g: Graph) -> None:
    first = g.node("Gemm", g.weights(6, 6), g.weights(6))
    g.node("Abs")
    second = g.node("HardSigmoid", alpha=0.3, beta=0.4)
    g.raw("Min", [first, second])
    g.raw("Sum", [g.last, first, second])
    g.node("Gemm", g.weights(6, 2))


def residual(g: Graph) -> None:
    g.node("Gemm", g.weights(6, 6))
    skip = g.node("Relu")
    g.node("Gemm", g.weights(6, 6), g.weights(6))
    g.node("Relu")
    g.node("Add", skip)
    both = g.raw("Concat", [g.last, skip], axis=1)
    g.raw("Max", [both, g.node("Neg")])
    g.node("Gemm", g.weights(12, 2))
    g.node("Sub", g.weights(2))
    g.node("Div", np.array([2.0, 4.0], dtype=np.float32))


def shapes(g: Graph) -> None:
    g.node("Unsqueeze", np.array([1], dtype=np.int64))
    g.node("Slice", np.array([1]), np.array([7]), np.array([2]), np.array([2]))
    g.node("Gather", np.array([2, 0]), axis=2)
    g.node("Squeeze", np.array([1], dtype=np.int64))
    g.node("Identity")
    g.node("Cast", to=1)
    g.node("Mul", np.float32(3.0))


def pad_and_global_max(g: Graph) -> None:
    g.node("Pad", np.array([0, 0, 1, 2, 0, 0, 0, 1]), np.float32(0.0))
    g.node("Conv", g.weights(3, 2, 2, 2))
    g.node("GlobalMaxPool")
    g.node("ReduceMean", axes=[2, 3], keepdims=0)


MODELS: list[tuple[Callable[[Graph], None], tuple[int, ...]]] = [
    (gemm, (8,)),
    (conv1d, (2, 13)),
    (conv2d, (2, 7, 8)),
    (same_padding, (2, 5, 6)),
    (pooled, (2, 8, 7)),
    (bent, (6,)),
    (residual, (6,)),
    (shapes, (9,)),
    (pad_and_global_max, (2, 4, 5)),
]


@pytest.mark.parametrize(("build", "shape"), MODELS, ids=[build.__name__ for build, _ in MODELS])
def test_traced_network_equals_onnx_runtime(build: Callable[[Graph], None], shape: tuple[int, ...]) -> None:
    graph = Graph(shape)
    build(graph)
    network = trace(graph.model()).network
    assert network is not None
    x = graph.records(20)
    expected = run(graph.model(), x, shape)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(network.evaluate(x), expected, atol=2e-5)


def test_sigmoid_and_softmax_leave_the_logit() -> None:
    for op, outputs, decision in (("Sigmoid", 1, "sigmoid"), ("Softmax", 3, "softmax")):
        graph = Graph((4,))
        graph.node("Gemm", graph.weights(4, outputs))
        graph.node(op)
        traced = trace(graph.model())
        network = traced.network
        assert network is not None
        assert (traced.decision, network.evaluate(graph.records(2)).shape) == (decision, (2, outputs))


@pytest.mark.parametrize(
    ("op", "attributes", "reason"),
    [
        ("Softsign", {}, "no gadget"),
        ("LayerNormalization", {}, "no gadget"),
        ("MaxPool", {"kernel_shape": [2], "dilations": [2], "auto_pad": "SAME_UPPER"}, "with pads"),
        ("Sin", {}, "no gadget"),
    ],
)
def test_unsupported_operator_is_named_with_its_node(
    op: str, attributes: dict[str, Any], reason: str
) -> None:
    graph = Graph((2, 8))
    graph.node("Relu")
    inputs = [graph.weights(8)] if op == "LayerNormalization" else []
    graph.node(op, *inputs, **attributes)
    with pytest.raises(UnsupportedOperator) as caught:
        trace(graph.model())
    assert (caught.value.op, caught.value.node) == (op, f"{op.lower()}_1")
    assert reason in caught.value.message
    assert "ezkl" not in caught.value.message  # that lane is advised only where it takes the model


@pytest.mark.parametrize("column", [0, 1])
def test_classes_have_no_names_where_the_output_is_another_column_than_theirs(column: int) -> None:
    graph = Graph((3,))
    weights = graph.weights(3).tolist()
    graph.raw(
        "LinearClassifier", ["x"], domain="ai.onnx.ml", coefficients=[-w for w in weights] + weights,
        intercepts=[-0.5, 0.5], post_transform="LOGISTIC", classlabels_strings=["well", "sick"],
    )  # fmt: skip
    graph.nodes[-1].output.append("p")
    graph.raw("Gather", ["p", graph.constant(np.array([column]))], axis=1)
    traced = trace(graph.model())
    assert (traced.decision, traced.labels) == ("sigmoid", ("well", "sick") if column else None)


@pytest.mark.parametrize("names", [["sick", "sick"], ["well", "sick\n"]])
def test_classes_that_an_answer_would_not_tell_apart_are_refused(names: list[str]) -> None:
    graph = Graph((3,))
    weights = graph.weights(3).tolist()
    graph.raw(
        "LinearClassifier", ["x"], domain="ai.onnx.ml", coefficients=[-w for w in weights] + weights,
        intercepts=[-0.5, 0.5], post_transform="LOGISTIC", classlabels_strings=names,
    )  # fmt: skip
    graph.nodes[-1].output.append("p")
    graph.raw("Gather", ["p", graph.constant(np.array([1]))], axis=1)
    with pytest.raises(UnsupportedModel, match="name them otherwise"):
        trace(graph.model())


def test_classes_have_no_names_where_another_layer_follows_the_classifier() -> None:
    graph = Graph((3,))
    graph.raw(
        "LinearClassifier", ["x"], domain="ai.onnx.ml", coefficients=graph.weights(9).tolist(),
        intercepts=[0.1, 0.2, 0.3], classlabels_strings=["a", "b", "c"],
    )  # fmt: skip
    graph.nodes[-1].output.append("p")
    graph.raw("Gemm", ["p", graph.constant(graph.weights(3, 3))])
    graph.node("Softmax", axis=1)
    traced = trace(graph.model())
    assert (traced.decision, traced.labels) == ("softmax", None)


def test_a_softmax_in_the_middle_is_refused() -> None:
    graph = Graph((4,))
    graph.node("Gemm", graph.weights(4, 2))
    graph.node("Softmax", axis=1)
    graph.node("Gemm", graph.weights(2, 2))
    with pytest.raises(UnsupportedOperator, match="at the output only"):
        trace(graph.model())


@pytest.mark.parametrize("data", [b"", b"\x00" * 40, b"not onnx"], ids=["empty", "zeros", "text"])
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedModel):
        trace(data)


@pytest.mark.parametrize("op", ["Tanh", "Softplus", "HardSwish", "Gelu", "Mish", "Elu", "Selu", "Sigmoid"])
def test_a_smooth_function_is_itself_and_its_lines_are_as_near_as_they_say(op: str) -> None:
    graph = Graph((3,))
    graph.node("Gemm", graph.weights(3, 4, scale=4.0), graph.weights(4))
    graph.node(op)
    graph.node("Gemm", np.eye(4, dtype=np.float32))
    model, x = graph.model(20), graph.records(200)
    network = trace(model).network
    assert network is not None
    theirs = run(model, x, (3,))
    np.testing.assert_allclose(network.evaluate(x, exact=True), theirs, atol=1e-4)
    stated = max(curve.lines.error for curve in network.curves) * (1.76 if op == "Selu" else 1.0)
    off = float(np.abs(network.evaluate(x) - theirs).max())
    assert 1e-5 < off <= stated + 1e-4
