"""A worker's registration out of a chain's final state, for a reader who believes no node.

Source: chain/pallets/workers/src/types.rs, `Worker`; a runtime that lays it out otherwise is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from proofward.amounts import UNIT
from proofward.consensus.authorities import Authorities
from proofward.consensus.checkpoint import Checkpoint
from proofward.consensus.errors import BadProof
from proofward.consensus.final import final_state
from proofward.consensus.keys import map_key, value_key
from proofward.consensus.trie import StorageProof
from proofward.protocol import Level, ProtocolError, scale
from proofward.protocol.types import SCALE_LEVEL

FORMAT: Final = "proofward/registered/v1"
MAX_AGE: Final = 600
"""Seconds between the chain's time in a proof and its use, before and after."""
LEAST_STAKE: Final = 50 * UNIT
"""Half of what a registration demands, in planck: with less left nobody works (`active` of the pallet)."""

WORKER: Final = scale.Record(
    "Worker",
    {
        "level": SCALE_LEVEL,
        "root": scale.H256,
        "measurement": scale.H256,
        "platform": scale.H256,
        "hpke_key": scale.byte_vec(1_216),
        "receipt_key": scale.H256,
        "epoch": scale.U32,
        "previous": scale.option(scale.Record("Previous", {"epoch": scale.U32, "receipt_key": scale.H256})),
        "past_keys": scale.vec(
            scale.Record("PastKey", {"receipt_key": scale.H256, "superseded_at": scale.U32}), 32
        ),
        "endpoint": scale.byte_vec(128),
        "quote_hash": scale.H256,
        "registered_at": scale.U32,
        "expires_at": scale.fixed(8),
        "stake": scale.fixed(16),
        "open_claims": scale.U32,
        "served": scale.U32,
        "tally": scale.fixed(20),
        "retired_at": scale.option(scale.U32),
        "banned": scale.U8,
    },
)


@dataclass(frozen=True, slots=True)
class Registered:
    """What the chain's state says of a worker at a final block. Times in Unix seconds; `stake` in planck."""

    genesis: bytes
    account: bytes
    block: int
    at: int
    level: Level
    measurement: bytes
    hpke_key: bytes
    receipt_key: bytes
    epoch: int
    expires_at: int
    stake: int

    def keys_of(self, receipt_keys: Iterable[str], e2ee_keys: Iterable[str]) -> bool:
        """Whether a keyset (hex) has this registration's receipt key and no other, and its E2EE key."""
        return [*receipt_keys] == [self.receipt_key.hex()] and self.hpke_key.hex() in e2ee_keys


def keys(account: bytes, measurement: bytes, root: bytes, platform: bytes) -> list[bytes]:
    """What the proof must cover, as storage keys: genesis hash, time, registration; that its software and its
    root are trusted, and that its platform is not banned.
    """
    return [*_entry_keys(account), *_trust_keys(measurement, root, platform)]


def _entry_keys(account: bytes) -> list[bytes]:
    return [
        map_key("System", "BlockHash", bytes(4), "twox_64_concat"),
        value_key("Timestamp", "Now"),
        map_key("Workers", "Workers", account),
    ]


def _trust_keys(measurement: bytes, root: bytes, platform: bytes) -> list[bytes]:
    return [
        map_key("Attestation", "Measurements", measurement, "identity"),
        map_key("Attestation", "Roots", root, "identity"),
        map_key("Attestation", "BannedPlatforms", platform, "identity"),
    ]


def read(
    value: Mapping[str, Any], account: bytes, authorities: Authorities, checkpoint: Checkpoint | None = None
) -> Registered:
    """The registration of an account that stands, out of a proof's JSON.

    Raises BadProof: not final by these authorities, no such worker, retired, banned, without its stake, or on
    software, a root or a platform that is not trusted.
    """
    if value.get("format") != FORMAT:
        raise BadProof(f"the proof is of another format than {FORMAT}")
    header, proof = final_state(value, authorities, checkpoint)
    return _registered(proof, account, header.number)


def _registered(proof: StorageProof, account: bytes, block: int) -> Registered:
    genesis, now, stored = map(proof.value, _entry_keys(account))
    if genesis is None or len(genesis) != 32 or now is None or len(now) != 8:
        raise BadProof("the chain's state has no genesis hash or no time")
    if stored is None:
        raise BadProof(f"0x{account.hex()} is not registered in block {block}")
    try:
        found = WORKER.decode(stored)
    except ProtocolError as error:
        raise BadProof(f"a registration is laid out otherwise: {error.message}") from None
    if found["retired_at"] is not None or found["banned"]:
        raise BadProof(f"0x{account.hex()} is {'banned' if found['banned'] else 'retired'}")
    resting = _trust_keys(found["measurement"], found["root"], found["platform"])
    software, root, platform = map(proof.value, resting)
    if software is None:
        raise BadProof(f"the software 0x{found['measurement'].hex()} is not on the chain's allow-list")
    if root is None:
        raise BadProof(f"the root 0x{found['root'].hex()} of its quote is not trusted any more")
    if platform is not None:
        raise BadProof(f"its platform 0x{found['platform'].hex()} is banned")
    if int.from_bytes(found["stake"], "little") < LEAST_STAKE:
        raise BadProof(f"0x{account.hex()} has lost its stake")
    return Registered(
        genesis,
        account,
        block,
        int.from_bytes(now, "little") // 1000,
        Level[found["level"].upper()],
        found["measurement"],
        found["hpke_key"],
        found["receipt_key"],
        found["epoch"],
        int.from_bytes(found["expires_at"], "little") // 1000,
        int.from_bytes(found["stake"], "little"),
    )
