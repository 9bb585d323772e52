"""How a job can end without an answer."""

from __future__ import annotations

from proofward.errors import ProofwardError


class ClientError(ProofwardError):
    """Base: a job that did not end well."""

    code = "client-error"


class OutputMismatch(ClientError):
    """The output that the worker sealed does not open the commitment that the proof is about."""

    code = "output-mismatch"


class JobRefunded(ClientError):
    """Nobody delivered by the deadline; the price went back."""

    code = "refunded"


class JobTimeout(ClientError):
    """The job has not ended within the time that the caller gave."""

    code = "timeout"


class SessionError(ClientError):
    """A session that cannot go on; `code` says why, and what was vouched for stays paid and provable."""

    code = "session-failed"
