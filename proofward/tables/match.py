"""A table's columns brought into a model's order: by name where both have names, else by count."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from proofward.tables.convert import conversion
from proofward.tables.errors import TableError
from proofward.tables.table import Table
from proofward.tables.units import canonical

Note = Callable[[str], None]


class FeatureLike(Protocol):
    """What a model says of one feature (:class:`proofward.zkml.manifest.Feature`)."""

    @property
    def name(self) -> str:
        """The name in a table's header."""

    @property
    def loinc(self) -> str | None:
        """Its LOINC code, where FHIR results are matched with it."""

    @property
    def unit(self) -> str | None:
        """The unit, as a header writes it; None: nobody says."""


def arrange(
    table: Table,
    features: Sequence[FeatureLike] | None,
    width: int,
    *,
    ignore_extra: bool = False,
    allow_missing: bool = False,
    note: Note = lambda _line: None,
) -> NDArray[np.float64]:
    """The records as float64 `[n, width]` in the model's order.

    Args:
        features: the model's features in order, or None where it names none; then the count decides.
        ignore_extra: leave columns out that the model has no feature for, with a note.
        allow_missing: hand missing values on as NaN; else the first is refused by line and column.

    Raises TableError.
    """
    for line in table.notes:
        note(line)
    if table.coded:
        found = _by_code(table, features, ignore_extra, note)
    elif table.names is None:
        _check_count(table, width)
        if features is not None:
            order = ", ".join(f.name for f in features[:6]) + (", ..." if len(features) > 6 else "")
            note(f"{table.source} has no header: its columns are taken in the model's order ({order})")
        found = table
    elif features is None:
        _check_count(table, width)
        _refuse_unnamed(table)
        note(
            f"the model names no features: the header of {table.source} is not compared, its columns are "
            "taken as they stand"
        )
        found = table
    else:
        found = _by_name(table, features, ignore_extra, note)
    if not allow_missing:
        refuse_missing(found)
    return found.values


def split_truth(
    table: Table, features: Sequence[str] | None, width: int, truth: str | None = None
) -> tuple[Table, Table]:
    """Features and truth of held-out records.

    The truth is the column named `truth`; else, where both have names, what is no feature; else the last
    columns beyond the model's `width`. Raises TableError.
    """
    names = table.names
    if truth is not None:
        if names is None or truth not in names:
            raise TableError(f"{table.source} has no column named {truth!r}")
        chosen = [names.index(truth)]
    elif names is not None and features is not None:
        chosen = [i for i, name in enumerate(names) if name not in features]
        if not chosen:
            raise TableError(
                f"{table.source} has no column beside the features; held-out records need the truth too"
            )
        _refuse_index(table, chosen)
    else:
        if table.columns <= width:
            raise TableError(
                f"{table.source} has {table.columns} columns; held-out records need the model's {width} "
                "features and, "
                "in the last column, the truth"
            )
        chosen = list(range(width, table.columns))
    rest = [i for i in range(table.columns) if i not in chosen]
    answer = table.taken(chosen)
    refuse_missing(answer)
    return table.taken(rest), answer


def _refuse_index(table: Table, chosen: Sequence[int]) -> None:
    """A data frame's index beside the features is no truth."""
    for i in chosen:
        counted = table.values[:, i] - np.arange(len(table.values))
        named = table.names is not None and table.names[i] and not table.names[i].startswith("Unnamed: ")
        if not named or (len(counted) > 2 and np.unique(counted).tolist() in ([0.0], [1.0])):
            raise TableError(
                f"{table.source}, {table.column(i)} counts the records or has no name: it is no truth; "
                "remove it, or name the truth by --truth"
            )


def refuse_missing(table: Table) -> None:
    """Raise TableError at the first missing value."""
    gaps = np.argwhere(np.isnan(table.values))
    if len(gaps):
        row, column = (int(i) for i in gaps[0])
        raise TableError(
            f"{table.source}, line {table.lines[row]}, {table.column(column)}: the value is missing and "
            "the model "
            f"takes no missing values ({len(gaps)} in the file); fill it in as in training, or leave the "
            "record out"
        )


def _check_count(table: Table, width: int) -> None:
    if table.columns != width:
        raise TableError(
            f"{table.source} has {table.columns} columns and the model {width} features; give exactly these"
        )


