"""Strict SCALE over the `scalecodec` library.

The library is lenient where a protocol must not be: it loops over a claimed length before it looks for the
bytes, turns byte strings into text when they happen to be UTF-8, and accepts more than one encoding of a
length. The types here check a length before they loop, keep bytes as bytes, and `decode` refuses whatever
does not encode back to itself.

Every name holds `::`, since the library copies each class without it into all registries of the process,
substrate-interface's included.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from scalecodec.base import RuntimeConfigurationObject, ScaleBytes, ScaleDecoder
from scalecodec.exceptions import InvalidScaleTypeValueException, RemainingScaleBytesNotEmptyException
from scalecodec.types import CompactU32, ScaleType

from proofward.protocol.errors import Code, ProtocolError

_REFUSALS = (
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    InvalidScaleTypeValueException,
    RemainingScaleBytesNotEmptyException,
)

_registry = RuntimeConfigurationObject()


class _Bounded(ScaleType):  # type: ignore[misc]
    """What the length-prefixed types share: the length is read, and refused, before anything is done with
    it.
    """

    limit = 0

    def _count(self, width: int) -> int:
        count = int(self.process_type("Compact<u32>").value)
        left = self.data.length - self.data.offset
        if count > self.limit or count * width > left:
            raise ValueError(
                f"a length of {count} is above the bound of {self.limit} or the {left} bytes left"
            )
        return count

    def _prefix(self, count: int) -> ScaleBytes:
        if count > self.limit:
            raise ValueError(f"a length of {count} is above the bound of {self.limit}")
        return CompactU32().encode(count)


class _ByteVec(_Bounded):
    def process(self) -> bytes:
        return bytes(self.get_next_bytes(self._count(1)))

    def process_encode(self, value: bytes) -> ScaleBytes:
        return self._prefix(len(value)) + ScaleBytes(bytearray(value))


class _I64Vec(_Bounded):
    """`Vec<i64>` packed in one call: the library's own takes 15 us an element."""

    def process(self) -> tuple[int, ...]:
        count = self._count(8)
        return struct.unpack(f"<{count}q", self.get_next_bytes(8 * count))

    def process_encode(self, value: Sequence[int]) -> ScaleBytes:
        try:
            packed = struct.pack(f"<{len(value)}q", *value)
        except struct.error as error:
            raise ValueError(f"not a 64-bit signed integer: {error}") from None
        return self._prefix(len(value)) + ScaleBytes(bytearray(packed))


class _Vec(_Bounded):
    def process(self) -> list[Any]:
        return [self.process_type(self.sub_type).value for _ in range(self._count(1))]

    def process_encode(self, value: Sequence[Any]) -> ScaleBytes:
        data = self._prefix(len(value))
        for element in value:
            data += self.runtime_config.create_scale_object(self.sub_type).encode(element)
        return data


class _Fixed(ScaleType):  # type: ignore[misc]
    length = 0

    def process(self) -> bytes:
        return bytes(self.get_next_bytes(self.length))

    def process_encode(self, value: bytes) -> ScaleBytes:
        if not isinstance(value, bytes) or len(value) != self.length:
            raise ValueError(f"{self.length} bytes are needed")
        return ScaleBytes(bytearray(value))


for _cls in (_Bounded, _ByteVec, _I64Vec, _Vec, _Fixed):
    _cls.__name__ = f"proofward::{_cls.__name__}"


def _define(name: str, base: type[ScaleDecoder], **attributes: Any) -> str:
    full = f"proofward::{name}"
    _registry.type_registry["types"][full.lower()] = type(full, (base,), attributes)
    return full


def fixed(length: int) -> str:
    """The type `[u8; length]`, as bytes."""
    return _define(f"Fixed{length}", _Fixed, length=length)


def byte_vec(limit: int) -> str:
    """The type `Vec<u8>` of at most `limit` bytes, as bytes."""
    return _define(f"Bytes{limit}", _ByteVec, limit=limit)


def i64_vec(limit: int) -> str:
    """The type `Vec<i64>` of at most `limit` elements, as a tuple of int."""
    return _define(f"I64s{limit}", _I64Vec, limit=limit)


def vec(element: str, limit: int) -> str:
    """The type `Vec<element>` of at most `limit` elements, as a list."""
    return _define(f"{element.removeprefix('proofward::')}s{limit}", _Vec, limit=limit, sub_type=element)


def option(kind: str) -> str:
    """The type `Option<kind>`: None or the value."""
    return f"Option<{kind}>"


def enum(name: str, variants: Mapping[str, str]) -> str:
    """An enum with the variants in their order; a variant's value is the type of its content, or "Null"."""
    full = f"proofward::{name}"
    kinds = [[variant, content] for variant, content in variants.items()]
    _registry.update_type_registry_types({full: {"type": "enum", "type_mapping": kinds}})
    return full


class Record:
    """A SCALE struct: fields in order, by name."""

    def __init__(self, name: str, fields: Mapping[str, str], *, code: str = Code.MALFORMED) -> None:
        self.name = f"proofward::{name}"
        self._code = code
        mapping = [[field, kind] for field, kind in fields.items()]
        _registry.update_type_registry_types({self.name: {"type": "struct", "type_mapping": mapping}})

    def encode(self, values: Mapping[str, Any]) -> bytes:
        """Encode the fields. Raises ProtocolError when one has not its type or breaks its bound."""
        try:
            return bytes(_registry.create_scale_object(self.name).encode(dict(values)).data)
        except _REFUSALS as error:
            raise ProtocolError(f"{self.name} cannot be encoded: {error}", code=self._code) from None

    def decode(self, data: bytes) -> dict[str, Any]:
        """Decode exactly `data`. Raises ProtocolError on bytes missing, bytes left, a bound broken or an
        encoding that is not the canonical one.
        """
        try:
            value = _registry.create_scale_object(self.name, ScaleBytes(bytearray(data))).decode()
            canonical = bytes(_registry.create_scale_object(self.name).encode(value).data)
        except _REFUSALS as error:
            # the library's text can quote the data, which may be plaintext
            raise ProtocolError(
                f"{self.name} cannot be decoded ({type(error).__name__})", code=self._code
            ) from None
        if canonical != data:
            raise ProtocolError(f"{self.name} is not in its canonical encoding", code=self._code)
        return dict(value)
