"""What larger models would cost in the groth16 lane: rows at one plan for all layers, without a search.

`python -m tests.cases.larger` prints a line a model; docs/models.md has the figures. `proofward compile
--dry-run` gives
a trained model's own, for the search narrows each layer by itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import proofward_prover as prover

from proofward.zkml import ZkmlError
from proofward.zkml.groth16.compiler import network_program
from proofward.zkml.groth16.compiler.build import MS_FLOOR, MS_PER_CONSTRAINT
from proofward.zkml.groth16.compiler.onnx_frontend import trace
from proofward.zkml.groth16.compiler.ranges import affine_quantiser
from proofward.zkml.groth16.plan import LayerPlan, Plan
from proofward.zkml.groth16.program import bounds
from tests.zkml.onnx_models import Graph

INPUT_BITS, LAYER_BITS, ACTIVATION_BITS = 6, 12, 6


def _conv(g: Graph, filters: int, channels: int, kernel: tuple[int, ...], stride: int) -> None:
    weights = g.weights(filters, channels, *kernel, scale=1 / np.sqrt(channels * np.prod(kernel)))
    pads = [k // 2 for k in kernel] * 2
    g.node("Conv", weights, g.weights(filters, scale=0.1), pads=pads, strides=[stride] * len(kernel))


def _classes(g: Graph, channels: int, classes: int) -> Graph:
    g.node("GlobalAveragePool")
    g.node("Flatten")
    g.node("Gemm", g.weights(channels, classes, scale=0.2))
    g.node("Softmax", axis=1)
    return g


def resnet8(side: int, width: int) -> Graph:
    """ResNet-8: a convolution, and three residual blocks of twice the filters and half the side."""
    g, channels = Graph((3, side, side)), width
    _conv(g, width, 3, (3, 3), 1)
    g.node("Relu")
    for filters, stride in ((width, 1), (2 * width, 2), (4 * width, 2)):
        kept = g.last
        _conv(g, filters, channels, (3, 3), stride)
        g.node("Relu")
        _conv(g, filters, filters, (3, 3), 1)
        main = g.last
        if stride > 1:
            g.last = kept
            _conv(g, filters, channels, (1, 1), stride)
            kept = g.last
        g.raw("Add", [main, kept])
        g.node("Relu")
        channels = filters
    return _classes(g, channels, 10)


def ecg(samples: int, width: int = 8) -> Graph:
    """A 12-lead ECG classifier: four convolutions with strides."""
    g, channels = Graph((12, samples)), 12
    for filters, stride in ((width, 4), (width, 2), (2 * width, 2), (2 * width, 2)):
        _conv(g, filters, channels, (7,), stride)
        g.node("Relu")
        channels = filters
    return _classes(g, channels, 5)


MODELS: dict[str, Callable[[], Graph]] = {
    "12-lead ECG, 250 samples": lambda: ecg(250),
    "12-lead ECG, 500 samples": lambda: ecg(500),
    "12-lead ECG, 1000 samples": lambda: ecg(1000),
    "ResNet-8, 16x16, 4 filters": lambda: resnet8(16, 4),
    "ResNet-8, 32x32, 4 filters": lambda: resnet8(32, 4),
    "ResNet-8, 32x32, 16 filters": lambda: resnet8(32, 16),
}


def line(name: str) -> str:
    """One model's rows, and the time of a proof, or why the lane does not take it."""
    graph, started = MODELS[name](), time.perf_counter()
    traced = trace(graph.model())
    assert traced.network is not None
    quantiser = affine_quantiser(graph.records(40), traced.input_shape, INPUT_BITS)
    layer = LayerPlan(bits=LAYER_BITS, activation=ACTIVATION_BITS)
    lowered = network_program.lower(
        traced.network, quantiser, Plan(layers=(layer,) * len(traced.network.blocks))
    )
    rows = bounds.analyse(lowered.program).total
    try:
        circuit = prover.Circuit(lowered.program.encode(), 1)
    except (ZkmlError, prover.ProverError) as error:
        return f"{name}: {rows} rows without the commitments; refused: {error}"
    proof = (MS_FLOOR + MS_PER_CONSTRAINT * circuit.constraints) / 1000
    spent = time.perf_counter() - started
    return f"{name}: {circuit.constraints} rows, a proof in about {proof:.1f} s; compiled in {spent:.0f} s"


if __name__ == "__main__":
    for wanted in sys.argv[1:] or MODELS:
        print(line(wanted), flush=True)
