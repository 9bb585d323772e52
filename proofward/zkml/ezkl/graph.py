"""ONNX surgery: a publisher's model to the graph that ezkl compiles.

The circuit's graph takes `pf_x` [1, features + 3] (the record, then the input salt's limbs, which it drops)
and `pf_t` [1, 4] (the output salt's limbs, which it appends to the output, and a blinding limb, which it
drops). ezkl commits to each tensor, so the input and output commitments hide by 256 bits of salt, and the
commitment to `pf_t` by its own blinding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference

from proofward.zkml.errors import UnsupportedModel
from proofward.zkml.ezkl.commitment import SALT_LIMBS
from proofward.zkml.manifest import Decision

Floats = NDArray[np.float64]

MONOTONE = {
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Concat",
    "Constant",
    "Conv",
    "Flatten",
    "Gemm",
    "GlobalAveragePool",
    "Identity",
    "LeakyRelu",
    "MatMul",
    "MaxPool",
    "Mul",
    "Relu",
    "Reshape",
    "Squeeze",
    "Sub",
    "Transpose",
    "Unsqueeze",
}
"""Operators bounded by the same graph over absolute values, see bounds.py."""

CALIBRATED = {
    "Abs",
    "Clip",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Log",
    "Neg",
    "Pad",
    "Pow",
    "ReduceMean",
    "ReduceSum",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Sqrt",
    "Tanh",
    "Where",
}
"""Operators that ezkl takes as well; what flows through them is bounded by calibration data only."""

_SHAPE_ONLY = {"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}


@dataclass(frozen=True)
class Model:
    """A model cut before its final Sigmoid or Softmax: `core` takes `shape` (one record), gives `length`
    scores.
    """

    core: onnx.ModelProto
    input: str
    output: str
    shape: list[int]
    length: int
    decision: Decision
    kind: Literal["decided", "raw"]

    @property
    def exact(self) -> bool:
        """Whether every operator's values can be bounded for all inputs in range."""
        return all(node.op_type in MONOTONE and _slope(node) <= 1 for node in self.core.graph.node)


def _slope(node: onnx.NodeProto) -> float:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return abs(float(attributes.get("alpha", 0.01))) if node.op_type == "LeakyRelu" else 0.0


def read(data: bytes) -> Model:
    """Parse, check and cut. Raises UnsupportedModel naming operator and node."""
    try:
        proto = onnx.load_from_string(data)
        onnx.checker.check_model(proto)
    except Exception as error:
        raise UnsupportedModel("the file is not a valid ONNX model") from error
    graph = proto.graph
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in MONOTONE | CALIBRATED:
            raise UnsupportedModel(f"operator {node.op_type} (node {node.name or node.output[0]!r})")
        if _trains(node, graph):
            raise UnsupportedModel(
                f"operator {node.op_type} (node {node.name or node.output[0]!r}) is as in training; export "
                "the model for inference"
            )
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise UnsupportedModel(
            f"it has {len(inputs)} inputs and {len(graph.output)} outputs, one of each is taken"
        )
    tensor_type = inputs[0].type.tensor_type
    shape = [axis.dim_value for axis in tensor_type.shape.dim][1:]
    if (
        tensor_type.elem_type != TensorProto.FLOAT
        or not 1 <= len(shape) <= 3
        or any(size <= 0 for size in shape)
    ):
        raise UnsupportedModel("the input must be float32 [batch, ...] with fixed sizes after the batch axis")
    return _cut(proto, inputs[0].name, shape)


def _trains(node: onnx.NodeProto, graph: onnx.GraphProto) -> bool:
    """Whether a node draws zeros, or takes the batch's statistics, as while training; or may do so."""
    if node.op_type == "BatchNormalization":
        named = any(one.name == "training_mode" and one.i for one in node.attribute)
        return named or any(node.output[1:])  # before opset 14 further outputs say it
    if node.op_type != "Dropout" or len(node.input) < 3 or not node.input[2]:
        return False
    told = next((one for one in graph.initializer if one.name == node.input[2]), None)
    return told is None or bool(numpy_helper.to_array(told).any())


