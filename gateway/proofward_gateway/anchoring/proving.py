"""The chain's own proofs, as JSON for who believes no node: of a remark, of a registration."""

from __future__ import annotations

from typing import Any

from proofward.chain import SubstrateClient
from proofward.client.inclusion import prove_keys
from proofward.consensus.header import from_json
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
    at = f"0x{client.block_hash(block).hex()}"
    nodes = client.rpc("state_getReadProof", [f"0x{key.hex()}" for key in inside], at)["proof"]
    return {
        "format": FORMAT,
        **fields(part),
        "block_header": from_json(client.rpc("chain_getHeader", at)).hex(),
        "block_nodes": [node.removeprefix("0x") for node in nodes],
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
