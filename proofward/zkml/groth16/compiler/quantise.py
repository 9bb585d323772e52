"""The search for the cheapest integer program whose accuracy stays within the bound.

Cost is the program's constraint count, known from static bounds alone. A plan is taken if, measured on its
integers, (1) the loss against the float model on the held-out records is within the bound, and (2) its
decisions on the calibration records, which are many more, agree with the float model's often enough that (1)
is no accident. First one width for all layers is found, cheapest first (more bits do not always lose less, so
there is no bisection); then the input and single layers are narrowed, most constraints saved first, for as
long as any can be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from proofward.zkml.accuracy import Evaluation, measure
from proofward.zkml.errors import AccuracyError, CompileError
from proofward.zkml.groth16.compiler import network_program
from proofward.zkml.groth16.compiler.network import FloatArray, Network
from proofward.zkml.groth16.compiler.ranges import accepted, affine_quantiser
from proofward.zkml.groth16.plan import LayerPlan, Plan
from proofward.zkml.groth16.program import bounds, reference
from proofward.zkml.lanes import Progress
from proofward.zkml.manifest import Accuracy, Decision
from proofward.zkml.quantiser import AffineQuantiser

MAX_INPUT_BITS = 10
MIN_LAYER_BITS, MAX_LAYER_BITS = 4, 19
ACTIVATION_BITS = (5, 6, 4, 7, 8, 3, 9, 10, 2)  # the likeliest first
WIDEST_ACTIVATION = 12
AGREEMENT_SLACK = 4.0
MAX_RECORDS = 512
GLANCE_RECORDS, GLANCE_SLACK = 64, 0.1
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

    def _lower(
        self, bits: int, plan: Plan
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
        for records, slack in ((GLANCE_RECORDS, GLANCE_SLACK), (MAX_RECORDS, 0.0)):
            _, agreement = self._measure(quantiser, lowered, self.calibration[:records], None)
            if agreement.loss > AGREEMENT_SLACK * self.bound + slack:
                return None
        if self.evaluation is None:
            refused, accuracy = 0, agreement
        else:
            refused, accuracy = self._measure(quantiser, lowered, self.evaluation.x, self.evaluation.y)
        if accuracy.loss > self.bound + 1e-12:
            return None
        return Quantised(plan, quantiser, lowered, accuracy, cost, refused)

    def _measure(
        self,
        quantiser: AffineQuantiser,
        lowered: network_program.NetworkProgram,
        x: FloatArray,
        y: np.ndarray | None,
    ) -> tuple[int, Accuracy]:
        taken = accepted(quantiser, x)
        if not taken.any():
            raise AccuracyError(
                "every held-out record lies outside the calibrated range; calibrate on such records"
            )
        kept = x[taken]
        scores = reference.evaluate(lowered.program, quantiser.quantize(kept)) / lowered.scale
        decision = cast(Decision, self.network.decision)
        return int((~taken).sum()), measure(
            decision, self.network.evaluate(kept), scores, None if y is None else y[taken]
        )


def search(
    network: Network, calibration: FloatArray, evaluation: Evaluation | None, bound: float, progress: Progress
) -> Quantised:
    """Find a plan. Raises AccuracyError where none within the search's widths is accurate enough."""
    state = _Search(network, calibration, evaluation, bound)
    best = _narrow(state, _uniform(state, progress), progress)
    progress(
        f"quantised: input {_input_bits(best)} bits, layers "
        f"{[(layer.bits, layer.activation) for layer in best.plan.layers]}, {best.cost} constraints without "
        f"the commitments, {state.trials} candidates measured"
    )
    return best


