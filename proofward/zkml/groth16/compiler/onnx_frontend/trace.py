"""The walk over an ONNX graph: from the output that is proven back to the input, then each node once, in
order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from proofward.zkml.errors import UnsupportedModel
from proofward.zkml.groth16.compiler.ensemble import Ensemble
from proofward.zkml.groth16.compiler.forest import combined
from proofward.zkml.groth16.compiler.network import Affine, Network
from proofward.zkml.groth16.compiler.onnx_frontend import (  # noqa: F401 (each registers its operators)
    activation,
    convolution,
    head,
    linear,
    omissions,
    shape,
    trees,
    votes,
)
from proofward.zkml.groth16.compiler.onnx_frontend.node import HANDLERS, Labels, Node, Squashed, Value
from proofward.zkml.groth16.errors import UnsupportedOperator
from proofward.zkml.manifest import Decision, unclear

_LABELS = (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.STRING, onnx.TensorProto.BOOL)
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
_INTEGERS = (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
MAX_ELEMENTS = 1 << 16
MAX_OUTPUTS = 1024
_MOST_MOVED = 1 << 26
_COMPLEMENT = "the output {!r} is 1 minus a probability; export the probability itself"


@dataclass(frozen=True)
class Traced:
    """What the front end found: exactly one of `network` and `ensemble` is set.

    Args:
        input_shape: shape of one record.
        output_name: the ONNX tensor that carries the decision's value (probabilities, scores, a regression).
        labels: class labels where the model names them.
        decision: how a client reads the scores: `value`, `sigmoid`, `multilabel`, `softmax`,
        `argmax`.
        kind: where the decision comes from: a classifier's end (`decided`), a regressor's operator, or
        neither
            (`raw`: what the numbers mean is not in the graph).
        imputed: (input, value) that the model puts in a missing one's place.
        integers: the model's own input takes whole numbers alone.
        doubles: its input is float64, and trees compare it as that.
        directed: its trees say where missing values go.
        squash: what the model applies to the proven scores: `sigmoid`, `softmax`, `logsoftmax` or
        nothing.
    """

    input_shape: tuple[int, ...]
    output_name: str
    network: Network | None
    ensemble: Ensemble | None
    labels: tuple[int | str, ...] | None
    decision: Decision = "value"
    kind: Literal["decided", "regression", "raw"] = "raw"
    squash: str | None = None
    imputed: tuple[tuple[int, float], ...] = ()
    integers: bool = False
    doubles: bool = False
    directed: bool = True

    @property
    def length(self) -> int:
        """Number of proven scores."""
        if self.network is not None and self.network.output is not None:
            return self.network.output.size
        assert self.ensemble is not None
        return self.ensemble.outputs


def trace(model: bytes) -> Traced:
    """Trace ONNX bytes.

    Raises:
        UnsupportedModel: not an ONNX model, or one whose inputs or outputs do not fit.
        UnsupportedOperator: an operator that the groth16 lane does not take; names operator and node.
    """
    try:
        proto = onnx.load_model_from_string(model)
        onnx.checker.check_model(_with_output_shapes(proto))
    except Exception as error:  # protobuf and checker raise types of their own, some undocumented
        raise UnsupportedModel(
            f"the bytes are not a valid ONNX model: {str(error).splitlines()[0][:200]}"
        ) from error
    omissions.refuse_tuned_threshold(proto)
    graph = proto.graph
    if graph.sparse_initializer:
        raise UnsupportedModel("the model has sparse initialisers; export its weights as dense tensors")
    constants: dict[str, np.ndarray] = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    input_name, input_shape, kind = _input(graph, constants)
    bits = {int(TensorProto.DOUBLE): 64, int(TensorProto.FLOAT16): 16}.get(kind, 32)
    network = Network(input_shape, bits=bits, integers=kind in _INTEGERS)
    values: dict[str, Value] = {**constants, input_name: network.input(), "": None}
    opsets = {
        entry.domain.removeprefix("ai.onnx") if entry.domain == "ai.onnx" else entry.domain: entry.version
        for entry in proto.opset_import
    }
    target = _output(graph)
    labels: tuple[int | str, ...] | None = None
    namers: list[Value] = []
    for node in _needed(graph, target):
        made = _evaluate(node, values, opsets, network)
        if isinstance(made, (list, tuple)):
            values.update(zip(node.output, made, strict=False))
        elif node.op_type in _SECOND_OUTPUT:
            _classifier(node, made, values)
        else:
            values[node.output[0]] = made
        if (names := _labels(node)) is not None:
            namers = [*(namers if names == labels else []), cast(Value, made)]
            labels = names
    if both := sorted(network.unfilled & network.imputed.keys()):
        raise UnsupportedModel(
            f"trees read input {both[0]} as it is, and elsewhere the model imputes it: a missing value would "
            "be two values; impute it for the whole model, or nowhere"
        )
    result = values.get(target)
    # A label is compared with what the scores decide; names alone must be those of these very scores.
    if not any(map(_is_label, graph.output)) and not any(_same_scores(result, one) for one in namers):
        labels = None
    found = _traced(result, target, network, labels)
    if found.kind == "decided" and len(found.labels or ()) == 1:
        raise UnsupportedModel(f"the model knows one class only ({found.labels}): it decides nothing")
    if reason := unclear([str(label) for label in found.labels or ()]):
        raise UnsupportedModel(f"{reason} ({found.labels}): name them otherwise, and export again")
    named = found.labels is not None and len(found.labels) == max(2, found.length)
    if found.kind == "raw" or (found.kind == "decided" and found.decision != "multilabel" and not named):
        found = _beside(graph, target, replace(found, labels=None), constants)
    return replace(
        found,
        imputed=tuple(sorted(network.imputed.items())),
        integers=kind in _INTEGERS,
        doubles=kind == TensorProto.DOUBLE and found.ensemble is not None,
        directed=not omissions.without_directions(proto),
    )


def _traced(result: Value, target: str, network: Network, labels: tuple[int | str, ...] | None) -> Traced:
    """What the walk found at the output."""
    record = network.input_shape
    if isinstance(result, Labels):
        labels, result = result.names or labels, result.of
        if isinstance(result, Ensemble):
            result = replace(result, labels=labels)
    if isinstance(result, Ensemble):
        kind: Literal["decided", "regression"] = "regression" if result.decision == "value" else "decided"
        return Traced(
            record, result.scores or target, None, result, result.labels or labels,
            cast(Decision, result.decision), kind, result.squash,
        )  # fmt: skip
    if isinstance(result, Squashed) and result.squash in ("exp", "erf"):
        what = {"exp": "an exponential", "erf": "an error function"}[result.squash]
        raise UnsupportedModel(
            f"the output {target!r} is {what}; only as part of another function is one taken"
        )
    if network.forest and isinstance(result, Affine | Squashed):
        return _over_trees(result, target, network, labels)
    if isinstance(result, Squashed) and not result.complement:
        network.output = result.logit
        found = Traced(
            record, result.scores or target, network, None, labels, cast(Decision, result.decision),
            "decided", result.squash,
        )  # fmt: skip
    elif isinstance(result, Affine):
        network.output = result
        found = Traced(
            record, target, network, None, labels, kind="regression" if result.regressor else "raw"
        )
    elif isinstance(result, Squashed):
        raise UnsupportedModel(_COMPLEMENT.format(target))
    else:
        raise UnsupportedModel(
            f"the output {target!r} is no score, probability or label that depends on the model's input"
        )
    if found.length > MAX_OUTPUTS:
        raise UnsupportedModel(
            f"the model gives {found.length} numbers a record; up to {MAX_OUTPUTS} are taken"
        )
    return found


def _same_scores(one: Value, other: Value) -> bool:
    """Whether two values have the same scores in the same order."""
    if isinstance(one, Ensemble) and isinstance(other, Ensemble):
        return one.trees is other.trees and one.outputs == other.outputs
    first, second = (value.logit if isinstance(value, Squashed) else value for value in (one, other))
    if not isinstance(first, Affine) or not isinstance(second, Affine) or first.size != second.size:
        return False
    gap = first.reshaped((first.size,)).minus(second.reshaped((second.size,)))
    return not gap.rows.count_nonzero() and not gap.bias.any()


def _is_label(output: onnx.ValueInfoProto) -> bool:
    return output.type.tensor_type.elem_type in _LABELS


def _beside(graph: onnx.GraphProto, target: str, found: Traced, constants: dict[str, np.ndarray]) -> Traced:
    """Raw numbers with a label beside them are a classifier's; that its label is what they favour is checked
    on records before anything is compiled.
    """
    label = next((o for o in graph.output if o.name != target and _is_label(o)), None)
    if label is None:
        return found
    names: tuple[int | str, ...] | None = None
    certain = False
    for node in _needed(graph, label.name):
        names = _labels(node) or names
        if node.op_type == "ArrayFeatureExtractor" and node.input[0] in constants:
            names = tuple(constants[node.input[0]].reshape(-1).tolist())
        certain = certain or (node.op_type == "ArgMax" and node.input[0] == target and found.length > 1)
    names = tuple(n.decode() if isinstance(n, bytes) else n for n in names) if names else None
    if names is not None and len(names) != max(2, found.length):
        return found
    if names is None and not certain:
        return found
    decision = found.decision
    if found.kind == "raw":
        decision = "sigmoid" if found.length == 1 else "argmax"
    ensemble = found.ensemble and replace(found.ensemble, decision=decision, labels=names)
    return replace(found, kind="decided", decision=decision, labels=names, ensemble=ensemble)


def _over_trees(
    result: Affine | Squashed, target: str, network: Network, labels: tuple[int | str, ...] | None
) -> Traced:
    """Numbers made of tree ensembles' scores: one ensemble, whose leaves hold what becomes of theirs."""
    affine = result.logit if isinstance(result, Squashed) else result
    ensemble = combined(network.forest, affine, int(np.prod(network.input_shape)))
    if ensemble is None or network.blocks:
        raise UnsupportedModel(
            f"the output {target!r} joins tree ensembles with other models of the same inputs; one kind "
            "is proven at a "
            "time, so publish them as models of their own"
        )
    if isinstance(result, Squashed) and not result.complement:
        decision, kind, squash = cast(Decision, result.decision), "decided", result.squash
    elif isinstance(result, Squashed):
        raise UnsupportedModel(_COMPLEMENT.format(target))
    else:
        values = all(one.decision == "value" for one in network.forest)
        classes = affine.size > 1 and all(one.decision == "argmax" for one in network.forest)
        decision = "argmax" if classes and not values else "value"
        kind, squash = "regression" if values else "decided" if classes else "raw", None
    if isinstance(result, Squashed) and result.scores:
        target = result.scores
    ensemble = replace(ensemble, decision=decision, labels=labels, squash=squash)
    return Traced(
        network.input_shape, target, None, ensemble, labels, decision,
        cast(Literal["decided", "regression", "raw"], kind), squash,
    )  # fmt: skip


