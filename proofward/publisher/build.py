"""From what a publisher has at hand to an artefact: an ONNX file is compiled, an artefact's folder is
loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

from proofward.tables import read_table, split_truth
from proofward.zkml import Artifact, CompileError, Evaluation, compile_model, load_artifact

LANES = ("auto", "groth16", "ezkl")
Progress = Callable[[str], None]


def artifact(
    source: Path,
    calibration: Path | None,
    evaluation: Path | None,
    *,
    out: Path | None = None,
    name: str | None = None,
    lane: str = "auto",
    batch: int = 1,
    accuracy_bound: float = 0.005,
    srs: Path | None = None,
    progress: Progress = lambda message: None,
) -> Artifact:
    """Load the artefact in the folder `source`, or compile the ONNX file `source` to `out`.

    An artefact that an earlier run compiled to `out` from the same file is taken as it is. `evaluation`
    holds held-out records with
    the truth in the last column. Raises ZkmlError, TableError.
    """
    if source.is_dir():
        return load_artifact(source)
    if lane not in LANES:
        raise CompileError(f"there is no lane {lane!r}: use one of {', '.join(LANES)}", code="usage")
    try:
        onnx = source.read_bytes()
    except OSError as error:
        raise CompileError(f"cannot read {source}: {error.strerror}", code="not-found") from error
    out = out or source.with_suffix(".proofward")
    if (out / "public" / "manifest.json").is_file():
        found = load_artifact(out)
        if found.onnx == onnx and found.manifest.batch == batch and lane in ("auto", found.manifest.lane):
            progress(f"artefact {out} is of this very model; it is used as it is")
            return found
        raise CompileError(
            f"{out} holds the artefact of another model or batch; give another --out, or remove it"
        )
    if calibration is None:
        raise CompileError("compiling needs representative records: give --calibration", code="usage")
    held_out = None if evaluation is None else Evaluation(*split_truth(read_table(evaluation)))
    return compile_model(
        onnx,
        read_table(calibration),
        out,
        name=name or source.stem,
        lane=cast(Literal["auto", "groth16", "ezkl"], lane),
        evaluation=held_out,
        accuracy_bound=accuracy_bound,
        batch=batch,
        srs=srs,
        progress=progress,
    )


def setup_request(
    source: Path, calibration: Path, evaluation: Path | None, *, name: str | None, lane: str, batch: int
) -> dict[str, Any]:
    """The parameters of the enclave's `setup`: the ONNX file and the tables as float64 LE. Raises
    TableError, CompileError."""
    try:
        onnx = source.read_bytes()
    except OSError as error:
        raise CompileError(f"cannot read {source}: {error.strerror}", code="not-found") from error
    table = read_table(calibration)
    request: dict[str, Any] = {
        "onnx": onnx,
        "name": name or source.stem,
        "lane": lane,
        "batch": batch,
        "features": table.shape[1],
        "calibration": table.astype("<f8").tobytes(),
    }
    if evaluation is not None:
        x, y = split_truth(read_table(evaluation))
        request |= {"evaluation_x": x.astype("<f8").tobytes(), "evaluation_y": y.astype("<f8").tobytes()}
    return request
