"""compile_model: an ONNX model and calibration data in, an artifact directory out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proofward.zkml import report
from proofward.zkml.accuracy import Evaluation, require
from proofward.zkml.artifact import Artifact, fresh_directory, hash_tree, load_artifact
from proofward.zkml.errors import (
    AccuracyError,
    CompileError,
    LaneUnavailable,
    UnsupportedModel,
    ZkmlError,
)
from proofward.zkml.external import MAX_ONNX_BYTES, refuse_external
from proofward.zkml.lanes import CompileRequest, Estimate, HeldOut, Lane, Progress, lane
from proofward.zkml.manifest import (
    LANE_NAMES,
    Accuracy,
    Feature,
    InputSpec,
    LaneName,
    Manifest,
    OutputSpec,
)
from proofward.zkml.options import DEFAULTS, CompileOptions
from proofward.zkml.quantiser import AffineQuantiser

KEPT_BACK = 5  # one record in so many: for the report where none is held out, then for the choice
CHOOSING = 20  # fewer records choose nothing

Floats = NDArray[np.float64]


def compile_model(
    onnx: bytes,
    calibration: NDArray[np.float64],
    out: Path,
    *,
    name: str,
    evaluation: Evaluation | None = None,
    options: CompileOptions = DEFAULTS,
    progress: Progress = lambda message: None,
) -> Artifact:
    """Compile, run the key setup and write the artifact to `out` (new, or empty).

    calibration: float64 [n, features], representative records, from which ranges and plan come. evaluation:
    held-out ones with the truth, which the report is on; without them one in five of calibration is kept back
    for it. Raises UnsupportedModel (operator and node named), AccuracyError, CompileError, LaneUnavailable.
    The artifact's lane_reason says why its lane was chosen.
    """
    request = compile_request(onnx, calibration, evaluation, options, progress=progress)
    chosen, reason = choose_lane(onnx, options)
    request.progress(f"lane {chosen.name}: {reason}")
    with fresh_directory(out) as staging:
        (staging / "private" / "model.onnx").write_bytes(onnx)
        with plainly(chosen), _advised(chosen, request):
            compiled = chosen.compile(request, staging)
        accuracy = _with_shared(compiled.accuracy, request, evaluation)
        require(accuracy, options.bounds.loss)
        report.require(accuracy, options.bounds)
        files = hash_tree(staging)
        key = compiled.verifying_key
        if key is not None and files["public/vk.bin"] != hashlib.sha256(key).hexdigest():
            raise CompileError(
                "vk.bin was changed while it was being written: who else writes to that folder?"
            )
        manifest = Manifest(
            name=name,
            lane=chosen.name,
            setup=compiled.setup,
            weights_digest=hashlib.sha256(onnx).hexdigest(),
            vk_hash=files["public/vk.bin"],
            circuit_digest=compiled.circuit_digest.hex(),
            input=_named(compiled.input, options.features),
            output=_named_outputs(compiled.output, options.outputs),
            batch=options.batch,
            accuracy=accuracy,
            expected=compiled.expected,
            files=files,
            lane_params={**compiled.lane_params, "lane_reason": reason},
            constraints=compiled.constraints,
            versions=compiled.versions,
        )
        (staging / "public" / "manifest.json").write_bytes(manifest.canonical())
    artifact = load_artifact(out)
    if artifact.manifest != manifest:
        raise CompileError(f"the manifest in {out} was changed while it was being written: remove the folder")
    return Artifact(artifact.public, out, reason)


def dry_run(
    onnx: bytes,
    calibration: NDArray[np.float64],
    *,
    evaluation: Evaluation | None = None,
    options: CompileOptions = DEFAULTS,
    progress: Progress = lambda message: None,
) -> tuple[LaneName, Estimate]:
    """The lane that would take the model, and what compiling would give; nothing is written and no key made.

    Arguments and errors are compile_model's; that a bound is passed shows in the report and is an error only
    where no integers within the bounds are found.
    """
    request = compile_request(onnx, calibration, evaluation, options, progress=progress)
    chosen, reason = choose_lane(onnx, options)
    request.progress(f"lane {chosen.name}: {reason}")
    with plainly(chosen), _advised(chosen, request):
        found = chosen.estimate(request)
    return chosen.name, replace(found, accuracy=_with_shared(found.accuracy, request, evaluation))


def compile_request(
    onnx: bytes,
    calibration: NDArray[np.float64],
    evaluation: Evaluation | None = None,
    options: CompileOptions = DEFAULTS,
    *,
    progress: Progress = lambda message: None,
) -> CompileRequest:
    """The arguments, checked. Raises CompileError, UnsupportedModel."""
    if not 0 < len(onnx) <= MAX_ONNX_BYTES:
        raise CompileError(f"the ONNX file must be 1 to {MAX_ONNX_BYTES} bytes, got {len(onnx)}")
    refuse_external(onnx)
    search, choice, held_out = _split(_table(calibration), evaluation)
    return CompileRequest(
        onnx=onnx,
        calibration=search,
        choice=choice,
        held_out=held_out,
        options=options,
        progress=progress,
    )


@contextmanager
def plainly(chosen: Lane) -> Iterator[None]:
    """An exception of a library becomes a refusal with its first line."""
    try:
        yield
    except (ZkmlError, OSError, MemoryError):
        raise
    except Exception as error:
        raise CompileError(
            f"the {chosen.name} lane does not compile this model: {_first_line(error)}; export it more simply"
        ) from error


@contextmanager
def _advised(chosen: Lane, request: CompileRequest) -> Iterator[None]:
    """Integers that are not close enough name another lane, where that one takes the model."""
    try:
        yield
    except AccuracyError as error:
        others = (name for name in LANE_NAMES if name != chosen.name)
        other = next((name for name in others if _offer(name, request.onnx, request.options.batch)[0]), None)
        if other is None:
            raise
        raise AccuracyError(f"{error.message}; or try --lane {other}") from error


def _refusal(candidate: Lane, onnx: bytes, batch: int) -> str | None:
    try:
        return candidate.refusal(onnx, batch)
    except (ZkmlError, OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - a library's complaint about the graph
        return _first_line(error)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"


def choose_lane(onnx: bytes, options: CompileOptions) -> tuple[Lane, str]:
    """The lane for a model and why: groth16 wherever it takes the model, else ezkl."""
    wanted, batch = options.lane, options.batch
    if wanted != "auto":
        chosen = lane(wanted)
        refusal = _refusal(chosen, onnx, batch)
        if refusal is not None:
            others = [
                name for name in LANE_NAMES if name != wanted and _offer(name, onnx, batch)[0] is not None
            ]
            advice = f"; the {others[0]} lane takes it (--lane {others[0]})" if others else ""
            raise UnsupportedModel(f"the {wanted} lane does not take this model: {refusal}{advice}")
        return chosen, "chosen by the publisher"
    refusals: list[str] = []
    for name in LANE_NAMES:
        found, refusal = _offer(name, onnx, batch)
        if found is not None:
            return found, "; ".join(refusals) if refusals else "the preferred lane takes every operator"
        refusals.append(f"{name}: {refusal}")
    raise UnsupportedModel("no lane takes this model: " + "; ".join(refusals))


def _offer(name: LaneName, onnx: bytes, batch: int) -> tuple[Lane | None, str]:
    try:
        candidate = lane(name)
    except LaneUnavailable as error:
        return None, error.message
    refusal = _refusal(candidate, onnx, batch)
    return (candidate, "") if refusal is None else (None, refusal)


def _table(data: NDArray[np.float64]) -> NDArray[np.float64]:
    table = np.asarray(data, dtype=np.float64)
    if table.ndim < 2 or len(table) == 0 or np.isinf(table).any():
        raise CompileError("calibration data must be a table of finite numbers, one record a row")
    return table.reshape(len(table), -1)


def _split(calibration: Floats, evaluation: Evaluation | None) -> tuple[Floats, Floats | None, HeldOut]:
    """Records to search with, to choose by, and to report on: never the same ones, where there are enough."""
    if evaluation is None:
        rest, kept = _kept_back(calibration)
        held_out = HeldOut(kept, None) if len(rest) else HeldOut(calibration, None)
        return *_chosen_by(rest if len(rest) else calibration), held_out
    x, y = _table(evaluation.x), np.asarray(evaluation.y)
    if len(y) != len(x) or not np.isfinite(y.astype(np.float64)).all():
        raise CompileError("held-out records need one finite truth each")
    truth: Floats = y.astype(np.float64).reshape(len(y), -1)
    return *_chosen_by(calibration), HeldOut(x, truth[:, 0] if truth.shape[1] == 1 else truth)


def _chosen_by(calibration: Floats) -> tuple[Floats, Floats | None]:
    search, choice = _kept_back(calibration)
    return (search, choice) if len(choice) >= CHOOSING else (calibration, None)


def _kept_back(records: Floats) -> tuple[Floats, Floats]:
    """The records without one in KEPT_BACK, and these, in their order: one of them at least."""
    order = np.random.default_rng(0).permutation(len(records))
    kept = max(1, len(records) // KEPT_BACK)
    return records[np.sort(order[kept:])], records[np.sort(order[:kept])]


def _with_shared(accuracy: Accuracy, request: CompileRequest, evaluation: Evaluation | None) -> Accuracy:
    """The report with a warning where held-out records have the values of some that chose the integers."""
    if evaluation is None or accuracy.report is None:
        return accuracy
    known = {row.tobytes() for row in request.everything + 0.0}  # -0.0 is 0.0
    shared = sum(row.tobytes() in known for row in request.held_out.x + 0.0)
    if not shared:
        return accuracy
    told = (
        f"{shared} of {len(request.held_out.x)} held-out records have the values of records in calibration: "
        "figures on records that were seen before flatter"
    )
    made = accuracy.report.model_copy(update={"warnings": [*accuracy.report.warnings, told]})
    return accuracy.model_copy(update={"report": made})


def _named(spec: InputSpec, features: Sequence[Feature] | None) -> InputSpec:
    """The features' names, and of a flag its two values."""
    if features is None:
        return spec
    if len(features) != spec.quantiser.features:
        raise CompileError(f"{len(features)} features are named and the model has {spec.quantiser.features}")
    named = list(features)
    if isinstance(spec.quantiser, AffineQuantiser):
        for i in spec.quantiser.flags:
            low = spec.quantiser.offset[i]
            named[i] = named[i].model_copy(update={"values": [low, low + 1 / spec.quantiser.scale[i]]})
    return InputSpec(**{**dict(spec), "features": named})


def _named_outputs(spec: OutputSpec, names: Sequence[str] | None) -> OutputSpec:
    """Targets and labels have the names that the truth's columns have; classes have their own."""
    if names is None or spec.decision not in ("value", "multilabel") or len(names) != spec.length:
        return spec
    return spec.model_copy(update={"names": list(names)})
