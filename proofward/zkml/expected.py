"""A library's own predictions beside ONNX Runtime's and the circuit's: what a converter leaves out of a model
stands in no graph, and shows here alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from proofward.zkml.accuracy import decide
from proofward.zkml.errors import AccuracyError, CompileError, UnsupportedModel
from proofward.zkml.manifest import Compared, Method
from proofward.zkml.quantiser import AffineQuantiser, ThresholdQuantiser
from proofward.zkml.report import Bounds, Scores

MAX_RECORDS = 10_000
METHODS: tuple[Method, ...] = get_args(Method)
_ROUNDED = 1e-4  # of a probability, or of a column's standard deviation: what float32 may round away
_FLOAT32 = 1e-6  # of the largest number: what a sum in float32 may lose
_EXACT = 2.0**53  # below it a double holds every integer
_SHOWN = 6
_DIGITS = 4  # of the largest shift, whose last ones depend on the machine

Floats = NDArray[np.float64]
Column = NDArray[Any]


@dataclass(frozen=True)
class Expected:
    """What the library that trained a model says of records.

    Args:
        x: float64 [n, features], NaN where a value is missing.
        columns: [n] each, by name: `predict`, `predict_proba:CLASS`, `decision_function`, and with a number
            (`predict:0`) where a model has several targets or labels. Of a class its name or number.
        lines: where each record stands in its file, for messages.

    Raises CompileError for records without answers, and answers that are missing or of no known name.
    """

    x: Floats
    columns: Mapping[str, Column]
    lines: Sequence[int] | None = None

    def __post_init__(self) -> None:
        x = np.asarray(self.x, dtype=np.float64)
        if x.ndim < 2 or not 1 <= len(x) <= MAX_RECORDS or not self.columns:
            raise CompileError(
                f"expected answers are a table of 1 to {MAX_RECORDS} records and of one column at least, "
                "named predict, predict_proba:CLASS or decision_function"
            )
        object.__setattr__(self, "x", x.reshape(len(x), -1))
        object.__setattr__(self, "columns", {name: _column(given) for name, given in self.columns.items()})
        for name, column in self.columns.items():
            if method_of(name) is None:
                raise CompileError(f"expected answers are named {', '.join(METHODS)}, and not {name!r}")
            if column.shape != (len(x),):
                raise CompileError(
                    f"the expected {name!r} has shape {list(column.shape)} for {len(x)} records; give one "
                    "number or class a record, and a column a class or target"
                )
            if column.dtype.kind == "f" and not np.isfinite(column).all():
                at = int(np.flatnonzero(~np.isfinite(column))[0])
                raise CompileError(
                    f"the expected {name!r} of {self.record(at)} is missing or not finite; leave such "
                    "records out"
                )

    @property
    def methods(self) -> list[Method]:
        """Whose answers there are."""
        return sorted({method_of(name) or METHODS[0] for name in self.columns})

    def digest(self) -> str:
        """SHA-256 of records and answers, whatever file they stand in: hex."""
        head = [list(self.x.shape), sorted(self.columns)]
        hashed = hashlib.sha256(json.dumps(head).encode())
        hashed.update(_bytes(self.x))
        for name in sorted(self.columns):
            column = self.columns[name]
            hashed.update(
                _bytes(column) if column.dtype.kind == "f" else json.dumps(column.tolist()).encode()
            )
        return hashed.hexdigest()

    def taken(self, quantiser: AffineQuantiser | ThresholdQuantiser, bounds: Bounds) -> NDArray[np.bool_]:
        """Which records the circuit's range holds, [n]. Raises CompileError where the features are others
        than the model's, AccuracyError where too many lie outside.
        """
        if self.x.shape[1] != quantiser.features:
            raise CompileError(
                f"the expected records have {self.x.shape[1]} features and the model {quantiser.features}"
            )
        found = quantiser.taken(self.x)
        refused = int((~found).sum())
        if refused > bounds.refused * len(found) or not found.any():
            raise AccuracyError(
                f"{refused} of {len(found)} expected records lie outside the calibrated range; calibrate on "
                "records like those"
            )
        return found

    def record(self, at: int) -> str:
        """How a message names a record."""
        return f"record {at}" + (f" (line {self.lines[at]})" if self.lines is not None else "")


def method_of(name: str) -> Method | None:
    """Whose answers a column of this name holds; None: it holds none."""
    return next((method for method in METHODS if name == method or name.startswith(f"{method}:")), None)


@dataclass(frozen=True)
class Answered:
    """What both models say of the expected records.

    Args:
        scores: of the records `taken` alone, which the circuit's range holds. labels: ONNX Runtime's own,
            where it gives any: one a record and, of several labels, each. classes: the names of the model's;
            numbers where it has none. probabilities: what the model gives are these, and no scores.
    """

    scores: Scores
    taken: NDArray[np.bool_]
    labels: Sequence[str] | None = None
    classes: Sequence[int | str] | None = None
    probabilities: bool = False


def compare(expected: Expected, answered: Answered, bounds: Bounds) -> Compared:
    """The library's answers against both models', record by record.

    ONNX Runtime may differ by what float32 rounds away, and never in a class. The circuit may differ by what
    the publisher's bounds allow of it. Raises UnsupportedModel, AccuracyError, CompileError.
    """
    scores, taken = answered.scores, answered.taken
    theirs = _chosen(expected, _forms(answered, scores.float_, scores.float_shown, answered.labels))
    ours = _chosen(expected, _forms(answered, scores.integer, scores.integer_shown, None))
    at = np.flatnonzero(taken)
    largest, flips = 0.0, np.zeros(len(at), dtype=bool)
    for name in expected.columns:
        one = _Compared(expected, name, expected.columns[name][taken], at, _is_class(name, scores))
        one.require_model(theirs[name])
        if one.is_class:
            flips |= one.differ(ours[name], 0.0)
        else:
            largest = max(largest, one.require_shift(ours[name], bounds.shift))
    _require_flips(expected, at[flips], len(at), bounds)
    return Compared(
        records=len(taken),
        refused=len(taken) - len(at),
        methods=expected.methods,
        digest=expected.digest(),
        flips=int(flips.sum()),
        largest_shift=float(f"{largest:.{_DIGITS}g}"),
    )


@dataclass(frozen=True)
class _Compared:
    """One column of the library's, at the positions `at` of its records."""

    expected: Expected
    name: str
    column: Column
    at: NDArray[np.int64]
    is_class: bool

    @property
    def largest(self) -> float:
        """Of the answers that are numbers, without the sign."""
        return 0.0 if self.is_class else float(np.abs(self.column).max())

    @property
    def unit(self) -> float:
        """What a shift is measured in: 1 of a probability, else the answers' standard deviation; where all
        are the same 1, or their size where that is less.
        """
        if self.is_class or method_of(self.name) == "predict_proba":
            return 1.0
        spread = float(self.column.std())  # of equal answers it may be a last digit's
        return spread if spread > _FLOAT32 * self.largest else min(1.0, self.largest) or 1.0

    def differ(self, answers: Column, reach: float) -> NDArray[np.bool_]:
        """Which answers are not the library's."""
        if not self.is_class:
            return np.asarray(~(np.abs(answers - self.column) <= reach))
        return np.asarray(self.column != (_numbers(answers) if self.column.dtype.kind == "f" else answers))

    def require_model(self, answers: Column) -> None:
        """Raise UnsupportedModel where ONNX Runtime answers otherwise than the library, CompileError where
        that gives words for numbers.
        """
        if not self.is_class and self.column.dtype.kind != "f":
            raise CompileError(f"the expected {self.name!r} holds words, and the model gives numbers there")
        reach = _ROUNDED * self.unit + _FLOAT32 * self.largest
        differ = self.differ(answers, reach)
        if not differ.any():
            return
        ordered = not self.is_class and bool((np.abs(np.sort(answers) - np.sort(self.column)) <= reach).all())
        what = (
            "the same answers stand there in another order: give each record's own"
            if ordered
            else "the converter left something out, or these are another model's answers: export the model "
            "otherwise (docs/models.md)"
        )
        raise UnsupportedModel(f"{self._told(answers, differ, 'ONNX Runtime')}; {what}")

    def require_shift(self, answers: Column, bound: float) -> float:
        """The circuit's largest shift. Raises AccuracyError where it passes the bound."""
        shifts = np.abs(answers - self.column) / self.unit
        if (beyond := ~(shifts <= bound + 1e-12)).any():
            raise AccuracyError(
                f"{self._told(answers, beyond, 'the circuit')}; a shift above {bound:g} is "
                "refused. Give more calibration data, or a larger --max-shift if that is acceptable"
            )
        return float(shifts.max())

    def _told(self, answers: Column, differ: NDArray[np.bool_], who: str) -> str:
        first = int(np.flatnonzero(differ)[0])
        library, other = (_value(one[first]) for one in (self.column, answers))
        return (
            f"{self.name!r} of expected {self.expected.record(int(self.at[first]))} is {library} by the "
            f"library and {other} by {who} ({int(differ.sum())} of {len(differ)} records differ)"
        )


