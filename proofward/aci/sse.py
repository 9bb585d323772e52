"""Server-sent events as bytes: cut where one ends, kept as they were sent (HTML standard, section 9.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from proofward.aci import jcs
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


def _lines(event: bytes) -> list[bytes]:
    return _LINE.split(event) if b"\r" in event else event.split(b"\n")


def data_of(event: bytes) -> bytes | None:
    """An event's data, its lines joined; None when it has none (a comment)."""
    lines = [line[5:].removeprefix(b" ") for line in _lines(event) if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def kind_of(event: bytes) -> str | None:
    """An event's name, from its last `event:` line; None when it has none."""
    names = [line[6:].removeprefix(b" ") for line in _lines(event) if line.startswith(b"event:")]
    return names[-1].decode("utf-8", "replace") if names else None


def with_data(event: bytes, data: bytes) -> bytes:
    """The event with other data (JSON), on one line; its name stays."""
    return plain(b"\n".join([*filter(_is_name, _lines(event)), b"data: " + data]))


_LAST: Final = ("message_stop", "response.completed", "response.incomplete", "response.failed")
_MAYBE_LAST: Final = re.compile(rb"message_stop|response\.(?:completed|incomplete|failed)|\\u00")
"""In every JSON that has one of these texts: as it is, or with a character of it escaped."""


def ends(event: bytes) -> bool:
    """Whether a client may stop at this event: OpenAI's sentinel, the end of one of its responses, or
    Anthropic's stop; each in every form that their own clients take for it.
    """
    data = data_of(event) or b""
    return data.startswith(b"[DONE]") or kind_of(event) in _LAST or _type_of(data) in _LAST


def _type_of(data: bytes) -> object:
    if not _MAYBE_LAST.search(data):  # most events hold a few characters, and parsing costs more than them
        return None
    try:
        value = jcs.loads(data, limit=MAX_EVENT)
    except AciError:
        return None
    return value.get("type") if isinstance(value, dict) else None


def padded(event: bytes, multiple: int) -> bytes:
    """The event behind a comment that makes its length a multiple: lengths of tokens do not show."""
    short = -(len(event) + 3) % multiple
    return b": " + b"0" * short + b"\n" + event


_BREAKS: Final = tuple((mark.encode(), f"\\u{ord(mark):04x}".encode()) for mark in "\x85\u2028\u2029")
"""Where some readers end a line, and JSON has one character of a text: its escape is that character too."""
_NAME: Final = re.compile(rb"event:[ -~]*")


def plain(event: bytes) -> bytes:
    """The event as every reader has it alike, name and data alone; empty when it has neither."""
    lines = [line for line in _lines(event) if line.startswith(b"data:") or _is_name(line)]
    out = b"\n".join([*lines, b"", b""]) if lines else b""
    if not out.isascii():
        for mark, escape in _BREAKS:
            out = out.replace(mark, escape)
    return out


def _is_name(line: bytes) -> bool:
    """A name in printable ASCII: another one could hide an end of its line from us, and is left out."""
    return _NAME.fullmatch(line) is not None
