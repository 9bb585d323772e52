"""What a client refuses, and why. Each has a kebab-case `code`; the message says what, to what and what to
do."""

from __future__ import annotations


class ClientError(Exception):
    """Base of every expected failure of the client."""

    code = "client-error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class Refused(ClientError):
    """The client will not do this: a check failed, or the caller asks for less safety than the chain is
    for."""

    code = "refused"


class NotFound(ClientError):
    """There is no such job, model, worker, artefact or state."""

    code = "not-found"


class OutputMismatch(ClientError):
    """The output that the worker sealed does not open the commitment that the proof is about."""

    code = "output-mismatch"


class JobRefunded(ClientError):
    """Nobody delivered by the deadline; the price went back."""

    code = "refunded"


class JobTimeout(ClientError):
    """The job has not ended within the time that the caller gave."""

    code = "timeout"
