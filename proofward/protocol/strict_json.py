"""JSON of strangers, with one meaning for one text."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from proofward.protocol.errors import Code, ProtocolError

MAX_DEPTH: Final = 64
"""Of arrays and objects in each other."""
_SURROGATE = re.compile(rb"\\u[dD]")
_MARKS = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)


def loads(data: bytes, *, limit: int) -> Any:
    """Parse JSON that every parser reads alike. Raises ProtocolError(malformed, oversize).

    Refused besides what is no JSON: a name twice in an object (parsers differ on which counts), numbers that
    no double holds, lone surrogates, more than `limit` bytes, and nesting beyond `MAX_DEPTH`. So what is
    read can be written again as JSON in UTF-8, and its numbers are finite.
    """
    if len(data) > limit:
        raise ProtocolError(f"it has {len(data)} bytes, above {limit}", code=Code.OVERSIZE)
    _require_shallow(data)
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_int,
            parse_float=_float,
            parse_constant=_constant,
        )
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except ProtocolError:
        raise
    except (ValueError, RecursionError):
        # the parser's text repeats the input
        raise _malformed("it is no JSON in UTF-8") from None
    return value


def _malformed(told: str) -> ProtocolError:
    return ProtocolError(told, code=Code.MALFORMED)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _malformed("an object names a member twice")
    return value


def _int(text: str) -> int:
    _float(text)
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _malformed("a number is beyond a double")
    return value


def _constant(_text: str) -> float:
    raise _malformed("NaN and Infinity are no JSON")


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
                    raise _malformed(f"it is nested beyond {MAX_DEPTH}")
            case b"]" | b"}" if not quoted:
                depth -= 1
