"""Looks for a secret where it must not be: the memory of a process, files, folders, text.

A canary is searched in every form that this product could give it: raw bytes, hex, base64, and, for
integers, as 64-bit words of both byte orders, as float64 and as decimal text.
"""

from __future__ import annotations

import base64
import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ahocorasick_rs import BytesAhoCorasick, MatchKind

_CHUNK = 1 << 20
_SKIPPED_MAPS = ("[vvar]", "[vsyscall]", "[vdso]", "[vvar_vclock]")


@dataclass(frozen=True)
class Canary:
    """A secret, or several, and the byte strings that would give one away, by the name of their form."""

    needles: dict[str, bytes]

    @classmethod
    def of_bytes(cls, secret: bytes) -> Canary:
        """For at least 16 bytes of high entropy, such as a salt or a key."""
        if len(secret) < 16:
            raise ValueError("a canary needs 16 bytes, or it is found by accident")
        return cls(dict(_byte_forms("bytes", secret)))

    @classmethod
    def of_integers(cls, values: Sequence[int]) -> Canary:
        """For a row of at least four integers of 64 bits (32 bytes), as payloads hold them."""
        if len(values) < 4:
            raise ValueError("a canary needs four integers, or it is found by accident")
        forms = {
            "int64 LE": struct.pack(f"<{len(values)}q", *values),
            "int64 BE": struct.pack(f">{len(values)}q", *values),
            "float64 LE": struct.pack(f"<{len(values)}d", *values),
        }
        found = {form: needle for name, raw in forms.items() for form, needle in _byte_forms(name, raw)}
        for separator in (",", ", ", " ", "\n"):
            found[f"decimal {separator!r}"] = separator.join(map(str, values)).encode()
        return cls(found)

    @classmethod
    def together(cls, **canaries: Canary) -> Canary:
        """Several, looked for in one pass; a hit's name begins with that of its secret."""
        found = {
            f"{name}: {form}": raw for name, one in canaries.items() for form, raw in one.needles.items()
        }
        return cls(found)

    def search(self, data: bytes) -> list[str]:
        """Names of the forms that `data` holds."""
        if data == bytes(len(data)) or not self._any.find_matches_as_indexes(data):  # most memory is empty
            return []
        return [name for name, needle in self.needles.items() if needle in data]

    @cached_property
    def _any(self) -> BytesAhoCorasick:
        """All of them at once, in a tenth of the time; of those that overlap it tells one."""
        return BytesAhoCorasick(list(self.needles.values()), matchkind=MatchKind.LeftmostFirst)

    @property
    def longest(self) -> int:
        """Bytes of the longest form."""
        return max(map(len, self.needles.values()))


def _byte_forms(name: str, raw: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, raw
    yield f"{name}, hex", raw.hex().encode()
    yield f"{name}, HEX", raw.hex().upper().encode()
    for shift in range(3):
        # what is in the middle of a longer base64 text, at each of the three alignments
        text = base64.b64encode(bytes(shift) + raw)
        inner = text[4 if shift else 0 : len(text) // 4 * 4 - 4]
        yield f"{name}, base64 +{shift}", inner
        yield f"{name}, base64url +{shift}", inner.replace(b"+", b"-").replace(b"/", b"_")


def _windows(chunks: Iterable[bytes], overlap: int) -> Iterator[bytes]:
    tail = b""
    for chunk in chunks:
        window = tail + chunk
        yield window
        tail = window[-overlap:] if overlap else b""


def _search(canary: Canary, chunks: Iterable[bytes], where: str) -> list[str]:
    found = {name for window in _windows(chunks, canary.longest - 1) for name in canary.search(window)}
    return [f"{where}: {name}" for name in sorted(found)]


def _file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def in_files(canary: Canary, *roots: Path) -> list[str]:
    """Where the canary lies in files: each root is a file or a folder, whose regular files are all read."""
    hits = []
    for root in roots:
        files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
        for path in files:
            try:
                hits += _search(canary, _file_chunks(path), str(path))
            except FileNotFoundError:
                continue  # gone since it was listed
    return hits


def in_memory(canary: Canary, pid: int) -> list[str]:
    """Where the canary lies in a process's readable memory, mapped files included (proc(5), maps and mem).

    Raises PermissionError without the right to trace the process.
    """
    return list(_in_memory(canary, pid))


def is_in_memory(canary: Canary, pid: int) -> bool:
    """Whether it lies there at all, as `in_memory` would find it."""
    return any(_in_memory(canary, pid))


def _in_memory(canary: Canary, pid: int) -> Iterator[str]:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
            if match is None or "r" not in match[3] or match[4] in _SKIPPED_MAPS:
                continue
            start, end = int(match[1], 16), int(match[2], 16)
            chunks = _memory_chunks(memory.fileno(), start, end)
            yield from _search(canary, chunks, f"{match[4] or 'anonymous'} at {start:x}")


def _memory_chunks(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    position = start
    while position < end:
        try:
            chunk = os.pread(descriptor, min(_CHUNK, end - position), position)
        except OSError:
            return  # a guard page, or unmapped since
        if not chunk:
            return
        yield chunk
        position += len(chunk)


def in_text(canary: Canary, **texts: str | bytes) -> list[str]:
    """Where the canary lies in named texts, such as logs, metrics or replies."""
    return [
        f"{name}: {form}"
        for name, text in texts.items()
        for form in canary.search(text if isinstance(text, bytes) else text.encode())
    ]
