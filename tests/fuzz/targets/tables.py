"""Tables."""

from __future__ import annotations

import numpy as np

from proofward.tables import read_table
from proofward.tables.errors import TableError
from tests.fuzz.targets.scratch import file_of


def table(data: bytes) -> None:
    """A table as people have them."""
    try:
        read = read_table(file_of(data, "table.csv"))
    except TableError:
        return
    assert read.values.ndim == 2
    assert read.values.shape[1] == read.columns
    assert not np.isinf(read.values).any()
