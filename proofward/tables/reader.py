"""Reading a file into a :class:`Table`: encoding, dialect, header, units row. Recognised, or refused by name.

pandas parses; what a field may be is decided here, because a reader that guesses (a missing value, a
boolean, a number in another script, a torn row filled up) answers for another patient.
"""

from __future__ import annotations

import codecs
import io
import json
import sys
import threading
import unicodedata
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from proofward.files import TooLong, read_stream, read_whole
from proofward.tables import fields, units
from proofward.tables.errors import TableError
from proofward.tables.fhir import fhir_table, is_fhir
from proofward.tables.parquet import MAGIC, parquet_table
from proofward.tables.table import Table

MAX_BYTES = 256 << 20
MAX_COLUMNS = 1 << 16
MAX_NAME = 128

_BINARY = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive; save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as CSV"),
    (b"\x1f\x8b", "compressed; unpack it first"),
    (b"\x93NUMPY", "a NumPy array; write it as CSV"),
)
_WARNED = threading.Lock()
_MARKUP = ("<html>", "<table", "<bundl", "<obser")


def read_table(source: str | Path, *, truth: str | None = None, classes: Sequence[str] = ()) -> Table:
    """Read records; `-` reads standard input. A missing value is NaN: whether a model takes it is decided
    when the table is matched.

    Where a model's classes are words, a table with a header may write them in the column named `truth`, or in
    its last one: they are read as numbers from 0 in the order of `classes`. Raises TableError.
    """
    name = "standard input" if str(source) == "-" else str(source)
    data = _data(source, name)
    if data.startswith(MAGIC):
        return parquet_table(data, name)
    text, notes = _text(data, name)
    start = text.lstrip()[:1]
    if start and start in "[{":
        return _json_table(text, name, notes)
    if (start == "<" and text.lstrip()[1:2] in ("?", "!")) or text.lstrip()[:6].lower() in _MARKUP:
        raise TableError(f"{name} is XML or HTML; give CSV, or JSON (of FHIR too)")
    return _csv_table(text, name, notes, truth, classes)


def _data(source: str | Path, name: str) -> bytes:
    try:
        if str(source) == "-":
            return read_stream(sys.stdin.buffer, MAX_BYTES)
        return read_whole(Path(source), MAX_BYTES)
    except OSError as error:
        raise TableError(f"cannot read {name}: {error.strerror}") from error
    except TooLong:
        raise TableError(f"{name} is larger than {MAX_BYTES} bytes; split it") from None


def _text(data: bytes, name: str) -> tuple[str, list[str]]:
    for magic, what in _BINARY:
        if data.startswith(magic):
            raise TableError(f"{name} is {what}")
    encoding, notes = "utf-8-sig", []
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding, notes = "utf-16", [f"{name} is UTF-16, as Excel's Unicode text is"]
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        try:
            text, notes = data.decode("cp1252"), [f"{name} is not UTF-8; it is read as Windows-1252"]
        except UnicodeDecodeError:
            raise TableError(f"{name} is not text; give CSV or JSON in UTF-8") from None
    if any(ord(c) < 32 and c not in "\t\r\n" for c in set(text)):
        raise TableError(f"{name} is not text (it has control characters); give CSV or JSON in UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


# CSV ----------------------------------------------------------------------------------------------


def _csv_table(text: str, name: str, notes: list[str], truth: str | None, classes: Sequence[str]) -> Table:
    if not text.strip():
        raise TableError(f"{name} holds no records")
    text, skipped, delimiter = _dialect(text)
    rows, empty = _without_empty_ends(_parsed(text, name, delimiter, skipped))
    if not rows:
        raise TableError(f"{name} holds no records")
    if empty:
        notes = [*notes, f"{name}: {empty} lines without a value at its end are no records"]
    decimal = _decimal(rows, name, delimiter)
    if decimal == "," or delimiter != ",":
        spelt = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}[delimiter]
        notes = [*notes, f"{name}: columns between {spelt}" + (", decimal commas" if decimal == "," else "")]
    names, unit_row = _header(rows, name)
    first = (1 if names else 0) + (1 if unit_row else 0)
    if names and not unit_row:
        names, unit_row = _split_units(names)
    if names:
        _unique(names, name)
    if first == len(rows):
        raise TableError(f"{name} has a header and no records")
    width = len(rows[0][1])
    worded = _worded(names, truth, classes)
    values = np.empty((len(rows) - first, width))
    for at, (line, row) in enumerate(rows[first:]):
        if len(row) != width:
            raise TableError(
                f"{name}, line {line}: {len(row)} columns where line {rows[0][0]} has {width}; mend the line"
            )
        for column, field in enumerate(row):
            found = fields.number(field, decimal)
            if column == worded and (found is None or np.isnan(found)) and field.strip() in classes:
                found = float(classes.index(field.strip()))
            if found is None:
                raise _no_number(name, line, column, names, field)
            values[at, column] = found
    if not names:
        _refuse_column_numbers(values, rows[0][0], name)
    return Table(name, values, tuple(line for line, _ in rows[first:]), names, unit_row, tuple(notes))


