"""Operators that only move elements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from proofward.zkml.groth16.compiler.ensemble import Ensemble
from proofward.zkml.groth16.compiler.network import Affine, stacked
from proofward.zkml.groth16.compiler.onnx_frontend.node import (
    HANDLERS,
    Chosen,
    Labels,
    Node,
    Squashed,
    Total,
    Value,
    operator,
)
from proofward.zkml.groth16.compiler.onnx_frontend.votes import counted

MOVING = (
    "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Concat", "Slice", "Split", "ArrayFeatureExtractor",
    "Gather",
)  # fmt: skip
"""Operators that move elements and change none: over separate sigmoids they move the logits."""

_FLOAT_TYPES = {1: 32, 10: 16, 11: 64, 16: None}
"""FLOAT, FLOAT16, DOUBLE, BFLOAT16, and their bits where a tree's comparisons can be followed through them.
"""


@operator("Identity")
def identity(node: Node) -> Value:
    """The same value."""
    return node.inputs[0]


@operator("Dropout")
def dropout(node: Node) -> Value:
    """The same value, but while training."""
    if node.optional(2) is not None and np.any(node.constant(2)):
        node.refuse("training_mode is set; export the model for inference")
    return node.inputs[0]


@operator("Cast")
def cast(node: Node) -> Value:
    """The same value; only casts between float types keep it. A label stays what it is in any type, and a sum
    of sigmoids is never zero.
    """
    if isinstance(node.inputs[0], Labels):
        return node.inputs[0]
    total = node.inputs[0] if isinstance(node.inputs[0], Total) else None
    if total is not None and total.of.squash == "sigmoid" and node.attributes.get("to") == 9:
        return np.array([[True]])
    if total is not None and node.attributes.get("to") in (6, 7):
        return total
    if isinstance(node.inputs[0], Chosen) and node.attributes.get("to") in _FLOAT_TYPES:
        return counted(node, node.inputs[0])
    if node.attributes.get("to") not in _FLOAT_TYPES:
        node.refuse("it casts activations to a type that is not float")
    value = node.inputs[0]
    if not isinstance(value, Affine) or value.steps is None:
        return value
    bits = _FLOAT_TYPES[node.attributes["to"]]
    if node.network.integers and not value.steps.chain and bits != 32:
        bits = None  # a whole number beyond 2**24 is no float32: a tree behind it is refused
    return replace(value, steps=None if bits is None else value.steps.cast(bits))


@operator("Shape")
def shape(node: Node) -> Value:
    """A tensor's shape, as a constant (the batch axis counts 1)."""
    value = node.inputs[0]
    if isinstance(value, Ensemble):
        return np.array([1, value.outputs], dtype=np.int64)
    return np.array(node.affine(0).shape, dtype=np.int64)


@operator("Flatten")
def flatten(node: Node) -> Value:
    """Two axes, the batch first."""
    value, axis = node.affine(0), int(node.attributes.get("axis", 1))
    axis = axis + len(value.shape) if axis < 0 else axis
    return value.reshaped((int(np.prod(value.shape[:axis])), int(np.prod(value.shape[axis:]))))


