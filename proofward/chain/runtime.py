"""One version of a chain's runtime: its storage keys, calls, events and errors, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from proofward.chain.errors import DispatchError, MetadataError
from proofward.chain.extrinsic import Extrinsic, read_extrinsic
from proofward.chain.metadata import Pallet, Reader, StorageItem, Type, read_metadata
from proofward.chain.values import Call, Values
from proofward.consensus.keys import blake2, twox, value_key

_HASHERS: dict[str, tuple[Callable[[bytes], bytes], int, bool]] = {
    "Blake2_128": (lambda key: blake2(key, 128), 16, False),
    "Blake2_256": (lambda key: blake2(key, 256), 32, False),
    "Blake2_128Concat": (lambda key: blake2(key, 128) + key, 16, True),
    "Twox128": (lambda key: twox(key, 128), 16, False),
    "Twox256": (lambda key: twox(key, 256), 32, False),
    "Twox64Concat": (lambda key: twox(key, 64) + key, 8, True),
    "Identity": (lambda key: key, 0, True),
}


@dataclass(frozen=True, slots=True)
class Event:
    """What a block did. `extrinsic` is the index of the one that did it; None for the block's own doing."""

    pallet: str
    name: str
    fields: dict[str, Any]
    extrinsic: int | None


class Runtime:
    """A runtime's metadata put to use. Unchanging: another `spec_version` is another Runtime."""

    def __init__(self, metadata: bytes, spec_version: int, transaction_version: int) -> None:
        """`metadata` as `state_getMetadata` gives it. Raises MetadataError."""
        self.metadata = read_metadata(metadata)
        self.values = Values(self.metadata)
        self.spec_version = spec_version
        self.transaction_version = transaction_version
        self._by_index = {pallet.index: pallet for pallet in self.metadata.pallets.values()}
        self._call = self._find("RuntimeCall")
        self._address = self._find("MultiAddress")
        self._record = self._find("EventRecord")

    def _find(self, name: str) -> int:
        for number, kind in self.metadata.types.items():
            if kind.path[-1:] == (name,):
                return number
        raise MetadataError(f"the chain's metadata has no type {name}")

    def pallet(self, name: str) -> Pallet:
        """A pallet by its name. Raises MetadataError."""
        if name not in self.metadata.pallets:
            raise MetadataError(f"the chain has no pallet {name}: is it a Proofward chain?")
        return self.metadata.pallets[name]

    # ---- storage --------------------------------------------------------------------------

    def item(self, pallet: str, name: str) -> StorageItem:
        """A storage item of a pallet. Raises MetadataError."""
        items = self.pallet(pallet).storage
        if name not in items:
            raise MetadataError(
                f"the chain has no storage {pallet}.{name}: its runtime is of another version"
            )
        return items[name]

    def storage_key(self, pallet: str, name: str, *keys: Any) -> bytes:
        """The key of a storage item; of a map, with fewer keys, the prefix of all entries below them."""
        item = self.item(pallet, name)
        data = value_key(self.pallet(pallet).prefix, name)
        if len(keys) > len(item.hashers):
            raise MetadataError(f"{pallet}.{name} takes {len(item.hashers)} keys, not {len(keys)}")
        for hasher, kind, key in zip(item.hashers, self._key_types(item), keys, strict=False):
            data += _HASHERS[hasher][0](self.values.encode(kind, key))
        return data

    def _key_types(self, item: StorageItem) -> list[int]:
        if item.key is None:
            return []
        kind = self.values.type(item.key)
        if len(item.hashers) > 1 and kind.kind == "tuple":
            return list(kind.members)
        return [item.key]

    def decode_key(self, pallet: str, name: str, key: bytes) -> Any:
        """The map key in a whole storage key; a tuple of a map of several. Raises MetadataError for hashed
        ones.
        """
        item = self.item(pallet, name)
        reader = Reader(key)
        reader.take(32)
        found = []
        for hasher, kind in zip(item.hashers, self._key_types(item), strict=True):
            _, length, concat = _HASHERS[hasher]
            if not concat:
                raise MetadataError(f"{pallet}.{name} keeps only hashes of its keys")
            reader.take(length)
            found.append(self.values.read(kind, reader))
        return found[0] if len(found) == 1 else tuple(found)

    def decode_storage(self, pallet: str, name: str, data: bytes | None) -> Any:
        """A stored value; for one that is absent its default, or None."""
        item = self.item(pallet, name)
        if data is None:
            return None if item.optional else self.values.decode(item.value, item.default)
        return self.values.decode(item.value, data)

    def constant(self, pallet: str, name: str) -> Any:
        """A pallet's constant, decoded. Raises MetadataError."""
        constants = self.pallet(pallet).constants
        if name not in constants:
            raise MetadataError(f"the chain has no constant {pallet}.{name}")
        return self.values.decode(constants[name].type, constants[name].value)

    # ---- calls and extrinsics -------------------------------------------------------------

    def encode_call(self, call: Call) -> bytes:
        """SCALE of a call. Raises MetadataError when the runtime has none such, or an argument does not
        fit.
        """
        pallet = self.pallet(call.pallet)
        variants = self.values.type(pallet.calls).variants if pallet.calls is not None else ()
        if all(variant.name != call.name for variant in variants):
            raise MetadataError(f"the chain has no call {call.pallet}.{call.name}")
        return self.values.encode(self._call, call)

    def read_call(self, reader: Reader) -> Call:
        """The call at the reader's place. Raises MetadataError."""
        call = self.values.read(self._call, reader)
        if not isinstance(call, Call):
            raise MetadataError("what the metadata calls a call is none")
        return call

    def calls(self) -> Iterator[tuple[str, str]]:
        """Every pallet's calls, by the names of both."""
        for pallet in self.metadata.pallets.values():
            if pallet.calls is not None:
                yield from ((pallet.name, one.name) for one in self.values.type(pallet.calls).variants)

    def read_extrinsic(self, data: bytes, index: int) -> Extrinsic:
        """Read the extrinsic at `index` of a block. Raises MetadataError."""
        return read_extrinsic(
            data,
            index,
            values=self.values,
            extensions=self.metadata.extensions,
            address=self._address,
            call=self._call,
        )

    # ---- events and errors ----------------------------------------------------------------

    def events(self, data: bytes) -> Iterator[Event]:
        """The events in the value of System.Events."""
        reader = Reader(data)
        for record in reader.many(lambda: self.values.read(self._record, reader)):
            phase, event = record["phase"], record["event"]
            index = phase["ApplyExtrinsic"] if isinstance(phase, dict) else None
            pallet, content = next(iter(event.items()))
            name, fields = (content, {}) if isinstance(content, str) else next(iter(content.items()))
            yield Event(pallet, name, fields if isinstance(fields, dict) else {"value": fields}, index)

    def dispatch_error(self, value: Any) -> DispatchError:
        """The error that a decoded `sp_runtime::DispatchError` stands for; a module's is found by its
        index.
        """
        if isinstance(value, str):
            return DispatchError("System", value)
        kind, content = next(iter(value.items()))
        if kind != "Module":
            return DispatchError(kind, content if isinstance(content, str) else str(content))
        pallet = self._by_index.get(content["index"])
        number = content["error"][0]
        if pallet is None or pallet.errors is None:
            return DispatchError(f"pallet {content['index']}", f"error {number}")
        errors: Type = self.values.type(pallet.errors)
        for variant in errors.variants:
            if variant.index == number:
                return DispatchError(pallet.name, variant.name, variant.docs)
        return DispatchError(pallet.name, f"error {number}")

    def failure(self, events: list[Event]) -> DispatchError | None:
        """Why an extrinsic with these events did not do all that it was to do; None when it did.

        A failure inside Sudo, a council's motion, an announced call or a Utility batch counts, though the
        extrinsic around it succeeded; so does a runtime that is not put on the chain.
        """
        for event in events:
            match event.pallet, event.name:
                case "System", "ExtrinsicFailed":
                    return self.dispatch_error(event.fields["dispatch_error"])
                case "Sudo", "Sudid" | "SudoAsDone":
                    result = event.fields.get("sudo_result")
                    if isinstance(result, dict) and "Err" in result:
                        return self.dispatch_error(result["Err"])
                case "Utility", "BatchInterrupted" | "ItemFailed":
                    return self.dispatch_error(event.fields["error"])
                case "System", "RejectedInvalidAuthorizedUpgrade":
                    return self.dispatch_error(event.fields["error"])
                case ("Utility", "DispatchedAs") | ("Council", "Executed") | ("Consortium", "Enacted"):
                    result = event.fields.get("result")
                    if isinstance(result, dict) and "Err" in result:
                        return self.dispatch_error(result["Err"])
        return None
