"""A fuzzer's bytes as changes of a valid JSON value: what no fuzzer finds is a whole valid one."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable
from typing import Any

Place = tuple[Any, Any]
_LONG = 10_000

#: What `json.dumps` writes for nobody, by the text that stands for it.
_RAW = {
    "<deep>": "[" * 5_000 + "]" * 5_000,
    "<digits>": "7" * 5_000,
    "<double>": "7" * 400,
    "<float>": "9e999",
}
_ONES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1e308, 5e-324, 2**63, "", [], {}),
    *(-0.0, 2**64, 2**53, float("nan"), float("-inf"), "\ud800", "\x1b[2J", [[]], [{}], *_RAW),
)

_VALUES: list[Callable[[bytes, Any], Any]] = [
    lambda data, _: int.from_bytes(data, "little", signed=True),
    lambda data, _: struct.unpack("<d", data[:8].ljust(8, b"\0"))[0],
    lambda data, _: data.decode("latin-1"),
    lambda data, _: data.hex(),
    lambda data, _: copy.deepcopy(_ONES[data[0] % len(_ONES)] if data else None),
    lambda data, old: [old, old] if len(str(old)) < _LONG else old,
    lambda data, old: _flipped(old, data) if isinstance(old, str) else old,
    lambda data, old: old * (1 + len(data)) if isinstance(old, list | str) and len(str(old)) < _LONG else old,
]


def edited(data: bytes, value: Any) -> Any:
    """Change `value` in place: a byte says how, two where, one how many of the next bytes are the content."""
    at = 0
    while at + 4 <= len(data) and (places := list(_places(value))):
        how, where, size = data[at], int.from_bytes(data[at + 1 : at + 3], "little"), data[at + 3] % 40
        content = data[at + 4 : at + 4 + size]
        holder, key = places[where % len(places)]
        if how % 16 == 15:
            del holder[key]
        else:
            holder[key] = _VALUES[how % len(_VALUES)](content, holder[key])
        at += 4 + size
    return value


def document(data: bytes, value: Any) -> bytes:
    """A document of strangers: `data` itself where it is an object, else changes of a valid value as JSON."""
    if data[:1] == b"{":
        return data
    text = json.dumps(edited(data, copy.deepcopy(value)))
    for mark, raw in _RAW.items():
        text = text.replace(f'"{mark}"', raw)
    return text.encode()


def _places(value: Any) -> list[Place]:
    """Everything that can be changed, outermost first; of a long list, the first few."""
    keys = list(value) if isinstance(value, dict) else list(range(min(len(value), 4)))
    found: list[Place] = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


def _flipped(text: str, data: bytes) -> str:
    """Another hexadecimal digit somewhere."""
    if not text or not data:
        return text
    at = int.from_bytes(data, "little") % len(text)
    return text[:at] + "0123456789abcdef"[data[0] % 16] + text[at + 1 :]
