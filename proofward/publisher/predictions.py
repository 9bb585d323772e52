"""A library's own predictions: written where the model was trained, read where it is compiled."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofward.files import write_whole
from proofward.tables import FeatureLike, TableError, arrange, read_table
from proofward.tables.fields import NUMBER
from proofward.zkml.errors import CompileError
from proofward.zkml.expected import Expected, method_of
from proofward.zkml.manifest import Method

Floats = NDArray[np.float64]
Note = Callable[[str], None]


def expected(
    estimator: Any, records: Any, path: Path | str | None = None, *, methods: Sequence[Method] | None = None
) -> Expected:
    """What a trained estimator says of records, written to the CSV file `path` where one is named.

    Args:
        estimator: anything with scikit-learn's `predict`: XGBoost's, LightGBM's and CatBoost's too. records:
            [n, features] of numbers, an array or a data frame, whose names are the features'. methods: whose
            answers; default: `predict`, and `predict_proba` or else `decision_function` where it has one.

    Raises CompileError where the answers are not one a record, a class or a target; OSError.
    """
    table = np.asarray(records, dtype=np.float64)
    columns: dict[str, Any] = {}
    for method in methods or _methods(estimator):
        columns |= _columns(estimator, method, getattr(estimator, method)(records))
    found = Expected(table, columns)
    if path is not None:
        names = [str(name) for name in getattr(records, "columns", [])]
        _write(found, names or [f"x[{i}]" for i in range(found.x.shape[1])], Path(path))
    return found


def read_expected(
    source: Path,
    features: Sequence[FeatureLike] | None,
    width: int,
    *,
    calibration: Floats | None = None,
    classes: Sequence[str] = (),
    ignore_extra: bool = False,
    note: Note = lambda line: None,
) -> Expected:
    """Records and answers of a table, or the answers to calibration's records where it has no features.

    `width` features, matched by name where `features` names them. `calibration` is [n, width] as it was
    read; `classes` are the model's, which the column `predict` may spell. Raises TableError, CompileError.
    """
    words = () if any(NUMBER.fullmatch(one) for one in classes) else classes
    table = read_table(source, truth="predict", classes=words)
    known = {feature.name for feature in features or ()}
    names = table.names or ()
    answers = [i for i, name in enumerate(names) if name not in known and method_of(name)]
    if not answers:
        raise TableError(
            f"{source} has no column named predict, predict_proba:CLASS or decision_function: write the "
            "library's answers under these names (docs/models.md)"
        )
    rest = [i for i in range(table.columns) if i not in answers]
    if rest:
        x = arrange(
            table.taken(rest),
            features,
            width,
            ignore_extra=ignore_extra,
            allow_missing=True,
            note=note,
        )
    elif calibration is not None and len(table.values) == len(calibration):
        x = calibration
    else:
        records = 0 if calibration is None else len(calibration)
        raise TableError(
            f"{source} has {len(table.values)} lines without features, and there are {records} calibration "
            "records; give one line for each in their order, or the features beside the answers"
        )
    return Expected(x, {names[i]: _named(table.values[:, i], names[i], words) for i in answers}, table.lines)


def _named(column: Floats, name: str, classes: Sequence[str]) -> NDArray[Any]:
    """Words that the reader counted, as words."""
    counted = name == "predict" and classes and np.isin(column, np.arange(len(classes))).all()
    return np.array([classes[int(one)] for one in column]) if counted else column


def _methods(estimator: Any) -> list[Method]:
    scores: tuple[Method, ...] = ("predict_proba", "decision_function")
    return ["predict", *[one for one in scores if hasattr(estimator, one)][:1]]


def _columns(estimator: Any, method: Method, given: Any) -> Mapping[str, NDArray[Any]]:
    """An estimator's answer as columns: one, or one a class, target or label."""
    if isinstance(given, list):  # several labels: two probabilities each
        given = np.stack([np.asarray(one)[:, -1] for one in given], axis=1)
    table = np.asarray(given)
    if table.ndim == 2 and table.shape[1] == 1:
        table = table[:, 0]
    if table.ndim == 1:
        return {method: table}
    if table.ndim != 2:
        raise CompileError(
            f"{method} gives an array of shape {list(table.shape)}; one number a record, class or target is "
            "compared"
        )
    classes = getattr(estimator, "classes_", None)
    names: Sequence[str | int] = range(table.shape[1])
    if method != "predict" and isinstance(classes, np.ndarray) and len(classes) == len(names):
        names = [_text(one) for one in classes.tolist()]
    return {f"{method}:{name}": table[:, i] for i, name in enumerate(names)}


def _text(label: Any) -> str:
    whole = isinstance(label, bool) or (isinstance(label, float) and label.is_integer())
    return str(int(label)) if whole else str(label)


def _write(found: Expected, features: Sequence[str], path: Path) -> None:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([*features, *found.columns])
    for at, record in enumerate(found.x.tolist()):
        values = ["" if np.isnan(value) else value for value in record]
        lines.writerow([*values, *(column[at].item() for column in found.columns.values())])
    write_whole(path, text.getvalue().encode(), mode=0o666)
