"""What may stand at the output: monotone functions whose decision the logits already hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from proofward.zkml.groth16.compiler.ensemble import Ensemble
from proofward.zkml.groth16.compiler.network import Affine
from proofward.zkml.groth16.compiler.onnx_frontend.node import Labels, Node, Squashed, Total, Value, operator


@operator("Sigmoid")
def sigmoid(node: Node) -> Value:
    """The logit is proven: the class is 1 where it is positive."""
    value = node.affine(0)
    return Squashed("sigmoid" if value.size == 1 else "multilabel", value, "sigmoid")


@operator("Softmax", "LogSoftmax")
def softmax(node: Node) -> Value:
    """The logits are proven: the class is the largest."""
    value = node.affine(0)
    default = -1 if node.opset >= 13 else 1
    axis = int(node.attributes.get("axis", default)) % len(value.shape)
    if value.shape[axis] != value.size or value.size < 2:
        node.refuse(f"it must run over all classes of one record, not over axis {axis} of {value.shape}")
    return Squashed("softmax", value, node.op.lower())


@operator("ZipMap", domain="ai.onnx.ml")
def zip_map(node: Node) -> Value:
    """A dictionary around the scores."""
    if not isinstance(node.inputs[0], (Squashed, Ensemble)):
        return node.affine(0)
    return node.inputs[0]


@operator("Normalizer", domain="ai.onnx.ml")
def normalizer(node: Node) -> Value:
    """The L1 norm that some exporters put after class scores keeps their order."""
    value = node.inputs[0]
    if isinstance(value, Squashed) and node.attributes.get("norm", b"MAX") == b"L1":
        # Of what sums to 1 the norm is 1; of separate sigmoids it makes shares, in the same order.
        if value.decision == "argmax":
            return replace(value, squash=f"{value.squash or ''}l1")
        return value
    node.refuse("it is supported as the L1 norm after a classifier's scores only")


@operator("ArgMax")
def arg_max(node: Node) -> Value:
    """The class of the largest score: the scores are proven, and read as the label says."""
    value = node.inputs[0]
    scores = node.names[0]
    if node.attributes.get("select_last_index", 0):
        node.refuse("select_last_index is not supported: of equal scores the first class is taken")
    axis = int(node.attributes.get("axis", 0))
    if isinstance(value, Ensemble) and axis in (1, -1) and value.outputs > 1:
        return Labels(replace(value, scores=scores), index=True)
    if isinstance(value, Squashed) and axis in (1, -1) and value.logit.size > 1:
        return Labels(replace(value, decision="argmax", scores=scores), index=True)
    value = node.affine(0)
    if value.shape[axis] != value.size or value.size < 2:
        node.refuse(f"it must run over all classes of one record, not over axis {axis} of {value.shape}")
    return Labels(Squashed("argmax", value, scores=scores), index=True)


@operator("LabelEncoder", domain="ai.onnx.ml")
def label_encoder(node: Node) -> Value:
    """Names for the numbers of classes."""
    label, known = node.inputs[0], {key: node.attributes.get(key) for key in ("keys_int64s", *_NAMES)}
    names = next((known[key] for key in _NAMES if known[key]), None)
    if not isinstance(label, Labels) or names is None or known["keys_int64s"] != list(range(len(names))):
        node.refuse("it is supported as names for the numbers of a classifier's classes only")
    return label.looked_up(np.array(names))


_NAMES = ("values_strings", "values_int64s")


@operator("Greater")
def greater(node: Node) -> Value:
    """The label that a probability above a half is, or a logit above zero."""
    value, bound = node.inputs[0], node.constant(1)
    if isinstance(value, Squashed) and value.squash == "sigmoid" and not (value.complement or value.pair):
        if np.all(bound == 0.5):
            return Labels(replace(value, scores=node.names[0]))
        node.refuse("a probability is compared with another number than 0.5; export the probability itself")
    if isinstance(value, Affine) and np.all(bound == 0.0):
        decision = "sigmoid" if value.size == 1 else "multilabel"
        return Labels(Squashed(decision, value, scores=node.names[0]))
    node.refuse("it is supported over a probability and 0.5, or a logit and 0, at the output only")


@operator("Abs")
def absolute(node: Node) -> Value:
    """|x| = relu(x) + relu(-x); of probabilities it is nothing."""
    if isinstance(node.inputs[0], Squashed) and node.inputs[0].squash in ("sigmoid", "softmax"):
        return node.inputs[0]
    value = node.affine(0)
    below = node.network.relu(f"{node.name}.below", value.scaled(-1.0))
    # |x| = x + 2 * relu(-x): one block does.
    return value.plus(below.scaled(2.0))


@operator("Erf")
def error_function(node: Node) -> Value:
    """The gate of a GELU that is spelled out, or a curve."""
    return Squashed("erf", node.affine(0), "erf")


@operator("Exp")
def exponential(node: Node) -> Value:
    """The first step of a sigmoid that is spelled out: 1 / (1 + exp(-x))."""
    return Squashed("exp", node.affine(0), "exp")


@operator("Reciprocal")
def reciprocal(node: Node) -> Value:
    """The last step of a sigmoid that is spelled out."""
    found = one_over(node.inputs[0])
    if found is not None:
        return found
    node.refuse("it is supported as the end of a sigmoid that is spelled out, 1 / (1 + exp(-x)), only")


def one_over(value: Value) -> Squashed | None:
    """1 / (1 + exp(-x)); None where the value is no such sum."""
    if not isinstance(value, Squashed) or value.decision != "1+exp":
        return None
    logit = value.logit.scaled(-1.0)
    return Squashed("sigmoid" if logit.size == 1 else "multilabel", logit, "sigmoid")


@operator("ReduceSum")
def reduce_sum(node: Node) -> Value:
    """The sum that sigmoids or exponentials are divided by, or of activations over constant axes."""
    value = node.inputs[0]
    given = node.attributes.get("axes", node.optional(1))
    axes = [1] if given is None else [int(a) for a in np.asarray(given).reshape(-1)]
    if isinstance(value, Squashed) and axes in ([1], [-1]) and given is not None:
        if value.pair or value.squash == "softmax":
            return np.ones((1, 1), dtype=np.float32)
        if value.squash == "sigmoid" or value.decision == "exp":
            return Total(value)
    tensor = node.affine(0)
    if given is None:
        node.refuse("it has no axes, hence adds the batch up")
    axes = sorted(a % len(tensor.shape) for a in axes)
    if 0 in axes and tensor.shape[0] == 1:
        node.refuse("it adds up over the batch axis")
    keep = bool(node.attributes.get("keepdims", 1))
    shape = [1 if a in axes else n for a, n in enumerate(tensor.shape) if keep or a not in axes]
    kept = [a for a in range(len(tensor.shape)) if a not in axes]
    index = tensor.index.transpose(*kept, *axes).reshape(-1, int(np.prod([tensor.shape[a] for a in axes])))
    rows = np.repeat(np.arange(len(index)), index.shape[1])
    matrix = sparse.csr_array(
        (np.ones(index.size), (rows, index.reshape(-1))), shape=(len(index), tensor.size)
    )
    return tensor.mapped(matrix, np.zeros(len(index)), shape)