def _require_flips(expected: Expected, flipped: NDArray[np.int64], records: int, bounds: Bounds) -> None:
    if len(flipped) > bounds.disagreement * records:
        raise AccuracyError(
            f"the circuit decides {len(flipped)} of {records} expected records otherwise than the library, "
            f"the first {expected.record(int(flipped[0]))}; a disagreement above {bounds.disagreement:g} is "
            "refused. Give more calibration data, or a larger --max-disagreement if that is acceptable"
        )


def _is_class(name: str, scores: Scores) -> bool:
    return method_of(name) == "predict" and scores.decision != "value"


def _forms(
    answered: Answered, raw: Floats, shown: Floats, labels: Sequence[str] | None
) -> list[dict[str, Column]]:
    """Every form in which a library may give these answers: columns that belong together, by name."""
    scores = answered.scores
    length, decision = raw.shape[1], scores.decision
    if decision == "value":
        return [_numbered("predict", raw) if length > 1 else {"predict": raw[:, 0]}]
    decided = decide(decision, raw)
    shares = answered.probabilities
    if decision == "multilabel":
        texts = decided.astype(str) if labels is None else np.array(labels).reshape(decided.shape)
        forms = [_numbered("predict", texts)]
        forms += [_numbered("predict_proba", shown)] if shares else []
        return forms + ([] if shares else [_numbered("decision_function", raw)])
    names = [str(one) for one in answered.classes or range(max(2, length))]
    forms = [{"predict": np.array(names)[decided] if labels is None else np.array(labels)}]
    if decision == "sigmoid":
        shown = np.concatenate([1.0 - shown, shown], axis=1)
    if shares:
        return forms + _by_class("predict_proba", names, shown)
    if length == 1:
        return [*forms, {"decision_function": raw[:, 0]}]
    return forms + _by_class("decision_function", names, raw)