def _with_output_shapes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that the checker takes although an output has no shape, as some exporters leave it."""
    checked = onnx.ModelProto()
    checked.CopyFrom(proto)
    for output in checked.graph.output:
        if output.type.HasField("tensor_type") and not output.type.tensor_type.HasField("shape"):
            output.type.tensor_type.shape.SetInParent()
    return checked


_SECOND_OUTPUT = {"TreeEnsembleClassifier", "LinearClassifier"}


def _classifier(node: onnx.NodeProto, made: Value, values: dict[str, Value]) -> None:
    """A classifier's two outputs: its label, and the scores that are proven."""
    named = node.output[1] if len(node.output) > 1 else ""
    if isinstance(made, (Squashed, Ensemble)):
        if not named:
            raise UnsupportedOperator(
                node.op_type, node.name or node.output[0], "its scores have no output of their own"
            )
        values[node.output[0]] = Labels(replace(made, scores=named))
    values[named] = made


def _evaluate(
    proto: onnx.NodeProto, values: dict[str, Value], opsets: dict[str, int], network: Network
) -> Value | list[np.ndarray] | tuple[Value, ...]:
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    name = proto.name or proto.output[0]
    unknown = next((one for one in proto.input if one not in values), None)
    if unknown is not None:
        raise UnsupportedOperator(
            proto.op_type, name, f"it reads {unknown!r}, an output that the lane does not follow"
        )
    inputs = [values[one] for one in proto.input]
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
    node = Node(
        proto.op_type,
        domain,
        name,
        attributes,
        inputs,
        len(proto.output),
        opsets.get(domain, 1),
        network,
        tuple(proto.input),
    )
    if all(isinstance(value, np.ndarray) or value is None for value in inputs) and domain == "":
        return _fold(proto, node, values)
    if domain == "" and proto.op_type in _REARRANGING and isinstance(inputs[0], Affine):
        return _rearranged(proto, node, values, inputs[0])
    handler = HANDLERS.get((domain, proto.op_type))
    if handler is None:
        node.refuse("there is no gadget for it; take that step before the model, or export without it")
    try:
        result = shape.over_sigmoids(node)
        result = handler(node) if result is None else result
    except UnsupportedModel:
        raise
    except Exception as error:  # noqa: BLE001 - attributes and shapes that onnx's checker lets pass
        node.refuse(
            f"its attributes or shapes do not fit together ({type(error).__name__}: {str(error)[:80]})"
        )
    if isinstance(result, Affine) and result.size > MAX_ELEMENTS:
        node.refuse(f"its result has {result.size} elements; the lane takes up to {MAX_ELEMENTS}")
    return result


