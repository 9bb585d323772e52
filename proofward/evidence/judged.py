"""Which receipts of answers a chain can judge: a stake is behind these, and behind no others.

Source: chain/pallets/workers/src/answers.rs (`receipt_id`), whose pattern this is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from proofward.aci import jcs
from proofward.aci.documents import Keyset
from proofward.check import Check, said

STAKE: Final = "stake"
MAX_JUDGED: Final = 16 * 1024
"""Longest receipt that a chain reads, in bytes (MAX_ANSWER_RECEIPT of the pallet)."""
_CANONICAL: Final = re.compile(
    rb'\{"api_version":"aci/1","chat_id":.*,"receipt_id":"([A-Za-z0-9_.:-]{1,128})",'
    rb'"served_at":[0-9]+,"workload_keyset_digest":"sha256:[0-9a-f]{64}"\}',
    re.DOTALL,
)


def signed_bytes(receipt: Mapping[str, Any]) -> bytes:
    """What a receipt's signature is over: its canonical form without it."""
    return jcs.canonical({name: value for name, value in receipt.items() if name != "signature"})


def judged_id(said_bytes: bytes) -> bytes | None:
    """The id that a chain reads in a receipt's signed bytes; None where it reads none. Of any length."""
    found = _CANONICAL.fullmatch(said_bytes)
    return found[1] if found else None


def stake_checks(receipt: Mapping[str, Any], keyset: Keyset | None) -> list[Check]:
    """A line where no stake can be behind a receipt whose signature holds; none where one can.

    Other gateways of ACI may write members that ours does not: such a receipt is good, and nobody can be
    slashed for a second one of its id.
    """
    data = signed_bytes(receipt)
    if judged_id(data) is None:
        why = "its members are not those, in the order, that a chain reads"
    elif len(data) > MAX_JUDGED:
        why = f"it has {len(data)} bytes, and a chain reads {MAX_JUDGED}"
    elif keyset is not None and len(keyset.receipt_keys) > 1:
        why = f"its gateway lists {len(keyset.receipt_keys)} receipt keys, and a registration has one"
    else:
        return []
    return [said(STAKE, f"not behind this receipt: {why}; two of its id could not be shown to one")]
