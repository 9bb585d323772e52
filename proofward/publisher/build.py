"""From what a publisher has at hand to an artefact: an ONNX file is compiled, an artefact's folder is
loaded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofward import extras, zkml
from proofward.files import read_whole
from proofward.publisher.asked import Asked, differing, digest, keep
from proofward.publisher.predictions import read_expected
from proofward.tables import Table, TableError, arrange, is_loinc, read_table, split_truth
from proofward.zkml import Artifact, CompileError, CompileOptions, Evaluation, compile_model, load_artifact
from proofward.zkml.ends import Single, single
from proofward.zkml.external import whole
from proofward.zkml.lanes import Estimate, Progress
from proofward.zkml.manifest import MAX_CONTESTED_BYTES, Feature
from proofward.zkml.options import DEFAULTS, Wishes

MAX_CODES = 1 << 20  # bytes of a file of LOINC codes


@dataclass(frozen=True)
class Reading:
    """How a publisher's files are read.

    Args:
        output: of the model's outputs, the one that is proven. truth: the header's name of the truth's
            column. ignore_extra: leave out columns that the model has no feature for. loinc: a JSON object of
            LOINC codes by feature name. expected: the library's own predictions, as
            :func:`~proofward.publisher.predictions.read_expected` takes them.
    """

    output: str | None = None
    truth: str | None = None
    ignore_extra: bool = False
    loinc: Path | None = None
    expected: Path | None = None


@dataclass(frozen=True)
class Records:
    """Both tables as a model takes them: features in one order, named where calibration has a header."""

    calibration: NDArray[np.float64]
    evaluation: Evaluation | None
    features: list[Feature] | None
    outputs: list[str] | None


AS_THEY_ARE = Reading()
_SAID = ("task", "accuracy_bound", "max_disagreement", "max_shift", "record_openings")
"""Options that an artefact's note of what was asked for has by their names."""


def artifact(
    source: Path,
    calibration: Path | None,
    evaluation: Path | None,
    *,
    out: Path | None = None,
    name: str | None = None,
    options: CompileOptions = DEFAULTS,
    reading: Reading = AS_THEY_ARE,
    progress: Progress = lambda message: None,
) -> Artifact:
    """Load the artefact in the folder `source`, or compile the ONNX file `source` to `out`.

    An artefact that an earlier run compiled to `out` is taken as it is where it was made from the same files
    with the same options; without `calibration`, where it has what is asked for. `evaluation` holds held-out
    records with the truth (:func:`proofward.tables.split_truth`). Features and outputs are named by the
    files, not by the options. Raises ZkmlError, TableError.
    """
    if source.is_dir():
        if reading.expected is not None:
            raise CompileError(
                f"{source} is compiled already: give --expected with the ONNX file, or to `model audit`",
                code="usage",
            )
        return load_artifact(source)
    model = _read(source, reading, progress)
    out = out or source.parent / f"{source.stem}.proofward"
    asked = _asked(calibration, evaluation, name, options, reading)
    if (out / "public" / "manifest.json").is_file():
        return _found(out, model.onnx, options, asked, progress)
    if calibration is None:
        raise CompileError("compiling needs representative records: give --calibration", code="usage")
    tables = records(calibration, evaluation, reading, progress, model.features, model.classes)
    made = compile_model(
        model.onnx,
        tables.calibration,
        out,
        name=name or source.stem,
        evaluation=tables.evaluation,
        options=_told(options, reading, model, tables, progress),
        progress=progress,
    )
    keep(out, asked)
    size = len(made.manifest.canonical())
    if size > MAX_CONTESTED_BYTES:
        progress(
            f"the manifest has {size} bytes, and the chain reads {MAX_CONTESTED_BYTES} in a contest: clients "
            "take this model with --uncontestable alone"
        )
    return made


def _found(out: Path, onnx: bytes, options: CompileOptions, asked: Asked, progress: Progress) -> Artifact:
    """The artefact that stands in `out`, where it is the one asked for. Raises ZkmlError."""
    found = load_artifact(out)
    manifest = found.manifest
    same = found.onnx == onnx and manifest.batch == options.batch and options.lane in ("auto", manifest.lane)
    others = differing(out, asked)
    if same and not others:
        progress(f"artefact {out} is of this very model; it is used as it is")
        return found
    raise CompileError(
        f"{out} holds the artefact of another {' and '.join(others) if same else 'model or batch'}; give "
        "another --out, or remove it"
    )


def _asked(
    calibration: Path | None,
    evaluation: Path | None,
    name: str | None,
    options: CompileOptions,
    reading: Reading,
) -> dict[str, str | None]:
    """What is asked for beside model, batch and lane; without calibration only what was said, for then an
    artefact that is there is meant.
    """
    found: dict[str, str | None] = {
        "calibration": digest(calibration),
        "evaluation": digest(evaluation),
        "name": name,
        "srs": digest(options.srs),
        **_texts(options, reading),
        "loinc": digest(reading.loinc),
        "expected": digest(reading.expected),
    }
    if reading.expected is None:  # an artefact whose answers were compared is as good as one without
        del found["expected"]
    if calibration is not None:
        return found
    default = _texts(DEFAULTS, AS_THEY_ARE)
    return {one: value for one, value in found.items() if value != default.get(one)}