def _worded(names: tuple[str, ...] | None, truth: str | None, classes: Sequence[str]) -> int | None:
    """The column whose fields may be the model's classes, where these are words that are no number. Of a
    column that was named `none` and `no` are classes too, where the model has such.
    """
    if names is None or not classes or any(fields.NUMBER.fullmatch(one) for one in classes):
        return None
    if truth is None:
        return len(names) - 1 if all(fields.is_name(one) for one in classes) else None
    return names.index(truth) if truth in names else None


def _dialect(text: str) -> tuple[str, int, str]:
    """The text without blank lines before it and Excel's `sep=` line, how many lines were cut, the
    delimiter.
    """
    blank = len(text) - len(text.lstrip("\n"))
    text = text[blank:]
    head, _, rest = text.partition("\n")
    bare = head.strip().strip('"').lower()
    said = "\t" if head.strip(' "') == "sep=\t" else bare[4:] if bare.startswith("sep=") else ""
    if len(said) == 1:
        below = rest.lstrip("\n")
        return below, blank + 1 + len(rest) - len(below), said if said in ",;|\t" else ","
    line = next((line for line in text.split("\n") if line.strip()), "")
    unquoted = "".join(part for part in line.split('"')[0::2])
    return text, blank, next((mark for mark in "\t;|" if mark in unquoted), ",")


def _parsed(text: str, name: str, delimiter: str, skipped: int) -> list[tuple[int, list[str]]]:
    """(line, fields) of every line that has a value, or could stand for a record without one: a line of
    delimiters alone, and in a table of one column an empty one.
    """
    import pandas

    try:
        # filters are the process's: two readers at once would each put back what the other had set
        with _WARNED, warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            frame = pandas.read_csv(
                io.StringIO(text), sep=delimiter, header=None, dtype=object, na_filter=False, engine="python",
                skip_blank_lines=False, index_col=False, on_bad_lines="error", quotechar='"',
            )  # fmt: skip
    except pandas.errors.EmptyDataError:
        raise TableError(f"{name} holds no records") from None
    except (pandas.errors.ParserError, ValueError):
        raise TableError(_broken(text, name, delimiter, skipped)) from None
    if any(issubclass(one.category, (pandas.errors.ParserWarning, UserWarning)) for one in told):
        raise TableError(_broken(text, name, delimiter, skipped))
    if frame.shape[1] > MAX_COLUMNS:
        raise TableError(f"{name} has {frame.shape[1]} columns; up to {MAX_COLUMNS} are read")
    rows = []
    for number, row in enumerate(frame.to_numpy().tolist(), start=1 + skipped):
        # The parser fills a torn row up with None; an empty field is "".
        kept = [field for field in row if field is not None] or [""]
        if any("\n" in field for field in kept):
            raise TableError(
                f"{name}, line {number}: a quoted field goes on in the next line; mend the quotes"
            )
        if any(field.strip() for field in kept) or len(kept) > 1 or frame.shape[1] == 1:
            rows.append((number, kept))
    return rows


def _without_empty_ends(rows: list[tuple[int, list[str]]]) -> tuple[list[tuple[int, list[str]]], int]:
    """The rows but for those without a value before a header and at the end, and how many lines of delimiters
    the end had. One among others is a record: without it all answers below would stand a line too high.
    """
    valued = [at for at, (_, row) in enumerate(rows) if any(field.strip() for field in row)]
    if not valued:
        return [], 0
    first = valued[0] if any(_names_in(rows[valued[0]][1])) else 0
    last = valued[-1] + 1
    return rows[first:last], sum(len(row) > 1 for _, row in rows[last:])


