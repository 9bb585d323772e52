"""From a request to integers that were measured: trace, settle the task, search, check against ONNX Runtime,
report. No keys yet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from proofward.zkml.accuracy import decide
from proofward.zkml.errors import CompileError, UnsupportedModel
from proofward.zkml.groth16.compiler import float_model, quantise
from proofward.zkml.groth16.compiler.compared import compared
from proofward.zkml.groth16.compiler.edges import edges
from proofward.zkml.groth16.compiler.library import against_library
from proofward.zkml.groth16.compiler.network import FloatArray
from proofward.zkml.groth16.compiler.onnx_frontend import Traced, omissions, trace
from proofward.zkml.groth16.compiler.probes import beside_thresholds, drawn
from proofward.zkml.groth16.compiler.ranges import affine_quantiser
from proofward.zkml.groth16.compiler.recompile import Lowered, lower_ensemble
from proofward.zkml.groth16.compiler.size import require_room, require_rows
from proofward.zkml.groth16.plan import Plan
from proofward.zkml.groth16.program import reference
from proofward.zkml.lanes import CompileRequest, HeldOut
from proofward.zkml.manifest import Accuracy, Compared, Report, Task
from proofward.zkml.quantiser import ThresholdQuantiser, filled
from proofward.zkml.report import check_truth, report, require_records
from proofward.zkml.task import check_logits, resolve

_SAMPLE = 256
_TIE = 1e-5
_PROBING_BITS = 14
_CALIBRATION, _AROUND = "on the calibration data", "on records drawn all over the range that is taken"


@dataclass(frozen=True)
class Measured:
    """An integer program with its report. A tree ensemble has no plan."""

    traced: Traced
    task: Task
    plan: Plan | None
    lowered: Lowered
    accuracy: Accuracy
    expected: Compared | None


def quantised(request: CompileRequest) -> Measured:
    """The request's model in integers. Raises UnsupportedModel, AccuracyError, CompileError."""
    if request.options.expected is None:
        omissions.refuse_doubtful(request.onnx)
    traced = trace(request.onnx)
    _check_features(request, traced)
    if traced.network is not None:
        require_room(traced.network, request.options.batch)
    missing = _missing(request.everything, traced)
    choice = request.choice
    request = replace(
        request,
        calibration=_imputed(request.calibration, traced, "calibration", missing),
        choice=None if choice is None else _imputed(choice, traced, "calibration", missing),
    )
    held_out = HeldOut(
        _imputed(request.held_out.x, traced, "evaluation", missing), _indexed(request.held_out.y, traced)
    )
    task, decision = resolve(request.options.task, traced.decision, traced.kind, traced.length, held_out.y)
    traced = replace(traced, decision=decision)
    if held_out.y is not None:
        check_truth(decision, traced.length, traced.labels, held_out.y)
    plan = None
    if traced.network is not None:
        _check_trace(request, traced)
        require_records(len(request.everything))
        found = quantise.search(
            traced,
            request.calibration,
            request.choice,
            request.options.bounds,
            request.progress,
            reported=len(held_out.x),
        )
        plan, lowered = found.plan, Lowered(found.lowered.program, found.quantiser, found.lowered.scale)
        require_rows(lowered.program, request.options.batch)
    else:
        lowered = lower_ensemble(traced, missing)
        _check_ensemble(request, traced, lowered)
    expected = _against_library(request, traced, lowered)
    accuracy = _measure(request, held_out, traced, lowered)
    return Measured(traced, task, plan, lowered, accuracy, expected)


def _against_library(request: CompileRequest, traced: Traced, lowered: Lowered) -> Compared | None:
    expected = request.options.expected
    if expected is None:
        return None
    return against_library(expected, request.onnx, traced, lowered, request.options.bounds)


def _missing(calibration: FloatArray, traced: Traced) -> list[int]:
    """Features that trees may lack a value of: those that lack some in calibration. A tree has a direction
    for every feature's, but nobody chose it where training had none.
    """
    if traced.ensemble is None or traced.integers:
        return []
    return [int(i) for i in np.flatnonzero(np.isnan(filled(calibration, list(traced.imputed))).any(axis=0))]


