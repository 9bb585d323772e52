"""Samples from a file or a pipe, cut into windows. A field is read as tables read theirs, or refused by line:
a gap, or a number that was guessed, would move or bend every window behind it.
"""

from __future__ import annotations

import csv
import io
import itertools
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from proofward.edge.errors import EdgeError
from proofward.tables import fields, units
from proofward.tables.convert import conversion

Floats = NDArray[np.float64]
MAX_LINE = 4096


def samples(source: str, column: str | None = None, unit: str | None = None) -> Iterator[float]:
    """Numbers of a CSV file, or of standard input (`-`): the named column, else the last of each line. A
    first line of words is a header; a unit in it is brought into the model's, `unit`. Raises EdgeError.
    """
    with _opened(source) as stream:
        rows = _rows(stream, source)
        first = next(rows, None)
        if first is None:
            return
        place = len(first[1]) - 1
        convert: Callable[[float], float] = float
        if _is_header(first[1]):
            place, convert = _chosen(first[1], source, column, unit)
        elif column is not None:
            raise _refused(source, 1, f"it has no column {column!r}: it has no header")
        else:
            rows = itertools.chain([first], rows)
        for number, cells in rows:
            value = fields.number(cells[place], ".")
            if value is None or not np.isfinite(value):
                what = fields.kind(cells[place]) or "no number, as a gap would be"
                raise _refused(source, number, f"the sample is {what}")
            yield convert(value)


def windows(
    numbers: Iterator[float], size: int, every: int = 1, rate: float | None = None
) -> Iterator[Floats]:
    """Windows of `size` values, one after the other, each the mean of `every` samples. With `rate`, samples a
    second, a window is given at the end of its own time, as from a sensor; a rest too short is left.
    """
    started = time.monotonic()
    held: list[float] = []
    for taken, number in enumerate(numbers, 1):
        held.append(number)
        if len(held) == size * every:
            if rate is not None:
                time.sleep(max(0.0, started + taken / rate - time.monotonic()))
            yield np.array(held).reshape(size, every).mean(axis=1)
            held = []


def _opened(source: str) -> IO[str]:
    try:
        data = sys.stdin.buffer if source == "-" else Path(source).open("rb")  # noqa: SIM115
    except OSError as error:
        raise EdgeError(f"cannot read {source}: {error.strerror}", code="not-found") from error
    return io.TextIOWrapper(data, encoding="utf-8-sig")


def _rows(stream: IO[str], source: str) -> Iterator[tuple[int, list[str]]]:
    """(line, fields), each of as many as the first; nothing is left out but what is empty at the end."""
    delimiter = width = empty = None
    for number, line in enumerate(_lines(stream, source), 1):
        if not line.strip():
            empty = empty or number
            continue
        if width and empty:
            raise _refused(source, empty, "it is empty: a sample is missing there")
        delimiter = delimiter or next((mark for mark in "\t;|" if mark in line), ",")
        try:
            cells = next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error:
            raise _refused(source, number, "a quote is opened and not closed") from None
        if not width and len(cells) == 2 and fields.DECIMAL_COMMA.fullmatch(line.strip()):
            raise _refused(
                source, number, "it may be one number with a decimal comma, or two: write points, or a header"
            )
        width, empty = width or len(cells), None
        if len(cells) != width:
            raise _refused(source, number, f"it has {len(cells)} columns where the first has {width}")
        yield number, cells


def _lines(stream: IO[str], source: str) -> Iterator[str]:
    try:
        for number in itertools.count(1):
            line = stream.readline(MAX_LINE + 1)
            if not line:
                return
            if len(line) > MAX_LINE:
                raise _refused(source, number, f"it has more than {MAX_LINE} characters")
            yield line
    except UnicodeDecodeError:
        raise _refused(source, number, "it is no text in UTF-8") from None


def _is_header(cells: Sequence[str]) -> bool:
    named = [fields.is_name(cell) for cell in cells]
    return any(named) and all(name or not cell.strip() for name, cell in zip(named, cells, strict=True))


def _chosen(
    header: Sequence[str], source: str, column: str | None, wanted: str | None
) -> tuple[int, Callable[[float], float]]:
    """Where the samples stand, and how they come into the model's unit."""
    cells = [unicodedata.normalize("NFC", cell.strip()) for cell in header]
    split = [units.split(cell) for cell in cells]
    places = [at for at, cell in enumerate(cells) if column in (cell, split[at][0])]
    if column is not None and len(places) != 1:
        count = "no column" if not places else f"{len(places)} columns called"
        raise _refused(source, 1, f"it has {count} {column!r}; it has {', '.join(cells)[:200]}")
    place = places[0] if column is not None else len(cells) - 1
    given = split[place][1]
    if not given or units.canonical(given) == units.canonical(wanted or ""):
        return place, float
    how = conversion(given, wanted) if wanted else None
    if how is None:
        told = f"the model takes {wanted}" if wanted else "the model names no one unit for all of its window"
        raise _refused(source, 1, f"its samples are in {given}, and {told}; convert them first")
    return place, how.of


def _refused(source: str, line: int, what: str) -> EdgeError:
    name = "standard input" if source == "-" else source
    return EdgeError(f"{name}, line {line}: {what}", code="bad-table")
