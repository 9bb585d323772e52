"""The search for the cheapest integer program that stays close enough to the float model.

Cost is the program's constraint count, known from static bounds alone. A plan is taken if its integers, on
the calibration records, decide as the float model does and move its scores little: by less than the publisher
accepts, for the report is on other records. First one width for all layers is found, cheapest first (more
bits do not always lose less, so there is no bisection); then the input and single layers are narrowed, most
constraints saved first, for as long as any can be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import special

from proofward.zkml.accuracy import decide
from proofward.zkml.errors import AccuracyError, CompileError
from proofward.zkml.groth16.compiler import float_model, network_program
from proofward.zkml.groth16.compiler.compared import compared
from proofward.zkml.groth16.compiler.edges import edges
from proofward.zkml.groth16.compiler.network import FloatArray, Network
from proofward.zkml.groth16.compiler.onnx_frontend import Traced
from proofward.zkml.groth16.compiler.ranges import affine_quantiser
from proofward.zkml.groth16.plan import LayerPlan, Plan
from proofward.zkml.groth16.program import bounds, reference
from proofward.zkml.lanes import Progress
from proofward.zkml.quantiser import AffineQuantiser
from proofward.zkml.report import Bounds

MAX_INPUT_BITS = 14
WIDEST_INPUT = (10, 12, 14, 8)
MIN_LAYER_BITS, MAX_LAYER_BITS = 4, 19
ACTIVATION_BITS = (5, 6, 4, 7, 8, 3, 9, 10, 2)  # the likeliest first
WIDEST_ACTIVATION = 12
DISAGREEMENT_SHARE, SHIFT_SHARE = 0.5, 0.75  # of what the publisher accepts of the report
TIGHTER = (1.0, 0.6, 0.35, 0.2)  # of these, where the records to choose by do not bear the search out
FLIP_SHARE = 0.5  # of the disagreement that he accepts: the flips to expect on other records
UNLIKELY = 0.05  # that the report has more flips than he accepts
EDGE_DENSITY = 0.15  # of all records, next to a decision's edge, a unit of probability: seen, 0.06 to 0.4
MAX_RECORDS = 512
GLANCE_RECORDS, GLANCE_SLACK = 64, 0.1
MAX_TRIALS, MAX_TRIALS_CURVED = 1500, 300


@dataclass(frozen=True)
class Quantised:
    """The search's result: a plan, its quantiser, and how it differs from the float model."""

    plan: Plan
    quantiser: AffineQuantiser
    lowered: network_program.NetworkProgram
    cost: int
    disagreement: float
    shift: float


