"""Graphs as exporters of PyTorch, Keras and others write them, built with onnx's own helper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.cases.generated.case import Case, Made
from tests.zkml.onnx_models import Graph

I64 = np.int64


def _ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=I64)


def cases() -> list[Case]:
    """All of them."""
    return [*_dense(), *_bends(), *_signals(), *_images(), *_moves(), *_ends(), *_files(), *_ensembles()]


def _graph(
    name: str,
    shape: Sequence[int],
    build: Callable[[Graph], Any],
    *,
    reads: str = "argmax",
    task: Any = None,
    opset: int = 17,
    head: int | None = 3,
    wrap: Callable[[bytes], bytes] | None = None,
    rounded: bool = False,
    output: str | None = None,
) -> Case:
    """A graph over records of `shape`; `head` classes behind it, or None where `build` makes its own end."""

    def make() -> Made:
        graph = Graph(shape, seed=len(name))
        graph.opset = opset
        build(graph)
        if head is not None:
            _head(graph, head)
        model = _as_labels(graph.model(opset)) if reads in ("label", "labels") else graph.model(opset)
        model = wrap(model) if wrap else model
        rng = np.random.default_rng(5)
        size = int(np.prod(shape))
        train, asked = (
            rng.uniform(-1, 1, (n, size)).astype(np.float32).astype(np.float64) for n in (120, 40)
        )
        if rounded:
            train, asked = np.rint(4 * train), np.rint(4 * asked)
        return Made(model, train, asked, reads, task, output=output)  # type: ignore[arg-type]

    return Case(f"graph_{name}", make)


def _with_label(op: str) -> Callable[[bytes], bytes]:
    """The model with a label beside its scores."""

    def wrap(model: bytes) -> bytes:
        proto = onnx.load_model_from_string(model)
        scores = proto.graph.output[0].name
        proto.graph.node.append(helper.make_node(op, [scores], ["chosen"], axis=1, keepdims=0))
        label = helper.make_tensor_value_info("chosen", TensorProto.INT64, [None])
        scored = proto.graph.output.pop()
        scored.type.tensor_type.elem_type = TensorProto.FLOAT
        proto.graph.output.extend([label, scored])
        return bytes(proto.SerializeToString())

    return wrap


def _as_labels(model: bytes) -> bytes:
    """The same model with whole numbers, or truth values, at its output."""
    proto = onnx.load_model_from_string(model)
    last, words = proto.graph.node[-1].op_type, proto.graph.initializer
    kind = TensorProto.BOOL if last == "Greater" else TensorProto.INT64
    if last == "Gather" and any(one.data_type == TensorProto.STRING for one in words):
        kind = TensorProto.STRING
    proto.graph.output[0].type.tensor_type.elem_type = kind
    return bytes(proto.SerializeToString())


def _head(graph: Graph, classes: int) -> None:
    """Flatten, a dense layer of moderate logits, Softmax."""
    graph.node("Flatten")
    size = int(_shape_of(graph)[-1])
    graph.node(
        "Gemm", graph.weights(size, classes, scale=4.0 / np.sqrt(size)), graph.weights(classes, scale=0.2)
    )
    graph.node("Softmax", axis=1)


def _shape_of(graph: Graph) -> list[int]:
    proto = onnx.load_model_from_string(graph.model())
    known = {v.name: v for v in [*proto.graph.value_info, *proto.graph.output]}
    return [d.dim_value for d in known[graph.last].type.tensor_type.shape.dim]


def _layer(graph: Graph, width: int, then: str | None = "Relu") -> None:
    size = int(_shape_of(graph)[-1]) if graph.nodes else graph.shape[-1]
    graph.node(
        "Gemm",
        graph.weights(width, size, scale=1.0 / np.sqrt(size)),
        graph.weights(width, scale=0.2),
        transB=1,
    )
    if then:
        graph.node(then)


def _dense() -> list[Case]:
    def layers(*widths: int) -> Callable[[Graph], None]:
        def build(g: Graph) -> None:
            for width in widths:
                _layer(g, width)

        return build

    def binary(g: Graph) -> None:
        layers(4)(g)
        _layer(g, 1, "Sigmoid")

    def normed(g: Graph) -> None:
        _layer(g, 5, None)
        g.node("BatchNormalization", g.weights(5), g.weights(5), g.weights(5), np.abs(g.weights(5)) + 0.2)
        g.node("Relu")

    def residual(g: Graph) -> None:
        _layer(g, 4)
        kept = g.last
        _layer(g, 4)
        g.node("Add", kept)

    def matmul(g: Graph) -> None:
        g.node("MatMul", g.weights(4, 5))
        g.node("Add", g.weights(5))
        g.node("Relu")
        g.node("MatMul", g.weights(5, 4))

    def dropout(g: Graph) -> None:
        _layer(g, 4)
        g.node("Dropout")
        g.node("Identity")

    def constants(g: Graph) -> None:
        g.node("Mul", np.float32(2.0))
        g.node("Sub", g.weights(4))
        g.node("Div", np.float32(3.0))
        g.node("Neg")
        _layer(g, 4)

    def dense_net(g: Graph) -> None:
        first = "x"
        _layer(g, 3)
        g.raw("Concat", [first, g.last], axis=1)

    def products(g: Graph) -> None:
        _layer(g, 4)
        g.node("Mul", g.last)

    def alpha(g: Graph) -> None:
        g.node("Gemm", g.weights(4, 4), g.weights(4), alpha=0.5, beta=2.0)
        g.node("Relu")

    return [
        _graph("dense", (4,), layers(4)),
        _graph("dense_two", (4,), layers(5, 4)),
        _graph("dense_wide_input", (24,), layers(3)),
        _graph("dense_linear", (4,), layers()),
        _graph("dense_binary", (4,), binary, reads="half", head=None),
        _graph("dense_binary_linear", (4,), lambda g: _layer(g, 1, "Sigmoid"), reads="half", head=None),
        _graph("dense_normed", (4,), normed),
        _graph("dense_residual", (4,), residual),
        _graph("dense_matmul", (4,), matmul),
        _graph("dense_dropout", (4,), dropout),
        _graph("dense_constants", (4,), constants),
        _graph("dense_concat", (4,), dense_net),
        _graph("dense_product", (4,), products),
        _graph("dense_alpha", (4,), alpha),
        _graph("dense_opset_9", (4,), layers(4), opset=9),
        _graph("dense_opset_11", (4,), layers(4), opset=11),
        _graph("dense_opset_13", (4,), layers(4), opset=13),
        _graph("dense_opset_20", (4,), layers(4), opset=20),
        _graph("dense_ten_classes", (4,), layers(4), head=10),
    ]


def _bends() -> list[Case]:
    def bend(
        op: str, *constants: np.ndarray | np.floating[Any], **attributes: Any
    ) -> Callable[[Graph], None]:
        def build(g: Graph) -> None:
            _layer(g, 3, None)
            g.node(op, *constants, **attributes)

        return build

    def swish(g: Graph) -> None:
        _layer(g, 3, None)
        kept = g.last
        g.node("Sigmoid")
        g.node("Mul", kept)

    def relu6(g: Graph) -> None:
        _layer(g, 3, None)
        g.node("Clip", np.float32(0), np.float32(6))

    def gelu(g: Graph) -> None:
        _layer(g, 3, None)
        kept = g.last
        g.node("Div", np.float32(np.sqrt(2)))
        g.node("Erf")
        g.node("Add", np.float32(1))
        g.raw("Mul", [kept, g.last])
        g.node("Mul", np.float32(0.5))

    def pair(op: str) -> Callable[[Graph], None]:
        def build(g: Graph) -> None:
            _layer(g, 3, None)
            first = g.last
            g.raw("Gemm", ["x", g.constant(g.weights(4, 3))])
            g.raw(op, [first, g.last])

        return build

    def layer_norm(g: Graph) -> None:
        _layer(g, 4, None)
        g.node("LayerNormalization", np.ones(4, dtype=np.float32), np.zeros(4, dtype=np.float32))

    def softmax_inside(g: Graph) -> None:
        _layer(g, 4, None)
        g.node("Softmax", axis=1)
        _layer(g, 3)

    return [
        _graph("leaky_relu", (4,), bend("LeakyRelu", alpha=0.1)),
        _graph("leaky_relu_steep", (4,), bend("LeakyRelu", alpha=1.5)),
        _graph("prelu", (4,), bend("PRelu", np.array([0.1, 0.3, -0.2], dtype=np.float32))),
        _graph("clip", (4,), bend("Clip", np.float32(-0.4), np.float32(0.5))),
        _graph("clip_lower", (4,), bend("Clip", np.float32(-0.2))),
        _graph("clip_opset_6", (4,), bend("Clip", min=-0.3, max=0.4), opset=10),
        _graph("relu6", (4,), relu6),
        _graph("abs", (4,), bend("Abs")),
        _graph("hard_sigmoid", (4,), bend("HardSigmoid")),
        _graph("hard_sigmoid_steep", (4,), bend("HardSigmoid", alpha=0.5, beta=0.3)),
        _graph("hard_swish", (4,), bend("HardSwish")),
        _graph("swish", (4,), swish),
        _graph("gelu", (4,), gelu),
        _graph("gelu_opset_20", (4,), bend("Gelu"), opset=20),
        _graph("tanh", (4,), bend("Tanh")),
        _graph("sigmoid_inside", (4,), bend("Sigmoid")),
        _graph("elu", (4,), bend("Elu")),
        _graph("selu", (4,), bend("Selu")),
        _graph("celu", (4,), bend("Celu")),
        _graph("softplus", (4,), bend("Softplus")),
        _graph("softsign", (4,), bend("Softsign")),
        _graph("mish", (4,), bend("Mish"), opset=18),
        _graph("thresholded_relu", (4,), bend("ThresholdedRelu", alpha=0.3)),
        _graph("erf", (4,), bend("Erf")),
        _graph("exp", (4,), bend("Exp")),
        _graph("sqrt", (4,), bend("Sqrt")),
        _graph("pow", (4,), bend("Pow", np.float32(2.0))),
        _graph("sign", (4,), bend("Sign")),
        _graph("floor", (4,), bend("Floor")),
        _graph("sin", (4,), bend("Sin")),
        _graph("max", (4,), pair("Max")),
        _graph("min", (4,), pair("Min")),
        _graph("sum", (4,), pair("Sum")),
        _graph("mean", (4,), pair("Mean")),
        _graph("max_constant", (4,), bend("Max", np.float32(0.1))),
        _graph("min_constant", (4,), bend("Min", np.float32(0.1))),
        _graph("layer_norm", (4,), layer_norm),
        _graph("softmax_inside", (4,), softmax_inside),
    ]


def _signals() -> list[Case]:
    def conv(g: Graph, filters: int, channels: int, width: int = 3, **how: Any) -> None:
        g.node("Conv", g.weights(filters, channels, width, scale=0.4), g.weights(filters, scale=0.1), **how)

    def plain(g: Graph) -> None:
        conv(g, 2, 1, strides=[2], pads=[1, 1])
        g.node("Relu")
        g.node("GlobalAveragePool")

    def pooled(op: str, **how: Any) -> Callable[[Graph], None]:
        def build(g: Graph) -> None:
            conv(g, 2, 1)
            g.node(op, kernel_shape=[2], strides=[2], **how)

        return build

    def channels_last(g: Graph) -> None:
        g.node("Transpose", perm=[0, 2, 1])
        conv(g, 2, 2, strides=[2])
        g.node("Relu")
        g.node("Transpose", perm=[0, 2, 1])
        g.node("ReduceMean", axes=[1], keepdims=0)

    def unsqueezed(g: Graph) -> None:
        g.node("Unsqueeze", _ints(1))
        conv(g, 2, 1, strides=[3])
        g.node("Relu")

    def depthwise(g: Graph) -> None:
        g.node("Conv", g.weights(2, 1, 3), group=2)
        g.node("Relu")
        conv(g, 2, 2, 1)

    def residual(g: Graph) -> None:
        conv(g, 2, 2, pads=[1, 1])
        g.node("Relu")
        g.node("Add", "x")
        g.node("GlobalMaxPool")

    def recurrent(op: str, gates: int) -> Callable[[Graph], None]:
        def build(g: Graph) -> None:
            g.node("Transpose", perm=[1, 0, 2])
            g.node(op, g.weights(1, gates * 2, 2), g.weights(1, gates * 2, 2), hidden_size=2)

        return build

    def embedding(g: Graph) -> None:
        g.node("Cast", to=TensorProto.INT64)
        g.raw("Gather", [g.constant(g.weights(9, 2)), g.last])

    return [
        _graph("conv1d", (1, 10), plain),
        _graph("conv1d_dilated", (1, 10), lambda g: conv(g, 2, 1, dilations=[2])),
        _graph("conv1d_same_upper", (1, 9), lambda g: conv(g, 2, 1, strides=[2], auto_pad="SAME_UPPER")),
        _graph("conv1d_same_lower", (1, 9), lambda g: conv(g, 2, 1, strides=[2], auto_pad="SAME_LOWER")),
        _graph("conv1d_valid", (1, 9), lambda g: conv(g, 2, 1, auto_pad="VALID")),
        _graph("conv1d_max_pool", (1, 8), pooled("MaxPool")),
        _graph("conv1d_max_pool_ceil", (1, 9), pooled("MaxPool", ceil_mode=1)),
        _graph("conv1d_average_pool", (1, 8), pooled("AveragePool")),
        _graph("conv1d_average_pool_ceil", (1, 9), pooled("AveragePool", ceil_mode=1)),
        _graph("conv1d_average_pad", (1, 8), pooled("AveragePool", pads=[1, 1], count_include_pad=1)),
        _graph(
            "conv1d_average_ceil_pad",
            (1, 9),
            pooled("AveragePool", pads=[1, 1], ceil_mode=1, count_include_pad=1),
        ),
        _graph("conv1d_channels_last", (9, 2), channels_last),
        _graph("conv1d_unsqueezed", (9,), unsqueezed),
        _graph("conv1d_depthwise", (2, 7), depthwise),
        _graph("conv1d_residual", (2, 5), residual),
        _graph("transposed", (1, 5), lambda g: g.node("ConvTranspose", g.weights(1, 2, 3))),
        _graph("lstm", (3, 2), recurrent("LSTM", 4)),
        _graph("gru", (3, 2), recurrent("GRU", 3)),
        _graph("rnn", (3, 2), recurrent("RNN", 1)),
        _graph("embedding", (3,), embedding, rounded=True),
        _graph(
            "dilated_pool",
            (1, 9),
            lambda g: g.node("MaxPool", kernel_shape=[2], dilations=[2], auto_pad="SAME_UPPER"),
        ),
    ]


def _images() -> list[Case]:
    def conv(g: Graph, filters: int, channels: int, **how: Any) -> None:
        g.node("Conv", g.weights(filters, channels, 3, 3, scale=0.3), g.weights(filters, scale=0.1), **how)

    def lenet(g: Graph) -> None:
        conv(g, 2, 1)
        g.node("Relu")
        g.node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])

    def normed(g: Graph) -> None:
        conv(g, 2, 1, strides=[2, 2], pads=[1, 1, 1, 1])
        g.node("BatchNormalization", g.weights(2), g.weights(2), g.weights(2), np.abs(g.weights(2)) + 0.2)
        g.node("Relu")
        g.node("GlobalAveragePool")

    def keras(g: Graph) -> None:
        g.node("Transpose", perm=[0, 3, 1, 2])
        conv(g, 2, 1, strides=[2, 2], auto_pad="SAME_UPPER")
        g.node("Relu")
        g.node("Transpose", perm=[0, 2, 3, 1])
        g.node("ReduceMean", axes=[1, 2], keepdims=0)

    def padded(g: Graph) -> None:
        g.node("Pad", _ints(0, 0, 1, 1, 0, 0, 1, 1))
        conv(g, 1, 1, strides=[2, 2])
        g.node("Relu")

    def pad_axes(g: Graph) -> None:
        g.node("Pad", _ints(1, 1), np.float32(0), _ints(3))
        conv(g, 1, 1, strides=[2, 2])

    def pad_reflect(g: Graph) -> None:
        g.node("Pad", _ints(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect")
        conv(g, 1, 1, strides=[2, 2])

    def pooled(op: str, **attributes: Any) -> Callable[[Graph], None]:
        def build(g: Graph) -> None:
            conv(g, 2, 1)
            g.node(op, **attributes)

        return build

    def instance(g: Graph) -> None:
        conv(g, 2, 1)
        g.node("InstanceNormalization", g.weights(2), g.weights(2))

    def resize(g: Graph) -> None:
        g.node("Resize", "", np.array([1, 1, 2, 2], dtype=np.float32), mode="nearest")
        conv(g, 1, 1, strides=[3, 3])

    return [
        _graph("conv2d", (1, 6, 6), lenet),
        _graph("conv2d_normed", (1, 6, 6), normed),
        _graph("conv2d_keras", (5, 5, 1), keras),
        _graph("conv2d_padded", (1, 4, 4), padded),
        _graph("conv2d_pad_axes", (1, 4, 4), pad_axes, opset=18),
        _graph("conv2d_pad_reflect", (1, 4, 4), pad_reflect),
        _graph("conv2d_reduce_max", (1, 5, 5), pooled("ReduceMax", axes=[2, 3])),
        _graph("conv2d_global_max", (1, 5, 5), pooled("GlobalMaxPool")),
        _graph("conv2d_instance", (1, 5, 5), instance),
        _graph("conv2d_resize", (1, 3, 3), resize),
        _graph("conv3d", (1, 3, 3, 3), lambda g: g.node("Conv", g.weights(1, 1, 2, 2, 2))),
        _graph("depth_to_space", (4, 2, 2), lambda g: g.node("DepthToSpace", blocksize=2)),
        _graph("global_lp", (1, 3, 3), lambda g: g.node("GlobalLpPool", p=2)),
        _graph("lrn", (2, 3, 3), lambda g: g.node("LRN", size=3)),
    ]


def _moves() -> list[Case]:
    def moved(op: str, *constants: np.ndarray, **attributes: Any) -> Callable[[Graph], Any]:
        return lambda g: g.node(op, *constants, **attributes)

    def split(g: Graph) -> None:
        g.nodes.append(
            helper.make_node("Split", ["x", g.constant(_ints(1, 3))], ["a", "b"], axis=1, name="cut")
        )
        g.raw("Concat", ["b", "a"], axis=1)

    def split_attribute(g: Graph) -> None:
        g.nodes.append(helper.make_node("Split", ["x"], ["a", "b"], axis=1, split=[2, 2], name="cut"))
        g.raw("Concat", ["b", "a"], axis=1)

    def shape_chain(g: Graph) -> None:
        g.node("Shape")
        g.node("Gather", np.array(0, dtype=I64))
        g.node("Unsqueeze", _ints(0))
        g.raw("Concat", [g.last, g.constant(_ints(-1))], axis=0)
        g.raw("Reshape", ["x", g.last])

    def top_k(g: Graph) -> None:
        g.nodes.append(helper.make_node("TopK", ["x", g.constant(_ints(2))], ["best", "where"], name="top"))
        g.last = "best"

    def expand(g: Graph) -> None:
        g.node("Unsqueeze", _ints(1))
        g.node("Expand", _ints(1, 2, 4))

    return [
        _graph("reshape_free", (4,), moved("Reshape", _ints(-1, 2, 2))),
        _graph("reshape_zero", (4,), moved("Reshape", _ints(0, 2, 2))),
        _graph("reshape_one", (4,), moved("Reshape", _ints(1, 4))),
        _graph("reshape_all", (2, 2), moved("Reshape", _ints(-1, 4))),
        _graph("reshape_batch", (2, 3), moved("Reshape", _ints(-1, 3)), head=None, reads="values"),
        _graph("flatten_two", (2, 3), moved("Flatten", axis=2), head=None, reads="values"),
        _graph("transpose", (2, 3), moved("Transpose", perm=[0, 2, 1])),
        _graph("transpose_batch", (2, 3), moved("Transpose", perm=[1, 0, 2])),
        _graph("squeeze", (1, 4), moved("Squeeze", _ints(1))),
        _graph("squeeze_opset_11", (1, 4), moved("Squeeze", axes=[1]), opset=11),
        _graph("unsqueeze", (4,), moved("Unsqueeze", _ints(1))),
        _graph("gather", (4,), moved("Gather", _ints(2, 0), axis=1)),
        _graph("gather_negative", (4,), moved("Gather", _ints(-1, 1), axis=1)),
        _graph("space_to_depth", (1, 2, 4), moved("SpaceToDepth", blocksize=2)),
        _graph("gather_elements", (4,), moved("GatherElements", np.array([[2, 0]]), axis=1)),
        _graph(
            "upsample_opset_9",
            (1, 2, 2),
            moved("Upsample", np.array([1, 1, 2, 1], dtype=np.float32), mode="nearest"),
            opset=9,
        ),
        _graph(
            "resize_linear",
            (1, 2, 2),
            lambda g: g.node("Resize", "", np.array([1, 1, 2, 2], dtype=np.float32), mode="linear"),
        ),
        _graph("slice", (4,), moved("Slice", _ints(1), _ints(3), _ints(1))),
        _graph("slice_step", (6,), moved("Slice", _ints(0), _ints(6), _ints(1), _ints(2))),
        _graph("slice_back", (4,), moved("Slice", _ints(3), _ints(-9), _ints(1), _ints(-1))),
        _graph("slice_opset_9", (4,), moved("Slice", starts=[1], ends=[4], axes=[1]), opset=9),
        _graph("split", (4,), split),
        _graph("split_opset_11", (4,), split_attribute, opset=11),
        _graph("shape_chain", (4,), shape_chain),
        _graph("expand", (4,), expand),
        _graph("tile", (4,), moved("Tile", _ints(1, 2))),
        _graph("tile_batch", (4,), moved("Tile", _ints(2, 1)), head=None, reads="values"),
        _graph(
            "gather_nd", (4,), moved("GatherND", np.array([[0, 1]], dtype=I64)), head=None, reads="values"
        ),
        _graph("trilu", (3, 3), moved("Trilu")),
        _graph("cumsum", (4,), moved("CumSum", np.array(1, dtype=I64))),
        _graph("top_k", (4,), top_k),
        _graph("cast_float16", (4,), lambda g: (g.node("Cast", to=10), g.node("Cast", to=1))),
        _graph("cast_int", (4,), lambda g: (g.node("Cast", to=7), g.node("Cast", to=1)), rounded=True),
        _graph(
            "where", (4,), lambda g: (g.node("Greater", np.float32(0)), g.raw("Where", [g.last, "x", "x"]))
        ),
        _graph("reduce_sum", (2, 3), moved("ReduceSum", _ints(2), keepdims=0)),
        _graph("reduce_mean", (2, 3), moved("ReduceMean", axes=[1], keepdims=0)),
        _graph("reduce_mean_opset_18", (2, 3), moved("ReduceMean", _ints(1), keepdims=0), opset=18),
        _graph("reduce_min", (2, 3), moved("ReduceMin", axes=[2], keepdims=0)),
        _graph("reduce_l2", (2, 3), moved("ReduceL2", axes=[2], keepdims=0)),
        _graph("reduce_all", (2, 3), moved("ReduceMean", axes=[0], keepdims=1)),
    ]


def _ends() -> list[Case]:
    def logits(width: int) -> Callable[[Graph], None]:
        return lambda g: _layer(g, width, None)

    def then(width: int, *ops: tuple[str, dict[str, Any]]) -> Callable[[Graph], None]:
        def build(g: Graph) -> None:
            _layer(g, width, None)
            for op, attributes in ops:
                g.node(op, **attributes)

        return build

    def both(g: Graph) -> None:
        _layer(g, 2, None)
        g.node("Softmax", axis=1)

    def squeezed(g: Graph) -> None:
        _layer(g, 1, None)
        g.node("Squeeze", _ints(1))

    def sigmoid_squeezed(g: Graph) -> None:
        _layer(g, 1, "Sigmoid")
        g.node("Squeeze", _ints(1))

    def spelled(g: Graph) -> None:
        _layer(g, 1, None)
        g.node("Neg")
        g.node("Exp")
        g.node("Add", np.float32(1))
        g.node("Reciprocal")

    def one_minus(g: Graph) -> None:
        _layer(g, 1, "Sigmoid")
        p = g.last
        g.raw("Sub", [g.constant(np.float32(1)), p])
        g.raw("Concat", [g.last, p], axis=1)

    def tempered(g: Graph) -> None:
        _layer(g, 3, None)
        g.node("Div", np.float32(1.7))
        g.node("Softmax", axis=-1)

    def greater(g: Graph) -> None:
        _layer(g, 1, "Sigmoid")
        g.node("Greater", np.float32(0.5))

    def above(width: int, bound: float, then: str | None = None) -> Callable[[Graph], None]:
        def build(g: Graph) -> None:
            _layer(g, width, then)
            g.node("Greater", np.float32(bound))

        return build

    def named(names: list[Any]) -> Callable[[Graph], None]:
        def build(g: Graph) -> None:
            _layer(g, len(names), None)
            chosen = g.node("ArgMax", axis=1, keepdims=0)
            kind = object if isinstance(names[0], str) else I64
            g.raw("Gather", [g.constant(np.array(names, dtype=kind)), chosen])

        return build

    none: dict[str, Any] = {"head": None}
    axis = {"axis": 1}
    return [
        _graph("logits_binary", (4,), logits(1), reads="zero", task="binary", **none),
        _graph("logits_unasked", (4,), logits(1), reads="zero", **none),
        _graph("logits_three", (4,), logits(3), task="multiclass", **none),
        _graph("logits_three_unasked", (4,), logits(3), **none),
        _graph("logits_two", (4,), logits(2), task="binary", **none),
        _graph("logits_multilabel", (4,), logits(3), reads="zeros", task="multilabel", **none),
        _graph("logits_wrong_task", (4,), logits(3), task="regression", **none),
        _graph("value", (4,), logits(1), reads="values", task="regression", **none),
        _graph("values", (4,), logits(2), reads="values", task="multi-target", **none),
        _graph("value_squeezed", (4,), squeezed, reads="values", task="regression", **none),
        _graph("softmax_two", (4,), both, **none),
        _graph("softmax_opset_11", (4,), then(3, ("Softmax", axis)), opset=11, **none),
        _graph("softmax_default", (4,), then(3, ("Softmax", {})), **none),
        _graph("softmax_batch", (4,), then(3, ("Softmax", {"axis": 0})), **none),
        _graph("softmax_tempered", (4,), tempered, **none),
        _graph("log_softmax", (4,), then(3, ("LogSoftmax", axis)), **none),
        _graph("argmax", (4,), then(3, ("ArgMax", {"axis": 1, "keepdims": 0})), reads="label", **none),
        _graph("argmax_kept", (4,), then(3, ("ArgMax", axis)), reads="label", **none),
        _graph("argmax_softmax", (4,), then(3, ("Softmax", axis), ("ArgMax", axis)), reads="label", **none),
        _graph(
            "argmax_last",
            (4,),
            then(3, ("ArgMax", {"axis": 1, "select_last_index": 1})),
            reads="label",
            **none,
        ),
        _graph("argmin", (4,), then(3, ("ArgMin", axis)), reads="label", **none),
        _graph("sigmoid_squeezed", (4,), sigmoid_squeezed, reads="half", **none),
        _graph("sigmoid_spelled", (4,), spelled, reads="half", **none),
        _graph("sigmoid_pair", (4,), one_minus, reads="half", **none),
        _graph("sigmoid_multilabel", (4,), then(3, ("Sigmoid", {})), reads="halves", **none),
        _graph("sigmoid_twice", (4,), then(2, ("Sigmoid", {}), ("Sigmoid", {})), reads="halves", **none),
        _graph("sigmoid_greater", (4,), greater, reads="label", **none),
        _graph("sigmoids_greater", (4,), above(3, 0.5, "Sigmoid"), reads="labels", **none),
        _graph("logits_greater", (4,), above(3, 0.0), reads="labels", **none),
        _graph("sigmoid_greater_than_0_3", (4,), above(1, 0.3, "Sigmoid"), reads="label", **none),
        _graph("argmax_named", (4,), named(["a", "b", "c"]), reads="label", **none),
        _graph("argmax_numbered", (4,), named([7, 5, 9]), reads="label", **none),
        _graph("argmax_beside", (4,), logits(3), reads="label", wrap=_with_label("ArgMax"), **none),
        _graph(
            "argmin_beside",
            (4,),
            logits(3),
            reads="label",
            task="multiclass",
            wrap=_with_label("ArgMin"),
            **none,
        ),
        _graph(
            "hard_sigmoid_end", (4,), then(1, ("HardSigmoid", {})), reads="values", task="regression", **none
        ),
        _graph(
            "hard_sigmoid_as_logit", (4,), then(1, ("HardSigmoid", {})), reads="half", task="binary", **none
        ),
        _graph("tanh_end", (4,), then(1, ("Tanh", {})), reads="values", task="regression", **none),
        _graph("relu_end", (4,), then(1, ("Relu", {})), reads="values", task="regression", **none),
        _graph("exp_end", (4,), then(1, ("Exp", {})), reads="values", task="regression", **none),
        _graph("softplus_end", (4,), then(1, ("Softplus", {})), reads="values", task="regression", **none),
    ]


def _files() -> list[Case]:
    def dense(g: Graph) -> None:
        _layer(g, 4)

    def edited(edit: Callable[[onnx.ModelProto], None]) -> Callable[[bytes], bytes]:
        def wrap(model: bytes) -> bytes:
            proto = onnx.load_model_from_string(model)
            edit(proto)
            return bytes(proto.SerializeToString())

        return wrap

    def batch_of(size: int) -> Callable[[onnx.ModelProto], None]:
        def edit(proto: onnx.ModelProto) -> None:
            proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = size
            for value in (*proto.graph.output, *proto.graph.value_info):
                value.type.tensor_type.ClearField("shape")

        return edit

    def free_features(proto: onnx.ModelProto) -> None:
        proto.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "n"

    def initialisers_as_inputs(proto: onnx.ModelProto) -> None:
        for tensor in proto.graph.initializer:
            proto.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )

    def weights_as_constants(proto: onnx.ModelProto) -> None:
        nodes = [helper.make_node("Constant", [], [t.name], value=t) for t in proto.graph.initializer]
        for at, node in enumerate(nodes):
            proto.graph.node.insert(at, node)
        del proto.graph.initializer[:]

    def unused(proto: onnx.ModelProto) -> None:
        proto.graph.node.insert(0, helper.make_node("Tanh", ["x"], ["nowhere"]))

    def doc(proto: onnx.ModelProto) -> None:
        proto.producer_name = "pytorch"
        proto.metadata_props.add(key="author", value="nobody")

    def hidden(proto: onnx.ModelProto) -> None:
        """A second output: the features before the classifier."""
        inner = proto.graph.node[1].output[0]
        proto.graph.output.append(helper.make_tensor_value_info(inner, TensorProto.FLOAT, None))

    def logits_too(proto: onnx.ModelProto) -> None:
        """A second output: the logits under the Softmax."""
        inner = proto.graph.node[-1].input[0]
        proto.graph.output.append(helper.make_tensor_value_info(inner, TensorProto.FLOAT, None))

    def nan_weight(proto: onnx.ModelProto) -> None:
        _changed(proto, lambda w: np.full_like(w, np.nan))

    def huge_weight(proto: onnx.ModelProto) -> None:
        _changed(proto, lambda w: w * np.float32(1e30))

    def zero_weight(proto: onnx.ModelProto) -> None:
        _changed(proto, lambda w: w * 0)

    def empty(proto: onnx.ModelProto) -> None:
        _changed(proto, lambda w: w[:0])

    def cycle(proto: onnx.ModelProto) -> None:
        proto.graph.node[0].input[0] = proto.graph.node[-1].output[0]

    def function(proto: onnx.ModelProto) -> None:
        body = helper.make_function(
            "own",
            "Twice",
            ["a"],
            ["b"],
            [helper.make_node("Add", ["a", "a"], ["b"])],
            [helper.make_opsetid("", 17)],
        )
        proto.functions.append(body)
        proto.opset_import.append(helper.make_opsetid("own", 1))
        proto.graph.node.insert(0, helper.make_node("Twice", ["x"], ["twice"], domain="own"))
        proto.graph.node[1].input[0] = "twice"

    def branch(proto: onnx.ModelProto) -> None:
        out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        then = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "t", [], [out])
        other = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "e", [], [out])
        flag = numpy_helper.from_array(np.array(True), "flag")
        proto.graph.initializer.append(flag)
        proto.graph.node.insert(
            0, helper.make_node("If", ["flag"], ["chosen"], then_branch=then, else_branch=other)
        )
        proto.graph.node[1].input[0] = "chosen"

    def quantised(proto: onnx.ModelProto) -> None:
        proto.graph.initializer.extend(
            [
                numpy_helper.from_array(np.array(0.01, dtype=np.float32), "qs"),
                numpy_helper.from_array(np.array(0, dtype=np.int8), "qz"),
            ]
        )
        proto.graph.node.insert(0, helper.make_node("QuantizeLinear", ["x", "qs", "qz"], ["q"]))
        proto.graph.node.insert(1, helper.make_node("DequantizeLinear", ["q", "qs", "qz"], ["d"]))
        proto.graph.node[2].input[0] = "d"

    def future(proto: onnx.ModelProto) -> None:
        proto.opset_import[0].version = 99

    def two_inputs(proto: onnx.ModelProto) -> None:
        proto.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, 4]))
        proto.graph.node.insert(0, helper.make_node("Add", ["x", "z"], ["xz"]))
        proto.graph.node[1].input[0] = "xz"

    def no_inputs(proto: onnx.ModelProto) -> None:
        proto.graph.initializer.append(numpy_helper.from_array(np.ones((1, 4), dtype=np.float32), "x"))
        del proto.graph.input[:]

    named = {
        "batch_one": batch_of(1),
        "batch_eight": batch_of(8),
        "free_features": free_features,
        "initialisers_as_inputs": initialisers_as_inputs,
        "weights_as_constants": weights_as_constants,
        "unused_node": unused,
        "metadata": doc,
        "hidden_output": hidden,
        "logits_output": logits_too,
        "nan_weight": nan_weight,
        "huge_weight": huge_weight,
        "zero_weight": zero_weight,
        "empty_weight": empty,
        "cycle": cycle,
        "function": function,
        "branch": branch,
        "quantised": quantised,
        "future": future,
        "two_inputs": two_inputs,
        "no_inputs": no_inputs,
    }
    broken = {
        "garbage": lambda model: b"not a model at all",
        "truncated": lambda model: model[: len(model) // 2],
        "empty": lambda model: b"\n\0",
    }
    double = [
        _graph("file_double", (4,), dense, wrap=edited(_retyped(TensorProto.DOUBLE, np.float64))),
        _graph("file_float16", (4,), dense, wrap=edited(_retyped(TensorProto.FLOAT16, np.float16))),
    ]
    wide = [
        Case(f"{case.name}", _wide(case))
        for case in (_graph("file_two_inputs_apart", (4,), dense, wrap=edited(two_inputs)),)
    ]
    chosen = [
        _graph("file_hidden_output_chosen", (4,), dense, wrap=edited(hidden), output="t4"),
        _graph(
            "file_logits_output_chosen", (4,), dense, wrap=edited(logits_too), output="t3", task="multiclass"
        ),
        _graph("file_no_such_output", (4,), dense, wrap=edited(hidden), output="t99"),
    ]
    return [
        *chosen,
        *(_graph(f"file_{name}", (4,), dense, wrap=edited(edit)) for name, edit in named.items()),
        *(_graph(f"file_{name}", (4,), dense, wrap=wrap) for name, wrap in broken.items()),
        *double,
        *wide,
    ]


def _wide(case: Case) -> Callable[[], Made]:
    """The records of a model of two inputs, one after the other."""

    def make() -> Made:
        made = case.make()
        return Made(
            made.onnx,
            np.concatenate([made.calibration, made.calibration[::-1]], axis=1),
            np.concatenate([made.records, made.records[::-1]], axis=1),
            made.reads,
        )

    return make


def _changed(proto: onnx.ModelProto, change: Callable[[np.ndarray], np.ndarray]) -> None:
    tensor = proto.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))


def _retyped(kind: int, dtype: Any) -> Callable[[onnx.ModelProto], None]:
    def edit(proto: onnx.ModelProto) -> None:
        for tensor in proto.graph.initializer:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(dtype), tensor.name))
        for value in (*proto.graph.input, *proto.graph.output):
            value.type.tensor_type.elem_type = kind
        del proto.graph.value_info[:]

    return edit


_MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE", "BRANCH_EQ", "BRANCH_NEQ")


def _ensembles() -> list[Case]:
    """Tree operators by hand: every branching mode, aggregate, transform and missing-value track."""
    found = []
    for mode in _MODES:
        for track in (None, 0, 1):
            name = f"tree_{mode.removeprefix('BRANCH_').lower()}" + (
                "" if track is None else f"_missing_{track}"
            )
            found.append(Case(name, _regressor(mode, track)))
    for how in ("SUM", "AVERAGE", "MIN", "MAX"):
        found.append(Case(f"tree_{how.lower()}_of_trees", _regressor("BRANCH_LEQ", None, how)))
    for transform in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"):
        for leaves in ("one", "positive", "each"):
            found.append(Case(f"tree_class_{transform.lower()}_{leaves}", _classifier(transform, leaves)))
    return [
        *found,
        Case("tree_class_none_opposite", _classifier("NONE", "opposite")),
        Case("tree_class_logistic_opposite", _classifier("LOGISTIC", "opposite")),
        Case("tree_missing_below_all_numbers", _regressor("BRANCH_GT", 0, least=-float(np.finfo("f4").max))),
    ]


def _ensemble_model(op: str, attributes: dict[str, Any], outputs: list[Any]) -> bytes:
    node = helper.make_node(
        op, ["x"], [o.name for o in outputs], name="trees", domain="ai.onnx.ml", **attributes
    )
    graph = helper.make_graph(
        [node], "test", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])], outputs
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def _nodes(mode: str, track: int | None, least: float = -0.5) -> dict[str, Any]:
    """Two trees of a root, an inner node and three leaves over two features."""
    columns: dict[str, list[Any]] = {}
    for tree in range(2):
        rows = [
            (0, tree % 2, [0.5, least][tree], mode, 1, 2),
            (1, 0, 0.0, "LEAF", 0, 0),
            (2, 1, 1.0, mode, 3, 4),
            (3, 0, 0.0, "LEAF", 0, 0),
            (4, 0, 0.0, "LEAF", 0, 0),
        ]
        for row in rows:
            for name, value in zip(
                ("nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids"), row, strict=True
            ):
                columns.setdefault(f"nodes_{name}", []).append(value)
            columns.setdefault("nodes_treeids", []).append(tree)
            if track is not None:
                columns.setdefault("nodes_missing_value_tracks_true", []).append(track)
    return columns


def _records(gaps: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    train, asked = (rng.choice([-1.5, -0.5, 0.0, 0.5, 1.0, 1.5], (n, 2)) for n in (60, 30))
    if gaps:
        train[::5, 0], asked[::4, 0], asked[::3, 1] = np.nan, np.nan, np.nan
    return train, asked


def _regressor(mode: str, track: int | None, how: str = "SUM", least: float = -0.5) -> Callable[[], Made]:
    def make() -> Made:
        leaves = {
            "target_treeids": [0, 0, 0, 1, 1, 1],
            "target_nodeids": [1, 3, 4, 1, 3, 4],
            "target_ids": [0] * 6,
            "target_weights": [1.0, -2.5, 0.25, 3.0, 0.5, -1.0],
            "n_targets": 1,
            "aggregate_function": how,
        }
        out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])]
        model = _ensemble_model("TreeEnsembleRegressor", {**_nodes(mode, track, least), **leaves}, out)
        return Made(model, *_records(track is not None), "values", "regression", True)

    return make


def _classifier(transform: str, leaves: str) -> Callable[[], Made]:
    def make() -> Made:
        weights = (
            [1.0, -2.5, 0.25, 3.0, 0.5, -1.0] if leaves != "positive" else [0.1, 0.2, 0.3, 0.6, 0.05, 0.25]
        )
        classes = [0, 1, 2, 1, 0, 2] if leaves == "each" else [0] * 6
        named = [4, 5, 7] if leaves == "each" else [0, 1]
        times = 1
        if leaves == "opposite":  # as CatBoost writes two classes
            weights, classes, times = [v for w in weights for v in (-w, w)], [0, 1] * 6, 2
        rest = {
            "class_treeids": np.repeat([0, 0, 0, 1, 1, 1], times),
            "class_nodeids": np.repeat([1, 3, 4, 1, 3, 4], times),
            "class_ids": classes,
            "class_weights": weights,
            "classlabels_int64s": named,
            "post_transform": transform,
        }
        out = [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, len(named)]),
        ]
        model = _ensemble_model("TreeEnsembleClassifier", {**_nodes("BRANCH_LEQ", None), **rest}, out)
        return Made(model, *_records(False), "label", None, True)

    return make
