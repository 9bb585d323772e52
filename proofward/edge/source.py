"""Samples from a file or a pipe, cut into windows."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proofward.edge.errors import EdgeError

Floats = NDArray[np.float64]
MAX_LINE = 4096


def samples(source: str, column: str | None = None) -> Iterator[float]:
    """Numbers of a CSV file, or of standard input (`-`): the named column, else the last of each line. A
    first line without numbers is a header. Raises EdgeError.
    """
    try:
        stream = sys.stdin if source == "-" else Path(source).open(encoding="utf-8", newline="")  # noqa: SIM115
    except OSError as error:
        raise EdgeError(f"cannot read {source}: {error.strerror}", code="not-found") from error
    with stream:
        place: int | None = None
        for number, line in enumerate(_lines(stream), 1):
            cells = next(csv.reader([line], delimiter=";" if ";" in line else ","), [])
            if not cells:
                continue
            if place is None:
                if column is not None and column in cells:
                    place = cells.index(column)
                    continue
                if column is not None:
                    raise EdgeError(
                        f"{source} has no column {column!r}; it has {', '.join(cells)}", code="usage"
                    )
                place = len(cells) - 1
                if not _is_number(cells[place]):
                    continue
            try:
                value = float(cells[place])
            except (ValueError, IndexError):
                raise EdgeError(
                    f"{source}, line {number}: {line.strip()[:60]!r} has no number there"
                ) from None
            if not np.isfinite(value):
                raise EdgeError(f"{source}, line {number}: {value} is no sample")
            yield value


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


def _lines(stream: object) -> Iterator[str]:
    while line := stream.readline(MAX_LINE + 1):  # type: ignore[attr-defined]
        if len(line) > MAX_LINE:
            raise EdgeError(f"a line has more than {MAX_LINE} characters")
        yield line


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
