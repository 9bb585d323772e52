"""The one error of this room."""

from __future__ import annotations

from proofward.errors import ProofwardError


class TableError(ProofwardError):
    """The file is not a table of numbers, or not one for this model. The message names file, line and column,
    never a value.
    """

    code = "bad-table"
