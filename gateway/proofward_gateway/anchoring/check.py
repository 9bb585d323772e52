"""Whether an answer's receipt stands on a chain, and by when: the chain's word, not the gateway's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proofward.chain import SubstrateClient
from proofward.chain.pallets import system
from proofward.check import Check
from proofward.client.ids import hash32
from proofward.client.targets import Pins
from proofward.evidence.anchored import anchor_of, anchored_checks
from proofward.light.client import LightClient
from proofward_gateway.anchoring.ask import ask
from proofward_gateway.channel import GatewayError


def fetch(gateway: str, receipt_id: str) -> dict[str, Any]:
    """A receipt's proof from a gateway, over whatever TLS key it shows: the proof speaks for itself.

    Raises GatewayError: unreachable, or `not-anchored`.
    """
    try:
        told = ask(gateway, f"/v1/receipts/{receipt_id}/inclusion")
        return {name: told.get(name) for name in _MEMBERS}
    except GatewayError as error:
        if error.code != "not-anchored":
            raise
        raise GatewayError(
            f"{receipt_id} is on no chain yet: a gateway's receipts are anchored within a minute, "
            "where its operator runs `proofward gateway anchor`",
            code="not-anchored",
        ) from None


_MEMBERS: Final = ("number", "count", "root", "genesis", "account", "block", "position", "path", "proof")


@dataclass(frozen=True, slots=True)
class Found:
    """Each step from the receipt to the chain's clock, and the proof as a file keeps it."""

    checks: list[Check]
    proof: dict[str, Any]


def look(
    receipt: dict[str, Any], proof: dict[str, Any], node: str, light: Path | None, genesis: str | None
) -> Found:
    """As `checks`, by a node, or by the light client of a spec. Raises ChainError, LightError, Refused."""
    pinned = None if genesis is None else hash32(genesis, "genesis")
    with SubstrateClient.connect(node) if light is None else LightClient.open(light) as chain:
        found = checks(receipt, proof, chain, pinned=pinned)
        if all(one.ok is True for one in found):
            block = anchor_of(receipt, proof).block
            proof = {**proof, "at": chain.timestamp(chain.block_hash(block)) // 1000}
    return Found(found, proof)


def read(receipt: dict[str, Any], proof: dict[str, Any], spec: Path, genesis: str | None) -> Found:
    """By the chain's own proof that comes with a proof of inclusion. Raises Refused(no-finality)."""
    return Found(anchored_checks(receipt, proof, Pins(genesis=genesis, spec=spec).policy()), proof)


def checks(
    receipt: dict[str, Any], proof: dict[str, Any], chain: SubstrateClient, *, pinned: bytes | None = None
) -> list[Check]:
    """Each step from the receipt to the chain's clock; `pinned` is the genesis hash of the reader's chain.

    Raises ChainError.
    """
    try:
        what = anchor_of(receipt, proof)
    except (ValueError, KeyError, TypeError, OverflowError):
        return [Check("path", False, "it is no proof of inclusion, or one of another receipt")]
    told, genesis, block = f"receipt {what.position} of {what.count}", what.genesis, what.block
    found = [Check("path", True, f"{told} under root 0x{what.remark[-32:].hex()}")]
    if genesis != chain.genesis:
        return [*found, Check("chain", False, f"the proof is of chain 0x{genesis.hex()}")]
    if pinned not in (None, genesis):
        return [*found, Check("chain", False, f"genesis 0x{genesis.hex()}, which is not the pinned one")]
    found.append(Check("chain", True, f"genesis 0x{genesis.hex()}"))
    if block > chain.finalised_head().number:
        return [*found, Check("block", False, f"block {block} is not final")]
    name = chain.block_hash(block)
    stands = (what.account, what.remark) in system.remarks(chain, name)
    found.append(Check("block", stands, f"block {block} {'holds' if stands else 'does not hold'} this root"))
    at, served = chain.timestamp(name) // 1000, receipt.get("served_at")
    good = isinstance(served, int) and served <= at
    return [*found, Check("served at", good, f"{served}; the chain had the receipt at {at}")]
