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
        table = file.read()
        columns = [_numbers(table.column(at), f"{name}, column {label}") for at, label in enumerate(names)]
    except (pyarrow.ArrowException, OSError) as error:
        told = str(error).partition("\n")[0][:120]
        raise TableError(f"{name} is no Parquet file that can be read: {told}") from None
    values = np.column_stack(columns)
    if len(values) != rows:
        raise TableError(f"{name} says that it has {rows} records, and has {len(values)}")
    return Table(name, values, tuple(range(1, rows + 1)), names)


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
