"""JSON as ACI reads and writes it: one meaning for one text, and RFC 8785 for what is hashed or signed."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import rfc8785

from proofward.aci.errors import AciError
from proofward.protocol import sha256

MAX_DEPTH = 64
"""Of arrays and objects in each other."""
MAX_DOCUMENT = 1 << 20
"""Bytes of a report, receipt or session."""
_SURROGATE = re.compile(rb"\\u[dD]")
_MARKS = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)


def loads(data: bytes, *, limit: int = MAX_DOCUMENT) -> Any:
    """Parse JSON that every parser reads alike. Raises AciError(invalid-request-error).

    Refused besides what is no JSON: a name twice in an object (parsers differ on which counts), numbers that
    no double holds, lone surrogates, more than `limit` bytes, and nesting beyond `MAX_DEPTH`.
    """
    if len(data) > limit:
        raise AciError(f"it has {len(data)} bytes, above {limit}", code="invalid-request-error")
    _require_shallow(data)
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_float=_float, parse_constant=_constant
        )
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except AciError:
        raise
    except (ValueError, RecursionError):
        # the parser's text repeats the input
        raise AciError("it is no JSON in UTF-8", code="invalid-request-error") from None
    return value


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


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise AciError("an object names a member twice", code="invalid-request-error")
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise AciError("a number is beyond a double", code="invalid-request-error")
    return value


def _constant(_text: str) -> float:
    raise AciError("NaN and Infinity are no JSON", code="invalid-request-error")


def _require_shallow(data: bytes) -> None:
    """Before it is parsed: the parser goes down as far as the interpreter's limit, which some packages raise
    beyond the stack, and then it ends the process.
    """
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    depth, quoted = 0, False
    for mark in _MARKS.finditer(data):
        match mark.group():
            case b'"':
                quoted = not quoted
            case b"[" | b"{" if not quoted:
                depth += 1
                if depth > MAX_DEPTH:
                    raise AciError(f"it is nested beyond {MAX_DEPTH}", code="invalid-request-error")
            case b"]" | b"}" if not quoted:
                depth -= 1