def _imputed(x: FloatArray, traced: Traced, what: str, missing: list[int]) -> FloatArray:
    """Records with the model's own values for missing ones. Raises CompileError where it has none."""
    found = filled(x, list(traced.imputed))
    lost = ~np.isfinite(found)
    lost[:, missing] &= ~np.isnan(found[:, missing])
    gaps = np.argwhere(lost)
    if len(gaps):
        row, feature = (int(i) for i in gaps[0])
        why = "imputes nothing there" if traced.ensemble is None else "saw none there in calibration"
        raise CompileError(
            f"the {what} data must be finite: record {row}, feature {feature} is missing and the model "
            f"{why}; fill it "
            "in as in training, or leave the record out"
        )
    return found


def _check_features(request: CompileRequest, traced: Traced) -> None:
    features = int(np.prod(traced.input_shape))
    for what, table in (("calibration", request.calibration), ("evaluation", request.held_out.x)):
        if table.shape[1] != features:
            raise CompileError(f"the {what} data has {table.shape[1]} features and the model {features}")


def _check_trace(request: CompileRequest, traced: Traced) -> None:
    """The traced network must be the model: the same scores as ONNX Runtime's, but for float32 rounding; and
    its decisions must be the labels that the model itself gives. On calibration, and all over its range.
    """
    network = traced.network
    assert network is not None
    around = affine_quantiser(request.calibration, traced.input_shape, _PROBING_BITS, traced.imputed)
    around = around.model_copy(update={"integers": True if traced.integers else None})
    samples = [(request.calibration[:_SAMPLE], _CALIBRATION)]
    samples.append((drawn(around, _SAMPLE, np.random.default_rng(0)), _AROUND))
    if traced.decision != "value" and not traced.integers:
        # A label at another threshold differs between the two alone.
        apart = edges(request.calibration, around.flags, lambda x: decide(traced.decision, _exact(traced, x)))
        samples.append((apart.astype(np.float32).astype(np.float64), "where a decision ends"))
    for sample, where in samples:
        if not len(sample):
            continue
        theirs = float_model.answers(request.onnx, traced, sample)
        if where == _CALIBRATION:
            check_logits(traced.output_name, traced.kind, traced.decision, theirs.scores)
        ours = float_model.squashed(traced, _exact(traced, filled(sample, around.imputed)))
        _same(traced, theirs.scores, ours, 1e-3, where)
        _check_labels(traced, theirs, where)


def _exact(traced: Traced, x: FloatArray) -> FloatArray:
    assert traced.network is not None
    return traced.network.evaluate(x, exact=True)


def _check_ensemble(request: CompileRequest, traced: Traced, lowered: Lowered) -> None:
    """The same of trees, beside whose thresholds a comparison in another precision would show."""
    random = np.random.default_rng(0)
    assert isinstance(lowered.quantiser, ThresholdQuantiser)
    probes = [(drawn(lowered.quantiser, _SAMPLE, random), _AROUND)]
    probes.append((beside_thresholds(lowered.quantiser, _SAMPLE, random), "beside the trees' thresholds"))
    for sample, where in [(request.calibration[:_SAMPLE], _CALIBRATION), *probes]:
        theirs = float_model.answers(request.onnx, traced, sample)
        if where == _CALIBRATION:
            check_logits(traced.output_name, traced.kind, traced.decision, theirs.scores)
        ours = reference.evaluate(lowered.program, lowered.quantiser.quantize(sample)) / lowered.scale
        _same(traced, theirs.scores, float_model.squashed(traced, ours), 1e-4, where)
        _check_labels(traced, theirs, where)


def _same(traced: Traced, theirs: FloatArray, ours: FloatArray, tolerance: float, where: str) -> None:
    reach = tolerance * max(1.0, float(np.abs(theirs).max(initial=0.0)))
    if theirs.shape != ours.shape or float(np.abs(theirs - ours).max(initial=0.0)) > reach:
        raise UnsupportedModel(
            f"the output {traced.output_name!r}, as the groth16 lane reads the model, differs from ONNX "
            f"Runtime's {where}, so it is refused; export it with plainer operators (docs/models.md)"
        )


