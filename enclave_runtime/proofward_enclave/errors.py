"""The enclave's errors: a stable code and a text without plaintext or keys, both of which the host sees."""

from __future__ import annotations


class EnclaveError(Exception):
    """A refused request. `code` is kebab-case and stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
