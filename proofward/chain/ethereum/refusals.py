"""Why a chain refused an Ethereum transaction, in the words of other Ethereum nodes: libraries tell causes
apart by them.
"""

from __future__ import annotations

from typing import Any

from proofward.chain.client import SubstrateClient
from proofward.chain.errors import ChainError, ExtrinsicInvalid
from proofward.chain.ethereum import revive


def explain(client: SubstrateClient, sender: bytes, fields: dict[str, Any], refusal: ExtrinsicInvalid) -> str:
    """The cause, looked for in this order: chain, nonce, fee, funds, gas; else what the node said."""
    chain = revive.chain_id(client)
    signed_for = chain_id(fields)
    if signed_for != chain:
        told = "no chain (it lacks replay protection)" if signed_for is None else f"chain {signed_for}"
        return f"invalid chain id for signer: signed for {told}, this is chain {chain}"
    nonce, due = int(fields["nonce"]), revive.nonce(client, sender)
    if nonce < due:
        return f"nonce too low: next nonce {due}, tx nonce {nonce}"
    if refusal.code == "nonce-in-future":
        return f"nonce too high: next nonce {due}, tx nonce {nonce}"
    price, base = int(fields.get("maxFeePerGas", fields.get("gasPrice", 0))), revive.gas_price(client)
    if price < base:
        return f"max fee per gas less than block base fee: maxFeePerGas: {price}, baseFee: {base}"
    gas, value = int(fields["gas"]), int(fields.get("value", 0))
    have, cost = revive.balance(client, sender), gas * price + value
    if have < cost:
        return f"insufficient funds for gas * price + value: have {have} want {cost}"
    needed = _gas_needed(client, sender, fields)
    if needed is not None and gas < needed:
        return f"gas limit too low: {gas}, at least {needed} are needed"
    return refusal.message


def chain_id(fields: dict[str, Any]) -> int | None:
    """The chain that a transaction was signed for (EIP-155); None when it does not say."""
    if fields["type"]:
        return int(fields["chainId"])
    v = int(fields["v"])
    return (v - 35) // 2 if v >= 35 else None


def _gas_needed(client: SubstrateClient, sender: bytes, fields: dict[str, Any]) -> int | None:
    try:
        return revive.dry_run(
            client,
            revive.Transaction(
                data=fields["data"], to=fields["to"], sender=sender, value=int(fields.get("value", 0))
            ),
        ).gas
    except ChainError:
        return None
