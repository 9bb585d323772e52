"""Federated studies: what the aggregator's enclave signs, and what a site's update is sealed for.
docs/federation.md is normative.

`chain/pallets/federation/src/commitments.rs` holds the same, and both give `tests/vectors/federation.json`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proofward.protocol import scale
from proofward.protocol.bounds import HASH_LENGTH
from proofward.protocol.errors import Code, ProtocolError
from proofward.protocol.hashes import blake2_256, sha256
from proofward.protocol.types import require_length

MAX_MEMBERS: Final = 16
"""Most sites of a study."""
MAX_CLIP: Final = 1 << 40
"""Most that one record may add to a sum's length, in units."""
MAX_VARIANCE: Final = 1 << 96
"""Most of the noise's variance, in squared units."""
NANO: Final = 10**9
"""Parts of one unit of rho in which budgets are kept."""

_STUDY, _ROUND = b"proofward/study/v1", b"proofward/federation-round/v1"
_AGGREGATE, _VALUES = b"proofward/federation-aggregate/v1", b"proofward/federation-values/v1"
_UPDATE = b"proofward/federation-update/v1"
_OPENING = scale.Record(
    "Opening",
    {
        "genesis": scale.H256,
        "study": scale.H256,
        "rule": scale.H256,
        "number": scale.U32,
        "at": scale.U32,
        "block": scale.H256,
        "noise": scale.H256,
    },
)
_SUM = scale.Record(
    "Aggregate",
    {
        "genesis": scale.H256,
        "study": scale.H256,
        "number": scale.U32,
        "sum": scale.H256,
        "values": scale.H256,
        "absent": scale.vec(scale.U32, MAX_MEMBERS),
    },
)


def study_id(researcher: bytes, nonce: bytes) -> bytes:
    """BLAKE2b-256("proofward/study/v1" || researcher || nonce); `nonce`: 32 random bytes."""
    require_length("researcher", researcher, HASH_LENGTH)
    require_length("nonce", nonce, HASH_LENGTH)
    return blake2_256(_STUDY + researcher + nonce)


def rho(clip: int, variance: int) -> int:
    """What one release costs in zCDP, in nano-rho, rounded up: clip^2 / (2 variance).

    Bun and Steinke 2016; for the discrete Gaussian Canonne, Kamath, Steinke 2020, theorem 4. Raises
    ProtocolError out of bounds.
    """
    if not (0 < clip <= MAX_CLIP and 0 < variance <= MAX_VARIANCE):
        raise ProtocolError(
            f"clip is 1 to {MAX_CLIP} units, the variance 1 to {MAX_VARIANCE}", code=Code.MALFORMED
        )
    cost = -(-clip * clip * NANO // (2 * variance))
    if cost >= 1 << 64:
        raise ProtocolError("with so little noise a round costs more than any budget", code=Code.MALFORMED)
    return cost


@dataclass(frozen=True, slots=True)
class Opening:
    """Signed before any update is known: `noise` is the commitment to what the enclave drew for round
    `number`; `at` and `block` are number and hash of a block among the last 256. Hashes are 32 bytes.
    """

    genesis: bytes
    study: bytes
    rule: bytes
    number: int
    at: int
    block: bytes
    noise: bytes

    def message(self) -> bytes:
        """The signed bytes. Raises ProtocolError on a bad field."""
        fields = ("genesis", "study", "rule", "number", "at", "block", "noise")
        return _ROUND + _OPENING.encode({name: getattr(self, name) for name in fields})


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Signed for a sum: `sum` is the sum of the commitments of who is in it and of the noise's, `values` the
    hash of what opens it, `absent` the places of the commitments that are left out.
    """

    genesis: bytes
    study: bytes
    number: int
    sum: bytes
    values: bytes
    absent: tuple[int, ...]

    def message(self) -> bytes:
        """The signed bytes. Raises ProtocolError on a bad field."""
        fields = ("genesis", "study", "number", "sum", "values", "absent")
        return _AGGREGATE + _SUM.encode({name: getattr(self, name) for name in fields})


@dataclass(frozen=True, slots=True)
class UpdateContext:
    """What a sealed update is for; it opens for nothing else. `commitment` is the site's own on the chain,
    `noise` the round's, `consents` the root of the site's tree.
    """

    genesis: bytes
    study: bytes
    rule: bytes
    number: int
    noise: bytes
    site: bytes
    commitment: bytes
    consents: bytes

    def info(self) -> bytes:
        """The `info` of HPKE, and the context of the proof of the update's length."""
        hashes = (self.genesis, self.study, self.rule, self.noise, self.site, self.commitment, self.consents)
        for part in hashes:
            require_length("a hash", part, HASH_LENGTH)
        return _UPDATE + b"".join(hashes) + self.number.to_bytes(4, "little")


def values_hash(values: Sequence[int]) -> bytes:
    """SHA-256("proofward/federation-values/v1" || each value as i64 LE)."""
    return sha256(_VALUES + struct.pack(f"<{len(values)}q", *values))
