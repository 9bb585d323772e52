"""Convolutions and average pooling as sparse matrices, and the windows that max pooling shares with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from proofward.zkml.groth16.compiler.onnx_frontend.node import Node, Value, operator


@dataclass(frozen=True)
class Windows:
    """Sliding windows over the spatial axes.

    Args:
        index: int64 `[*out, *kernel]` positions in the flattened spatial axes, -1 in the padding.
        out: spatial shape of the result.
    """

    index: npt.NDArray[np.int64]
    out: tuple[int, ...]

    @property
    def flat(self) -> npt.NDArray[np.int64]:
        """The positions as `[out size, kernel size]`."""
        return self.index.reshape(int(np.prod(self.out)), -1)


def windows(node: Node, spatial: tuple[int, ...], kernel: tuple[int, ...]) -> Windows:
    """The windows of a Conv or Pool node, after its strides, dilations, pads, auto_pad and ceil_mode."""
    rank = len(spatial)
    if rank not in (1, 2):
        node.refuse(f"it has {rank} spatial axes; 1 and 2 are supported")
    strides = tuple(node.attributes.get("strides", [1] * rank))
    dilations = tuple(node.attributes.get("dilations", [1] * rank))
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    if node.op != "Conv" and max(dilations) > 1 and node.attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        node.refuse(
            "ONNX Runtime pads a dilated pooling otherwise than the standard; export it with pads, not "
            "auto_pad"
        )
    begin, end = _pads(node, spatial, strides, reach)
    if node.attributes.get("ceil_mode", 0):
        end = _ceiled(spatial, strides, reach, begin, end)
    positions = np.arange(int(np.prod(spatial)), dtype=np.int64).reshape(spatial)
    padded = np.pad(positions, list(zip(begin, end, strict=True)), constant_values=-1)
    if any(p < r for p, r in zip(padded.shape, reach, strict=True)):
        node.refuse(f"its kernel {kernel} is larger than the padded input {padded.shape}")
    view = np.lib.stride_tricks.sliding_window_view(padded, reach)
    view = view[tuple(slice(None, None, s) for s in strides) + tuple(slice(None, None, d) for d in dilations)]
    return Windows(np.ascontiguousarray(view), tuple(int(n) for n in view.shape[:rank]))


def _ceiled(
    spatial: tuple[int, ...],
    strides: tuple[int, ...],
    reach: tuple[int, ...],
    begin: list[int],
    end: list[int],
) -> list[int]:
    """The end padding that gives ceil_mode's last window, unless it would begin in the padding."""
    found = []
    for n, s, r, b, e in zip(spatial, strides, reach, begin, end, strict=True):
        count = -(-(n + b + e - r) // s) + 1
        if (count - 1) * s >= n + b:
            count -= 1
        found.append(max(e, (count - 1) * s + r - n - b))
    return found


def _pads(
    node: Node, spatial: tuple[int, ...], strides: tuple[int, ...], reach: tuple[int, ...]
) -> tuple[list[int], list[int]]:
    mode = node.attributes.get("auto_pad", b"NOTSET").decode()
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        total = [
            max(0, (-(-n // s) - 1) * s + r - n) for n, s, r in zip(spatial, strides, reach, strict=True)
        ]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        return (small, large) if mode == "SAME_UPPER" else (large, small)
    pads = (
        [int(p) for p in node.attributes.get("pads", [0] * (2 * len(spatial)))]
        if mode == "NOTSET"
        else ([0] * (2 * len(spatial)))
    )
    if any(p < 0 for p in pads):
        node.refuse("negative pads are not supported")
    return pads[: len(spatial)], pads[len(spatial) :]


@operator("Conv")
def conv(node: Node) -> Value:
    """Convolution in one or two dimensions with stride, padding, dilation and groups."""
    value, weights = node.spatial(0), node.constant(1).astype(np.float64)
    groups = int(node.attributes.get("group", 1))
    if len(value.shape) < 3 or weights.ndim != len(value.shape):
        node.refuse(f"shapes {value.shape} and {weights.shape} do not convolve")
    channels, spatial = value.shape[1], value.shape[2:]
    filters, per_group = weights.shape[:2]
    if channels != per_group * groups or filters % groups:
        node.refuse(f"{channels} channels in {groups} groups do not fit weights of shape {weights.shape}")
    window = windows(node, spatial, weights.shape[2:])
    area, taps, places = int(np.prod(spatial)), window.flat, int(np.prod(window.out))
    out_channel, in_channel, place, tap = (
        axis.reshape(-1) for axis in np.indices((filters, per_group, places, taps.shape[1]))
    )
    source = taps[place, tap]
    group = out_channel // (filters // groups)
    kept = source >= 0
    matrix = sparse.csr_array(
        (
            weights.reshape(filters, per_group, -1)[out_channel, in_channel, tap][kept],
            ((out_channel * places + place)[kept], ((group * per_group + in_channel) * area + source)[kept]),
        ),
        shape=(filters * places, channels * area),
    )
    bias = node.optional(2)
    offsets = np.repeat(np.zeros(filters) if bias is None else bias.astype(np.float64), places)
    return value.mapped(matrix, offsets, (1, filters, *window.out))


@operator("AveragePool")
def average_pool(node: Node) -> Value:
    """Mean over windows; padding counts only where the node says so."""
    value = node.spatial(0)
    channels, spatial = value.shape[1], value.shape[2:]
    if node.attributes.get("ceil_mode", 0) and node.attributes.get("count_include_pad", 0):
        node.refuse("ceil_mode with count_include_pad is not supported")
    window = windows(node, spatial, tuple(node.attributes["kernel_shape"]))
    taps = window.flat
    inside = taps >= 0
    counts = (
        np.full(len(taps), taps.shape[1])
        if node.attributes.get("count_include_pad", 0)
        else inside.sum(axis=1)
    )
    place, tap = np.nonzero(inside)
    single = sparse.csr_array(
        (1.0 / counts[place], (place, taps[place, tap])), shape=(len(taps), int(np.prod(spatial)))
    )
    matrix = sparse.csr_array(sparse.kron(sparse.eye_array(channels), single, format="csr"))
    return value.mapped(matrix, np.zeros(matrix.shape[0]), (1, channels, *window.out))


@operator("GlobalAveragePool")
def global_average_pool(node: Node) -> Value:
    """Mean over all spatial axes."""
    value = node.spatial(0)
    channels, area = value.shape[1], int(np.prod(value.shape[2:]))
    single = sparse.csr_array(np.full((1, area), 1.0 / area))
    matrix = sparse.csr_array(sparse.kron(sparse.eye_array(channels), single, format="csr"))
    return value.mapped(matrix, np.zeros(channels), (1, channels) + (1,) * (len(value.shape) - 2))


@operator("ReduceMean")
def reduce_mean(node: Node) -> Value:
    """Mean over constant axes (the global average pooling of some exporters)."""
    value = node.affine(0)
    given = node.attributes.get("axes", node.optional(1))
    if given is None:
        node.refuse("it has no axes")
    axes = sorted(int(a) % len(value.shape) for a in np.asarray(given).reshape(-1))
    # Of one record the batch axis has length 1: a longer first axis is another one.
    if 0 in axes and value.shape[0] == 1:
        node.refuse("it averages over the batch axis")
    kept = [a for a in range(len(value.shape)) if a not in axes]
    index = value.index.transpose(*kept, *axes).reshape(-1, int(np.prod([value.shape[a] for a in axes])))
    matrix = sparse.csr_array(
        (
            np.full(index.size, 1.0 / index.shape[1]),
            (np.repeat(np.arange(len(index)), index.shape[1]), index.reshape(-1)),
        ),
        shape=(len(index), value.size),
    )
    keep = node.attributes.get("keepdims", 1)
    shape = [1 if a in axes else n for a, n in enumerate(value.shape) if keep or a not in axes]
    return value.mapped(matrix, np.zeros(len(index)), shape)
