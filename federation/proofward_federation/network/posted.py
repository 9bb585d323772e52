"""Proofs of accuracy on the chain: by when a hospital stood for one, and whether it stood for another too.

What stands there is a remark of the hospital's account: `proofward/accuracy/v1`, the model's manifest (32
bytes), the test set's root (32), right and all records (u32 LE each). A hospital that tries test sets until
one pleases has to leave the others out; which of them it posted, everybody can list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proofward.chain import SubstrateClient
from proofward.chain.extrinsic import Signer
from proofward.chain.pallets import system
from proofward.check import Check
from proofward.statements.accuracy import Accuracy
from proofward_federation.errors import FederationError
from proofward_federation.network.ledger import MAX_SEARCHED

_DOMAIN: Final = b"proofward/accuracy/v1"


@dataclass(frozen=True, slots=True)
class Posted:
    """One remark; `block` is that of the chain."""

    block: int
    root: bytes
    right: int
    records: int


def remark(proved: Accuracy) -> bytes:
    """What stands on the chain of a proof: 93 bytes."""
    numbers = proved.right.to_bytes(4, "little") + proved.records.to_bytes(4, "little")
    return _DOMAIN + bytes.fromhex(proved.manifest_hash) + bytes.fromhex(proved.root) + numbers


def post(client: SubstrateClient, signer: Signer, proved: Accuracy) -> int:
    """Put a proof's root on the chain; gives the block. Raises ChainError."""
    return client.submit(system.remark(remark(proved)), signer).block


def posted(client: SubstrateClient, account: bytes, manifest: bytes, *, since: int) -> list[Posted]:
    """Every root that an account posted for a model, from a block to the last final one.

    Raises FederationError(too-many-blocks), ChainError.
    """
    last, head = client.finalised_head().number, _DOMAIN + manifest
    if last - since >= MAX_SEARCHED:
        raise FederationError(
            f"from block {since} to {last} are more than {MAX_SEARCHED} blocks: name a later one",
            code="too-many-blocks",
        )
    found = []
    for block in range(max(1, since), last + 1):
        for signer, said in system.remarks(client, client.block_hash(block)):
            if signer == account and said.startswith(head) and len(said) == len(head) + 40:
                tail = said[len(head) :]
                numbers = (int.from_bytes(tail[at : at + 4], "little") for at in (32, 36))
                found.append(Posted(block, tail[:32], *numbers))
    return found


def checks(client: SubstrateClient, proved: Accuracy, account: bytes, *, since: int) -> list[Check]:
    """Whether the chain has this proof's root, of this account, and no other one for the model since a block.

    Raises FederationError, ChainError.
    """
    there = posted(client, account, bytes.fromhex(proved.manifest_hash), since=since)
    mine = [one for one in there if remark(proved).endswith(_tail(one))]
    if not mine:
        return [Check("root on the chain", False, f"no block from {since} on has it, of this account")]
    at = client.timestamp(client.block_hash(mine[0].block)) // 1000
    others = [one for one in there if _tail(one) != _tail(mine[0])]
    told = ", ".join(f"{one.right} of {one.records} in block {one.block}" for one in others)
    return [
        Check("root on the chain", True, f"block {mine[0].block}, by {at} of the chain's clock"),
        Check("no other root", not others, told or f"none for this model from block {since} on"),
    ]


def _tail(one: Posted) -> bytes:
    return one.root + one.right.to_bytes(4, "little") + one.records.to_bytes(4, "little")