@dataclass
class _Search:
    traced: Traced
    network: Network
    calibration: FloatArray
    choice: FloatArray | None
    bounds: Bounds
    flip_rate: float
    steep_rate: float
    trials: int = 0
    steep: bool = False
    seen: dict[tuple[int, Plan], Quantised | None] = field(default_factory=dict)

    @property
    def most(self) -> int:
        """Candidates to measure; where lines follow curves each costs ten times as much."""
        return MAX_TRIALS_CURVED if self.network.curves else MAX_TRIALS

    @cached_property
    def records(self) -> FloatArray:
        """The records that candidates are measured on."""
        return self.calibration[:MAX_RECORDS]

    @cached_property
    def floats(self) -> FloatArray:
        """The float model's answers to them."""
        return self._floats(self.records)

    @cached_property
    def ranges(self) -> FloatArray:
        """The records that the ranges hold."""
        return self.calibration if self.choice is None else np.concatenate([self.calibration, self.choice])

    def _floats(self, x: FloatArray) -> FloatArray:
        return float_model.squashed(self.traced, self._logits(x))

    def holds(self, found: Quantised, accepted: Bounds) -> bool:
        """Whether a candidate keeps to what the publisher accepts on records that it was not found with: the
        best of a thousand looks better than it is on those that it was the best on.
        """
        if self.choice is None:
            return True
        integers = found.quantiser.quantize(self.choice)
        logits = reference.evaluate(found.lowered.program, integers) / found.lowered.scale
        both = compared(self.traced, self._floats(self.choice), logits)
        return (
            both.flip_rate <= FLIP_SHARE * accepted.disagreement
            and int(both.flips.sum()) <= accepted.disagreement * both.flips.size
            and float(both.shifts.max(initial=0.0)) <= accepted.shift
        )

    def cost(self, bits: int, plan: Plan) -> int | None:
        """Constraints of a candidate, or None where it cannot be built."""
        return self._lower(bits, plan)[0]

    def attempt(self, bits: int, plan: Plan) -> Quantised | None:
        """The candidate if it is close enough."""
        key = (bits, plan)
        if key not in self.seen:
            self.trials += 1
            self.seen[key] = self._attempt(bits, plan)
        return self.seen[key]

    @cached_property
    def edges(self) -> FloatArray:
        """Records on the edge between two decisions."""
        flags = affine_quantiser(self.ranges, self.network.input_shape, 1).flags
        if self.traced.decision == "value" or self.traced.integers:
            return self.records[:0]
        return edges(self.records, flags, lambda x: decide(self.traced.decision, self._logits(x)))

    def edge_flips(self, quantiser: AffineQuantiser, lowered: network_program.NetworkProgram) -> float:
        """The share of flips to expect where records lie as densely next to an edge as EDGE_DENSITY says."""
        x = self.edges
        if self.steep or not len(x):
            return 0.0
        logits = reference.evaluate(lowered.program, quantiser.quantize(x)) / lowered.scale
        both = compared(self.traced, self._floats(x), logits)
        return EDGE_DENSITY * float(both.shifts.max(axis=1).mean())

    def _logits(self, x: FloatArray) -> FloatArray:
        return self.network.evaluate(x, exact=True)

    def _lower(
        self, bits: int, plan: Plan
    ) -> tuple[int | None, AffineQuantiser, network_program.NetworkProgram | None]:
        quantiser = affine_quantiser(self.ranges, self.network.input_shape, bits, self.traced.imputed)
        quantiser = quantiser.model_copy(update={"integers": True}) if self.traced.integers else quantiser
        try:
            lowered = network_program.lower(self.network, quantiser, plan)
            return bounds.analyse(lowered.program).total, quantiser, lowered
        except CompileError:
            return None, quantiser, None

    def _attempt(self, bits: int, plan: Plan) -> Quantised | None:
        cost, quantiser, lowered = self._lower(bits, plan)
        if cost is None or lowered is None:
            return None
        for count, slack in ((GLANCE_RECORDS, GLANCE_SLACK), (MAX_RECORDS, 0.0)):
            logits = (
                reference.evaluate(lowered.program, quantiser.quantize(self.records[:count])) / lowered.scale
            )
            both = compared(self.traced, self.floats[:count], logits)
            disagreement = float(both.flips.mean())
            shift = float(both.shifts.max(initial=0.0))
            if disagreement > self.bounds.disagreement + slack or shift > self.bounds.shift * (1 + slack):
                return None
        if both.flip_rate > self.flip_rate or self.edge_flips(quantiser, lowered) > self.flip_rate:
            return None
        return Quantised(plan, quantiser, lowered, cost, disagreement, shift)


def search(
    traced: Traced,
    calibration: FloatArray,
    choice: FloatArray | None,
    accepted: Bounds,
    progress: Progress,
    *,
    reported: int = 0,
) -> Quantised:
    """Find plans, each cheaper than the one before, with `calibration`; take the last that `choice` bears
    out.

    Without records to choose by, the bounds are the tightest that a plan keeps to. `reported` is the number
    of records of the report: of few, few may flip. Raises AccuracyError where none within the search's
    widths is close enough.
    """
    assert traced.network is not None
    chosen = Bounds(
        disagreement=DISAGREEMENT_SHARE * min(accepted.disagreement, max(accepted.loss, 1e-9)),
        shift=SHIFT_SHARE * accepted.shift,
    )
    if traced.decision == "value":
        chosen = Bounds(disagreement=0.0, shift=min(chosen.shift, float(np.sqrt(max(accepted.loss, 0.0)))))
    # Without records to choose by nothing tells how a cheap plan does on others: the safest that there is.
    for share in TIGHTER if choice is not None else TIGHTER[::-1]:
        tight = Bounds(disagreement=share * chosen.disagreement, shift=share * chosen.shift)
        steep = share * FLIP_SHARE * accepted.disagreement
        rate = min(steep, share * _expected(accepted.disagreement, reported))
        state = _Search(traced, traced.network, calibration, choice, tight, rate, steep)
        try:
            path = _uniform(state, progress)
        except AccuracyError:
            if choice is not None or share == TIGHTER[0]:
                raise
            continue
        path += _narrow(state, path[-1], progress)
        # The first of the path is the widest there is: no search has been on it.
        tried = path[1:] if len(path) > 1 and share != TIGHTER[-1] else path
        best = next((found for found in reversed(tried) if state.holds(found, accepted)), None)
        if best is not None:
            break
        progress("the other records do not bear it out: searching with tighter bounds")
    else:
        assert choice is not None
        raise AccuracyError(
            "no quantisation that keeps to the bounds on the records it was found with does so on "
            f"{len(choice)} others; give more calibration data, or larger bounds (--max-disagreement, "
            "--max-shift)"
        )
    progress(
        f"quantised: input {_input_bits(best)} bits, layers "
        f"{[(layer.bits, layer.activation) for layer in best.plan.layers]}, {best.cost} constraints without "
        f"the commitments, {state.trials} candidates measured"
    )
    return best