def _uniform(state: _Search, progress: Progress) -> Quantised:
    """The cheapest candidate with one width for all layers; if the widest does not serve, none is looked
    for."""
    layers = len(state.network.blocks)
    best = next(
        (
            found
            for activation in (WIDEST_ACTIVATION, *ACTIVATION_BITS)
            if (found := state.attempt(MAX_INPUT_BITS, _plan(layers, MAX_LAYER_BITS, activation)))
        ),
        None,
    )
    if best is None:
        raise AccuracyError(
            f"no quantisation up to {MAX_INPUT_BITS} input bits and {MAX_LAYER_BITS} bits a layer keeps the "
            f"loss within {state.bound:g}; give more data, a larger bound, or use --lane ezkl"
        )
    features, wires = (
        int(np.prod(state.network.input_shape)),
        sum(b.affine.size for b in state.network.blocks),
    )
    widths = range(MIN_LAYER_BITS, MAX_LAYER_BITS) if layers else (MAX_LAYER_BITS,)
    grid = sorted(
        (bits * features + (width + 2) * wires, bits, width, activation)
        for bits in range(1, MAX_INPUT_BITS + 1)
        for width in widths
        for activation in (ACTIVATION_BITS if layers else ACTIVATION_BITS[:1])
        if activation <= width
    )
    for most, bits, width, activation in grid:
        # No candidate costs much less than this, and the rest of the grid costs more.
        if 0.8 * most >= best.cost or state.trials > MAX_TRIALS // 2:
            break
        found = state.attempt(bits, _plan(layers, width, activation))
        if found is not None and found.cost < best.cost:
            best = found
            progress(
                f"input {bits} bits, layers {width}/{activation}: {found.cost} constraints, "
                f"loss {found.accuracy.loss:+.4f}"
            )
    return best


def _plan(layers: int, width: int, activation: int) -> Plan:
    return Plan(layers=(LayerPlan(bits=width, activation=activation),) * layers)


def _narrow(state: _Search, best: Quantised, progress: Progress) -> Quantised:
    """Narrow the input or one layer at a time, most constraints saved first, until nothing more can go."""
    while state.trials < MAX_TRIALS:
        moves = sorted(_moves(state, best), key=lambda move: move[0])
        found = next(
            (
                q
                for cost, bits, plan in moves
                if cost < best.cost
                and state.trials < MAX_TRIALS
                and (q := state.attempt(bits, plan)) is not None
            ),
            None,
        )
        if found is None:
            return best
        best = found
        progress(f"narrowed to {best.cost} constraints, loss {best.accuracy.loss:+.4f}")
    return best


def _moves(state: _Search, best: Quantised) -> list[tuple[int, int, Plan]]:
    """(cost, input bits, plan) with one bit less in one place, and the activations around it moved a
    little."""
    bits, layers = _input_bits(best), best.plan.layers
    plans: set[tuple[int, Plan]] = set()
    if bits > 1:
        plans.update((bits - 1, Plan(layers=varied)) for varied in _variants(layers, (0,)))
    for i, layer in enumerate(layers):
        if layer.bits > 2:
            narrow = LayerPlan(bits=layer.bits - 1, activation=min(layer.activation, layer.bits - 1))
            varied_at = (i - 1, i) if i else (i,)
            plans.update(
                (bits, Plan(layers=varied))
                for varied in _variants((*layers[:i], narrow, *layers[i + 1 :]), varied_at)
            )
    costed = (
        (state.cost(b, plan), b, plan) for b, plan in sorted(plans, key=repr) if (b, plan) not in state.seen
    )
    return [(cost, b, plan) for cost, b, plan in costed if cost is not None]


def _variants(layers: tuple[LayerPlan, ...], at: tuple[int, ...]) -> Iterator[tuple[LayerPlan, ...]]:
    yield layers
    for i in at if layers else ():
        for step in (-1, 1):
            if 1 <= (activation := layers[i].activation + step) <= layers[i].bits:
                yield (*layers[:i], LayerPlan(bits=layers[i].bits, activation=activation), *layers[i + 1 :])


def _input_bits(quantised: Quantised) -> int:
    return max(int(h).bit_length() for h in quantised.quantiser.high)
