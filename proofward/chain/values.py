"""SCALE values laid out by a chain's own metadata, as plain Python values.

`scalecodec` reads them too, but turns byte strings that happen to be UTF-8 into text, writes a nested
call's arguments into its shared metadata, takes missing bytes for short values, and picks a module error by
position instead of by index: each of these would make a client believe something untrue.

Integers are int; `Vec<u8>` and `[u8; N]` bytes; a struct with names a dict, with one nameless field that
field, with several a tuple; `Option` None or the value; another enum its variant's name, or {name: content}
when it has any; a runtime call a `Call`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from proofward.chain.errors import MetadataError
from proofward.chain.metadata import Metadata, Reader, Type, Variant
from proofward.protocol.scale import compact

_Decode = Callable[[Reader], Any]
_Encode = Callable[[Any, bytearray], None]


@dataclass(frozen=True, slots=True)
class Call:
    """A dispatchable and its arguments by name, as Python values (see this module)."""

    pallet: str
    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


class Values:
    """Encodes and decodes values of the types of one runtime."""

    def __init__(self, metadata: Metadata) -> None:
        self._types = metadata.types
        self._decoders: dict[int, _Decode] = {}
        self._encoders: dict[int, _Encode] = {}

    def decode(self, kind: int, data: bytes) -> Any:
        """The value of type `kind` that is all of `data`. Raises MetadataError."""
        reader = Reader(data)
        value = self.read(kind, reader)
        if reader.left():
            raise MetadataError(f"{reader.left()} bytes are left over behind a value of type {kind}")
        return value

    def read(self, kind: int, reader: Reader) -> Any:
        """The value of type `kind` at the reader's place."""
        return self._decoder(kind)(reader)

    def encode(self, kind: int, value: Any) -> bytes:
        """SCALE of `value` as type `kind`. Raises MetadataError when it does not fit."""
        out = bytearray()
        try:
            self._encoder(kind)(value, out)
        except (TypeError, KeyError, AttributeError, OverflowError, ValueError) as error:
            raise MetadataError(f"a value does not fit its type {self._name(kind)}: {error}") from None
        return bytes(out)

    def type(self, kind: int) -> Type:
        """A type by its id. Raises MetadataError."""
        if kind not in self._types:
            raise MetadataError(f"the metadata names a type {kind} that it does not define")
        return self._types[kind]

    def is_empty(self, kind: int) -> bool:
        """Whether values of the type take no bytes."""
        described = self.type(kind)
        members = described.members if described.kind == "tuple" else [f.type for f in described.fields]
        return described.kind in ("tuple", "composite") and all(self.is_empty(member) for member in members)

    def _name(self, kind: int) -> str:
        described = self.type(kind)
        return "::".join(described.path) or f"{described.kind} {kind}"

    def _is_byte(self, kind: int) -> bool:
        described = self.type(kind)
        return described.kind == "primitive" and described.primitive == "u8"

    # ---- decoding -------------------------------------------------------------------------

    def _decoder(self, kind: int) -> _Decode:
        decode = self._decoders.get(kind)
        if decode is None:
            # a type may hold itself (calls hold calls): what is found here first looks itself up again
            self._decoders[kind] = lambda reader: self._decoders[kind](reader)
            decode = self._decoders[kind] = self._make_decoder(self.type(kind))
        return decode

    def _make_decoder(self, kind: Type) -> _Decode:
        match kind.kind:
            case "primitive":
                return _primitive_decoder(kind.primitive)
            case "compact":
                if self.is_empty(kind.inner):  # Compact<()>, as in MultiAddress::Index, takes no bytes
                    return lambda reader: None
                return Reader.compact
            case "sequence":
                if self._is_byte(kind.inner):
                    return lambda reader: reader.take(reader.count())
                one = self._decoder(kind.inner)
                return lambda reader: reader.many(lambda: one(reader))
            case "array":
                length = kind.length
                if self._is_byte(kind.inner):
                    return lambda reader: reader.take(length)
                one = self._decoder(kind.inner)
                return lambda reader: [one(reader) for _ in range(length)]
            case "tuple":
                members = [self._decoder(member) for member in kind.members]
                return lambda reader: tuple(member(reader) for member in members)
            case "composite":
                return self._fields_decoder(kind.fields)
            case "variant":
                return self._variant_decoder(kind)
        raise MetadataError(f"values of the kind {kind.kind!r} are not read by this client")

    def _fields_decoder(self, fields: tuple[Any, ...]) -> _Decode:
        parts = [(part.name, self._decoder(part.type)) for part in fields]
        if not parts:
            return lambda reader: None
        if all(name is not None for name, _ in parts):
            return lambda reader: {name: decode(reader) for name, decode in parts}
        if len(parts) == 1:
            return parts[0][1]
        return lambda reader: tuple(decode(reader) for _, decode in parts)

    def _variant_decoder(self, kind: Type) -> _Decode:
        by_index = {one.index: (one, self._fields_decoder(one.fields)) for one in kind.variants}
        if kind.path == ("Option",):
            some = by_index[1][1]
            return lambda reader: some(reader) if reader.u8() else None
        is_call = kind.path[-1:] == ("RuntimeCall",)

        def decode(reader: Reader) -> Any:
            index = reader.u8()
            if index not in by_index:
                raise MetadataError(f"{'::'.join(kind.path)} has no variant of index {index}")
            variant, content = by_index[index]
            if not variant.fields:
                return variant.name
            value = content(reader)
            return _call(variant.name, value) if is_call else {variant.name: value}

        return decode

    # ---- encoding -------------------------------------------------------------------------

    def _encoder(self, kind: int) -> _Encode:
        encode = self._encoders.get(kind)
        if encode is None:
            self._encoders[kind] = lambda value, out: self._encoders[kind](value, out)
            encode = self._encoders[kind] = self._make_encoder(self.type(kind))
        return encode

    def _make_encoder(self, kind: Type) -> _Encode:
        match kind.kind:
            case "primitive":
                return _primitive_encoder(kind.primitive)
            case "compact":
                if self.is_empty(kind.inner):
                    return lambda value, out: None
                return lambda value, out: out.extend(compact(int(value)))
            case "sequence" | "array":
                return self._list_encoder(kind)
            case "tuple":
                members = [self._encoder(member) for member in kind.members]

                def encode_tuple(value: Any, out: bytearray) -> None:
                    for member, one in zip(members, value, strict=True):
                        member(one, out)

                return encode_tuple
            case "composite":
                return self._fields_encoder(kind.fields)
            case "variant":
                return self._variant_encoder(kind)
        raise MetadataError(f"values of the kind {kind.kind!r} are not written by this client")

    def _list_encoder(self, kind: Type) -> _Encode:
        is_bytes = self._is_byte(kind.inner)
        one = self._encoder(kind.inner)
        length = kind.length if kind.kind == "array" else None

        def encode(value: Any, out: bytearray) -> None:
            if is_bytes and not isinstance(value, bytes | bytearray):
                raise TypeError(f"bytes are due, not {type(value).__name__}")
            if length is None:
                out.extend(compact(len(value)))
            elif len(value) != length:
                raise ValueError(f"{length} elements are due, not {len(value)}")
            if is_bytes:
                out.extend(value)
            else:
                for element in value:
                    one(element, out)

        return encode

    def _fields_encoder(self, fields: tuple[Any, ...]) -> _Encode:
        parts = [(part.name, self._encoder(part.type)) for part in fields]
        named = bool(parts) and all(name is not None for name, _ in parts)

        def encode(value: Any, out: bytearray) -> None:
            if named:
                if unknown := set(value) - {name for name, _ in parts}:
                    raise KeyError(f"no such field: {', '.join(sorted(unknown))}")
                for name, part in parts:
                    part(value[name], out)
            elif len(parts) == 1:
                parts[0][1](value, out)
            else:
                for (_, part), one in zip(parts, value or (), strict=True):
                    part(one, out)

        return encode

    def _variant_encoder(self, kind: Type) -> _Encode:
        by_name: dict[str, tuple[Variant, _Encode]] = {
            one.name: (one, self._fields_encoder(one.fields)) for one in kind.variants
        }

        def encode(value: Any, out: bytearray) -> None:
            if isinstance(value, Call):
                value = {value.pallet: {value.name: dict(value.args)} if value.args else value.name}
            name, content = (value, None) if isinstance(value, str) else next(iter(value.items()))
            if name not in by_name:
                raise KeyError(f"no such variant: {name}")
            variant, fields = by_name[name]
            out.append(variant.index)
            if variant.fields:
                fields(content, out)

        if kind.path == ("Option",):
            some = by_name["Some"][1]

            def encode_option(value: Any, out: bytearray) -> None:
                out.append(0 if value is None else 1)
                if value is not None:
                    some(value, out)

            return encode_option
        return encode


