"""The publisher's side of the lane: search, lower, check against ONNX Runtime, set up keys, write the
files."""

from __future__ import annotations

import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import proofward_prover as prover

from proofward.zkml.accuracy import Evaluation, decide, measure
from proofward.zkml.errors import CompileError
from proofward.zkml.groth16 import keys
from proofward.zkml.groth16.compiler import float_model, quantise
from proofward.zkml.groth16.compiler.network import FloatArray
from proofward.zkml.groth16.compiler.onnx_frontend import Traced, trace
from proofward.zkml.groth16.compiler.ranges import accepted
from proofward.zkml.groth16.compiler.recompile import Lowered, lower_ensemble
from proofward.zkml.groth16.params import Deviation, LaneParams
from proofward.zkml.groth16.program import reference
from proofward.zkml.lanes import Compiled, CompileRequest
from proofward.zkml.manifest import Accuracy, Decision, InputSpec, OutputSpec
from proofward.zkml.quantiser import AffineQuantiser

# Fitted on two cores of a current server (`python -m bench`): a floor, and what each constraint adds.
MS_FLOOR, MS_PER_CONSTRAINT = 4.0, 0.0145
_SAMPLE = 256
_TIE = 1e-5


def build(request: CompileRequest, staging: Path) -> Compiled:
    """Compile the request into ``staging``. Raises UnsupportedModel, AccuracyError, CompileError."""
    if request.setup == "ceremony":
        raise CompileError(
            "a ceremony's keys are certified on the chain after publishing; set up with dev or attested"
        )
    traced = trace(request.onnx)
    _check_features(request, traced)
    evaluation = _indexed(request.evaluation, traced)
    plan = None
    if traced.network is not None:
        _check_trace(request, traced)
        found = quantise.search(
            traced.network, request.calibration, evaluation, request.accuracy_bound, request.progress
        )
        plan, lowered = found.plan, Lowered(found.lowered.program, found.quantiser, found.lowered.scale)
    else:
        lowered = lower_ensemble(traced)
    accuracy, deviation, refused = _measure(request, evaluation, traced, lowered)
    try:
        circuit = prover.Circuit(lowered.program.encode(), request.batch)
    except prover.ProverError as error:
        raise CompileError(f"the circuit could not be built ({error.code}): {error}") from error
    cache = request.cache if request.setup == "dev" else None
    started = time.perf_counter()
    program = lowered.program.encode()
    try:
        made = keys.make(program, request.batch, staging / "private" / "pk.bin", cache, request.progress)
    except prover.ProverError as error:
        raise CompileError(f"the keys could not be made ({error.code}): {error}") from error
    seconds = time.perf_counter() - started
    (staging / "private" / "program.bin").write_bytes(program)
    (staging / "public" / "vk.bin").write_bytes(made.verifying_key)
    params = LaneParams(
        output_bounds=circuit.output_bounds,
        plan=plan,
        refused=refused,
        rounding=lowered.max_deviation,
        deviation=deviation,
    )
    request.progress(f"keys: {'cached' if made.cached else f'{seconds:.1f} s'}")
    return Compiled(
        setup=request.setup,
        circuit_digest=circuit.digest,
        input=InputSpec(shape=list(traced.input_shape), quantiser=lowered.quantiser),
        output=OutputSpec(
            length=len(lowered.program.output.wires),
            scale=lowered.scale,
            decision=cast(Decision, traced.decision),
            labels=None if traced.labels is None else [str(label) for label in traced.labels],
        ),
        accuracy=accuracy,
        lane_params=params.model_dump(mode="json", exclude_none=True),
        constraints=_constraints(circuit),
        versions={
            "prover": prover.__version__,
            **{name: version(name) for name in ("numpy", "scipy", "onnx")},
        },
    )


