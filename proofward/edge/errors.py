"""What can go wrong on a device."""

from __future__ import annotations

from proofward.errors import ProofwardError


class EdgeError(ProofwardError):
    """A source, a log or a run that cannot go on; `code` says which."""

    code = "edge"
