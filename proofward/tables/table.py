"""A table as it was read, before any model has been asked."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Table:
    """Records as read.

    Args:
        source: what the messages call the file.
        values: float64 `[records, columns]`; NaN where a value is missing.
        lines: line (CSV) or position (JSON, from 1) of each record.
        names: the header's names, or None without a header. An empty name is a column without one.
        units: the units row's or the header's `[unit]`, one a column, "" where none is given.
        notes: what the reader decided and the user ought to see.
        coded: the names are LOINC codes, to be matched with the features' own.
        subjects: whom each record is about, as its source names them; None where it does not.
    """

    source: str
    values: NDArray[np.float64]
    lines: tuple[int, ...]
    names: tuple[str, ...] | None = None
    units: tuple[str, ...] | None = None
    notes: tuple[str, ...] = field(default=())
    coded: bool = False
    subjects: tuple[str, ...] | None = None

    @property
    def columns(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])

    def column(self, index: int) -> str:
        """How a message names a column: by number (from 1), and by name where it has one."""
        name = self.names[index] if self.names else ""
        return f"column {index + 1}" + (f" ({name})" if name else "")

    def taken(self, order: list[int]) -> Table:
        """The columns of `order`, in that order."""
        return Table(
            self.source,
            self.values[:, order],
            self.lines,
            tuple(self.names[i] for i in order) if self.names is not None else None,
            tuple(self.units[i] for i in order) if self.units is not None else None,
            self.notes,
            self.coded,
            self.subjects,
        )
