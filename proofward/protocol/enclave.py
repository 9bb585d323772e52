"""Messages on the enclave's socket: a u32 big-endian length, and that many bytes of CBOR (RFC 8949), at most
4 MiB.

A request is {id, method, params}; a reply {id, result} or {id, error: {code, message}}. Both ends refuse
tags, bignums, indefinite lengths, numbers that are not in their shortest form, duplicate keys, deep nesting,
more than 65,536 items and trailing bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import cbor2

from proofward.errors import CodedError

MAX_FRAME: Final = 4 * 1024 * 1024
HEADER_LENGTH: Final = 4
_HEADER: Final = struct.Struct(">I")
_MAX_DEPTH: Final = 4
MAX_ITEMS: Final = 1 << 16
"""Of all kinds and at all depths: an empty map is one byte of a frame, and a hundred in memory."""
_STRINGS, _CONTAINERS, _TAG, _ONE_BYTE, _EIGHT_BYTES = (2, 3), (4, 5), 6, 24, 27
"""RFC 8949, section 3: kinds of items, and what the low five bits of a head say of its argument."""
_INTEGERS: Final = range(-(1 << 64), 1 << 64)


class EnclaveError(CodedError):
    """The enclave refuses a request. Its text holds neither plaintext nor keys: the host sees it."""

    code = "refused"


class FrameError(EnclaveError):
    """A frame after which the stream cannot be read on."""

    code = "oversize"


@dataclass(frozen=True, slots=True)
class Request:
    """One call; `id` is echoed."""

    id: int
    method: str
    params: dict[str, Any]

    def frame(self) -> bytes:
        """The bytes to send. Raises FrameError above MAX_FRAME."""
        return _frame({"id": self.id, "method": self.method, "params": self.params})


def content_length(header: bytes) -> int:
    """Bytes that follow a frame's first four. Raises FrameError when it announces too much."""
    (length,) = _HEADER.unpack(header)
    if length > MAX_FRAME:
        raise FrameError(f"a frame of {length} bytes was announced, at most {MAX_FRAME} are read")
    return int(length)


def parse_request(content: bytes) -> Request:
    """Raises EnclaveError(malformed-request)."""
    message = _message(content, "request")
    number, method, params = message.get("id"), message.get("method"), message.get("params", {})
    known = message.keys() <= {"id", "method", "params"}
    if not known or type(number) is not int or not isinstance(method, str) or not isinstance(params, dict):
        raise EnclaveError(
            "a request has an integer id, a method's name, a map of params, and nothing else",
            code="malformed-request",
        )
    return Request(number, method, params)


def parse_reply(content: bytes, number: int) -> dict[str, Any]:
    """The result in the reply to request `number`.

    Raises EnclaveError with the enclave's code, or `malformed-reply` for one that nobody may act on.
    """
    message = _message(content, "reply")
    refusal, result = message.get("error"), message.get("result")
    if message.get("id") != number:
        raise EnclaveError("the reply answers another request", code="malformed-reply")
    if len(message) != 2:
        raise EnclaveError("a reply has an id, and a result or an error", code="malformed-reply")
    if isinstance(refusal, dict):
        raise EnclaveError(str(refusal.get("message", "")), code=str(refusal.get("code", "unknown")))
    if not isinstance(result, dict):
        raise EnclaveError("the reply holds no result", code="malformed-reply")
    return result


def result_frame(number: int, result: dict[str, Any]) -> bytes:
    """A reply with a result. Raises FrameError above MAX_FRAME."""
    return _frame({"id": number, "result": result})


def error_frame(number: int | None, error: EnclaveError) -> bytes:
    """A reply with an error; `number` is None when the request's id could not be read."""
    return _frame({"id": number, "error": {"code": error.code, "message": error.message}})


def _frame(message: dict[str, Any]) -> bytes:
    content = cbor2.dumps(message)
    if len(content) > MAX_FRAME:
        raise FrameError(f"a message of {len(content)} bytes does not fit a frame of {MAX_FRAME}")
    return _HEADER.pack(len(content)) + content


def _message(content: bytes, kind: str) -> dict[str, Any]:
    code = f"malformed-{kind}"
    if not _is_small(content):
        raise EnclaveError(f"a {kind} has at most {MAX_ITEMS} whole items, and no tags", code=code)
    try:
        message = cbor2.loads(
            content,
            max_depth=_MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        )
    except Exception as error:  # noqa: BLE001 - built-in tag handlers raise what they like
        raise EnclaveError(f"the frame is no CBOR ({type(error).__name__})", code=code) from None
    # what only looks plain (a tagged integer, a long form, bytes behind the end) is written shorter
    if not isinstance(message, dict) or not _is_plain(message) or cbor2.dumps(message) != content:
        raise EnclaveError(f"a {kind} is a map of plain values in their shortest form", code=code)
    return message


def _is_small(content: bytes) -> bool:
    """Whether a frame has at most `MAX_ITEMS` items, told by their heads before anything is made of them."""
    at = 0
    for _ in range(MAX_ITEMS):
        if at >= len(content):
            return at == len(content)
        kind, size = content[at] >> 5, content[at] & 31
        at += 1
        if kind == _TAG or size > _EIGHT_BYTES:
            return False
        argument, width = size, 0
        if size >= _ONE_BYTE:
            width = 1 << (size - _ONE_BYTE)
            argument = int.from_bytes(content[at : at + width], "big")
        at += width + (argument if kind in _STRINGS else 0)
        if kind in _CONTAINERS and argument > MAX_ITEMS:
            return False
    return at == len(content)


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, int):
        return value in _INTEGERS
    return isinstance(value, bytes | str | float | type(None))