def _refuse_unnamed(table: Table) -> None:
    """Where no name is compared, a first line that lacks one may have been a record."""
    unnamed = next((i for i, name in enumerate(table.names or ()) if not name), None)
    if unnamed is not None:
        raise TableError(
            f"{table.source}, column {unnamed + 1} has no name: is its first line a header, or a record "
            "without values? Name every column, or leave the header out"
        )


def _by_name(table: Table, features: Sequence[FeatureLike], ignore_extra: bool, note: Note) -> Table:
    assert table.names is not None
    at = {name: i for i, name in enumerate(table.names) if name}
    wanted = [feature.name for feature in features]
    absent = [name for name in wanted if name not in at]
    if absent:
        close = difflib.get_close_matches(absent[0], list(at), 1)
        hint = f" (is {close[0]!r} meant?)" if close else ""
        raise TableError(
            f"{table.source} lacks {_some(absent)}{hint}; the model's features are matched by the "
            "header's names"
        )
    extra = [table.column(i) for i, name in enumerate(table.names) if name not in set(wanted)]
    if extra and not ignore_extra:
        raise TableError(
            f"{table.source} has columns that the model has no feature for: {_some(extra)}; remove them, "
            "or give "
            "--ignore-extra-columns"
        )
    if extra:
        note(f"{table.source}: ignored {_some(extra)}")
    found = table.taken([at[name] for name in wanted])
    if table.names != tuple(wanted) and not extra:
        note(f"{table.source}: columns are in another order than the model's and were matched by name")
    return _in_units(found, features, note)


def _by_code(table: Table, features: Sequence[FeatureLike] | None, ignore_extra: bool, note: Note) -> Table:
    """FHIR results in the model's order, by the LOINC codes that its features have."""
    codes = [feature.loinc for feature in features or []]
    uncoded = [feature.name for feature in features or [] if feature.loinc is None]
    if features is None or uncoded:
        which = f"its features {_some(uncoded)} have" if uncoded else "it names no features, hence has"
        raise TableError(
            f"{table.source} holds FHIR Observations, which are matched by LOINC codes, and the model "
            f"has none: {which} "
            "no codes; compile it with --loinc, or give the values by feature name"
        )
    assert table.names is not None
    named = {feature.loinc: feature.name for feature in features}
    table = replace(table, names=tuple(named.get(code, f"LOINC {code}") for code in table.names), coded=False)
    assert len(set(codes)) == len(codes)
    found = _by_name(table, features, ignore_extra, note)
    for i, feature in enumerate(features):
        given = found.units[i] if found.units else ""
        if bool(given) != bool(feature.unit) and not np.isnan(found.values[:, i]).all():
            one, other = (given, "no unit") if given else ("no unit", feature.unit)
            raise TableError(
                f"{table.source}, {feature.name} (LOINC {feature.loinc}) is in {one} and the model says "
                f"{other}; "
                "a number alone cannot be compared: name the unit in calibration's header too"
            )
    return found


def _in_units(table: Table, features: Sequence[FeatureLike], note: Note) -> Table:
    """The table in the model's units, converted where that is arithmetic alone."""
    known = [f"{feature.name} in {feature.unit}" for feature in features if feature.unit]
    if table.units is None:
        if known:
            note(f"{table.source} names no units: its numbers are taken in the model's ({_some(known)})")
        return table
    values = table.values.copy()
    for i, feature in enumerate(features):
        given = table.units[i]
        if given and not feature.unit:
            raise TableError(
                f"{table.source}, {table.column(i)} is in {given} and the model names no unit for it; a "
                "number alone cannot be compared: remove the unit if it is the one of training"
            )
        if not given or not feature.unit or canonical(given) == canonical(feature.unit):
            continue
        how = conversion(given, feature.unit)
        if how is None:
            raise TableError(
                f"{table.source}, {table.column(i)} is in {given} and the model takes {feature.unit}; "
                "no arithmetic leads from one to the other, so convert it for this substance first"
            )
        values[:, i] = [how.of(value) for value in values[:, i].tolist()]
        note(f"{table.source}, {table.column(i)}: converted from {given} to {feature.unit}")
    return replace(table, values=values)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
