"""The auditor's side of the lane: compile again from the ONNX file and the published plan, and run ONNX
Runtime beside the integers on records that the publisher did not choose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from proofward_prover import Circuit, ProverError, check_transcript, read_transcript

from proofward.check import Check, said
from proofward.zkml.artifact import PublicArtifact
from proofward.zkml.errors import AccuracyError, ArtifactError, CompileError, UnsupportedModel
from proofward.zkml.expected import Expected
from proofward.zkml.groth16.ceremony import regular
from proofward.zkml.groth16.compiler import float_model
from proofward.zkml.groth16.compiler.build import constraints_of, names_of
from proofward.zkml.groth16.compiler.compared import compared
from proofward.zkml.groth16.compiler.library import against_library
from proofward.zkml.groth16.compiler.network import FloatArray
from proofward.zkml.groth16.compiler.onnx_frontend import Traced, trace
from proofward.zkml.groth16.compiler.probes import drawn
from proofward.zkml.groth16.compiler.recompile import Lowered, recompile
from proofward.zkml.groth16.params import circuit_of, lane_params
from proofward.zkml.groth16.program import reference
from proofward.zkml.lanes import KEYS, LIBRARY, MAX_RANDOM_DISAGREEMENT, RANDOM_RECORDS, Auditor, Remade
from proofward.zkml.manifest import TRANSCRIPT, Accuracy, Compared, Manifest
from proofward.zkml.quantiser import AffineQuantiser, filled, takes_missing
from proofward.zkml.report import FEW_RECORDS, MAX_REFUSED, Bounds, Scores, check_truth, report
from proofward.zkml.task import resolve

_CHOICE = "the publisher's choice; its effect is measured below"
_FREE = (
    "steps, ranges, flags and which features may be missing are the publisher's choice; thresholds, ranks "
    "and imputed values were recomputed"
)


@dataclass(frozen=True)
class _Model:
    onnx: bytes
    traced: Traced
    lowered: Lowered

    def scores(self, x: FloatArray) -> Scores:
        """ONNX Runtime's answers and the integers' on records [n, features] that the quantiser takes."""
        theirs = float_model.scores(self.onnx, self.traced, x)
        ours = reference.evaluate(self.lowered.program, self.lowered.quantiser.quantize(x))
        return compared(self.traced, theirs, ours / self.lowered.scale)


def remake(onnx: bytes, manifest: Manifest, files: Mapping[str, bytes], auditor: Auditor) -> Remade:
    """Everything of a manifest that follows from the ONNX file and the published quantisation."""
    try:
        traced = trace(onnx)
        task, decision = resolve(manifest.output.task, traced.decision, traced.kind, traced.length, None)
        traced = replace(traced, decision=decision)
        params = lane_params(manifest)
        lowered = recompile(onnx, manifest.input.quantiser, params.plan)
        circuit = circuit_of(lowered.program.encode(), manifest)
    except (UnsupportedModel, CompileError, ArtifactError, ProverError) as error:
        return Remade(checks=[Check("circuit", False, f"it does not compile as published: {error}")])
    fields: dict[str, Any] = {
        "circuit_digest": circuit.digest.hex(),
        "input.shape": list(traced.input_shape),
        "input.quantiser": lowered.quantiser.model_dump(mode="json", exclude_none=True),
        "input.missing": takes_missing(lowered.quantiser),
        "output.length": len(lowered.program.output.wires),
        "output.scale": lowered.scale,
        "output.decision": decision,
        "output.task": task,
        "output.labels": None if traced.labels is None else [str(label) for label in traced.labels],
        "output.names": names_of(traced),
        "lane_params.output_bounds": [list(bounds) for bounds in circuit.output_bounds],
        "lane_params.rounding": lowered.max_deviation,
        # The circuit's digest, which is compared, is of this form.
        "lane_params.commitment": params.commitment,
        "files.private/program.bin": hashlib.sha256(lowered.program.encode()).hexdigest(),
        **{f"constraints.{name}": value for name, value in constraints_of(circuit).items()},
    }
    told = {"lane_params.plan": _CHOICE} if params.plan is not None else {}
    if traced.kind == "raw":
        told["output.task"] = "the publisher's own word: the graph does not say what its numbers mean"
    if decision in ("value", "multilabel"):
        told["output.names"] = "the publisher's own names of its targets"
    fields = {name: value for name, value in fields.items() if name not in told}
    model = _Model(onnx, traced, lowered)
    checks = [_random(model, auditor), *_own(model, manifest, auditor)]
    if auditor.expected is not None:
        check, found = _library(model, auditor.expected, manifest, auditor)
        checks.append(check)
        if found is not None and manifest.expected is not None and found.digest == manifest.expected.digest:
            fields["expected"] = found.model_dump(mode="json")
    if manifest.setup == "ceremony":
        checks.append(_ceremony(circuit, files, auditor.ptau))
    if isinstance(lowered.quantiser, AffineQuantiser) or lowered.quantiser.missing:
        checks.append(said("quantisation", _FREE))
    return Remade(fields, told, checks)


def check_key(public: PublicArtifact, onnx: bytes, ptau: Path) -> None:
    """Check that a ceremony's verifying key is what its transcript makes of powers and model.

    Raises ArtifactError, CompileError, UnsupportedModel.
    """
    found = hashlib.sha256(onnx).hexdigest()
    if found != public.manifest.weights_digest:
        raise ArtifactError(f"the ONNX file has SHA-256 {found}, the model {public.manifest.weights_digest}")
    lowered = recompile(onnx, public.manifest.input.quantiser, lane_params(public.manifest).plan)
    try:
        circuit = circuit_of(lowered.program.encode(), public.manifest)
        check_transcript(public.files[TRANSCRIPT], circuit, regular(ptau), public.vk)
    except ProverError as error:
        raise ArtifactError(str(error), code=error.code) from error


def _ceremony(circuit: Circuit, files: Mapping[str, bytes], ptau: Path | None) -> Check:
    """Whether the verifying key is what the transcript makes of the powers and of this circuit."""
    data = files.get(TRANSCRIPT)
    if data is None:
        return Check(KEYS, False, f"ceremony: there is no {TRANSCRIPT}")
    if ptau is None:
        return Check(KEYS, None, "ceremony: the transcript was not checked; give its powers with --ptau")
    try:
        check_transcript(data, circuit, regular(ptau), files["public/vk.bin"])
        _, phase1, listed = read_transcript(data, files["public/vk.bin"])
    except (ProverError, ArtifactError) as error:
        return Check(KEYS, False, f"ceremony: {error}")
    # a beacon is public: nobody's honesty rests in it
    names = ", ".join(repr(name) for name, beacon, _ in listed if not beacon)
    told = (
        f"ceremony: the transcript holds over the powers with SHA-256 {phase1.hex()}, whose own contributors "
        f"were not checked; of phase 2 one honest contributor of {names} is enough"
    )
    return Check(KEYS, True, told)


def _random(model: _Model, auditor: Auditor) -> Check:
    """Integers and floats on records drawn evenly over the range that the quantiser takes."""
    name = "random records"
    try:
        both = model.scores(drawn(model.lowered.quantiser, RANDOM_RECORDS, auditor.random))
    except (UnsupportedModel, CompileError) as error:
        return Check(name, False, error.message)
    return Check(name, _disagreement(both) <= MAX_RANDOM_DISAGREEMENT, _said(both, RANDOM_RECORDS))


def _own(model: _Model, manifest: Manifest, auditor: Auditor) -> list[Check]:
    """The range, the integers and the published accuracy on the auditor's own records."""
    if auditor.records is None:
        told = "no records of the auditor's own were given (--records)"
        return [Check(name, None, told) for name in ("input range", "own records", "accuracy")]
    x, y = filled(auditor.records.x, list(model.traced.imputed)), auditor.records.y
    taken = model.lowered.quantiser.taken(x)
    refused = int((~taken).sum())
    in_range = Check(
        "input range", refused <= MAX_REFUSED * len(x), f"{refused} of {len(x)} records lie outside of it"
    )
    if not taken.any():
        return [in_range]
    try:
        both = model.scores(x[taken])
        if y is not None:
            check_truth(model.traced.decision, model.traced.length, model.traced.labels, y[taken])
            measured = report(both, y[taken], given=len(x), held_out=True)
    except (UnsupportedModel, CompileError) as error:
        return [in_range, Check("own records", False, error.message)]
    checks = [in_range, Check("own records", _agree(both, auditor), _said(both, int(taken.sum())))]
    if y is None:
        return [*checks, Check("accuracy", None, "the auditor's records have no truth (--truth)")]
    return [*checks, _accuracy(manifest.accuracy, measured)]


