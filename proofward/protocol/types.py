"""Levels, lanes, setups and the contexts that bind a message to one job."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Self

from proofward.protocol import scale
from proofward.protocol.bounds import HASH_LENGTH
from proofward.protocol.errors import Code, ProtocolError


class _Labelled(IntEnum):
    @property
    def label(self) -> str:
        """The name that people and JSON see: lower case."""
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> Self:
        """The member of a label. Raises ProtocolError."""
        for member in cls:
            if member.label == label:
                return member
        raise ProtocolError(
            f"{label!r} is no {cls.__name__.lower()}: use one of {', '.join(m.label for m in cls)}",
            code=Code.MALFORMED,
        )


class Level(_Labelled):
    """What vouches for a worker: nothing but itself, or a hardware maker's root. Ordered."""

    SIMULATED = 0
    HARDWARE = 1


class Lane(_Labelled):
    """The proof system of a model."""

    EZKL = 0
    GROTH16 = 1


class SetupKind(_Labelled):
    """Who made the proving keys: one party alone, an attested enclave, or a ceremony."""

    DEV = 0
    ATTESTED = 1
    CEREMONY = 2


SCALE_LEVEL = scale.enum({"Simulated": None, "Hardware": None})
SCALE_LANE = scale.enum({"Ezkl": None, "Groth16": None})
SCALE_SETUP = scale.enum({"Dev": None, "Attested": SCALE_LEVEL, "Ceremony": None})
_SETUP = scale.Record("SetupRecord", {"setup": SCALE_SETUP})


@dataclass(frozen=True, slots=True)
class Setup:
    """The origin of a model's keys; an attested one carries the level of its quote."""

    kind: SetupKind
    level: Level | None = None

    def __post_init__(self) -> None:
        if (self.level is not None) != (self.kind is SetupKind.ATTESTED):
            raise ProtocolError("an attested setup, and no other, carries a level", code=Code.MALFORMED)

    @property
    def label(self) -> str:
        """`dev`, `attested` or `ceremony`."""
        return self.kind.label

    def __str__(self) -> str:
        """The label, with the level of an attested setup: `attested (hardware)`."""
        return self.label if self.level is None else f"{self.label} ({self.level.label})"

    def acceptable(self, min_level: Level, *, allow_dev: bool) -> bool:
        """Whether a job that demands `min_level` may rest on it; attested below that it counts as `dev`."""
        if self.kind is SetupKind.CEREMONY:
            return True
        return allow_dev or (self.level is not None and self.level >= min_level)

    def scale_value(self) -> Any:
        """The value as a field of a SCALE record."""
        if self.level is not None:
            return {"Attested": self.level.name.capitalize()}
        return self.kind.name.capitalize()

    def encode(self) -> bytes:
        """SCALE: one byte, or two for an attested setup."""
        return _SETUP.encode({"setup": self.scale_value()})

    @classmethod
    def decode(cls, data: bytes) -> Setup:
        """The inverse of `encode`. Raises ProtocolError."""
        value = _SETUP.decode(data)["setup"]
        if isinstance(value, dict):
            return cls(SetupKind.ATTESTED, Level.from_label(value["Attested"].lower()))
        return cls(SetupKind.from_label(value.lower()))


DEV_SETUP = Setup(SetupKind.DEV)


def require_length(what: str, value: bytes, length: int) -> None:
    """Raises ProtocolError unless `value` is `length` bytes."""
    if not isinstance(value, bytes) or len(value) != length:
        raise ProtocolError(f"{what} must be {length} bytes", code=Code.BAD_LENGTH)


def _require_hashes(record: Any) -> None:
    for field in fields(record):
        require_length(field.name, getattr(record, field.name), HASH_LENGTH)


@dataclass(frozen=True, slots=True)
class JobContext:
    """What an envelope is bound to: 32 bytes each. A job's id alone would do; the rest spares a reader the
    chain.
    """

    genesis: bytes
    job: bytes
    client: bytes
    model: bytes
    input_commitment: bytes

    def __post_init__(self) -> None:
        _require_hashes(self)


@dataclass(frozen=True, slots=True)
class OutputContext:
    """What a sealed output is bound to: 32 bytes each."""

    genesis: bytes
    job: bytes
    model: bytes
    worker: bytes
    input_commitment: bytes
    output_commitment: bytes

    def __post_init__(self) -> None:
        _require_hashes(self)
