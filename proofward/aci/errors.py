"""Why a document or a request of ACI is refused."""

from __future__ import annotations

from proofward.errors import CodedError


class AciError(CodedError, ValueError):
    """A document, a request or a field breaks ACI; `type` is the error type of section 10."""

    code = "bad-aci"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code)

    @property
    def type(self) -> str:
        """The wire's name of the error: `code` with underscores."""
        return self.code.replace("-", "_")