def _broken(text: str, name: str, delimiter: str, skipped: int) -> str:
    """Where the parser gave up: a line with an open quote, or one of another width."""
    width = 0
    for number, line in enumerate(text.split("\n"), start=1 + skipped):
        if line.count('"') % 2:
            return f"{name}, line {number}: a quote is opened and not closed; mend the line"
        if not line.strip():
            continue
        count = "".join(line.split('"')[0::2]).count(delimiter) + 1
        if width and count != width:
            return f"{name}, line {number}: {count} columns where the lines above have {width}; mend the line"
        width = count
    return f"{name} is not a table: a quote stands in the middle of a field"


def _decimal(rows: list[tuple[int, list[str]]], name: str, delimiter: str) -> str:
    """A comma where the file writes decimal commas throughout, else a point."""
    if delimiter == ",":
        return "."
    commas = [
        (n, f.strip())
        for n, row in rows
        for f in row
        if "," in f and fields.DECIMAL_COMMA.fullmatch(f.strip())
    ]
    if not commas:
        _refuse_points_between_thousands(rows, name)
        return "."
    point = next((n for n, row in rows for f in row if "." in f and fields.NUMBER.fullmatch(f.strip())), None)
    if point is not None:
        raise TableError(
            f"{name} has decimal commas (line {commas[0][0]}) and points (line {point}); write points only"
        )
    if all(fields.THOUSANDS.fullmatch(field) for _, field in commas):
        raise TableError(
            f"{name}, line {commas[0][0]}: commas before three digits may be decimals or thousands; "
            "write decimal points and no separators between thousands"
        )
    return ","


def _refuse_points_between_thousands(rows: list[tuple[int, list[str]]], name: str) -> None:
    """Where columns are not separated by commas, 1.233 may be 1233, as Excel writes it in many countries."""
    points = [
        (n, f.strip()) for n, row in rows for f in row if "." in f and fields.NUMBER.fullmatch(f.strip())
    ]
    if points and all(fields.POINTS_BETWEEN_THOUSANDS.fullmatch(field) for _, field in points):
        raise TableError(
            f"{name}, line {points[0][0]}: points before three digits may be decimals or thousands; write no "
            "separators between thousands, or decimals with another number of digits"
        )