def _library(
    model: _Model, expected: Expected, manifest: Manifest, auditor: Auditor
) -> tuple[Check, Compared | None]:
    """Both models beside the training library's predictions, and what that came to."""
    bounds = Bounds(disagreement=auditor.max_disagreement, shift=auditor.max_shift)
    try:
        found = against_library(expected, model.onnx, model.traced, model.lowered, bounds)
    except (UnsupportedModel, CompileError, AccuracyError) as error:
        return Check(LIBRARY, False, error.message), None
    published = None if manifest.expected is None else manifest.expected.digest
    whose = "the publisher's" if published == found.digest else "others than the publisher's"
    told = (
        f"{found.records} records, {whose}: ONNX Runtime's answers are the same, the circuit decides "
        f"{found.flips} otherwise; SHA-256 {found.digest}"
    )
    return Check(LIBRARY, True, told), found


def _accuracy(published: Accuracy, measured: Accuracy) -> Check:
    """A published figure may be worse than ours, and better by no more than our records leave open."""
    assert measured.report is not None
    most = max(measured.report.integer_interval[1], measured.integer)
    told = (
        f"published {published.metric} {published.integer:.4f}; here {measured.metric} "
        f"{measured.integer:.4f} "
        f"(at most {most:.4f} at 95 %, {measured.records} records), float {measured.float_:.4f}"
    )
    if published.metric != measured.metric:
        return Check("accuracy", None, f"{told}: not the same measure")
    return Check("accuracy", published.integer <= most + 1e-9, told)


def _agree(both: Scores, auditor: Auditor) -> bool:
    """Whether the auditor's records bear the integers out: of few one may flip, as in compiling, but not of
    so few that it would be much.
    """
    single = len(both.flips) >= FEW_RECORDS and int(both.flips.sum()) == 1
    return single or _disagreement(both) <= auditor.max_disagreement


def _disagreement(both: Scores) -> float:
    """The share of decisions that differ; of a regression the mean shift in standard deviations."""
    return float(both.shifts.mean()) if both.decision == "value" else float(both.flips.mean())


def _said(both: Scores, count: int) -> str:
    largest = float(both.shifts.max(initial=0.0))
    if both.decision == "value":
        return (
            f"{count} records: mean shift {_disagreement(both):.4f}, largest {largest:.4f} ({both.shift_of})"
        )
    return (
        f"{count} records: {100 * _disagreement(both):.2f} % of decisions differ from ONNX Runtime's, "
        f"largest shift {largest:.4f} ({both.shift_of})"
    )