def _cut(proto: onnx.ModelProto, name: str, shape: list[int]) -> Model:
    """Drop a final Sigmoid or Softmax (the logit is proven, the decision is the same) and fix the batch at
    one.
    """
    nodes = list(proto.graph.node)
    output = proto.graph.output[0].name
    decision: Decision | None = None
    last = next(node for node in nodes if output in node.output)
    if last.op_type in ("Sigmoid", "Softmax"):
        decision = "sigmoid" if last.op_type == "Sigmoid" else "softmax"
        nodes.remove(last)
        output = last.input[0]
    graph = helper.make_graph(
        nodes,
        "core",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *shape])],
        [onnx.ValueInfoProto(name=output)],
        list(proto.graph.initializer),
    )
    core = helper.make_model(graph, opset_imports=list(proto.opset_import), ir_version=8)
    try:
        inferred = shape_inference.infer_shapes(core, strict_mode=True, data_prop=True)
    except Exception as error:
        raise UnsupportedModel(
            f"its shapes cannot be inferred: {str(error).splitlines()[0][:200]}"
        ) from error
    dims = [axis.dim_value for axis in inferred.graph.output[0].type.tensor_type.shape.dim]
    if not dims or any(size <= 0 for size in dims) or dims[0] != 1:
        raise UnsupportedModel(f"the output's shape is {dims}; [batch, scores] with fixed sizes is taken")
    if decision == "softmax" and not _over_all(last, dims, proto):
        raise UnsupportedModel(
            f"the Softmax at its end (node {last.name or output!r}) must run over all scores of a record, "
            f"not over some of {dims}"
        )
    length = int(np.prod(dims))
    if decision == "sigmoid" and length != 1:
        raise UnsupportedModel("a final Sigmoid over several outputs (multi-label) is not taken")
    core.graph.output[0].CopyFrom(helper.make_tensor_value_info(output, TensorProto.FLOAT, dims))
    found = decision or ("value" if length == 1 else "argmax")
    return Model(core, name, output, shape, length, found, "raw" if decision is None else "decided")


def _over_all(softmax: onnx.NodeProto, dims: list[int], proto: onnx.ModelProto) -> bool:
    """Whether a Softmax runs over all of several scores: over one axis, or before opset 13 over it and those
    behind it.
    """
    opset = next((one.version for one in proto.opset_import if one.domain in ("", "ai.onnx")), 1)
    attributes = {a.name: helper.get_attribute_value(a) for a in softmax.attribute}
    axis = int(attributes.get("axis", -1 if opset >= 13 else 1)) % len(dims)
    reach = dims[axis] if opset >= 13 else int(np.prod(dims[axis:]))
    return 2 <= reach == int(np.prod(dims))


def standardisation(model: Model, calibration: Floats) -> tuple[Floats, Floats]:
    """(centre, steps) per feature for fold(): z = (x - centre) * steps. Per feature before a Gemm or MatMul,
    one factor before a Conv (a shift would meet its padding), none otherwise.
    """
    features = calibration.shape[1]
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.core.graph.initializer}
    node = _first_linear(model.core, model.input, weights)
    if node is None:
        return np.zeros(features), np.ones(features)
    if node.op_type == "Conv":
        return np.zeros(features), np.full(features, 1 / (float(np.abs(calibration).max()) / 4 or 1.0))
    spread = calibration.std(axis=0)
    spread[spread == 0] = 1.0
    return calibration.mean(axis=0), 1 / spread


def fold(model: Model, centre: Floats, steps: Floats) -> Model:
    """The model over z = (x - centre) * steps, with that affine map inside its first layer. Exact inverse of
    scaling by a power of two, so the same quantiser always gives the same weights.
    """
    core = onnx.ModelProto()
    core.CopyFrom(model.core)
    weights = {
        tensor.name: numpy_helper.to_array(tensor).astype(np.float64) for tensor in core.graph.initializer
    }
    node = _first_linear(core, model.input, weights)
    spread = 1 / steps
    if node is None:
        if np.any(centre != 0) or np.any(steps != 1):
            raise UnsupportedModel("this model's input cannot be rescaled")
    elif node.op_type == "Conv":
        _replace(core, node, 1, weights[node.input[1]] * spread[0])
    else:
        _fold_matrix(core, node, weights, centre, spread)
    return replace(model, core=core)


