"""Small convolutional networks trained by numpy, and written as ONNX: enough for the bench, and no
framework.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from bench.data import Split

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Conv:
    """A convolution without padding, followed by ReLU."""

    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)


@dataclass
class _Layer:
    spec: Conv
    weights: Array
    bias: Array
    columns: Array | None = None
    inputs: tuple[int, ...] = ()
    active: npt.NDArray[np.bool_] | None = None

    def places(self, shape: tuple[int, ...]) -> tuple[int, int]:
        (kh, kw), (sh, sw) = self.spec.kernel, self.spec.stride
        return (shape[2] - kh) // sh + 1, (shape[3] - kw) // sw + 1

    def forward(self, x: Array) -> Array:
        self.inputs = x.shape
        (sh, sw), (h, w) = self.spec.stride, self.places(x.shape)
        view = np.lib.stride_tricks.sliding_window_view(x, self.spec.kernel, axis=(2, 3))[:, :, ::sh, ::sw]
        self.columns = np.ascontiguousarray(view.transpose(0, 2, 3, 1, 4, 5)).reshape(len(x) * h * w, -1)
        y = self.columns @ self.weights.reshape(self.spec.filters, -1).T + self.bias
        y = y.reshape(len(x), h, w, -1).transpose(0, 3, 1, 2)
        self.active = y > 0
        return np.where(self.active, y, 0).astype(np.float32)

    def backward(self, grad: Array) -> tuple[Array, list[Array]]:
        assert self.active is not None
        assert self.columns is not None
        n, filters, h, w = grad.shape
        flat = np.where(self.active, grad, 0).transpose(0, 2, 3, 1).reshape(-1, filters).astype(np.float32)
        d_weights = (flat.T @ self.columns).reshape(self.weights.shape)
        taps = (flat @ self.weights.reshape(filters, -1)).reshape(n, h, w, *self.weights.shape[1:])
        d_input = np.zeros(self.inputs, dtype=np.float32)
        (kh, kw), (sh, sw) = self.spec.kernel, self.spec.stride
        for i in range(kh):
            for j in range(kw):
                d_input[:, :, i : i + sh * h : sh, j : j + sw * w : sw] += taps[:, :, :, :, i, j].transpose(
                    0, 3, 1, 2
                )
        return d_input, [d_weights, flat.sum(axis=0)]


@dataclass
class ConvNet:
    """Convolutions, then one fully connected layer. Inputs are `[n, 1, height, width]`."""

    shape: tuple[int, int]
    layers: list[_Layer]
    weights: Array
    bias: Array

    def logits(self, x: Array) -> Array:
        """Scores of records `x` [n, ...], float32 [n, classes]."""
        for layer in self.layers:
            x = layer.forward(x)
        return x.reshape(len(x), -1) @ self.weights + self.bias


def train(
    split: Split,
    shape: tuple[int, int],
    convs: Sequence[Conv],
    classes: int,
    *,
    epochs: int = 60,
    rate: float = 2e-3,
    decay: float = 1e-3,
    noise: float = 0.0,
    batch: int = 64,
    seed: int = 0,
) -> ConvNet:
    """Adam on the cross entropy, with weight decay and input noise; the learning rate falls to zero."""
    rng = np.random.default_rng(seed)
    net = _fresh(rng, shape, convs, classes)
    x = split.train_x.astype(np.float32).reshape(-1, 1, *shape)
    moments: list[list[Array]] = []
    steps = max(1, len(x) // batch) * epochs
    step = 0
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            step += 1
            chosen = order[start : start + batch]
            seen = x[chosen] + noise * rng.standard_normal(x[chosen].shape, dtype=np.float32)
            grads, params = _gradients(net, seen, split.train_y[chosen])
            moments = moments or [[np.zeros_like(p), np.zeros_like(p)] for p in params]
            now = rate * 0.5 * (1 + np.cos(np.pi * step / steps))
            for param, grad, (first, second) in zip(params, grads, moments, strict=True):
                first += 0.1 * (grad - first)
                second += 0.001 * (grad * grad - second)
                scaled = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
                param -= (now * (scaled + decay * param)).astype(np.float32)
    return net


def _fresh(rng: np.random.Generator, shape: tuple[int, int], convs: Sequence[Conv], classes: int) -> ConvNet:
    layers, channels, current = [], 1, (1, 1, *shape)
    for spec in convs:
        fan_in = channels * spec.kernel[0] * spec.kernel[1]
        weights = rng.normal(0, np.sqrt(2 / fan_in), (spec.filters, channels, *spec.kernel)).astype(
            np.float32
        )
        layers.append(_Layer(spec, weights, np.zeros(spec.filters, dtype=np.float32)))
        channels, current = spec.filters, (1, spec.filters, *layers[-1].places(current))
    size = int(np.prod(current))
    dense = rng.normal(0, np.sqrt(1 / size), (size, classes)).astype(np.float32)
    return ConvNet(shape, layers, dense, np.zeros(classes, dtype=np.float32))


def _gradients(net: ConvNet, x: Array, y: npt.NDArray[np.int64]) -> tuple[list[Array], list[Array]]:
    hidden = x
    for layer in net.layers:
        hidden = layer.forward(hidden)
    flat = hidden.reshape(len(x), -1)
    logits = flat @ net.weights + net.bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    delta = powers / powers.sum(axis=1, keepdims=True)
    delta[np.arange(len(y)), y] -= 1
    delta /= len(y)
    grads, params = [flat.T @ delta, delta.sum(axis=0)], [net.weights, net.bias]
    grad = (delta @ net.weights.T).reshape(hidden.shape)
    for layer in reversed(net.layers):
        grad, own = layer.backward(grad)
        grads += own
        params += [layer.weights, layer.bias]
    return grads, params


def to_onnx(net: ConvNet, one_dimensional: bool) -> bytes:
    """The network with a softmax at its output, input `[batch, 1, (height,) width]`."""
    nodes, constants, last = [], [], "x"
    for i, layer in enumerate(net.layers):
        weights = layer.weights[:, :, 0] if one_dimensional else layer.weights
        constants += [numpy_helper.from_array(weights, f"w{i}"), numpy_helper.from_array(layer.bias, f"b{i}")]
        stride = list(layer.spec.stride[1:] if one_dimensional else layer.spec.stride)
        nodes.append(
            helper.make_node("Conv", [last, f"w{i}", f"b{i}"], [f"c{i}"], name=f"conv{i + 1}", strides=stride)
        )
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"], name=f"relu{i + 1}"))
        last = f"r{i}"
    constants += [numpy_helper.from_array(net.weights, "w"), numpy_helper.from_array(net.bias, "b")]
    nodes += [
        helper.make_node("Flatten", [last], ["flat"], name="flatten"),
        helper.make_node("Gemm", ["flat", "w", "b"], ["logits"], name="fc"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], name="softmax", axis=1),
    ]
    dims = ["batch", 1, *(net.shape[1:] if one_dimensional else net.shape)]
    graph = helper.make_graph(
        nodes,
        "convnet",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(net.bias)])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
