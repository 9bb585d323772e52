"""From what a publisher has at hand to an artefact: an ONNX file is compiled, an artefact's folder is
loaded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from proofward import extras, zkml
from proofward.files import read_whole
from proofward.publisher.asked import differing, digest, keep
from proofward.tables import Table, TableError, arrange, is_loinc, read_table, split_truth
from proofward.zkml import Artifact, CompileError, Evaluation, compile_model, load_artifact
from proofward.zkml.ends import Single, single
from proofward.zkml.external import whole
from proofward.zkml.lanes import LANE_NAMES, Estimate
from proofward.zkml.manifest import MAX_CONTESTED_BYTES, RECORD_OPENINGS, Feature, LaneChoice, Task, Wishes
from proofward.zkml.report import MAX_SHIFT
from proofward.zkml.task import TASKS

MAX_CODES = 1 << 20  # bytes of a file of LOINC codes
LANES: tuple[LaneChoice, ...] = ("auto", *LANE_NAMES)
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Choices:
    """What a publisher decides about a model, beside its files.

    Args:
        task: what the outputs are, where the model leaves it open. output: of several outputs, the one that
            is proven. loinc: a JSON object of LOINC codes by feature name. truth: the header's name of the
            truth's
            column. ignore_extra: leave out columns that the model has no feature for. accuracy_bound,
            max_disagreement, max_shift, record_openings: see :func:`proofward.zkml.compile_model`.
    """

    task: str | None = None
    truth: str | None = None
    ignore_extra: bool = False
    accuracy_bound: float = 0.005
    max_disagreement: float | None = None
    max_shift: float = MAX_SHIFT
    output: str | None = None
    loinc: Path | None = None
    record_openings: bool = RECORD_OPENINGS


@dataclass(frozen=True)
class Records:
    """Both tables as a model takes them: features in one order, named where calibration has a header."""

    calibration: NDArray[np.float64]
    evaluation: Evaluation | None
    features: list[Feature] | None
    outputs: list[str] | None


DEFAULTS = Choices()


def artifact(
    source: Path,
    calibration: Path | None,
    evaluation: Path | None,
    *,
    out: Path | None = None,
    name: str | None = None,
    lane: str = "auto",
    batch: int = 1,
    choices: Choices = DEFAULTS,
    srs: Path | None = None,
    progress: Progress = lambda message: None,
) -> Artifact:
    """Load the artefact in the folder `source`, or compile the ONNX file `source` to `out`.

    An artefact that an earlier run compiled to `out` is taken as it is where it was made from the same files
    with the same choices; without `calibration`, where it has what is asked for. `evaluation` holds
    held-out records with the truth (:func:`proofward.tables.split_truth`). Raises ZkmlError, TableError.
    """
    if source.is_dir():
        return load_artifact(source)
    chosen = _lane(lane)
    model = read_onnx(source, choices.output)
    onnx = model.onnx
    for line in model.notes:
        progress(line)
    out = out or source.parent / f"{source.stem}.proofward"
    if (out / "public" / "manifest.json").is_file():
        found = load_artifact(out)
        same = found.onnx == onnx and found.manifest.batch == batch and lane in ("auto", found.manifest.lane)
        others = differing(out, _asked(calibration, evaluation, name, choices, srs))
        if same and not others:
            progress(f"artefact {out} is of this very model; it is used as it is")
            return found
        raise CompileError(
            f"{out} holds the artefact of another "
            f"{' and '.join(others) if same else 'model or batch'}; give another --out, or remove it"
        )
    if calibration is None:
        raise CompileError("compiling needs representative records: give --calibration", code="usage")
    asked = _asked(calibration, evaluation, name, choices, srs)
    tables = records(calibration, evaluation, choices, progress, model.features, model.classes)
    made = compile_model(
        onnx,
        tables.calibration,
        out,
        name=name or source.stem,
        features=tables.features,
        outputs=tables.outputs,
        batch=batch,
        srs=srs,
        progress=progress,
        **_wanted(tables, chosen, choices),
    )
    keep(out, asked)
    size = len(made.manifest.canonical())
    if size > MAX_CONTESTED_BYTES:
        progress(
            f"the manifest has {size} bytes, and the chain reads {MAX_CONTESTED_BYTES} in a contest: clients "
            "take this model with --uncontestable alone"
        )
    return made


def _asked(
    calibration: Path | None, evaluation: Path | None, name: str | None, choices: Choices, srs: Path | None
) -> dict[str, str | None]:
    """What is asked for beside model, batch and lane; without calibration only what was said, for then an
    artefact that is there is meant.
    """
    found: dict[str, str | None] = {
        "calibration": digest(calibration),
        "evaluation": digest(evaluation),
        "name": name,
        "srs": digest(srs),
        **_texts(choices),
        "loinc": digest(choices.loinc),
    }
    if calibration is not None:
        return found
    default = _texts(DEFAULTS)
    return {one: value for one, value in found.items() if value != default.get(one)}


def _texts(choices: Choices) -> dict[str, str | None]:
    given = {one.name: getattr(choices, one.name) for one in fields(choices)}
    return {name: None if value is None else str(value) for name, value in given.items()}


def dry_run(
    source: Path,
    calibration: Path,
    evaluation: Path | None,
    *,
    lane: str,
    batch: int,
    choices: Choices,
    progress: Progress,
) -> tuple[str, Estimate]:
    """What compiling the ONNX file would give, without keys and files. Raises ZkmlError, TableError."""
    chosen = _lane(lane)
    model = read_onnx(source, choices.output)
    for line in model.notes:
        progress(line)
    tables = records(calibration, evaluation, choices, progress, model.features, model.classes)
    return zkml.dry_run(
        model.onnx,
        tables.calibration,
        batch=batch,
        progress=progress,
        **_wanted(tables, chosen, choices),
    )


class _Wanted(TypedDict):
    lane: LaneChoice
    evaluation: Evaluation | None
    accuracy_bound: float
    max_disagreement: float | None
    max_shift: float
    task: Task | None
    record_openings: bool


def _lane(named: str) -> LaneChoice:
    for one in LANES:
        if one == named:
            return one
    raise CompileError(f"there is no lane {named!r}: use one of {', '.join(LANES)}", code="usage")


def _wanted(tables: Records, lane: LaneChoice, choices: Choices) -> _Wanted:
    """What compiling and its dry run are asked for alike."""
    return {
        "lane": lane,
        "evaluation": tables.evaluation,
        "accuracy_bound": choices.accuracy_bound,
        "max_disagreement": choices.max_disagreement,
        "max_shift": choices.max_shift,
        "task": cast(Task | None, choices.task),
        "record_openings": choices.record_openings,
    }


def read_onnx(source: Path, output: str | None = None) -> Single:
    """The ONNX file with the weights beside it, its inputs joined in one, and of several outputs the one
    named.

    Raises CompileError, UnsupportedModel.
    """
    extras.need("publish")
    try:
        onnx, taken_in = whole(source)
    except OSError as error:
        raise CompileError(f"cannot read {source}: {error.strerror}", code="not-found") from error
    found = single(onnx, output)
    beside = f"the weights beside {source} are taken into the artefact's model.onnx, whose digest covers them"
    return replace(found, notes=[beside, *found.notes]) if taken_in else found


def records(
    calibration: Path,
    evaluation: Path | None,
    choices: Choices,
    progress: Progress,
    inputs: Sequence[str] | None = None,
    classes: Sequence[str] = (),
) -> Records:
    """Read calibration and held-out records; a truth column that calibration has too is left out of it.

    `inputs` are the model's own names of its features, where it has any: a header is matched by them.
    `classes` are its classes' names, as the truth may spell them. Raises TableError.
    """
    table = read_table(calibration, truth=choices.truth, classes=classes if choices.truth else ())
    if choices.truth is not None and table.names is not None and choices.truth in table.names:
        table = table.taken([i for i, name in enumerate(table.names) if name != choices.truth])
    features = features_of(table)
    width = table.columns
    if inputs is not None:
        if features is not None:
            units = {feature.name: feature.unit for feature in features}
            features = [Feature(name=name, unit=units.get(name)) for name in inputs]
        else:
            features = [Feature(name=name) for name in inputs]
        width = len(inputs)
    if choices.loinc is not None:
        features = coded(features, choices.loinc)
    x = arrange(
        table,
        features,
        width,
        ignore_extra=choices.ignore_extra and inputs is not None,
        allow_missing=True,
        note=progress,
    )
    if evaluation is None:
        return Records(x, None, features, None)
    names = None if features is None else [feature.name for feature in features]
    held = read_table(evaluation, truth=choices.truth, classes=classes)
    given, truth = split_truth(held, names, width, choices.truth)
    if choices.ignore_extra and choices.truth is None and truth.columns > 1:
        raise TableError(
            f"{evaluation} has {truth.columns} columns that are no features: name the truth by --truth"
        )
    held_out = arrange(
        given, features, width, ignore_extra=choices.ignore_extra, allow_missing=True, note=progress
    )
    y = truth.values[:, 0] if truth.columns == 1 else truth.values
    outputs = None if truth.names is None else list(truth.names)
    return Records(x, Evaluation(held_out, y), features, outputs)


def features_of(table: Table) -> list[Feature] | None:
    """The model's features as calibration's header names them, with its units. Raises TableError."""
    if table.names is None:
        return None
    unnamed = next((i for i, name in enumerate(table.names) if not name), None)
    if unnamed is not None:
        raise TableError(
            f"{table.source}, column {unnamed + 1} has no name (a data frame's index?); remove it or name it"
        )
    units: Sequence[str] = table.units or [""] * table.columns
    return [
        Feature(name=name, unit=unit or None, loinc=name if table.coded else None)
        for name, unit in zip(table.names, units, strict=True)
    ]


def coded(features: Sequence[Feature] | None, source: Path) -> list[Feature]:
    """The features with their LOINC codes, from a JSON object by feature name. Raises TableError,
    CompileError.
    """
    try:
        codes = json.loads(read_whole(source, MAX_CODES))
    except OSError as error:
        raise CompileError(f"cannot read {source}: {error.strerror}", code="not-found") from error
    except ValueError:
        codes = None
    if not isinstance(codes, dict) or not all(isinstance(code, str) for code in codes.values()):
        raise TableError(
            f'{source} is no JSON object of LOINC codes by feature name, such as {{"hb": "718-7"}}'
        )
    if features is None:
        raise TableError(f"{source} names features, and neither calibration's header nor the model does")
    unknown = sorted(codes.keys() - {feature.name for feature in features})
    if unknown:
        raise TableError(f"{source} names {unknown[0]!r}, which is no feature of the model")
    wrong = next((code for code in codes.values() if not is_loinc(code)), None)
    if wrong is not None:
        raise TableError(f"{source}: {wrong[:20]!r} is no LOINC code; its check digit is wrong, or its form")
    if len(set(codes.values())) != len(codes):
        raise TableError(f"{source} gives two features one LOINC code")
    return [
        feature.model_copy(update={"loinc": codes.get(feature.name, feature.loinc)}) for feature in features
    ]


def setup_request(
    source: Path,
    calibration: Path,
    evaluation: Path | None,
    *,
    name: str | None,
    lane: str,
    batch: int,
    choices: Choices = DEFAULTS,
    progress: Progress = lambda message: None,
) -> dict[str, Any]:
    """The parameters of the enclave's `setup`: the ONNX file, the tables as float64 LE, and the publisher's
    wishes. Raises TableError, CompileError.
    """
    if choices.task is not None and choices.task not in TASKS:
        raise CompileError(f"there is no task {choices.task!r}: use one of {', '.join(TASKS)}", code="usage")
    model = read_onnx(source, choices.output)
    for line in model.notes:
        progress(line)
    tables = records(calibration, evaluation, choices, progress, model.features, model.classes)
    request: dict[str, Any] = {
        "onnx": model.onnx,
        "name": name or source.stem,
        "lane": lane,
        "batch": batch,
        "features": tables.calibration.shape[1],
        "calibration": tables.calibration.astype("<f8").tobytes(),
        "wishes": Wishes(
            task=choices.task,
            features=tables.features,
            outputs=tables.outputs,
            accuracy_bound=choices.accuracy_bound,
            max_disagreement=choices.max_disagreement,
            max_shift=choices.max_shift,
            record_openings=choices.record_openings,
        ).model_dump_json(exclude_none=True),
    }
    if tables.evaluation is not None:
        x, y = tables.evaluation.x, tables.evaluation.y
        request |= {
            "evaluation_x": x.astype("<f8").tobytes(),
            "evaluation_y": y.astype("<f8").tobytes(),
            "truths": 1 if y.ndim == 1 else y.shape[1],
        }
    return request