def _call(pallet: str, value: Any) -> Call:
    if isinstance(value, str):
        return Call(pallet, value)
    name, args = next(iter(value.items()))
    return Call(pallet, name, args if isinstance(args, dict) else {})


def _primitive_decoder(name: str) -> _Decode:
    if name == "bool":
        return _read_bool
    if name == "str":
        return Reader.text
    if name == "char":
        return lambda reader: chr(reader.u32())
    width, signed = int(name[1:]) // 8, name[0] == "i"
    return lambda reader: int.from_bytes(reader.take(width), "little", signed=signed)


def _read_bool(reader: Reader) -> bool:
    byte = reader.u8()
    if byte > 1:
        raise MetadataError(f"a boolean is the byte {byte}")
    return byte == 1


def _primitive_encoder(name: str) -> _Encode:
    if name == "bool":
        return lambda value, out: out.append(1 if value else 0)
    if name == "str":
        return lambda value, out: out.extend(compact(len(value.encode())) + value.encode())
    if name == "char":
        return lambda value, out: out.extend(ord(value).to_bytes(4, "little"))
    width, signed = int(name[1:]) // 8, name[0] == "i"

    def encode(value: Any, out: bytearray) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"an integer is due, not {type(value).__name__}")
        out.extend(value.to_bytes(width, "little", signed=signed))

    return encode
