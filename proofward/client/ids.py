"""Ids as people write them."""

from __future__ import annotations

from proofward.errors import Refused


def hash32(text: str | bytes, what: str) -> bytes:
    """32 bytes from bytes or (0x) hex. Raises Refused."""
    raw = text
    if isinstance(text, str):
        try:
            raw = bytes.fromhex(text.removeprefix("0x"))
        except ValueError:
            raise Refused(f"{text!r} is no {what} id: give 0x and 64 hex digits", code="usage") from None
    if len(raw) != 32:
        raise Refused(f"a {what} id has 32 bytes, not {len(raw)}", code="usage")
    return bytes(raw)  # type: ignore[arg-type]
