"""Strict SCALE: the types that the protocol's records need, and no more.

A length is compared with its bound and with the bytes that are left before anything is done with it; every
value has one encoding, and `decode` takes no other.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from proofward.protocol.bounds import HASH_LENGTH
from proofward.protocol.errors import Code, ProtocolError


class Reader:
    """Bytes from the front. Raises ValueError where they end too early."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > self.left():
            raise ValueError("bytes are missing")
        self._at += count
        return self._data[self._at - count : self._at]

    def unsigned(self, width: int) -> int:
        """A little-endian integer of `width` bytes."""
        return int.from_bytes(self.take(width), "little")

    def count(self, limit: int, width: int) -> int:
        """A Compact length of at most `limit` elements of at least `width` bytes, in its shortest form."""
        first = self.unsigned(1)
        extra = (0, 1, 3, (first >> 2) + 4)[first & 3]
        rest = self.take(extra)
        value = (
            int.from_bytes(rest, "little")
            if first & 3 == 3
            else int.from_bytes(bytes([first]) + rest, "little") >> 2
        )
        if value > limit or value * width > self.left():
            raise ValueError("a length is above its bound, or above the bytes that are left")
        if compact(value)[0] & 3 != first & 3 or len(compact(value)) != extra + 1:
            raise ValueError("a length is not in its shortest form")
        return value


class Kind(Protocol):
    """A type. `write` raises ValueError, TypeError, KeyError or OverflowError for what is not of it, `read`
    ValueError.
    """

    def write(self, value: Any, out: bytearray) -> None:
        """Append the encoding of `value`. Raises ProtocolError."""

    def read(self, reader: Reader) -> Any:
        """Read one value. Raises ProtocolError."""


