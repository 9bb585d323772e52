"""Non-linearities, all of them written with ReLU: it is the only one that has a gadget."""

from __future__ import annotations

import numpy as np

from proofward.zkml.groth16.compiler import curves
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
    """Element-wise maximum of activations of one shape, or of one and constants."""
    return _extreme(node, 1.0)


@operator("Min")
def minimum(node: Node) -> Value:
    """min(a, b) = -max(-a, -b)."""
    return _extreme(node, -1.0)


def _extreme(node: Node, sign: float) -> Affine:
    known = next((i for i, one in enumerate(node.inputs) if not isinstance(one, np.ndarray)), 0)
    shape = node.affine(known).shape
    values = []
    for position, one in enumerate(node.inputs):
        if isinstance(one, np.ndarray):
            try:
                bound = np.broadcast_to(one.astype(np.float64), shape).reshape(-1)
            except ValueError:
                node.refuse(f"a constant of shape {one.shape} does not broadcast to {shape}")
            value = node.affine(known).scaled(0.0, bound)
            value.rows.eliminate_zeros()
        else:
            value = node.affine(position)
        values.append(value.scaled(sign))
    if len({value.shape for value in values}) != 1:
        node.refuse("its inputs differ in shape")
    return _maximum(node, values).scaled(sign)


@operator("ReduceMin")
def reduce_min(node: Node) -> Value:
    """Minimum over constant axes."""
    return _reduced(node, -1.0)


@operator("ReduceMax")
def reduce_max(node: Node) -> Value:
    """Maximum over constant axes."""
    return _reduced(node, 1.0)


def _reduced(node: Node, sign: float) -> Affine:
    value = node.affine(0).scaled(sign)
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
    return flat.reshaped(shape).scaled(sign)


@operator("Tanh", "Softplus", "Mish", "HardSwish", "Gelu", "Elu")
def smooth(node: Node) -> Value:
    """Followed by straight lines; the report says how far off they are (:mod:`..curves`)."""
    name, value = node.op, node.affine(0)
    if name == "Gelu" and node.attributes.get("approximate", b"none") == b"tanh":
        name = "GeluTanh"
    if name == "Elu" and node.attributes.get("alpha", 1.0) != 1.0:
        node.refuse(f"alpha {node.attributes['alpha']:g} is not supported; 1 is")
    return node.network.curve(node.name, value, curves.lines(name))


@operator("Selu")
def selu(node: Node) -> Value:
    """gamma * (relu(x) + alpha * (exp(min(x, 0)) - 1)); the curve of Elu, its two sides scaled apart."""
    alpha, gamma = (
        float(node.attributes.get("alpha", 1.67326319)),
        float(node.attributes.get("gamma", 1.05070102)),
    )
    value = node.affine(0)
    above = node.network.relu(f"{node.name}.above", value)
    curve = node.network.curve(node.name, value, curves.lines("Elu"))
    return curve.minus(above).scaled(alpha * gamma).plus(above.scaled(gamma))


@operator("ThresholdedRelu")
def thresholded_relu(node: Node) -> Value:
    """Not continuous: a step has no gadget here."""
    node.refuse("it jumps at its threshold, and the lane follows continuous activations only")


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
    """An order of `count` stacked tensors that keeps each channel together: one scale a channel."""
    index = np.arange(size * count).reshape(count, shape[1], -1)
    return index.transpose(1, 0, 2).reshape(1, shape[1], -1)