def _texts(options: CompileOptions, reading: Reading) -> dict[str, str | None]:
    given = {name: getattr(options, name) for name in _SAID}
    given |= {one.name: getattr(reading, one.name) for one in fields(reading)}
    return {name: None if value is None else str(value) for name, value in given.items()}


def dry_run(
    source: Path,
    calibration: Path,
    evaluation: Path | None,
    *,
    options: CompileOptions = DEFAULTS,
    reading: Reading = AS_THEY_ARE,
    progress: Progress = lambda message: None,
) -> tuple[str, Estimate]:
    """What compiling the ONNX file would give, without keys and files. Raises ZkmlError, TableError."""
    model = _read(source, reading, progress)
    tables = records(calibration, evaluation, reading, progress, model.features, model.classes)
    return zkml.dry_run(
        model.onnx,
        tables.calibration,
        evaluation=tables.evaluation,
        options=_told(options, reading, model, tables, progress),
        progress=progress,
    )


def _told(
    options: CompileOptions, reading: Reading, model: Single, tables: Records, progress: Progress
) -> CompileOptions:
    """The options with what the files say. Raises TableError, CompileError."""
    named = replace(options, features=tables.features, outputs=tables.outputs)
    if reading.expected is None:
        return named
    expected = read_expected(
        reading.expected,
        tables.features,
        tables.calibration.shape[1],
        calibration=tables.calibration,
        classes=model.classes,
        ignore_extra=reading.ignore_extra,
        note=progress,
    )
    return replace(named, expected=expected)


def _read(source: Path, reading: Reading, progress: Progress) -> Single:
    model = read_onnx(source, reading.output)
    for line in model.notes:
        progress(line)
    return model


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
    reading: Reading,
    progress: Progress,
    inputs: Sequence[str] | None = None,
    classes: Sequence[str] = (),
) -> Records:
    """Read calibration and held-out records; a truth column that calibration has too is left out of it.

    `inputs` are the model's own names of its features, where it has any: a header is matched by them.
    `classes` are its classes' names, as the truth may spell them. Raises TableError.
    """
    table = read_table(calibration, truth=reading.truth, classes=classes if reading.truth else ())
    if reading.truth is not None and table.names is not None and reading.truth in table.names:
        table = table.taken([i for i, name in enumerate(table.names) if name != reading.truth])
    features = features_of(table)
    width = table.columns
    if inputs is not None:
        if features is not None:
            units = {feature.name: feature.unit for feature in features}
            features = [Feature(name=name, unit=units.get(name)) for name in inputs]
        else:
            features = [Feature(name=name) for name in inputs]
        width = len(inputs)
    if reading.loinc is not None:
        features = coded(features, reading.loinc)
    x = arrange(
        table,
        features,
        width,
        ignore_extra=reading.ignore_extra and inputs is not None,
        allow_missing=True,
        note=progress,
    )
    if evaluation is None:
        return Records(x, None, features, None)
    names = None if features is None else [feature.name for feature in features]
    held = read_table(evaluation, truth=reading.truth, classes=classes)
    given, truth = split_truth(held, names, width, reading.truth)
    if reading.ignore_extra and reading.truth is None and truth.columns > 1:
        raise TableError(
            f"{evaluation} has {truth.columns} columns that are no features: name the truth by --truth"
        )
    held_out = arrange(
        given, features, width, ignore_extra=reading.ignore_extra, allow_missing=True, note=progress
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
    except (ValueError, RecursionError):
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
    options: CompileOptions,
    reading: Reading = AS_THEY_ARE,
    progress: Progress = lambda message: None,
) -> dict[str, Any]:
    """The parameters of the enclave's `setup`: the ONNX file, the tables as float64 LE, and the publisher's
    wishes. Raises TableError, CompileError.
    """
    model = _read(source, reading, progress)
    tables = records(calibration, evaluation, reading, progress, model.features, model.classes)
    named = _told(options, reading, model, tables, progress)
    request: dict[str, Any] = {
        "onnx": model.onnx,
        "name": name or source.stem,
        "lane": options.lane,
        "batch": options.batch,
        "features": tables.calibration.shape[1],
        "calibration": tables.calibration.astype("<f8").tobytes(),
        "wishes": Wishes.of(named).model_dump_json(exclude_none=True),
    }
    if tables.evaluation is not None:
        x, y = tables.evaluation.x, tables.evaluation.y
        request |= {
            "evaluation_x": x.astype("<f8").tobytes(),
            "evaluation_y": y.astype("<f8").tobytes(),
            "truths": 1 if y.ndim == 1 else y.shape[1],
        }
    return request