def compact(value: int) -> bytes:
    """Compact of an integer from 0 to 2^536 - 1. Raises OverflowError for a negative one."""
    if value < 0:
        raise OverflowError(f"{value} is negative where a compact integer is due")
    if value < 1 << 6:
        return bytes([value << 2])
    if value < 1 << 14:
        return (value << 2 | 1).to_bytes(2, "little")
    if value < 1 << 30:
        return (value << 2 | 2).to_bytes(4, "little")
    length = max(4, (value.bit_length() + 7) // 8)
    return bytes([(length - 4) << 2 | 3]) + value.to_bytes(length, "little")


class _Unsigned:
    def __init__(self, width: int) -> None:
        self._width = width

    def write(self, value: Any, out: bytearray) -> None:
        if type(value) is not int:
            raise TypeError("an integer is needed")
        out += value.to_bytes(self._width, "little")

    def read(self, reader: Reader) -> int:
        return reader.unsigned(self._width)


class _Fixed:
    def __init__(self, length: int) -> None:
        self._length = length

    def write(self, value: Any, out: bytearray) -> None:
        if not isinstance(value, bytes) or len(value) != self._length:
            raise ValueError(f"{self._length} bytes are needed")
        out += value

    def read(self, reader: Reader) -> bytes:
        return reader.take(self._length)


class _Many:
    """A length and that many elements of `width` bytes at least."""

    def __init__(self, limit: int, width: int) -> None:
        self._limit, self._width = limit, width

    def _write_length(self, value: Any, out: bytearray) -> None:
        if len(value) > self._limit:
            raise ValueError(f"a length of {len(value)} is above the bound of {self._limit}")
        out += compact(len(value))

    def _count(self, reader: Reader) -> int:
        return reader.count(self._limit, self._width)


class _Bytes(_Many):
    def write(self, value: Any, out: bytearray) -> None:
        if not isinstance(value, bytes):
            raise TypeError("bytes are needed")
        self._write_length(value, out)
        out += value

    def read(self, reader: Reader) -> bytes:
        return reader.take(self._count(reader))


class _Integers(_Many):
    def write(self, value: Any, out: bytearray) -> None:
        self._write_length(value, out)
        try:
            out += struct.pack(f"<{len(value)}q", *value)
        except struct.error as error:
            raise ValueError(f"not a 64-bit signed integer: {error}") from None

    def read(self, reader: Reader) -> tuple[int, ...]:
        count = self._count(reader)
        return struct.unpack(f"<{count}q", reader.take(8 * count))


class _Elements(_Many):
    def __init__(self, kind: Kind, limit: int) -> None:
        super().__init__(limit, 1)
        self._kind = kind

    def write(self, value: Sequence[Any], out: bytearray) -> None:
        self._write_length(value, out)
        for element in value:
            self._kind.write(element, out)

    def read(self, reader: Reader) -> list[Any]:
        return [self._kind.read(reader) for _ in range(self._count(reader))]


class _Option:
    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def write(self, value: Any, out: bytearray) -> None:
        out.append(value is not None)
        if value is not None:
            self._kind.write(value, out)

    def read(self, reader: Reader) -> Any:
        match reader.unsigned(1):
            case 0:
                return None
            case 1:
                return self._kind.read(reader)
        raise ValueError("an option is 0 or 1")


class _Enum:
    def __init__(self, variants: Mapping[str, Kind | None]) -> None:
        self._names, self._kinds = list(variants), dict(variants)

    def write(self, value: Any, out: bytearray) -> None:
        name, content = next(iter(value.items())) if isinstance(value, Mapping) else (value, None)
        kind = self._kinds[name]
        if (kind is None) != (content is None):
            raise TypeError(f"{name} is not of that form")
        out.append(self._names.index(name))
        if kind is not None:
            kind.write(content, out)

    def read(self, reader: Reader) -> Any:
        index = reader.unsigned(1)
        if index >= len(self._names):
            raise ValueError("there is no such variant")
        name = self._names[index]
        kind = self._kinds[name]
        return name if kind is None else {name: kind.read(reader)}


U8: Final = _Unsigned(1)
U32: Final = _Unsigned(4)
U64: Final = _Unsigned(8)
H256: Final = _Fixed(HASH_LENGTH)
"""A hash, a key or an account, as bytes."""


def fixed(length: int) -> Kind:
    """The type `[u8; length]`, as bytes."""
    return _Fixed(length)


def byte_vec(limit: int) -> Kind:
    """The type `Vec<u8>` of at most `limit` bytes, as bytes."""
    return _Bytes(limit, 1)


def i64_vec(limit: int) -> Kind:
    """The type `Vec<i64>` of at most `limit` elements, as a tuple of int."""
    return _Integers(limit, 8)


def vec(element: Kind, limit: int) -> Kind:
    """The type `Vec<element>` of at most `limit` elements, as a list."""
    return _Elements(element, limit)


def option(kind: Kind) -> Kind:
    """The type `Option<kind>`: None or the value."""
    return _Option(kind)


def enum(variants: Mapping[str, Kind | None]) -> Kind:
    """An enum with the variants in their order, each with the type of its content or None.

    A value is the variant's name, or {name: content}.
    """
    return _Enum(variants)


class Record:
    """A struct: fields in order, by name."""

    def __init__(self, name: str, fields: Mapping[str, Kind], *, code: str = Code.MALFORMED) -> None:
        self._name, self._fields, self._code = name, dict(fields), code

    def write(self, value: Any, out: bytearray) -> None:
        """Append the fields in their order."""
        for name, kind in self._fields.items():
            kind.write(value[name], out)

    def read(self, reader: Reader) -> dict[str, Any]:
        """Read the fields in their order."""
        return {name: kind.read(reader) for name, kind in self._fields.items()}

    def encode(self, values: Mapping[str, Any]) -> bytes:
        """Encode the fields. Raises ProtocolError when one has not its type or breaks its bound."""
        out = bytearray()
        try:
            self.write(values, out)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise ProtocolError(f"a {self._name} cannot be encoded: {error}", code=self._code) from None
        return bytes(out)

    def decode(self, data: bytes) -> dict[str, Any]:
        """Decode exactly `data`. Raises ProtocolError on bytes missing, bytes left, a bound broken or an
        encoding that is not the canonical one.
        """
        reader = Reader(data)
        try:
            value = self.read(reader)
        except ValueError as error:  # of ours: its text quotes no data, which may be plaintext
            raise ProtocolError(f"a {self._name} cannot be decoded: {error}", code=self._code) from None
        if reader.left():
            raise ProtocolError(f"bytes are left behind a {self._name}", code=self._code)
        return value