_REARRANGING = (
    "DepthToSpace", "Expand", "GatherElements", "Resize", "SpaceToDepth", "Tile", "Upsample",
)  # fmt: skip
"""Operators whose every result is one of their first input's elements: onnx's own evaluator moves these."""


def _rearranged(proto: onnx.NodeProto, node: Node, values: dict[str, Value], value: Affine) -> Affine:
    """The elements that the operator gives when it is fed with their numbers."""
    if node.attributes.get("mode", b"nearest") not in (b"nearest", b"DCR", b"CRD"):
        node.refuse("it computes between elements; only the nearest one is supported")
    counts = [node.constant(i) for i in range(1, len(node.inputs)) if node.inputs[i] is not None]
    if any(float(np.prod(np.maximum(np.abs(one), 1.0))) * value.size > _MOST_MOVED for one in counts):
        node.refuse(f"its result has more elements than {MAX_ELEMENTS}")
    found = _fold(proto, node, {**values, proto.input[0]: value.index.astype(np.float64)})[0]
    index = np.rint(found).astype(np.int64)
    if index.size > MAX_ELEMENTS or not np.array_equal(index, found):
        node.refuse(f"its result is no {MAX_ELEMENTS} of its input's elements at most")
    return value.take(index)


def _fold(proto: onnx.NodeProto, node: Node, values: dict[str, Value]) -> list[np.ndarray]:
    """A node over constants, by onnx's own reference evaluator."""
    names = [name for name in proto.input if name]
    feeds = {name: values[name] for name in names}
    single = onnx.helper.make_graph(
        [proto],
        "fold",
        [
            onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for n, v in feeds.items()
            if isinstance(v, np.ndarray)
        ],
        [
            onnx.helper.make_tensor_value_info(one, onnx.TensorProto.UNDEFINED, None)
            for one in proto.output
            if one
        ],
    )
    try:
        model = onnx.helper.make_model(single, opset_imports=[onnx.helper.make_opsetid("", node.opset)])
        return [np.asarray(one) for one in ReferenceEvaluator(model).run(None, feeds)]
    except Exception as error:  # noqa: BLE001 - the evaluator raises whatever numpy or the operator raises
        node.refuse(f"it could not be evaluated as a constant: {error}")


