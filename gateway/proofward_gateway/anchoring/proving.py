"""The chain's own proofs, as JSON for who believes no node: of a remark, of a registration."""

from __future__ import annotations

from typing import Any

from proofward.chain import SubstrateClient
from proofward.client.inclusion import prove_keys
from proofward.evidence.anchored import FORMAT, keys_in
from proofward.evidence.bundle import InclusionPart


def of_remark(client: SubstrateClient, block: int) -> dict[str, Any] | None:
    """What `proofward.evidence.anchored` reads of a block; None from a chain that has no GRANDPA.

    Waits for a final block behind it. Raises NotFound, ChainError: also where the block's state is gone.
    """
    inside, later = keys_in(block)
    part = prove_keys(client, later, block=block + 1)
    if part is None:
        return None
    at = client.block_hash(block)
    return {
        "format": FORMAT,
        **fields(part),
        "block_header": client.header(at).encoded.hex(),
        "block_nodes": [node.hex() for node in client.read_proof(inside, at)],
    }


def fields(part: InclusionPart) -> dict[str, Any]:
    """What `proofward.consensus.final` reads of a proof."""
    return {
        "header": part.header.hex(),
        "justification": part.justification.hex(),
        "changes": [
            {"header": one.header.hex(), "justification": one.justification.hex()} for one in part.changes
        ],
        "nodes": [node.hex() for node in part.nodes],
    }
