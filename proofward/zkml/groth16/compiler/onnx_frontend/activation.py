"""Non-linearities, all of them written with ReLU: it is the only one that has a gadget."""

from __future__ import annotations

import numpy as np

from proofward.zkml.groth16.compiler.network import Affine, stacked
from proofward.zkml.groth16.compiler.onnx_frontend.convolution import windows
from proofward.zkml.groth16.compiler.onnx_frontend.node import Node, Value, operator


@operator("Relu")
def relu(node: Node) -> Value:
    """max(0, x)."""
    return node.network.relu(node.name, node.affine(0))


@operator("LeakyRelu")
def leaky_relu(node: Node) -> Value:
    """x for x > 0, alpha * x otherwise: alpha * x + (1 - alpha) * relu(x)."""
    value, alpha = node.affine(0), float(node.attributes.get("alpha", 0.01))
    return value.scaled(alpha).plus(node.network.relu(node.name, value).scaled(1.0 - alpha))


@operator("PRelu")
def prelu(node: Node) -> Value:
    """LeakyRelu with a slope per channel."""
    value = node.affine(0)
    try:
        slope = np.broadcast_to(node.constant(1).astype(np.float64), value.shape).reshape(-1)
    except ValueError:
        node.refuse("its slope does not broadcast to its input")
    return value.scaled(slope).plus(node.network.relu(node.name, value).scaled(1.0 - slope))


@operator("Clip")
def clip(node: Node) -> Value:
    """min(max(x, low), high) = low + relu(x - low) - relu(x - high), each side only where it is bounded."""
    value = node.affine(0)
    low = _bound(node, 1, "min", -np.inf)
    high = _bound(node, 2, "max", np.inf)
    if low > high:
        node.refuse(f"its bounds [{low:g}, {high:g}] are empty")
    above = value.scaled(1.0, -high) if np.isfinite(high) else None
    if np.isfinite(low):
        value = node.network.relu(node.name, value.scaled(1.0, -low)).scaled(1.0, low)
    if above is not None:
        value = value.minus(node.network.relu(f"{node.name}.max", above))
    return value


def _bound(node: Node, position: int, attribute: str, default: float) -> float:
    given = node.optional(position)
    bound = (
        float(np.asarray(given).reshape(-1)[0])
        if given is not None
        else float(node.attributes.get(attribute, default))
    )
    return bound if abs(bound) < 1e30 else default


@operator("MaxPool")
def max_pool(node: Node) -> Value:
    """Maximum over windows; padding never wins."""
    value = node.spatial(0)
    if node.outputs > 1:
        node.refuse("its second output (indices) is not supported")
    channels, spatial = value.shape[1], value.shape[2:]
    window = windows(node, spatial, tuple(node.attributes["kernel_shape"]))
    taps, area = window.flat, int(np.prod(spatial))
    offsets = np.arange(channels)[:, None] * area
    fill = taps.max(axis=1)
    columns = [(offsets + np.where(column >= 0, column, fill)).reshape(-1) for column in taps.T]
    shape = (1, channels, *window.out)
    return _maximum(node, [value.take(column.reshape(shape)) for column in columns])


@operator("GlobalMaxPool")
def global_max_pool(node: Node) -> Value:
    """Maximum over all spatial axes."""
    value = node.spatial(0)
    rows = value.index.reshape(value.shape[1], -1)
    shape = (1, value.shape[1]) + (1,) * (len(value.shape) - 2)
    return _maximum(node, [value.take(column.reshape(shape)) for column in rows.T])


@operator("Max")
def maximum(node: Node) -> Value:
    """Element-wise maximum of activations of one shape."""
    values = [node.affine(i) for i in range(len(node.inputs))]
    if len({value.shape for value in values}) != 1:
        node.refuse("its inputs differ in shape")
    return _maximum(node, values)


@operator("Min")
def minimum(node: Node) -> Value:
    """min(a, b) = -max(-a, -b), of activations of one shape."""
    values = [node.affine(i).scaled(-1.0) for i in range(len(node.inputs))]
    if len({value.shape for value in values}) != 1:
        node.refuse("its inputs differ in shape")
    return _maximum(node, values).scaled(-1.0)


@operator("ReduceMax")
def reduce_max(node: Node) -> Value:
    """Maximum over constant axes."""
    value = node.affine(0)
    given = node.attributes.get("axes", node.optional(1))
    if given is None:
        node.refuse("it has no axes, hence runs over the batch")
    axes = sorted(int(a) % len(value.shape) for a in np.asarray(given).reshape(-1))
    if 0 in axes:
        node.refuse("it runs over the batch axis")
    keep = bool(node.attributes.get("keepdims", 1))
    shape = tuple(1 if a in axes else n for a, n in enumerate(value.shape) if keep or a not in axes)
    kept = [a for a in range(len(value.shape)) if a not in axes]
    index = value.index.transpose(*kept, *axes).reshape(-1, int(np.prod([value.shape[a] for a in axes])))
    flat = _maximum(node, [value.take(column.reshape(1, -1)) for column in index.T])
    return flat.reshaped(shape)


@operator("HardSigmoid")
def hard_sigmoid(node: Node) -> Value:
    """min(max(alpha * x + beta, 0), 1) = relu(y) - relu(y - 1)."""
    alpha, beta = float(node.attributes.get("alpha", 0.2)), float(node.attributes.get("beta", 0.5))
    value = node.affine(0).scaled(alpha, beta)
    above = node.network.relu(f"{node.name}.max", value.scaled(1.0, -1.0))
    return node.network.relu(node.name, value).minus(above)


def _maximum(node: Node, values: list[Affine]) -> Affine:
    """A balanced tree of max(a, b) = a + relu(b - a)."""
    level = 0
    while len(values) > 1:
        pairs = list(zip(values[0::2], values[1::2], strict=False))
        shape, size = values[0].shape, values[0].size
        layout = _by_channel(size, len(pairs), shape)
        wires = node.network.relu(
            f"{node.name}.{level}" if level else node.name, stacked([b.minus(a) for a, b in pairs], layout)
        )
        place = np.argsort(layout.reshape(-1)).reshape(len(pairs), *shape)
        values = [a.plus(wires.take(where)) for (a, _), where in zip(pairs, place, strict=True)] + (
            values[2 * len(pairs) :]
        )
        level += 1
    return values[0]


def _by_channel(size: int, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """An order of ``count`` stacked tensors that keeps each channel together: one scale a channel."""
    index = np.arange(size * count).reshape(count, shape[1], -1)
    return index.transpose(1, 0, 2).reshape(1, shape[1], -1)
