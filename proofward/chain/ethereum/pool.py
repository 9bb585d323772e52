"""Ethereum transactions that wait in the node's pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proofward.chain.client import SubstrateClient
from proofward.chain.errors import ChainError, MetadataError
from proofward.chain.ethereum import revive
from proofward.chain.ethereum.history import decode_transaction
from proofward.protocol.hashes import keccak256


@dataclass(frozen=True, slots=True)
class Waiting:
    """A transaction that is in no block yet."""

    hash: bytes
    sender: bytes
    fields: dict[str, Any]


def waiting(client: SubstrateClient) -> list[Waiting]:
    """What waits now, in the pool's order; what cannot be read is left out."""
    found = []
    for data in client.rpc("author_pendingExtrinsics"):
        try:
            call = client.runtime.read_extrinsic(data, 0).call
            if call is None or (call.pallet, call.name) != ("Revive", "eth_transact"):
                continue
            raw = bytes(call.args["payload"])
            sender, fields = decode_transaction(raw)
        except (MetadataError, ValueError, ChainError):
            continue
        found.append(Waiting(keccak256(raw), sender, fields))
    return found


def next_nonce(client: SubstrateClient, owner: bytes) -> int:
    """The first nonce that neither a block, final or not, nor the pool has taken."""
    # the pool before the state: what a block takes meanwhile is then counted by one of them at least
    taken = {int(one.fields["nonce"]) for one in waiting(client) if one.sender == owner}
    nonce = revive.nonce(client, owner, client.rpc("chain_getBlockHash"))
    while nonce in taken:
        nonce += 1
    return nonce
