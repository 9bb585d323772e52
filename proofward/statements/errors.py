"""What can be wrong with a statement."""

from __future__ import annotations

from proofward.errors import ProofwardError


class StatementError(ProofwardError):
    """A sentence that cannot be read, proved or shown; `code` says which."""

    code = "bad-statement"
