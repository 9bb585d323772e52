"""Records from a file: CSV (a header line is skipped) or JSON (a list of numbers, or of lists of numbers)."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proofward.errors import ProofwardError

MAX_BYTES = 256 << 20


class TableError(ProofwardError):
    """The file is not a table of numbers. The message names file and line, never a value."""

    code = "bad-table"


def read_table(source: str | Path) -> NDArray[np.float64]:
    """Read records as float64 [n, columns]; `-` reads standard input. Raises TableError."""
    text = _text(source)
    rows = _json_rows(text, source) if text.lstrip().startswith("[") else _csv_rows(text, source)
    if not rows:
        raise TableError(f"{source} holds no records")
    if len({len(row) for row in rows}) != 1:
        raise TableError(f"the records in {source} have different numbers of columns")
    return np.array(rows, dtype=np.float64)


def split_truth(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features and truth of held-out records: the last column is the truth. Raises TableError."""
    if table.shape[1] < 2:
        raise TableError("held-out records need at least one feature and, in the last column, the truth")
    return table[:, :-1], table[:, -1]


def _text(source: str | Path) -> str:
    try:
        if str(source) == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise TableError(f"{source} is larger than {MAX_BYTES} bytes")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise TableError(f"cannot read {source}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TableError(f"{source} is not text; give CSV or JSON") from error


def _csv_rows(text: str, source: str | Path) -> list[list[float]]:
    rows: list[list[float]] = []
    for number, fields in enumerate(csv.reader(io.StringIO(text)), start=1):
        if not fields:
            continue
        try:
            rows.append([float(field) for field in fields])
        except ValueError:
            if number > 1:
                raise TableError(f"{source}, line {number}: a field is not a number") from None
    return rows


def _json_rows(text: str, source: str | Path) -> list[list[float]]:
    try:
        value = json.loads(text)
        rows = value if value and isinstance(value[0], list) else [value]
        return [[float(field) for field in row] for row in rows if row]
    except (ValueError, TypeError):
        raise TableError(f"{source} is not a JSON list of numbers, or of lists of numbers") from None
