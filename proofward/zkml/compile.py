"""compile_model: an ONNX model and calibration data in, an artifact directory out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from proofward.zkml.accuracy import Evaluation, require
from proofward.zkml.artifact import Artifact, fresh_directory, hash_tree, load_artifact
from proofward.zkml.errors import CompileError, LaneUnavailable, UnsupportedModel
from proofward.zkml.lanes import _ROOMS, CompileRequest, Lane, Progress, lane
from proofward.zkml.manifest import MAX_BATCH, LaneName, Manifest, Setup

MAX_ONNX_BYTES = 64 << 20


def compile_model(
    onnx: bytes,
    calibration: NDArray[np.float64],
    out: Path,
    *,
    name: str,
    lane: Literal["auto", "groth16", "ezkl"] = "auto",
    evaluation: Evaluation | None = None,
    accuracy_bound: float = 0.005,
    batch: int = 1,
    setup: Setup = "dev",
    srs: Path | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Artifact:
    """Compile, run the key setup and write the artifact to `out` (new, or empty).

    calibration: float64 [n, features], representative records; evaluation: held-out ones. setup "attested" is
    for an enclave; `srs` a real universal SRS (ezkl). Raises UnsupportedModel (operator and node named),
    AccuracyError, CompileError, LaneUnavailable. The artifact's lane_reason says why its lane was chosen.
    """
    if not 0 < len(onnx) <= MAX_ONNX_BYTES:
        raise CompileError(f"the ONNX file must be 1 to {MAX_ONNX_BYTES} bytes, got {len(onnx)}")
    if not 1 <= batch <= MAX_BATCH:
        raise CompileError(f"batch must be 1 to {MAX_BATCH}, got {batch}")
    request = CompileRequest(
        onnx=onnx,
        name=name,
        calibration=_table(calibration),
        evaluation=_held_out(evaluation),
        accuracy_bound=accuracy_bound,
        batch=batch,
        setup=setup,
        srs=srs,
        cache=cache,
        progress=progress or (lambda _message: None),
    )
    chosen, reason = choose_lane(onnx, batch, lane)
    request.progress(f"lane {chosen.name}: {reason}")
    with fresh_directory(out) as staging:
        (staging / "private" / "model.onnx").write_bytes(onnx)
        compiled = chosen.compile(request, staging)
        require(compiled.accuracy, accuracy_bound)
        files = hash_tree(staging)
        manifest = Manifest(
            name=name,
            lane=chosen.name,
            setup=compiled.setup,
            weights_digest=hashlib.sha256(onnx).hexdigest(),
            vk_hash=files["public/vk.bin"],
            circuit_digest=compiled.circuit_digest.hex(),
            input=compiled.input,
            output=compiled.output,
            batch=batch,
            accuracy=compiled.accuracy,
            files=files,
            lane_params={**compiled.lane_params, "lane_reason": reason},
            constraints=compiled.constraints,
            versions=compiled.versions,
        )
        (staging / "public" / "manifest.json").write_bytes(manifest.canonical())
    artifact = load_artifact(out)
    return Artifact(artifact.public, out, reason)


def choose_lane(onnx: bytes, batch: int, wanted: Literal["auto", "groth16", "ezkl"]) -> tuple[Lane, str]:
    """The lane for a model and why: groth16 wherever it takes the model, else ezkl."""
    if wanted != "auto":
        chosen = lane(wanted)
        refusal = chosen.refusal(onnx, batch)
        if refusal is not None:
            raise UnsupportedModel(f"the {wanted} lane does not take this model: {refusal}; try --lane auto")
        return chosen, "chosen by the publisher"
    refusals: list[str] = []
    for name in _ROOMS:
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
    refusal = candidate.refusal(onnx, batch)
    return (candidate, "") if refusal is None else (None, refusal)


def _table(data: NDArray[np.float64]) -> NDArray[np.float64]:
    table = np.asarray(data, dtype=np.float64)
    if table.ndim < 2 or len(table) == 0 or not np.isfinite(table).all():
        raise CompileError("calibration data must be a table of finite numbers, one record a row")
    return table.reshape(len(table), -1)


def _held_out(evaluation: Evaluation | None) -> Evaluation | None:
    if evaluation is None:
        return None
    return Evaluation(_table(evaluation.x), evaluation.y.reshape(-1))