def _header(
    rows: list[tuple[int, list[str]]], name: str
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """The header's names and the units below it. A first line is a header only if none of its fields is a
    number or anything that could be a record's value, and it names every column but an index.
    """
    line, row = rows[0]
    words = _names_in(row)
    if not any(words):
        return None, None
    if not all(word or not field.strip() for word, field in zip(words, row, strict=True)):
        raise TableError(
            f"{name}, line {line}, column {words.index(True) + 1}: a word beside numbers or missing values; "
            "a header has words only, and a record numbers only"
        )
    # `withdrawn,,,` may be a record; an index has no name, nor has what follows a delimiter too many.
    blank = [at for at, field in enumerate(row) if not field.strip()]
    if blank and blank not in ([0], [len(row) - 1]):
        raise TableError(
            f"{name}, line {line}, column {blank[-1] + 1} is empty beside words: is this line a header, or a "
            "record without values? Name every column, or leave the record's words out"
        )
    names = tuple(unicodedata.normalize("NFC", field.strip())[:MAX_NAME] for field in row)
    if len(rows) > 1 and _is_units(rows[1][1]):
        return names, tuple(_unit_of(field) for field in rows[1][1])
    return names, None


def _names_in(row: list[str]) -> list[bool]:
    """Which fields of a first line can be a column's name. Na is sodium where all others are names."""
    words = [fields.is_name(field) for field in row]
    others = [field.strip() for field, word in zip(row, words, strict=True) if not word]
    return [True] * len(row) if len(row) > 1 and others in (["Na"], ["na"], ["NA"]) else words


def _is_units(row: list[str]) -> bool:
    """A line below the header in which every field is a unit or empty, and one at least no number."""
    given = [field.strip() for field in row if field.strip() not in ("", "-", "1")]
    return bool(given) and all(units.is_unit(field) and not fields.NUMBER.fullmatch(field) for field in given)


def _unit_of(field: str) -> str:
    return "" if field.strip() in ("", "-") else units.canonical(field)


def _split_units(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """`age [years]` is the column `age` in years."""
    parts = [units.split(name) for name in names]
    if not any(unit for _, unit in parts):
        return names, None
    return tuple(bare for bare, _ in parts), tuple(unit for _, unit in parts)


def _unique(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    given = [one for one in names if one]
    twice = next((one for one in given if given.count(one) > 1), None)
    if twice is not None:
        raise TableError(f"{name} has two columns named {twice!r}; give each column a name of its own")
    return names


def _refuse_column_numbers(values: np.ndarray, line: int, name: str) -> None:
    """A first line 0, 1, 2, ... or 1, 2, 3, ... is what a data frame without names writes as its header."""
    width = values.shape[1]
    if width < 3 or len(values) < 2:
        return
    if any(np.array_equal(values[0], np.arange(start, start + width)) for start in (0, 1)):
        raise TableError(
            f"{name}, line {line} counts the columns: a header without names? Remove the line, or write names"
        )


def _no_number(name: str, line: int, column: int, names: tuple[str, ...] | None, field: str) -> TableError:
    where = f"{name}, line {line}, column {column + 1}" + (
        f" ({names[column]})" if names and names[column] else ""
    )
    what = fields.kind(field) or "not a number; write one, as in training, or leave it empty"
    return TableError(f"{where}: the field is {what}")


# JSON ---------------------------------------------------------------------------------------------


def _json_table(text: str, name: str, notes: list[str]) -> Table:
    try:
        value = json.loads(text, object_pairs_hook=partial(_object, name), parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        if str(error).startswith("Extra data"):
            raise TableError(f"{name} holds more than one JSON value; put them in one list") from None
        raise TableError(
            f"{name} is not JSON: give a list of numbers, a list of such lists, or objects by feature name"
        ) from None
    if is_fhir(value):
        return fhir_table(value, name, notes)
    if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
        return _json_objects(value if isinstance(value, list) else [value], name, notes)
    rows = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    if not rows or rows == [[]]:
        raise TableError(f"{name} holds no records")
    width = len(rows[0])
    values = np.empty((len(rows), width))
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width or not width:
            raise TableError(f"{name}, record {at + 1}: not a list of {width} numbers as the first record is")
        for column, field in enumerate(row):
            values[at, column] = _json_number(field, f"{name}, record {at + 1}, column {column + 1}")
    return Table(name, values, tuple(range(1, len(rows) + 1)), notes=tuple(notes))


def _json_objects(records: list[Any], name: str, notes: list[str]) -> Table:
    for at, record in enumerate(records):
        if not isinstance(record, dict):
            raise TableError(f"{name}, record {at + 1}: not an object as the first record is")
        if "resourceType" in record:
            raise TableError(f"{name}, record {at + 1} is a FHIR resource among other objects; give one kind")
    names = tuple(unicodedata.normalize("NFC", str(key).strip()) for key in records[0])
    if not names:
        raise TableError(f"{name}, record 1 is empty")
    values = np.empty((len(records), len(names)))
    for at, record in enumerate(records):
        found = {unicodedata.normalize("NFC", str(key).strip()): value for key, value in record.items()}
        if len(found) != len(record):
            raise TableError(f"{name}, record {at + 1}: two keys differ in blanks or accents' spelling alone")
        if found.keys() != set(names):
            odd = sorted(found.keys() ^ set(names))[0]
            raise TableError(
                f"{name}, record {at + 1}: {odd!r} is not in every record; give all the same features"
            )
        for column, key in enumerate(names):
            values[at, column] = _json_number(found[key], f"{name}, record {at + 1}, {key!r}")
    return Table(name, values, tuple(range(1, len(records) + 1)), _unique(names, name), None, tuple(notes))


def _json_number(value: Any, where: str) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        what = "a truth value" if isinstance(value, bool) else "not a number"
        raise TableError(f"{where}: the value is {what}; give a number, as in training")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not np.isfinite(number):
        raise TableError(f"{where}: the value is not a finite number")
    return number


def _object(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise TableError(f"{name} has the key {key!r} twice in one object")
        found[key] = value
    return found


def _constant(_name: str) -> float:
    raise ValueError("JSON has no NaN and no infinity")