@operator("Reshape")
def reshape(node: Node) -> Value:
    """Another shape of the same elements; 0 keeps an axis and -1 infers one."""
    if isinstance(node.inputs[0], (Squashed, Ensemble, Labels, Total)):
        return node.inputs[0]
    value, wanted = node.affine(0), [int(n) for n in node.constant(1).reshape(-1)]
    if not node.attributes.get("allowzero", 0):
        if any(n == 0 and i >= len(value.shape) for i, n in enumerate(wanted)):
            node.refuse(f"{wanted} keeps an axis that its input lacks")
        wanted = [value.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    try:
        return value.reshaped(value.index.reshape(wanted).shape)
    except ValueError:
        node.refuse(
            f"{value.shape} does not reshape to {wanted} (the batch axis must not be fixed to more than 1)"
        )


@operator("Squeeze", "Unsqueeze")
def squeeze(node: Node) -> Value:
    """Drop or insert axes of length 1."""
    if isinstance(node.inputs[0], Labels):
        return node.inputs[0]
    value = node.affine(0)
    given = node.attributes.get("axes", node.optional(1))
    axes = None if given is None else tuple(int(a) for a in np.asarray(given).reshape(-1))
    if node.op == "Unsqueeze":
        if axes is None:
            node.refuse("it has no axes")
        return value.reshaped(np.expand_dims(value.index, axes).shape)
    chosen = tuple(i for i, n in enumerate(value.shape) if i and n == 1) if axes is None else axes
    if any(value.shape[a] != 1 for a in chosen):
        node.refuse(f"axes {axes} of {value.shape} are not all 1")
    return value.reshaped(np.squeeze(value.index, chosen).shape)


@operator("Transpose")
def transpose(node: Node) -> Value:
    """Axes in another order."""
    value = node.affine(0)
    return value.take(np.transpose(value.index, node.attributes.get("perm")))


@operator("Concat")
def concat(node: Node) -> Value:
    """Tensors one after another; `[1 - p, p]` of a sigmoid is the pair of its two classes."""
    if len(node.inputs) == 2 and all(isinstance(value, Squashed) for value in node.inputs):
        first, second = node.inputs
        assert isinstance(first, Squashed)
        assert isinstance(second, Squashed)
        if first.complement and not second.complement and first.logit is second.logit:
            return second
    if len(node.inputs) == 2 and all(isinstance(value, Ensemble) for value in node.inputs):
        pair = _pair(node)
        if pair is not None:
            return pair
    values = [node.affine(i) for i in range(len(node.inputs))]
    axis, starts = int(node.attributes["axis"]), np.cumsum([0] + [value.size for value in values])
    try:
        index = np.concatenate([v.index + s for v, s in zip(values, starts, strict=False)], axis=axis)
    except ValueError:
        node.refuse(f"shapes {[value.shape for value in values]} do not concatenate on axis {axis}")
    return stacked(values, index)


def _pair(node: Node) -> Value | None:
    """`[1 - s, s]` of one ensemble's score: the shares of two classes; None where it is something else."""
    first, second = node.inputs
    assert isinstance(first, Ensemble)
    assert isinstance(second, Ensemble)
    if not first.negated or second.negated or replace(first, negated=False) != second or second.outputs != 1:
        return None
    return replace(second, outputs=2, complement=True, decision="argmax")


@operator("Slice")
def slice_(node: Node) -> Value:
    """Constant ranges of axes; before opset 10 they are attributes."""
    value = node.affine(0)
    if node.opset < 10:
        starts, ends = (np.array(node.attributes[name]) for name in ("starts", "ends"))
        axes, steps = node.attributes.get("axes"), None
    else:
        starts, ends = node.constant(1).reshape(-1), node.constant(2).reshape(-1)
        axes, steps = node.optional(3), node.optional(4)
    chosen = np.arange(len(starts)) if axes is None else np.asarray(axes).reshape(-1)
    stride = np.ones(len(starts), dtype=np.int64) if steps is None else steps.reshape(-1)
    cuts = [slice(None)] * len(value.shape)
    for start, end, axis, step in zip(starts, ends, chosen, stride, strict=True):
        if step < 1:
            node.refuse("negative steps are not supported")
        cuts[int(axis)] = slice(int(start), int(end), int(step))
    index = value.index[tuple(cuts)]
    if not index.size:
        node.refuse("it leaves nothing of its input")
    return value.take(index)


@operator("Split")
def split(node: Node) -> Value | tuple[Value, ...]:
    """A tensor cut along one axis."""
    value = node.affine(0)
    axis = int(node.attributes.get("axis", 0)) % len(value.shape)
    given = node.attributes.get("split", node.optional(1))
    length, parts = value.shape[axis], node.outputs
    if axis == 0:
        node.refuse("it cuts the batch axis")
    if given is None:
        size = -(-length // parts)
        given = [min(size, length - size * i) for i in range(parts)]
    sizes = [int(n) for n in np.asarray(given).reshape(-1)]
    if len(sizes) != parts or sum(sizes) != length or min(sizes) < 1:
        node.refuse(f"it cuts {length} into {sizes} for {parts} outputs")
    cuts = np.split(value.index, np.cumsum(sizes)[:-1], axis=axis)
    return tuple(value.take(cut) for cut in cuts)


@operator("ArrayFeatureExtractor", domain="ai.onnx.ml")
def array_feature_extractor(node: Node) -> Value:
    """Chosen columns, as ColumnTransformer and SelectKBest write them; or a label looked up in a list."""
    if isinstance(node.inputs[1], Labels):
        return node.inputs[1].looked_up(node.constant(0))
    columns = node.constant(1).reshape(-1).astype(np.int64)
    first = node.inputs[0]
    if isinstance(first, Ensemble) and first.complement and columns.tolist() == [1]:
        return replace(first, outputs=1, complement=False, decision="value", labels=None)
    value = node.affine(0)
    if value.shape[0] != 1 or (columns < 0).any() or (columns >= value.shape[-1]).any():
        node.refuse(f"it takes columns {columns[:8].tolist()} of shape {value.shape}")
    return value.take(value.index[..., columns])


@operator("Gather")
def gather(node: Node) -> Value:
    """Constant indices of one axis; or a label looked up in a list."""
    if isinstance(node.inputs[1], Labels) and node.constant(0).ndim == 1:
        return node.inputs[1].looked_up(node.constant(0))
    value = node.affine(0)
    return value.take(np.take(value.index, node.constant(1), axis=int(node.attributes.get("axis", 0))))


@operator("Pad")
def pad(node: Node) -> Value:
    """Zeros around a tensor."""
    value: Affine = node.affine(0)
    if node.attributes.get("mode", b"constant") != b"constant":
        node.refuse("only constant padding is supported")
    given, axes = node.optional(1), node.optional(3)
    named = np.asarray(node.attributes["pads"] if given is None else given).reshape(2, -1)
    fill = node.optional(2)
    if (named < 0).any() or (fill is not None and np.any(fill != 0)) or node.attributes.get("value", 0.0):
        node.refuse("only padding by non-negative amounts of zeros is supported")
    amounts = np.zeros((2, len(value.shape)), dtype=np.int64)
    amounts[:, slice(None) if axes is None else axes.reshape(-1)] = named
    if amounts[:, 0].any():
        node.refuse("it pads the batch axis")
    index = np.pad(value.index, [(int(a), int(b)) for a, b in amounts.T], constant_values=value.size)
    zero = Affine(value.rows[:0].copy(), np.zeros(0), (0,))
    width = value.rows.shape[1]
    blank = Affine(type(value.rows)((1, width)), np.zeros(1), (1,))
    return stacked([value, zero, blank], index)


def over_sigmoids(node: Node) -> Value | tuple[Value, ...] | None:
    """A moving operator over sigmoids, done to their logits; None where it is none."""
    moved = [value for value in node.inputs if not isinstance(value, np.ndarray | None)]
    if node.op not in MOVING or not moved or not all(_sigmoids(value) for value in moved):
        return None
    if node.op == "Concat" and len(moved) == 2:
        first, second = moved
        assert isinstance(first, Squashed)
        assert isinstance(second, Squashed)
        if first.complement and not second.complement and first.logit is second.logit:
            return replace(second, pair=True)
    inputs: list[Value] = [
        value.expanded() if isinstance(value, Squashed) else value for value in node.inputs
    ]
    found = HANDLERS[node.domain, node.op](replace(node, inputs=inputs))
    if isinstance(found, tuple):
        return tuple(squashed_again(one) for one in found)
    return squashed_again(found)


def _sigmoids(value: Value) -> bool:
    return (
        isinstance(value, Squashed)
        and value.squash == "sigmoid"
        and value.decision in ("sigmoid", "multilabel")
    )


def squashed_again(value: Value) -> Value:
    """Logits under separate sigmoids; two that are each other's negative are one decision."""
    if not isinstance(value, Affine):
        return value
    if value.shape == (1, 2):
        total = value.rows[[0]] + value.rows[[1]]
        if not total.count_nonzero() and value.bias.sum() == 0.0:
            return Squashed("sigmoid", value.take(np.array([[1]])), "sigmoid", pair=True)
    return Squashed("sigmoid" if value.size == 1 else "multilabel", value, "sigmoid")
