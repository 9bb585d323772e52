"""Why a quote was not accepted."""

from __future__ import annotations

from typing import Final

from proofward.errors import CodedError


class Code:
    """Error codes, kebab-case, named after the pallet's errors."""

    MALFORMED_QUOTE: Final = "malformed-quote"
    UNKNOWN_ROOT: Final = "unknown-root"
    QUOTE_REJECTED: Final = "quote-rejected"
    TCB_NOT_ALLOWED: Final = "tcb-not-allowed"
    DEBUG_TD: Final = "debug-td"
    MALFORMED_COLLATERAL: Final = "malformed-collateral"
    NO_COLLATERAL: Final = "no-collateral"


class AttestationError(CodedError, ValueError):
    """A quote or its collateral is refused; `code` is one of `Code`."""
