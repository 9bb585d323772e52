"""Larger models through `proofward compile --dry-run`: what each costs in the groth16 lane, or why not.

`python -m tests.cases.larger [FOLDER [NAME...]]` writes each model and its tables to FOLDER and prints the
dry run's report or its refusal; docs/models.md has the figures. The convolutions are seeded and the last
layer is trained on their features, by which the models decide well enough for agreement to mean something.
Images are scikit-learn's digits, eight by eight enlarged; ECGs are drawn, beats of five kinds in twelve
leads.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import proofward_prover as prover
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from proofward.publisher.build import dry_run
from proofward.zkml import ZkmlError
from proofward.zkml.groth16.compiler import network_program
from proofward.zkml.groth16.compiler.network_program import NetworkProgram
from proofward.zkml.groth16.compiler.onnx_frontend import trace
from proofward.zkml.groth16.compiler.ranges import affine_quantiser
from proofward.zkml.groth16.plan import LayerPlan, Plan
from proofward.zkml.quantiser import AffineQuantiser
from tests.zkml.onnx_models import GROTH16, Graph, run

RECORDS, HELD_OUT = 400, 200
Labelled = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Larger:
    """A trunk whose output is [1, features], and labelled records [n, inputs] for it."""

    trunk: Callable[[], Graph]
    records: Callable[[int], Labelled]
    classes: int


def _conv(g: Graph, filters: int, channels: int, kernel: tuple[int, ...], stride: int) -> None:
    weights = g.weights(filters, channels, *kernel, scale=np.sqrt(2 / (channels * np.prod(kernel))))
    pads = [k // 2 for k in kernel] * 2
    g.node("Conv", weights, g.weights(filters, scale=0.1), pads=pads, strides=[stride] * len(kernel))


def _pooled(g: Graph) -> Graph:
    g.node("GlobalAveragePool")
    g.node("Flatten")
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
    return _pooled(g)


def ecg(samples: int, width: int = 8) -> Graph:
    """A 12-lead ECG classifier's trunk: four convolutions with strides."""
    g, channels = Graph((12, samples)), 12
    for filters, stride in ((width, 4), (width, 2), (2 * width, 2), (2 * width, 2)):
        _conv(g, filters, channels, (7,), stride)
        g.node("Relu")
        channels = filters
    return _pooled(g)


def transformer(tokens: int = 32, heads: int = 4, head: int = 8) -> Graph:
    """One pre-norm block: attention of `heads` heads, then two layers with GELU, both with a residual."""
    width = heads * head
    g = Graph((tokens, width))
    kept = g.last

    def matrix(n: int, m: int) -> np.ndarray:
        return g.weights(n, m, scale=1 / np.sqrt(n))

    def normed() -> str:
        return g.node("LayerNormalization", np.ones(width, np.float32), np.zeros(width, np.float32), axis=-1)

    def split(source: str, order: list[int]) -> str:
        g.last = source
        g.node("MatMul", matrix(width, width))
        g.node("Reshape", np.array([-1, tokens, heads, head]))
        return g.node("Transpose", perm=order)

    source = normed()
    query, key = split(source, [0, 2, 1, 3]), split(source, [0, 2, 3, 1])
    value = split(source, [0, 2, 1, 3])
    g.raw("MatMul", [query, key])
    g.node("Mul", np.float32(1 / np.sqrt(head)))
    g.node("Softmax", axis=-1)
    g.raw("MatMul", [g.last, value])
    g.node("Transpose", perm=[0, 2, 1, 3])
    g.node("Reshape", np.array([-1, tokens, width]))
    g.node("MatMul", matrix(width, width))
    kept = g.raw("Add", [g.last, kept])
    normed()
    g.node("MatMul", matrix(width, 2 * width))
    half = g.last
    g.node("Mul", np.float32(1 / np.sqrt(2)))
    g.node("Erf")
    g.node("Add", np.float32(1))
    g.raw("Mul", [half, g.last])
    g.node("Mul", np.float32(0.5))
    g.node("MatMul", matrix(2 * width, width))
    g.raw("Add", [g.last, kept])
    g.node("ReduceMean", axes=[1], keepdims=0)
    return g


