"""Random integer programs and records for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from proofward.zkml.groth16.program.program import (
    Builder,
    Input,
    IntArray,
    Mux,
    Program,
    ReluShift,
    Shift,
    Thermometer,
    linear,
)


@st.composite
def programs(draw: st.DrawFn, max_layers: int = 5) -> Program:
    """A program of every node kind, small enough for its bounds to stay within 60 bits."""
    builder = Builder()
    features = draw(st.integers(1, 5))
    low = draw(st.lists(st.integers(-300, 300), min_size=features, max_size=features))
    spans = draw(st.lists(st.sampled_from([0, 1, 2, 7, 100, 255]), min_size=features, max_size=features))
    ranks = draw(st.integers(1, 6))
    lows = np.array([*low, 0], dtype=np.int64)
    highs = np.array([*(a + b for a, b in zip(low, spans, strict=True)), ranks], dtype=np.int64)
    wires = builder.add(Input(lows, highs)).tolist()
    bits = builder.add(Thermometer(features, ranks, "ranks")).tolist()
    wires += bits
    for layer in range(draw(st.integers(1, max_layers))):
        kind = draw(st.sampled_from(["linear", "shift", "relu", "mux"]))
        chosen = draw(st.lists(st.sampled_from(wires), min_size=1, max_size=4))
        if kind == "linear":
            rows = [
                (draw(st.integers(-500, 500)), {w: draw(st.integers(-40, 40)) for w in set(chosen)})
                for _ in range(draw(st.integers(1, 3)))
            ]
            wires += builder.add(linear(rows, f"l{layer}")).tolist()
        elif kind == "mux":
            bit = np.array([draw(st.sampled_from(bits)) for _ in chosen], dtype=np.int64)
            other = np.array([draw(st.sampled_from(wires)) for _ in chosen], dtype=np.int64)
            taken = np.array(chosen, dtype=np.int64)
            wires += builder.add(Mux(bit, taken, other, f"m{layer}")).tolist()
        else:
            node = (
                Shift(draw(st.integers(1, 9)), np.array(chosen, dtype=np.int64), f"s{layer}")
                if kind == "shift"
                else (ReluShift(draw(st.integers(0, 9)), np.array(chosen, dtype=np.int64), f"r{layer}"))
            )
            wires += builder.add(node).tolist()
    outputs = draw(st.lists(st.sampled_from(wires), min_size=1, max_size=4))
    return builder.finish(np.array(outputs, dtype=np.int64))


@st.composite
def records(draw: st.DrawFn, program: Program, count: int = 4) -> IntArray:
    """Records within the program's range, its extremes among them."""
    first = program.input
    rows = [first.low, first.high]
    for _ in range(count):
        rows.append(
            np.array(
                [
                    draw(st.sampled_from([int(a), int(b)]) | st.integers(int(a), int(b)))
                    for a, b in zip(first.low, first.high, strict=True)
                ],
                dtype=np.int64,
            )
        )
    return np.stack(rows)