def _check_labels(traced: Traced, theirs: float_model.Answers, where: str) -> None:
    """Where the model gives labels of its own, they must be what its scores decide."""
    if theirs.labels is None or traced.decision == "value":
        return
    scores = theirs.scores
    if traced.decision == "multilabel":
        given = np.array(theirs.labels).reshape(scores.shape)
        odd = (given != np.where(scores > 0, "1", "0")) & (np.abs(scores) > _TIE)
        differ = int(odd.any(axis=1).sum())
    else:
        differ = _differ(traced, theirs.labels, scores)
    if differ:
        raise UnsupportedModel(
            f"{where} ONNX Runtime's own label is not the class that the output {traced.output_name!r} "
            f"favours ({differ} of {len(scores)} records); which of the two is meant is not in the model: "
            "export it again so that they agree, or give the scores as its only output"
        )


def _differ(traced: Traced, labels: list[str], scores: FloatArray) -> int:
    """How many records have a label that is not the class of the largest score, but for ties."""
    names = [str(label) for label in traced.labels or range(max(2, traced.length))]
    if traced.decision == "sigmoid":
        scores = np.concatenate([-scores, scores], axis=1)
    if len(names) != scores.shape[1]:
        raise UnsupportedModel(
            f"the model names {len(names)} classes and scores {scores.shape[1]}; export it so that they agree"
        )
    index = {name: i for i, name in enumerate(names)}
    return sum(
        label not in index or row.max() - row[index[label]] > _TIE * max(1.0, float(np.abs(row).max()))
        for label, row in zip(labels, scores, strict=True)
    )


def _measure(request: CompileRequest, held_out: HeldOut, traced: Traced, lowered: Lowered) -> Accuracy:
    """The final integers beside ONNX Runtime's floats, on records that chose nothing."""
    x, y = held_out.x, held_out.y
    taken = lowered.quantiser.taken(x)
    if not taken.any():
        raise CompileError(
            "every record of the report lies outside the calibrated range; calibrate on such records"
        )
    x, y = x[taken], None if y is None else y[taken]
    answers = float_model.answers(request.onnx, traced, x)
    _check_labels(traced, answers, "on the records of the report")
    ours = reference.evaluate(lowered.program, lowered.quantiser.quantize(x)) / lowered.scale
    both = compared(traced, answers.scores, ours)
    if traced.ensemble is not None and (both.flips & (_margin(answers.scores) > _TIE)).any():
        raise CompileError(
            "the tree ensemble's integers decide otherwise than ONNX Runtime on records that are no "
            "ties, so the "
            "model is refused; export it with plainer operators (docs/models.md)"
        )
    found = report(both, y, given=len(taken), held_out=y is not None)
    made = found.report
    if made is None or traced.network is None:
        return found
    chosen = None if request.choice is None else len(request.choice)
    made = made.model_copy(update={"searched": len(request.calibration), "chosen": chosen})
    return found.model_copy(update={"report": _with_curves(made, traced)})


def _with_curves(made: Report, traced: Traced) -> Report:
    """The report with a line on the functions that are followed by straight lines."""
    curves = traced.network.curves if traced.network is not None else []
    if not curves:
        return made
    names = ", ".join(curve.name for curve in curves[:4]) + (" and others" if len(curves) > 4 else "")
    most = max(curve.lines.error for curve in curves)
    told = f"smooth functions ({names}) are followed by straight lines, {most:.4f} off at most"
    return made.model_copy(update={"warnings": [*made.warnings, told]})


def _margin(scores: FloatArray) -> FloatArray:
    if scores.shape[1] == 1:
        return np.abs(scores[:, 0])
    ranked = np.sort(scores, axis=1)
    return np.asarray(ranked[:, -1] - ranked[:, -2])


def _indexed(truth: np.ndarray | None, traced: Traced) -> np.ndarray | None:
    """The truth with labels as class indices (they may be given either way)."""
    if truth is None or truth.ndim != 1 or traced.kind != "decided" or traced.labels is None:
        return truth
    index = {str(label): i for i, label in enumerate(traced.labels)}
    named = [str(int(v)) if float(v).is_integer() else str(v) for v in truth.tolist()]
    if not all(name in index for name in named):
        return truth
    return np.array([index[name] for name in named], dtype=np.int64)
