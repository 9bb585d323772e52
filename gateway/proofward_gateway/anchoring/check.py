"""Whether an answer's receipt stands on a chain, and by when: the chain's word, not the gateway's."""

from __future__ import annotations

from typing import Any

from proofward.chain import SubstrateClient
from proofward.check import Check
from proofward_gateway.anchoring.ask import ask
from proofward_gateway.channel import GatewayError
from proofward_gateway.inclusion import remark, root_under


def fetch(gateway: str, receipt_id: str) -> dict[str, Any]:
    """A receipt's proof from a gateway, over whatever TLS key it shows: the proof speaks for itself.

    Raises GatewayError: unreachable, or `not-anchored`.
    """
    try:
        return ask(gateway, f"/v1/receipts/{receipt_id}/inclusion")
    except GatewayError as error:
        if error.code != "not-anchored":
            raise
        raise GatewayError(
            f"{receipt_id} is on no chain yet: a gateway's receipts are anchored within a minute, "
            "where its operator runs `proofward gateway anchor`",
            code="not-anchored",
        ) from None


def checks(
    receipt: dict[str, Any], proof: dict[str, Any], chain: SubstrateClient, *, pinned: bytes | None = None
) -> list[Check]:
    """Each step from the receipt to the chain's clock; `pinned` is the genesis hash of the reader's chain.

    Raises ChainError.
    """
    try:
        root = root_under(receipt, proof)
        number, count, block = int(proof["number"]), int(proof["count"]), int(proof["block"])
        account, genesis = bytes.fromhex(proof["account"]), bytes.fromhex(proof["genesis"])
        stated, wanted = proof["root"] == root.hex(), remark(number, count, root)
    except (ValueError, KeyError, TypeError, OverflowError):
        return [Check("path", False, "it is no proof of inclusion")]
    found = [Check("path", stated, f"receipt {proof['position']} of {count} under root 0x{root.hex()}")]
    if genesis != chain.genesis:
        return [*found, Check("chain", False, f"the proof is of chain 0x{genesis.hex()}")]
    if pinned not in (None, genesis):
        return [*found, Check("chain", False, f"genesis 0x{genesis.hex()}, which is not the pinned one")]
    found.append(Check("chain", True, f"genesis 0x{genesis.hex()}"))
    if not 0 < block <= chain.finalised_head().number:
        return [*found, Check("block", False, f"block {block} is not final")]
    name = chain.block_hash(block)
    calls = chain.find_calls(name, "System", "remark_with_event")
    stands = any(one.signer == account and bytes(one.args["remark"]) == wanted for one in calls)
    found.append(Check("block", stands, f"block {block} {'holds' if stands else 'does not hold'} this root"))
    at, served = chain.timestamp(name) // 1000, receipt.get("served_at")
    good = isinstance(served, int) and served <= at
    return [*found, Check("served at", good, f"{served}; the chain had the receipt at {at}")]
