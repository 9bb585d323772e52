"""The search for the cheapest integer program whose accuracy stays within the bound.

Cost is the program's constraint count, known from static bounds alone. A plan is taken if, measured on its integers,
(1) the loss against the float model on the held-out records is within the bound, and (2) its decisions on the
calibration records, which are many more, agree with the float model's often enough that (1) is no accident.
First one width for all layers is found, cheapest first; then single layers are narrowed for as long as any can be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import cast

import numpy as np

from proofward.zkml.accuracy import Evaluation, measure
from proofward.zkml.errors import AccuracyError, CompileError
from proofward.zkml.groth16 import bounds, network_program, reference
from proofward.zkml.groth16.network import FloatArray, Network
from proofward.zkml.groth16.plan import LayerPlan, Plan
from proofward.zkml.groth16.ranges import accepted, affine_quantiser
from proofward.zkml.lanes import Progress
from proofward.zkml.manifest import Accuracy, Decision
from proofward.zkml.quantiser import AffineQuantiser

INPUT_BITS = range(1, 11)
LAYER_BITS = range(5, 20)
ACTIVATION_BITS = range(2, 10)
AGREEMENT_SLACK = 4.0
MAX_RECORDS = 512
MAX_TRIALS = 1500


@dataclass(frozen=True)
class Quantised:
    """The search's result: a plan, its quantiser, and what was measured with them."""

    plan: Plan
    quantiser: AffineQuantiser
    lowered: network_program.NetworkProgram
    accuracy: Accuracy
    cost: int
    refused: int


@dataclass
class _Search:
    network: Network
    calibration: FloatArray
    evaluation: Evaluation | None
    bound: float
    trials: int = 0
    seen: dict[tuple[int, Plan], Quantised | None] = field(default_factory=dict)

    def cost(self, bits: int, plan: Plan) -> int | None:
        """Constraints of a candidate, or None where it cannot be built."""
        return self._lower(bits, plan)[0]

    def attempt(self, bits: int, plan: Plan) -> Quantised | None:
        """The candidate if it is accurate enough."""
        key = (bits, plan)
        if key not in self.seen:
            self.trials += 1
            self.seen[key] = self._attempt(bits, plan)
        return self.seen[key]

    def _lower(self, bits: int, plan: Plan
               ) -> tuple[int | None, AffineQuantiser, network_program.NetworkProgram | None]:
        quantiser = affine_quantiser(self.calibration, self.network.input_shape, bits)
        try:
            lowered = network_program.lower(self.network, quantiser, plan)
            return bounds.analyse(lowered.program).total, quantiser, lowered
        except CompileError:
            return None, quantiser, None

    def _attempt(self, bits: int, plan: Plan) -> Quantised | None:
        cost, quantiser, lowered = self._lower(bits, plan)
        if cost is None or lowered is None:
            return None
        _, agreement = self._measure(quantiser, lowered, self.calibration[:MAX_RECORDS], None)
        spread = AGREEMENT_SLACK * self.bound
        if agreement.loss > spread:
            return None
        if self.evaluation is None:
            refused, accuracy = 0, agreement
        else:
            refused, accuracy = self._measure(quantiser, lowered, self.evaluation.x, self.evaluation.y)
        if accuracy.loss > self.bound + 1e-12:
            return None
        return Quantised(plan, quantiser, lowered, accuracy, cost, refused)

    def _measure(self, quantiser: AffineQuantiser, lowered: network_program.NetworkProgram, x: FloatArray,
                 y: np.ndarray | None) -> tuple[int, Accuracy]:
        taken = accepted(quantiser, x)
        if not taken.any():
            raise AccuracyError("every held-out record lies outside the calibrated range; calibrate on such records")
        kept = x[taken]
        scores = reference.evaluate(lowered.program, quantiser.quantize(kept)) / lowered.scale
        decision = cast(Decision, self.network.decision)
        return int((~taken).sum()), measure(decision, self.network.evaluate(kept), scores,
                                            None if y is None else y[taken])


