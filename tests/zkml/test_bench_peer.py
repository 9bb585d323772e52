"""What the bench hands to its peer is the same program, walked as `bench/gnark/main.go` does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.peer import steps
from proofward.zkml.groth16.program import reference
from proofward.zkml.groth16.program.program import Builder, Input, Program, ReluShift, Shift, linear


@pytest.mark.parametrize("seed", range(12))
def test_the_peer_s_steps_are_the_program(seed: int) -> None:
    random = np.random.default_rng(seed)
    program = _network(random)
    first, made = program.input, steps(program)
    values = random.integers(first.low, first.high + 1, (20, len(first.low)))
    for record, expected in zip(values.tolist(), reference.evaluate(program, values).tolist(), strict=True):
        wires = list(record)
        for x, (low, bits) in zip(record, made["inputs"], strict=True):
            assert 0 <= x - low < 1 << bits
        for step in made["steps"]:
            wires.append(_walk(step, wires))
        assert [wires[w] for w in made["outputs"]] == expected


def _network(random: np.random.Generator) -> Program:
    """Sums, then roundings of them with and without a sign, some of them constant, then sums."""
    builder = Builder()
    wires = builder.add(Input(random.integers(-9, 0, 3), random.integers(0, 30, 3)))
    for node in (ReluShift, Shift, ReluShift):
        rows = [
            (int(random.integers(-300, 300)), {int(w): int(random.integers(1, 9)) for w in wires})
            for _ in range(4)
        ]
        shift = int(random.integers(0 if node is ReluShift else 1, 4))
        wires = builder.add(node(shift, builder.add(linear(rows, "sums")), "rounded"))
    return builder.finish(wires)


def _walk(step: dict[str, Any], wires: list[int]) -> int:
    if step["kind"] == "linear":
        return int(step["bias"] + sum(wires[w] * c for w, c in step["terms"]))
    if step["kind"] == "constant":
        return int(step["bias"])
    x, shift = int(wires[step["wire"]]), int(step["shift"])
    if step["kind"] == "identity":
        return x
    half = 1 << (shift - 1) if shift else 0
    offset = half - (step["bias"] << shift) if step["kind"] == "shift" else half + (1 << (step["bits"] - 1))
    whole = x + offset
    assert 0 <= whole < 1 << step["bits"]
    if step["kind"] == "shift":
        return int(step["bias"] + (whole >> shift))
    sign, below = whole >> (step["bits"] - 1), whole & ((1 << (step["bits"] - 1)) - 1)
    return int(sign * (below >> shift if shift else x))
