"""Frames of the enclave socket: a u32 big-endian length, and that many bytes of CBOR (RFC 8949), at most 4
MiB.

A request is {id, method, params}; a reply {id, result} or {id, error: {code, message}}. Everything that
arrives is hostile: tags, indefinite lengths, duplicate keys and deep nesting are refused.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import Any, Final

import cbor2

from proofward_enclave.errors import EnclaveError

MAX_FRAME: Final = 4 * 1024 * 1024
_MAX_DEPTH: Final = 4
_PLAIN: Final = (bytes, str, int, type(None))


@dataclass(frozen=True, slots=True)
class Request:
    """One call; `id` is echoed."""

    id: int
    method: str
    params: dict[str, Any]


class FrameError(EnclaveError):
    """A frame after which the stream cannot be read on."""


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame's content, or None when the peer is done. Raises FrameError when it announces too
    much.
    """
    try:
        (length,) = struct.unpack(">I", await reader.readexactly(4))
        if length > MAX_FRAME:
            raise FrameError(
                "oversize", f"a frame of {length} bytes was announced, at most {MAX_FRAME} are read"
            )
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def parse_request(frame: bytes) -> Request:
    """Raises EnclaveError(malformed-request)."""
    try:
        message = cbor2.loads(
            frame,
            max_depth=_MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        )
    except Exception as error:  # noqa: BLE001 - built-in tag handlers raise what they like
        raise EnclaveError("malformed-request", f"the frame is no CBOR ({type(error).__name__})") from None
    if not isinstance(message, dict) or not _is_plain(message):
        raise EnclaveError("malformed-request", "a request is a map of plain values")
    number, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if type(number) is not int or not isinstance(method, str) or not isinstance(params, dict):
        raise EnclaveError(
            "malformed-request", "a request has an integer id, a method's name and a map of params"
        )
    return Request(number, method, params)


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)


def result_frame(number: int, result: dict[str, Any]) -> bytes:
    """A reply with a result."""
    return _frame({"id": number, "result": result})


def error_frame(number: int | None, error: EnclaveError) -> bytes:
    """A reply with an error; `number` is None when the request's id could not be read."""
    return _frame({"id": number, "error": {"code": error.code, "message": error.message}})


def _frame(message: dict[str, Any]) -> bytes:
    content = cbor2.dumps(message)
    return struct.pack(">I", len(content)) + content