def _first_linear(
    core: onnx.ModelProto, name: str, weights: dict[str, NDArray[Any]]
) -> onnx.NodeProto | None:
    """The linear layer that the input reaches through shape changes alone, if it is the input's only use."""
    while True:
        users = [node for node in core.graph.node if name in node.input]
        if len(users) != 1:
            return None
        node: onnx.NodeProto = users[0]
        if node.op_type in _SHAPE_ONLY:
            name = node.output[0]
            continue
        linear = (
            node.op_type in ("Gemm", "MatMul", "Conv") and node.input[0] == name and node.input[1] in weights
        )
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if (
            not linear
            or (node.op_type != "Conv" and weights[node.input[1]].ndim != 2)
            or attributes.get("transA")
        ):
            return None
        return node


def _fold_matrix(
    core: onnx.ModelProto, node: onnx.NodeProto, weights: dict[str, Floats], centre: Floats, spread: Floats
) -> None:
    attributes: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    matrix = weights[node.input[1]] * attributes.get("alpha", 1.0)
    matrix = matrix.T if attributes.get("transB") else matrix
    if len(matrix) != len(centre):
        raise UnsupportedModel(f"node {node.name or node.output[0]!r} does not take all the features at once")
    bias = centre @ matrix
    if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2]:
        if node.input[2] not in weights:
            raise UnsupportedModel(f"the bias of node {node.name or node.output[0]!r} is not a constant")
        bias = bias + attributes.get("beta", 1.0) * weights[node.input[2]].reshape(-1)
    del node.attribute[:]
    source = node.input[0]
    del node.input[:]
    node.input.extend([source, "", ""])
    node.op_type = "Gemm"
    _replace(core, node, 1, matrix * spread[:, None])
    _replace(core, node, 2, bias)


def _replace(core: onnx.ModelProto, node: onnx.NodeProto, position: int, values: Floats) -> None:
    name = f"folded_{position}"
    core.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    node.input[position] = name


def circuit(model: Model) -> bytes:
    """The graph that ezkl compiles, salts included; deterministic bytes."""
    features = int(np.prod(model.shape))
    integers = {
        "pf_zero": [0],
        "pf_features": [features],
        "pf_axis": [1],
        "pf_limbs": [SALT_LIMBS],
        "pf_shape": [1, *model.shape],
        "pf_flat": [1, model.length],
    }
    nodes = [
        helper.make_node("Slice", ["pf_x", "pf_zero", "pf_features", "pf_axis"], ["pf_record"]),
        helper.make_node("Reshape", ["pf_record", "pf_shape"], [model.input]),
        *model.core.graph.node,
        helper.make_node("Reshape", [model.output, "pf_flat"], ["pf_scores"]),
        helper.make_node("Slice", ["pf_t", "pf_zero", "pf_limbs", "pf_axis"], ["pf_salt"]),
        helper.make_node("Concat", ["pf_scores", "pf_salt"], ["committed"], axis=1),
    ]
    used = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in model.core.graph.initializer if tensor.name in used]
    constants += [numpy_helper.from_array(np.array(v, dtype=np.int64), name) for name, v in integers.items()]
    graph = helper.make_graph(
        nodes,
        "proofward",
        [
            helper.make_tensor_value_info("pf_x", TensorProto.FLOAT, [1, features + SALT_LIMBS]),
            helper.make_tensor_value_info("pf_t", TensorProto.FLOAT, [1, SALT_LIMBS + 1]),
        ],
        [helper.make_tensor_value_info("committed", TensorProto.FLOAT, [1, model.length + SALT_LIMBS])],
        constants,
    )
    proto = helper.make_model(graph, opset_imports=list(model.core.opset_import), ir_version=8)
    onnx.checker.check_model(proto)
    serialised: bytes = proto.SerializeToString(deterministic=True)
    return serialised
