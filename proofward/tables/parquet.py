"""Parquet files (https://parquet.apache.org/docs/file-format/) as tables: columns of numbers, by name.

pyarrow reads. What is no number is refused by name, as in a CSV: text, truth values, dates, nested columns,
integers that float64 would round. A null is a missing value.
"""

from __future__ import annotations

import io
import unicodedata
from typing import Any, Final

import numpy as np

from proofward import extras
from proofward.tables.errors import TableError
from proofward.tables.table import Table

MAGIC: Final = b"PAR1"
MAX_VALUES: Final = 1 << 25
"""Records times columns: a small file may say that it holds more than memory does."""
BATCH: Final = 1 << 16
"""Records that are decoded at a time."""
MAX_NAME: Final = 128
_EXACT: Final = 1 << 53


def parquet_table(data: bytes, name: str) -> Table:
    """The table of a file's bytes. Raises TableError, MissingExtra."""
    with extras.explained():
        import pyarrow
        from pyarrow import parquet, types
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        rows, schema = file.metadata.num_rows, file.schema_arrow
        if rows * max(1, len(schema)) > MAX_VALUES:
            raise TableError(f"{name} has {rows} records of {len(schema)} columns; split it")
        if rows == 0 or len(schema) == 0:
            raise TableError(f"{name} holds no records")
        names = tuple(unicodedata.normalize("NFC", field.name.strip()) for field in schema)
        for label, field in zip(names, schema, strict=True):
            if not label or len(label) > MAX_NAME or names.count(label) > 1:
                raise TableError(
                    f"{name}: a column's name {label[:MAX_NAME]!r} is empty, too long or there twice"
                )
            if not (types.is_integer(field.type) or types.is_floating(field.type)):
                raise TableError(
                    f"{name}, column {label}: it is of type {field.type}, and no column of numbers"
                )
        _groups_agree(file.metadata, name)
        table = _read(file, rows, name)
        _columns_agree(file.metadata, name)
        columns = [_numbers(table.column(at), f"{name}, column {label}") for at, label in enumerate(names)]
    except TableError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as error:  # names that are no UTF-8 among them
        told = str(error).partition("\n")[0][:120]
        raise TableError(f"{name} is no Parquet file that can be read: {told}") from None
    return Table(name, np.column_stack(columns), tuple(range(1, rows + 1)), names)


def _groups_agree(footer: Any, name: str) -> None:
    """The row groups' records with the file's, before any is decoded. Raises TableError."""
    if sum(footer.row_group(at).num_rows for at in range(footer.num_row_groups)) != footer.num_rows:
        raise TableError(
            f"{name} says that it has {footer.num_rows} records, and its row groups say otherwise"
        )


def _columns_agree(footer: Any, name: str) -> None:
    """The columns' values with their row groups' records, after a read: asked for what it cannot read of a
    column, pyarrow ends the process where a read raises. Raises TableError.
    """
    for group in (footer.row_group(at) for at in range(footer.num_row_groups)):
        columns = range(group.num_columns if group.num_rows > 0 else 0)
        if any(group.column(at).num_values != group.num_rows for at in columns):
            raise TableError(f"{name} says that a column has another number of values than it has records")


def _read(file: Any, rows: int, name: str) -> Any:
    """The records, of which at most one is decoded that was not announced. Raises TableError."""
    import pyarrow

    found, batches = 0, []
    for batch in file.iter_batches(batch_size=min(BATCH, rows + 1)):
        found += batch.num_rows
        if found > rows:
            break
        batches.append(batch)
    if found != rows:
        more = "more" if found > rows else str(found)
        raise TableError(f"{name} says that it has {rows} records, and has {more}")
    return pyarrow.Table.from_batches(batches)


def _numbers(column: Any, where: str) -> Any:
    from pyarrow import compute, float64, types

    if types.is_integer(column.type) and column.null_count < len(column):
        ends = compute.min_max(column).as_py()
        if max(abs(ends["min"]), abs(ends["max"])) > _EXACT:
            raise TableError(f"{where}: it has integers above 2^53, which are no exact float64")
    found = column.cast(float64()).to_numpy().astype(np.float64)
    if np.isinf(found).any():
        raise TableError(f"{where}: it holds an infinite value; give numbers, or null where there is none")
    return found
