"""Runtime metadata, version 14 (frame-metadata, RuntimeMetadataV14): what a chain says about its own types.

Read directly, in some 50 ms: `scalecodec` takes seconds for the same, at every start of a command.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from proofward.chain.errors import MetadataError

_T = TypeVar("_T")
_MAGIC: Final = b"meta"
_VERSION: Final = 14
PRIMITIVES: Final = (
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256",
    "i8", "i16", "i32", "i64", "i128", "i256",
)  # fmt: skip
HASHERS: Final = (
    "Blake2_128", "Blake2_256", "Blake2_128Concat", "Twox128", "Twox256", "Twox64Concat", "Identity",
)  # fmt: skip


class Reader:
    """A cursor over bytes that never reads past the end. Raises MetadataError there."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes. Raises MetadataError at the end."""
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise MetadataError(f"{count} bytes are wanted where {len(self.data) - self.at} are left")
        piece = self.data[self.at : end]
        self.at = end
        return piece

    def left(self) -> int:
        """Bytes that are not read yet."""
        return len(self.data) - self.at

    def u8(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def u32(self) -> int:
        """The next four bytes, little-endian."""
        return int(struct.unpack("<I", self.take(4))[0])

    def compact(self) -> int:
        """SCALE Compact<u128>."""
        first = self.u8()
        mode = first & 3
        if mode == 0:
            return first >> 2
        if mode == 1:
            return (first | self.u8() << 8) >> 2
        if mode == 2:
            return int.from_bytes(bytes([first]) + self.take(3), "little") >> 2
        return int.from_bytes(self.take((first >> 2) + 4), "little")

    def count(self) -> int:
        """The length of a sequence. No element is smaller than nothing, so it is bounded by use, not here."""
        return self.compact()

    def text(self) -> str:
        """A string; what is not UTF-8 is replaced."""
        return self.take(self.count()).decode("utf-8", errors="replace")

    def many(self, one: Callable[[], _T]) -> list[_T]:
        """A list. Raises MetadataError when it claims more elements than bytes are left."""
        count = self.count()
        if count > self.left():
            raise MetadataError(f"a list of {count} elements is claimed where {self.left()} bytes are left")
        return [one() for _ in range(count)]

    def maybe(self, one: Callable[[], _T]) -> _T | None:
        """An option."""
        return one() if self.u8() else None


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a composite type or of a variant; tuples have no names."""

    name: str | None
    type: int


@dataclass(frozen=True, slots=True)
class Variant:
    """One case of an enum."""

    name: str
    index: int
    fields: tuple[Field, ...]
    docs: str


@dataclass(frozen=True, slots=True)
class Type:
    """`kind` is one of composite, variant, sequence, array, tuple, primitive, compact, bits."""

    path: tuple[str, ...]
    kind: str
    fields: tuple[Field, ...] = ()
    variants: tuple[Variant, ...] = ()
    inner: int = 0
    length: int = 0
    members: tuple[int, ...] = ()
    primitive: str = ""


@dataclass(frozen=True, slots=True)
class StorageItem:
    """A storage value (no key), or a map from `key` (a type) by its hashers to `value`."""

    name: str
    optional: bool
    hashers: tuple[str, ...]
    key: int | None
    value: int
    default: bytes


@dataclass(frozen=True, slots=True)
class Constant:
    """A pallet's constant, encoded."""

    type: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Pallet:
    """A pallet, by its index in calls and events."""

    name: str
    index: int
    prefix: str
    storage: dict[str, StorageItem]
    calls: int | None
    events: int | None
    errors: int | None
    constants: dict[str, Constant]


@dataclass(frozen=True, slots=True)
class Extension:
    """A transaction extension: what it adds to an extrinsic, and what only the signature covers."""

    name: str
    extra: int
    additional: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a runtime says of itself: types by id, pallets by name, and the extensions of a transaction."""

    types: dict[int, Type]
    pallets: dict[str, Pallet]
    extensions: tuple[Extension, ...]


class _V14(Reader):
    def metadata(self) -> Metadata:
        if self.take(4) != _MAGIC:
            raise MetadataError("the node's metadata does not begin with `meta`")
        if (version := self.u8()) != _VERSION:
            raise MetadataError(f"the node's metadata is version {version}, this client reads {_VERSION}")
        types = dict(self.many(self._entry))
        pallets = {pallet.name: pallet for pallet in self.many(self._pallet)}
        self.compact()  # the extrinsic's type: opaque in practice
        if (format_version := self.u8()) != 4:
            raise MetadataError(f"extrinsics are version {format_version}, this client signs version 4")
        return Metadata(types, pallets, tuple(self.many(self._extension)))

    def _entry(self) -> tuple[int, Type]:
        return self.compact(), self._type()

    def _type(self) -> Type:
        path = tuple(self.many(self.text))
        self.many(lambda: (self.text(), self.maybe(self.compact)))  # generic parameters
        kind = self._definition(path)
        self.many(self.text)
        return kind

    def _definition(self, path: tuple[str, ...]) -> Type:
        match self.u8():
            case 0:
                return Type(path, "composite", fields=tuple(self.many(self._field)))
            case 1:
                return Type(path, "variant", variants=tuple(self.many(self._variant)))
            case 2:
                return Type(path, "sequence", inner=self.compact())
            case 3:
                length = self.u32()
                return Type(path, "array", length=length, inner=self.compact())
            case 4:
                return Type(path, "tuple", members=tuple(self.many(self.compact)))
            case 5:
                return Type(path, "primitive", primitive=PRIMITIVES[self.u8()])
            case 6:
                return Type(path, "compact", inner=self.compact())
            case 7:
                return Type(path, "bits", members=(self.compact(), self.compact()))
            case other:
                raise MetadataError(f"a type definition of unknown kind {other}")

    def _field(self) -> Field:
        name = self.maybe(self.text)
        kind = self.compact()
        self.maybe(self.text)
        self.many(self.text)
        return Field(name, kind)

    def _variant(self) -> Variant:
        name = self.text()
        fields = tuple(self.many(self._field))
        index = self.u8()
        return Variant(name, index, fields, " ".join(line.strip() for line in self.many(self.text)))

    def _pallet(self) -> Pallet:
        name = self.text()
        prefix, items = self.maybe(self._storage) or ("", {})
        calls, events = self.maybe(self.compact), self.maybe(self.compact)
        constants = dict(self.many(self._constant))
        errors = self.maybe(self.compact)
        return Pallet(name, self.u8(), prefix, items, calls, events, errors, constants)

    def _storage(self) -> tuple[str, dict[str, StorageItem]]:
        prefix = self.text()
        return prefix, {item.name: item for item in self.many(self._item)}

    def _item(self) -> StorageItem:
        name = self.text()
        optional = self.u8() == 0
        hashers: tuple[str, ...] = ()
        key = None
        if self.u8():
            hashers = tuple(HASHERS[code] for code in self.many(self.u8))
            key = self.compact()
        value = self.compact()
        default = self.take(self.count())
        self.many(self.text)
        return StorageItem(name, optional, hashers, key, value, default)

    def _constant(self) -> tuple[str, Constant]:
        name = self.text()
        kind = self.compact()
        value = self.take(self.count())
        self.many(self.text)
        return name, Constant(kind, value)

    def _extension(self) -> Extension:
        return Extension(self.text(), self.compact(), self.compact())


@lru_cache(maxsize=2)  # the clients of one process speak to one chain, and reading it takes 30 ms
def read_metadata(data: bytes) -> Metadata:
    """The metadata in `data`, as `state_getMetadata` gives it. Raises MetadataError."""
    try:
        return _V14(data).metadata()
    except IndexError:
        raise MetadataError("the node's metadata names a primitive or a hasher that does not exist") from None
