"""How decoded enums of chain/primitives become those of proofward.protocol."""

from __future__ import annotations

from typing import Any, TypeVar

from proofward.chain.errors import MetadataError
from proofward.protocol.types import Lane, Level, Setup, SetupKind

_T = TypeVar("_T")


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


def record(kind: type[_T], **fields: Any) -> _T:
    """A record of a storage value's fields. Raises MetadataError when the chain's record has others."""
    try:
        return kind(**fields)
    except TypeError as error:
        raise MetadataError(f"the chain's {kind.__name__} is of another version: {error}") from None
