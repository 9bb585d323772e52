"""What a node's answers say: their form is checked while their hexadecimal is decoded, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from proofward.consensus.header import from_json


@dataclass(frozen=True, slots=True)
class SaidHeader:
    """A block's header; `encoded` as it is hashed, `logs` of its digest in hexadecimal."""

    number: int
    parent: bytes
    encoded: bytes
    logs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SaidBlock:
    """A block; `justifications` as the node has them, (engine, bytes) each."""

    header: SaidHeader
    extrinsics: tuple[bytes, ...]
    justifications: tuple[tuple[Any, Any], ...]


def read(method: str, params: object, answer: Any) -> Any:
    """An answer's bytes, `SaidHeader`, `SaidBlock` and so on, by its method; what is asked for may be absent,
    and an answer of other methods is given as it is. Raises ValueError: it has not its method's form.
    """
    reader = _READERS.get(method)
    if reader is None or (answer is None and params and method in _MAY_BE_ABSENT):
        return answer
    try:
        return reader(answer)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(method) from error


def header(value: Any) -> SaidHeader:
    """A header. Raises LookupError, TypeError, ValueError, OverflowError."""
    encoded, logs = from_json(value), tuple(value["digest"]["logs"])
    return SaidHeader(int(value["number"], 16), _hash(value["parentHash"]), encoded, logs)


def _block(value: Any) -> SaidBlock:
    block, justifications = value["block"], value.get("justifications") or ()
    pairs = tuple((engine, justification) for engine, justification in justifications)
    return SaidBlock(header(block["header"]), tuple(_all_bytes(block["extrinsics"])), pairs)


def _bytes(value: Any) -> bytes:
    if value[:2] != "0x":
        raise ValueError("it is no hexadecimal")
    return bytes.fromhex(value[2:])


def _hash(value: Any) -> bytes:
    found = _bytes(value)
    if len(found) != 32:
        raise ValueError("it is no hash")
    return found


def _all_bytes(values: Any) -> list[bytes]:
    return [_bytes(value) for value in _list(values)]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("it is no list")
    return value


def _number(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("it is no number")
    return value


def _version(value: Any) -> tuple[int, int]:
    return _number(value["specVersion"]), _number(value["transactionVersion"])


def _changes(sets: Any) -> dict[bytes, bytes | None]:
    pairs = [pair for one in _list(sets) for pair in one["changes"]]
    return {_bytes(key): None if value is None else _bytes(value) for key, value in pairs}


_MAY_BE_ABSENT: Final = {"chain_getBlockHash", "chain_getHeader", "chain_getBlock", "state_getStorage"}
_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "author_pendingExtrinsics": _all_bytes,
    "author_submitExtrinsic": _hash,
    "chain_getBlock": _block,
    "chain_getBlockHash": _hash,
    "chain_getFinalizedHead": _hash,
    "chain_getHeader": header,
    "rpc_methods": lambda value: _list(value["methods"]),
    "state_call": _bytes,
    "state_getKeysPaged": _all_bytes,
    "state_getMetadata": _bytes,
    "state_getReadProof": lambda value: _all_bytes(value["proof"]),
    "state_getRuntimeVersion": _version,
    "state_getStorage": _bytes,
    "state_queryStorageAt": _changes,
    "system_accountNextIndex": _number,
}