def digits(side: int, channels: int, count: int) -> Labelled:
    """Digits enlarged to `side`, in as many tints."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[:count]
    images = np.kron(x[order].reshape(-1, 8, 8) / 16, np.ones((side // 8, side // 8)))
    tints = np.linspace(1, 0.4, channels)[:, None, None]
    return (images[:, None] * tints).reshape(len(order), -1).round(4), y[order]


def beats(samples: int, count: int) -> Labelled:
    """Ten seconds of twelve leads: sinus rhythm, tachycardia, a wide QRS, a raised ST, no P and no regular
    rhythm.
    """
    rng = np.random.default_rng(1)
    kinds = rng.integers(0, 5, count)
    leads = rng.normal(0.6, 0.3, (12, 4))
    t = np.linspace(0, 10, samples)
    x = np.empty((count, 12, samples))
    for i, kind in enumerate(kinds):
        gap = rng.normal({1: 0.45}.get(kind, 0.85), 0.03)
        gaps = gap * (rng.uniform(0.55, 1.45, 40) if kind == 4 else rng.normal(1, 0.02, 40))
        width = 0.09 if kind == 2 else 0.035
        signal = rng.normal(0, 0.03, (12, samples))
        for at in np.cumsum(gaps) - rng.uniform(0, gap):
            waves = (
                (0.0 if kind == 4 else 0.15, -0.18, 0.03),
                (1.0, 0.0, width),
                (0.3 if kind == 3 else 0.0, 0.12, 0.06),
                (0.3, 0.28, 0.07),
            )
            for lead, (height, shift, spread) in zip(leads.T, waves, strict=True):
                signal += np.outer(lead, height * np.exp(-(((t - at - shift) / spread) ** 2) / 2))
        x[i] = signal
    return x.reshape(count, -1).round(4), kinds


MODELS: dict[str, Larger] = {
    "ecg_250": Larger(partial(ecg, 250), partial(beats, 250), 5),
    "ecg_500": Larger(partial(ecg, 500), partial(beats, 500), 5),
    "ecg_1000": Larger(partial(ecg, 1000), partial(beats, 1000), 5),
    "resnet8_16_4": Larger(partial(resnet8, 16, 4), partial(digits, 16, 3), 10),
    "resnet8_32_4": Larger(partial(resnet8, 32, 4), partial(digits, 32, 3), 10),
    "resnet8_32_16": Larger(partial(resnet8, 32, 16), partial(digits, 32, 3), 10),
    "transformer": Larger(transformer, partial(digits, 32, 1), 10),
}


def write(
    name: str, folder: Path, records: int = RECORDS, held_out: int = HELD_OUT
) -> tuple[Path, Path, Path]:
    """NAME.onnx, calibration and held-out tables, the truth in the latter's last column."""
    made, graph = MODELS[name], MODELS[name].trunk()
    x, y = made.records(records + held_out)
    features = run(graph.model(), x, graph.shape)
    spread = features[:records].std(axis=0) + 1e-6
    fitted = LogisticRegression(max_iter=2000, C=10.0).fit(features[:records] / spread, y[:records])
    weights = (fitted.coef_ / spread).T.astype(np.float32)
    graph.node("Gemm", weights, fitted.intercept_.astype(np.float32))
    graph.node("Softmax", axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    onnx, train, held = (folder / f"{name}{end}" for end in (".onnx", ".csv", "_held.csv"))
    onnx.write_bytes(graph.model())
    np.savetxt(train, x[:records], delimiter=",", fmt="%.4f")
    np.savetxt(held, np.column_stack([x[records:], y[records:]]), delimiter=",", fmt="%.4f")
    return onnx, train, held


def line(name: str, folder: Path, records: int = RECORDS, held_out: int = HELD_OUT) -> str:
    """A model's dry run in a line: what it costs and how it agrees, or why it is refused."""
    onnx, train, held = write(name, folder, records, held_out)
    started = time.perf_counter()
    try:
        _, found = dry_run(onnx, train, held, options=GROTH16)
    except ZkmlError as error:
        return f"{name}: refused after {time.perf_counter() - started:.0f} s: {error.message}"
    report = found.accuracy.report
    assert report is not None
    return (
        f"{name}: {found.rows} rows, about {found.prove_ms:.0f} ms a proof, {found.memory_bytes >> 20} MB; "
        f"accuracy {found.accuracy.integer:.3f} (float {found.accuracy.float_:.3f}), agreement "
        f"{report.agreement:.3f}, largest shift {report.largest_shift:.3f}; "
        f"{time.perf_counter() - started:.0f} s"
    )


def at_one_plan(
    onnx: bytes, records: np.ndarray, inputs: int = 6, bits: int = 12, activation: int = 6
) -> tuple[NetworkProgram, AffineQuantiser]:
    """The program with so many bits for an input, a layer and an activation throughout, without a search."""
    traced = trace(onnx)
    assert traced.network is not None
    quantiser = affine_quantiser(records, traced.input_shape, inputs)
    plan = Plan(layers=(LayerPlan(bits=bits, activation=activation),) * len(traced.network.blocks))
    return network_program.lower(traced.network, quantiser, plan), quantiser


def rows(name: str) -> int:
    """A model's rows at one plan for all layers, without a search and without its last layer."""
    graph = MODELS[name].trunk()
    lowered, _ = at_one_plan(graph.model(), graph.records(40))
    return prover.Circuit(lowered.program.encode(), 1).constraints


if __name__ == "__main__":
    for wanted in sys.argv[2:] or MODELS:
        print(line(wanted, Path(sys.argv[1] if len(sys.argv) > 1 else "build/larger")), flush=True)
