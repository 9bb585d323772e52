"""The drand pallet: pulses of a public network of randomness, posted by anyone and checked by the chain."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from proofward.chain.client import SubstrateClient
from proofward.chain.values import Call
from proofward.errors import Refused

PALLET: Final = "Drand"
MARGIN: Final = 30_000
"""Milliseconds from a commitment to the first round that may count for it (MARGIN of the pallet)."""
KEPT: Final = 4_096
"""Rounds whose pulses the chain keeps (KEPT of the pallet)."""
MAX_PULSE: Final = 4_096
"""Bytes of a pulse as drand's servers write it, at most."""
QUICKNET: Final = bytes.fromhex(
    "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec75"
    "8c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
)
"""The League of Entropy's key; chain hash 52db9ba7…c84e971."""
LOCAL: Final = bytes.fromhex(
    "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e024aa2b2"
    "f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
)
"""The key of development chains. Its secret is one: everybody makes its pulses."""


class Source(StrEnum):
    """Who makes the pulses, by the key that the chain has."""

    QUICKNET = "quicknet"
    LOCAL = "local"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class PulseNetwork:
    """The network whose pulses count: its `key` (96 bytes), when round 1 was made (`genesis`) and the time
    from one round to the next (`period`), in Unix milliseconds.
    """

    key: bytes
    genesis: int
    period: int

    @property
    def source(self) -> Source:
        """Who has the key."""
        known = {QUICKNET: Source.QUICKNET, LOCAL: Source.LOCAL}
        return known.get(self.key, Source.OTHER)

    def time_of(self, round_number: int) -> int:
        """When a round, counted from 1, is made; Unix milliseconds."""
        return self.genesis + (round_number - 1) * self.period

    def round_after(self, moment: int) -> int:
        """The round that counts for what was committed to at a moment (Unix milliseconds)."""
        since = max(0, moment + MARGIN - self.genesis)
        return -(-since // self.period) + 1


@dataclass(frozen=True, slots=True)
class Pulse:
    """A round's signature (48 bytes)."""

    round: int
    signature: bytes

    @property
    def randomness(self) -> bytes:
        """What it is worth to others: 32 bytes."""
        return hashlib.sha256(self.signature).digest()


def network(client: SubstrateClient, at: bytes | None = None) -> PulseNetwork | None:
    """The network whose pulses count, None where the chain has none."""
    value = client.query(PALLET, "NetworkOf", at=at)
    if value is None:
        return None
    return PulseNetwork(bytes(value["key"]), int(value["genesis"]), int(value["period"]))


def randomness(client: SubstrateClient, round_number: int, at: bytes | None = None) -> bytes | None:
    """A round's randomness (32 bytes), None where its pulse was not posted or is kept no more."""
    value = client.query(PALLET, "Pulses", round_number % KEPT, at=at)
    if value is None or int(value["round"]) != round_number:
        return None
    if int(value["network"]) != int(client.query(PALLET, "Before", at=at)):
        return None
    return bytes(value["randomness"])


def post(pulse: Pulse) -> Call:
    """Post a pulse; anyone may. The chain refuses one that its network has not signed."""
    return Call(PALLET, "post", {"round": pulse.round, "signature": pulse.signature})


def read_pulse(text: bytes) -> Pulse:
    """A pulse as drand's servers give it (`/public/latest`). Raises Refused: it is none, or its `randomness`
    is not the SHA-256 of its `signature`.
    """
    if len(text) > MAX_PULSE:
        raise Refused(f"a pulse has less than {MAX_PULSE} bytes, this has more", code="usage")
    try:
        value: Any = json.loads(text)
        pulse = Pulse(value["round"], bytes.fromhex(value["signature"]))
        claimed = bytes.fromhex(value["randomness"]) if "randomness" in value else pulse.randomness
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused(
            'this is no pulse: give the JSON of a drand server, {"round": …, "signature": …}', code="usage"
        ) from None
    if type(pulse.round) is not int or not 0 < pulse.round < 2**64 or len(pulse.signature) != 48:
        raise Refused(
            "a pulse has a round from 1 on and a signature of 48 bytes (a point of G1)", code="usage"
        )
    if claimed != pulse.randomness:
        raise Refused("the pulse's randomness is not the SHA-256 of its signature; ask another server")
    return pulse