def _input(graph: onnx.GraphProto, constants: dict[str, np.ndarray]) -> tuple[str, tuple[int, ...], int]:
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise UnsupportedModel(f"the model has {len(inputs)} inputs; one tensor input is supported")
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type not in (*_FLOATS, *_INTEGERS):
        given = TensorProto.DataType.Name(tensor.elem_type).lower() if tensor.elem_type else "no tensor"
        raise UnsupportedModel(
            f"the input {inputs[0].name!r} is {given}; floats, int64 and int32 are taken: export it as float"
        )
    dims = [d.dim_value for d in tensor.shape.dim]
    if len(dims) < 2 or any(d <= 0 for d in dims[1:]):
        raise UnsupportedModel(
            f"the input {inputs[0].name!r} has shape {dims}; only its first axis (batch) may be free"
        )
    if int(np.prod(dims[1:])) > MAX_ELEMENTS:
        raise UnsupportedModel(
            f"the input has {int(np.prod(dims[1:]))} features; up to {MAX_ELEMENTS} are supported"
        )
    return inputs[0].name, tuple(dims[1:]), int(tensor.elem_type)


def _output(graph: onnx.GraphProto) -> str:
    """The output to prove: the scores or probabilities, where a label comes beside them."""
    outputs = list(graph.output)
    if len(outputs) > 1:
        outputs = [o for o in outputs if not _is_label(o)]
    if not outputs:
        raise UnsupportedModel("the model has no output of scores; give it one")
    if len(outputs) != 1:
        names = ", ".join(o.name for o in graph.output)
        raise UnsupportedModel(
            f"the model has several outputs ({names}) and one tensor of scores is proven; choose it by "
            "--output"
        )
    return str(outputs[0].name)


def _needed(graph: onnx.GraphProto, target: str) -> list[onnx.NodeProto]:
    """The nodes that `target` depends on, in the graph's (topological) order."""
    wanted, chosen = {target}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            chosen.append(node)
            wanted.update(node.input)
    return chosen[::-1]


def _labels(node: onnx.NodeProto) -> tuple[int | str, ...] | None:
    for attribute in node.attribute:
        if attribute.name in ("classlabels_int64s", "classlabels_ints") and attribute.ints:
            return tuple(int(v) for v in attribute.ints)
        if attribute.name == "classlabels_strings" and attribute.strings:
            return tuple(v.decode() for v in attribute.strings)
    return None
