"""A finalised block that the giver of a chain's spec vouches for, and who finalises behind it.

Authorities of sets before it can make no history that its reader believes, whoever has their keys today.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proofward.consensus.authorities import Authorities
from proofward.consensus.errors import BadProof
from proofward.consensus.header import MAX_AUTHORITIES
from proofward.consensus.spec import raw_spec

PROPERTY: Final = "proofwardCheckpoint"
"""Key among a spec's properties: nodes and smoldot pass over it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A finalised block. `authorities` finalise the blocks behind it; None in a spec that does not say."""

    number: int
    hash: bytes
    authorities: Authorities | None = None

    def value(self) -> dict[str, Any]:
        """As it stands in a spec."""
        told: dict[str, Any] = {"number": self.number, "hash": "0x" + self.hash.hex()}
        if self.authorities is not None:
            told["setId"] = self.authorities.set_id
            told["authorities"] = [["0x" + key.hex(), weight] for key, weight in self.authorities.voters]
        return told


def checkpoint_of(spec: dict[str, Any], path: Path) -> Checkpoint | None:
    """The checkpoint of a spec's JSON; `path` is for the error. Raises BadProof for one that is none."""
    properties = spec.get("properties")
    value = properties.get(PROPERTY) if isinstance(properties, dict) else None
    if value is None:
        return None
    try:
        number = _unsigned(value["number"], 32)
        authorities = None
        if "authorities" in value or "setId" in value:
            voters = tuple((_hash(key), _unsigned(weight, 64)) for key, weight in value["authorities"])
            if not 1 <= len(voters) <= MAX_AUTHORITIES or len({key for key, _ in voters}) != len(voters):
                raise ValueError
            if not all(weight for _, weight in voters):
                raise ValueError
            authorities = Authorities(voters, _unsigned(value["setId"], 64))
        return Checkpoint(number, _hash(value["hash"]), authorities)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadProof(
            f"the checkpoint in {path} is not a block's number, hash and authorities: write it with "
            "`proofward network checkpoint`"
        ) from None


def spec_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint in a raw spec's file. Raises BadProof."""
    return checkpoint_of(raw_spec(path), path)


def _unsigned(value: Any, bits: int) -> int:
    if type(value) is not int or not 0 <= value < 1 << bits:
        raise ValueError
    return value


def _hash(text: Any) -> bytes:
    if len(text) != 66 or not text.startswith("0x"):
        raise ValueError
    return bytes.fromhex(text[2:])
