"""The one exception of the protocol, and its codes."""

from __future__ import annotations

from typing import Final

from proofward.errors import CodedError


class Code:
    """Error codes, kebab-case. Stable: a node and an enclave of different versions exchange them."""

    OVERSIZE: Final = "oversize"
    MALFORMED: Final = "malformed"
    MALFORMED_ENVELOPE: Final = "malformed-envelope"
    BAD_LENGTH: Final = "bad-length"
    BAD_KEY: Final = "bad-key"
    NO_RECIPIENTS: Final = "no-recipients"
    NOT_A_RECIPIENT: Final = "not-a-recipient"
    UNKNOWN_EPOCH: Final = "unknown-epoch"
    WRONG_BINDING: Final = "wrong-binding"
    BAD_RECEIPT: Final = "bad-receipt"


class ProtocolError(CodedError, ValueError):
    """A message that breaks the protocol. `code` is one of `Code`; the text never holds plaintext or keys."""
