"""The one error of this room."""

from __future__ import annotations

from proofward.errors import ProofwardError


class BadProof(ProofwardError):
    """A header, a justification or a storage proof does not show what it is brought for."""

    code = "bad-proof"
