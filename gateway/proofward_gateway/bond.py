"""The receipts' key on a chain: a quote that binds it to the account whose stake answers for it.

A gateway registers as a worker does that serves no model (chain/pallets/workers). It gives the material for
the one account of its configuration; the account's owner signs the registration, outside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from proofward.aci.errors import AciError
from proofward.attestation import Collateral
from proofward.consensus import BadProof
from proofward.protocol import ReceiptKey, sign_possession, worker_report_data
from proofward_enclave.providers.base import ProviderError
from proofward_gateway.config import Bond
from proofward_gateway.exchange import Refusal
from proofward_gateway.keys import Workload
from proofward_gateway.registered import proof_in


def registered(bond: Bond | None) -> dict[str, Any]:
    """The chain's proof of the account's registration, for who believes nothing else. Raises Refusal."""
    if bond is None or bond.proof is None:
        told = "this gateway's configuration names no proof of its registration (`registered` of [chain])"
        raise Refusal(404, "not_found", told, code="not_bonded")
    try:
        return {**proof_in(bond.proof), "account": bond.account.hex()}
    except (OSError, AciError, BadProof):
        told = "the proof of this gateway's registration cannot be read: is `gateway registered` at work?"
        raise Refusal(503, "not_bonded", told, code="not_bonded") from None


async def registration(bond: Bond | None, workload: Workload, query: Mapping[str, str]) -> dict[str, Any]:
    """What the account registers, in hex; with `epoch` and `block_hash` the quote over it besides.

    Raises Refusal.
    """
    if bond is None:
        told = "this gateway's configuration has no [chain]: no stake answers for it"
        raise Refusal(404, "not_found", told, code="not_bonded")
    keys = workload.keys
    receipt_key = bytes.fromhex(keys.keyset.receipt_keys[0].public_key)
    hpke_key = keys.hpke_key
    entry: dict[str, Any] = {
        "genesis": bond.genesis.hex(),
        "account": bond.account.hex(),
        "receipt_key": receipt_key.hex(),
        "hpke_key": hpke_key.hex(),
        "ends": keys.keyset.not_after,
    }
    if not query:
        return entry
    epoch, block = query.get("epoch", ""), query.get("block_hash", "")
    if not re.fullmatch(r"[0-9]{1,10}", epoch) or int(epoch) >= 1 << 32:
        raise Refusal(400, "invalid_request_error", "`epoch` is a number below 2^32")
    if not re.fullmatch(r"[0-9a-f]{64}", block):
        raise Refusal(400, "invalid_request_error", "`block_hash` is 64 lower-case hex digits")
    data = worker_report_data(
        genesis=bond.genesis,
        account=bond.account,
        hpke_key=hpke_key,
        receipt_key=receipt_key,
        epoch=int(epoch),
        block_hash=bytes.fromhex(block),
    )
    try:
        evidence = await workload.quote(data)
    except ProviderError as error:
        raise Refusal(503, "attestation_unavailable", error.message) from None
    if evidence is None:
        raise Refusal(429, "rate_limit_error", "too many quotes are asked for: try again later")
    collateral = workload.collateral_of(evidence)
    encoded = None if collateral is None else Collateral.from_json(json.dumps(collateral)).encode()
    signer = ReceiptKey(keys.receipt.private_bytes_raw())
    possession = sign_possession(data, signer)
    signer.erase()
    return {
        **entry,
        "epoch": int(epoch),
        "block_hash": block,
        "quote": evidence.quote.hex(),
        "collateral": None if encoded is None else encoded.hex(),
        "possession": possession.hex(),
    }