def _numbered(method: Method, table: Column) -> dict[str, Column]:
    return {f"{method}:{i}": table[:, i] for i in range(table.shape[1])}


def _by_class(method: Method, names: Sequence[str], table: Column) -> list[dict[str, Column]]:
    """A column a class; of two classes the second's alone too."""
    each = {f"{method}:{name}": table[:, i] for i, name in enumerate(names)}
    return [each, {method: table[:, 1]}] if len(names) == 2 else [each]


def _chosen(expected: Expected, forms: Sequence[Mapping[str, Column]]) -> dict[str, Column]:
    """The answers under the names that the library's have. Raises CompileError where they do not fit."""
    found: dict[str, Column] = {}
    for method in expected.methods:
        given = {name for name in expected.columns if method_of(name) == method}
        form = next((one for one in forms if one.keys() == given), None)
        if form is None:
            known = [name for one in forms for name in one]
            raise CompileError(
                f"the expected answers are named {_some(sorted(given))}, and this model gives "
                f"{_some(known)}; name a column for each class or target as the model does"
            )
        found |= form
    return found


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _column(given: Column) -> Column:
    """Numbers where all are that, else texts."""
    found = np.asarray(given)
    if found.dtype == object or found.dtype.kind in "US":
        found = np.array([str(one) for one in found.reshape(-1)]).reshape(found.shape)
    try:
        return np.asarray(found, dtype=np.float64)
    except ValueError:
        return found


def _numbers(classes: Column) -> Floats:
    """The model's classes beside a library's that are numbers: 1 and 01 are 1.0. NaN, which equals nothing,
    for a word, and for an integer that no double holds.
    """
    return np.array([_number(one) for one in classes.tolist()])


def _number(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        return np.nan
    return found if abs(found) < _EXACT else np.nan


def _value(one: Any) -> str:
    return f"{one:.9g}" if isinstance(one, float) else str(one)


def _bytes(values: Floats) -> bytes:
    """One form of each number: -0.0 is 0.0, and a missing value is one."""
    return np.where(np.isnan(values), np.nan, values + 0.0).astype("<f8").tobytes()
