"""JSON as ACI reads and writes it: one meaning for one text, and RFC 8785 for what is hashed or signed."""

from __future__ import annotations

import json
from typing import Any

import rfc8785

from proofward.aci.errors import AciError
from proofward.protocol import ProtocolError, sha256, strict_json

MAX_DOCUMENT = 1 << 20
"""Bytes of a report, receipt or session."""


def loads(data: bytes, *, limit: int = MAX_DOCUMENT) -> Any:
    """Parse JSON that every parser reads alike, as `strict_json`. Raises AciError(invalid-request-error)."""
    try:
        return strict_json.loads(data, limit=limit)
    except ProtocolError as error:
        raise AciError(error.message, code="invalid-request-error") from None


def canonical(value: Any) -> bytes:
    """The RFC 8785 form. Raises AciError for what it does not know: an integer beyond 2^53, no JSON."""
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError:
        raise AciError("it has no canonical form: a value is no JSON, or an integer is beyond 2^53") from None


def compact(value: Any) -> bytes:
    """JSON in UTF-8 without white space, members in their order: what E2EE v2 hashes (its section 8)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def tagged(data: bytes) -> str:
    """`sha256:` and the lower-case hex digest (appendix A)."""
    return f"sha256:{sha256(data).hex()}"