def _expected(disagreement: float, reported: int) -> float:
    """The rate of flips of which more than are accepted of `reported` records are unlikely (Poisson)."""
    if not reported:
        return disagreement
    most = int(max(1.0, disagreement * reported))
    return float(special.gammaincinv(most + 1, UNLIKELY)) / reported


def _uniform(state: _Search, progress: Progress) -> list[Quantised]:
    """The cheapest candidate with one width for all layers; if the widest does not serve, none is looked
    for.
    """
    layers = len(state.network.blocks)
    # More input bits leave fewer for the first layer's coefficients, so the widest is not always the closest.
    best = next(
        (
            found
            for bits in WIDEST_INPUT
            for activation in (WIDEST_ACTIVATION, *ACTIVATION_BITS)
            if (found := state.attempt(bits, _plan(layers, MAX_LAYER_BITS, activation)))
        ),
        None,
    )
    if best is None and not state.steep:
        # So steep a model has few records next to its edges: what calibration shows must do.
        state.steep, state.flip_rate = True, state.steep_rate
        state.seen.clear()
        return _uniform(state, progress)
    if best is None:
        raise AccuracyError(
            f"no quantisation up to {MAX_INPUT_BITS} input bits and {MAX_LAYER_BITS} bits a layer keeps "
            f"disagreement within {state.bounds.disagreement:g} and shift within {state.bounds.shift:g} "
            "on the calibration data; give larger bounds (--accuracy-bound, --max-disagreement, --max-shift) "
            "if that is acceptable"
        )
    features, wires = (
        int(np.prod(state.network.input_shape)),
        sum(b.affine.size for b in state.network.blocks),
    )
    path = [best]
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
        if 0.8 * most >= best.cost or state.trials > state.most // 2:
            break
        found = state.attempt(bits, _plan(layers, width, activation))
        if found is not None and found.cost < best.cost:
            best = found
            path.append(best)
            progress(
                f"input {bits} bits, layers {width}/{activation}: {found.cost} constraints, "
                f"disagreement {found.disagreement:.4f}, shift {found.shift:.3f}"
            )
    return path


def _plan(layers: int, width: int, activation: int) -> Plan:
    return Plan(layers=(LayerPlan(bits=width, activation=activation),) * layers)


def _narrow(state: _Search, best: Quantised, progress: Progress) -> list[Quantised]:
    """Narrow the input or one layer at a time, most constraints saved first, until nothing more can go."""
    path: list[Quantised] = []
    while state.trials < state.most:
        moves = sorted(_moves(state, best), key=lambda move: move[0])
        found = next(
            (
                q
                for cost, bits, plan in moves
                if cost < best.cost
                and state.trials < state.most
                and (q := state.attempt(bits, plan)) is not None
            ),
            None,
        )
        if found is None:
            break
        best = found
        path.append(best)
        progress(f"narrowed to {best.cost} constraints, shift {best.shift:.3f}")
    return path


def _moves(state: _Search, best: Quantised) -> list[tuple[int, int, Plan]]:
    """(cost, input bits, plan) with one bit less in one place, and the activations around it moved a
    little.
    """
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