def search(network: Network, calibration: FloatArray, evaluation: Evaluation | None, bound: float,
           progress: Progress) -> Quantised:
    """Find a plan. Raises AccuracyError where none within the search's widths is accurate enough."""
    state = _Search(network, calibration, evaluation, bound)
    best = _uniform(state, progress)
    best = _narrow(state, best, progress)
    progress(f"quantised: input {_input_bits(best)} bits, layers "
             f"{[(layer.bits, layer.activation) for layer in best.plan.layers]}, {best.cost} constraints before the "
             f"commitments, {state.trials} candidates measured")
    return best


def _uniform(state: _Search, progress: Progress) -> Quantised:
    """The cheapest candidate with one width for all layers."""
    layers = len(state.network.blocks)
    grid = product(INPUT_BITS, LAYER_BITS, ACTIVATION_BITS) if layers else ((b, 8, 8) for b in INPUT_BITS)
    best: Quantised | None = None
    features, wires = int(np.prod(state.network.input_shape)), sum(b.affine.size for b in state.network.blocks)
    # Ordered by what a candidate costs at most; among equals the finer activation first.
    order = sorted(grid, key=lambda g: (g[0] * features + (g[1] + 2) * wires, -g[2]))
    for bits, width, activation in order:
        if activation > width or (best is not None and _floor(bits, width, features, wires) >= best.cost):
            continue
        plan = Plan(layers=(LayerPlan(bits=width, activation=activation),) * layers)
        found = state.attempt(bits, plan)
        if found is not None and (best is None or found.cost < best.cost):
            best = found
            progress(f"input {bits} bits, layers {width}/{activation}: {found.cost} constraints, "
                     f"loss {found.accuracy.loss:+.4f}")
            if state.trials > MAX_TRIALS // 2:
                break
    if best is None:
        raise AccuracyError(
            f"no quantisation up to {max(INPUT_BITS)} input bits and {max(LAYER_BITS)} bits a layer keeps the loss "
            f"within {state.bound:g}; give more calibration and held-out data, a larger bound, or use --lane ezkl")
    return best


def _floor(bits: int, width: int, features: int, wires: int) -> float:
    """Less than a candidate can cost: not every wire crosses zero, and flags take one bit."""
    return 0.8 * (bits * features + (width + 2) * wires)


def _narrow(state: _Search, best: Quantised, progress: Progress) -> Quantised:
    """Narrow the input or one layer at a time, most constraints saved first, until nothing more can go."""
    while state.trials < MAX_TRIALS:
        moves = sorted(_moves(state, best), key=lambda move: move[0])
        found = next((q for cost, bits, plan in moves if cost < best.cost and state.trials < MAX_TRIALS
                      and (q := state.attempt(bits, plan)) is not None), None)
        if found is None:
            return best
        best = found
        progress(f"narrowed to {best.cost} constraints, loss {best.accuracy.loss:+.4f}")
    return best


def _moves(state: _Search, best: Quantised) -> list[tuple[int, int, Plan]]:
    bits, layers = _input_bits(best), best.plan.layers
    plans: list[tuple[int, Plan]] = []
    tweaks = [layers] + [(*layers[:i], LayerPlan(bits=layer.bits, activation=layer.activation + step), *layers[i + 1:])
                         for i, layer in enumerate(layers) for step in (-1, 1)
                         if 1 <= layer.activation + step <= layer.bits]
    for base in tweaks:
        if bits > min(INPUT_BITS):
            plans.append((bits - 1, Plan(layers=base)))
        for i, layer in enumerate(base):
            if layer.bits > 3:
                narrow = LayerPlan(bits=layer.bits - 1, activation=min(layer.activation, layer.bits - 1))
                plans.append((bits, Plan(layers=(*base[:i], narrow, *base[i + 1:]))))
    costed = ((state.cost(b, plan), b, plan) for b, plan in plans)
    return [(cost, b, plan) for cost, b, plan in costed if cost is not None]


def _input_bits(quantised: Quantised) -> int:
    return max(int(h).bit_length() for h in quantised.quantiser.high)


