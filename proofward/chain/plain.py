"""Chain values as JSON: bytes as 0x and hex, text of others as it is, never anything that runs."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from proofward.protocol.types import Setup

_EXACT = 2**53
"""JavaScript's largest exact integer; above it a number is text."""


def plain(value: Any) -> Any:
    """A value of a record or an event in JSON's types; amounts above 2^53 as text."""
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    if isinstance(value, Setup):
        return str(value)
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, bool) or value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < _EXACT else str(value)
    if is_dataclass(value) and not isinstance(value, type):
        named = {one.name: plain(getattr(value, one.name)) for one in fields(value)}
        return {"kind": type(value).__name__.lower(), **named} if type(value).__name__ in _KINDS else named
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return str(value)


_KINDS = frozenset({"Queued", "Claimed", "Accepted", "Refunded"})
"""Records whose type says something that their fields do not."""


def dumps(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(plain(value), separators=(",", ":"))