def _constraints(circuit: prover.Circuit) -> dict[str, Any]:
    layers: Counter[str] = Counter()
    for label, count in circuit.constraints_by_layer:
        layers[label] += count
    return {
        "total": circuit.constraints,
        "domain": circuit.domain,
        "by_layer": [[label, count] for label, count in layers.items() if count],
        "estimated_prove_ms": round(MS_FLOOR + MS_PER_CONSTRAINT * circuit.constraints, 1),
    }


def _check_features(request: CompileRequest, traced: Traced) -> None:
    features = int(np.prod(traced.input_shape))
    for what, table in (
        ("calibration", request.calibration),
        ("evaluation", request.evaluation.x if request.evaluation else None),
    ):
        if table is not None and table.shape[1] != features:
            raise CompileError(f"the {what} data has {table.shape[1]} features and the model {features}")


def _check_trace(request: CompileRequest, traced: Traced) -> None:
    """The traced network must be the model: the same scores as ONNX Runtime's, but for float32 rounding."""
    assert traced.network is not None
    sample = request.calibration[:_SAMPLE]
    theirs = float_model.scores(request.onnx, traced, sample)
    ours = _squash(traced.decision, traced.network.evaluate(sample))
    tolerance = 1e-3 * max(1.0, float(np.abs(theirs).max()))
    if theirs.shape != ours.shape or float(np.abs(theirs - ours).max()) > tolerance:
        raise CompileError(
            "the traced model does not agree with ONNX Runtime on the calibration data; "
            "this is a fault of the compiler: please report the model"
        )


def _squash(decision: str, logits: FloatArray) -> FloatArray:
    if decision == "sigmoid":
        return 1.0 / (1.0 + np.exp(-np.clip(logits, -700, 700))) - 0.5
    if decision == "softmax":
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    return logits


def _measure(
    request: CompileRequest, evaluation: Evaluation | None, traced: Traced, lowered: Lowered
) -> tuple[Accuracy, Deviation, int]:
    """Accuracy of the final integers beside ONNX Runtime's floats, on held-out records where there are
    any."""
    x, y = (request.calibration, None) if evaluation is None else (evaluation.x, evaluation.y)
    taken = np.ones(len(x), dtype=bool)
    if isinstance(lowered.quantiser, AffineQuantiser):
        taken = accepted(lowered.quantiser, x)
    if not taken.any():
        raise CompileError("every record lies outside the calibrated range; calibrate on records like those")
    x, y = x[taken], None if y is None else y[taken]
    decision = cast(Decision, traced.decision)
    theirs = float_model.scores(request.onnx, traced, x)
    ours = reference.evaluate(lowered.program, lowered.quantiser.quantize(x)) / lowered.scale
    squashed = _squash(decision, ours)
    gap = np.abs(squashed - theirs) if squashed.shape == theirs.shape else np.zeros(1)
    if traced.ensemble is not None and decision != "value":
        wrong = decide(decision, theirs) != decide(decision, ours)
        if (wrong & (_margin(theirs) > _TIE)).any():
            raise CompileError(
                "the tree ensemble's integers decide otherwise than ONNX Runtime; "
                "this is a fault of the compiler: please report the model"
            )
    return (
        measure(decision, theirs, ours, y),
        Deviation(mean=float(gap.mean()), max=float(gap.max())),
        int((~taken).sum()),
    )


def _margin(scores: FloatArray) -> FloatArray:
    if scores.shape[1] == 1:
        return np.abs(scores[:, 0])
    ranked = np.sort(scores, axis=1)
    return np.asarray(ranked[:, -1] - ranked[:, -2])


def _indexed(evaluation: Evaluation | None, traced: Traced) -> Evaluation | None:
    """The held-out records with labels as class indices (they may be given either way)."""
    if evaluation is None or traced.decision == "value" or traced.labels is None:
        return evaluation
    index = {str(label): i for i, label in enumerate(traced.labels)}
    named = [
        str(int(v)) if isinstance(v, float) and v.is_integer() else str(v)
        for v in np.asarray(evaluation.y).tolist()
    ]
    if not all(name in index for name in named):
        return evaluation
    return Evaluation(evaluation.x, np.array([index[name] for name in named], dtype=np.int64))
