"""Server-sent events as bytes: cut where one ends, kept as they were sent (HTML standard, section 9.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from proofward.aci.errors import AciError

MAX_EVENT: Final = 1 << 20
"""Bytes of one event."""
_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE: Final = re.compile(rb"\r\n|\n|\r")


class Splitter:
    """Cuts a stream of chunks into events, each with its framing: joined again they are the stream."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The events that this chunk ends. Raises AciError(stream-too-long) for one above `MAX_EVENT`."""
        start, rest = max(0, len(self._rest) - 3), self._rest + chunk
        begin = 0
        while (found := _END.search(rest, start)) is not None:
            yield self._bounded(rest[begin : found.end()])
            begin = start = found.end()
        self._rest = self._bounded(rest[begin:])

    def rest(self) -> bytes:
        """What came after the last whole event."""
        rest, self._rest = self._rest, b""
        return rest

    @staticmethod
    def _bounded(event: bytes) -> bytes:
        if len(event) > MAX_EVENT:
            raise AciError(f"an event has more than {MAX_EVENT} bytes", code="stream-too-long")
        return event


def data_of(event: bytes) -> bytes | None:
    """An event's data, its lines joined; None when it has none (a comment)."""
    lines = [line[5:].removeprefix(b" ") for line in _LINE.split(event) if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def kind_of(event: bytes) -> str | None:
    """An event's name, from its last `event:` line; None when it has none."""
    names = [line[6:].removeprefix(b" ") for line in _LINE.split(event) if line.startswith(b"event:")]
    return names[-1].decode("utf-8", "replace") if names else None


def with_data(event: bytes, data: bytes) -> bytes:
    """The event with other data, on one line; its other lines stay."""
    lines = [line for line in _LINE.split(event) if line and not line.startswith((b"data:", b":"))]
    return b"\n".join([*lines, b"data: " + data, b"", b""])


_LAST: Final = ("message_stop", "response.completed", "response.incomplete", "response.failed")


def ends(event: bytes) -> bool:
    """Whether this event is the last that a client waits for: OpenAI's sentinel, the end of one of its
    responses, or Anthropic's stop.
    """
    return data_of(event) == b"[DONE]" or kind_of(event) in _LAST


def padded(event: bytes, multiple: int) -> bytes:
    """The event behind a comment that makes its length a multiple: lengths of tokens do not show."""
    short = -(len(event) + 3) % multiple
    return b": " + b"0" * short + b"\n" + event


def without_comments(event: bytes) -> bytes:
    """The event without comment lines; empty when nothing else is in it."""
    lines = _LINE.split(event)
    kept = [line for line in lines if not line.startswith(b":")]
    if len(kept) == len(lines):
        return event
    return b"\n".join(kept) if any(kept) else b""
