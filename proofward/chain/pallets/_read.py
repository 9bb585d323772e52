"""How decoded enums of chain/primitives become those of proofward.protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from proofward.chain.client import SubstrateClient
from proofward.chain.errors import MetadataError
from proofward.protocol.types import Lane, Level, Setup, SetupKind

_T = TypeVar("_T")
_K = TypeVar("_K")


def level(value: str) -> Level:
    return Level.from_label(value.lower())


def lane(value: str) -> Lane:
    return Lane.from_label(value.lower())


def setup(value: Any) -> Setup:
    if isinstance(value, dict):
        return Setup(SetupKind.ATTESTED, level(value["Attested"]))
    return Setup(SetupKind.from_label(value.lower()))


def text(value: bytes) -> str:
    return value.decode("utf-8", errors="replace")


def found(
    client: SubstrateClient, pallet: str, item: str, keys: Mapping[_K, tuple[Any, ...]], at: bytes | None
) -> dict[_K, Any]:
    """Those of some entries of a map that there are, in one request, by the caller's own name of each key."""
    values = client.query_many(pallet, item, keys.values(), at=at)
    return {name: value for name, value in zip(keys, values, strict=True) if value is not None}


def record(kind: type[_T], **fields: Any) -> _T:
    """A record of a storage value's fields. Raises MetadataError when the chain's record has others."""
    try:
        return kind(**fields)
    except TypeError as error:
        raise MetadataError(f"the chain's {kind.__name__} is of another version: {error}") from None
