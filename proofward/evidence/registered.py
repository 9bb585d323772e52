"""Whether the reader's chain had a service's keys, software and stake when it was attested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proofward.attestation.gateway import Appraisal
from proofward.check import Check, said
from proofward.consensus import BadProof, OlderThanCheckpoint
from proofward.consensus.registered import MAX_AGE, read
from proofward.evidence.policy import Policy


def registered_check(
    name: str, value: Mapping[str, Any], found: Appraisal, began: int, policy: Policy
) -> Check:
    """The line `name` about a proof (JSON, with its `account`) that goes with what was attested at `began`,
    Unix seconds. Without the reader's authorities it is the gateway's word.
    """
    try:
        account = bytes.fromhex(value["account"])
        if policy.authorities is None:
            told = f"0x{account.hex()}, says the gateway: a proof is here and unread, give the chain's --spec"
            return said(name, told)
        record = read(value, account, policy.authorities, policy.checkpoint)
    except OlderThanCheckpoint as error:
        return Check(name, None, error.message)
    except BadProof as error:
        return Check(name, False, error.message)
    except (KeyError, TypeError, ValueError):
        return Check(name, False, "the proof names no account")
    keyset = found.keyset
    same = keyset is not None and record.keys_of(
        [key.public_key for key in keyset.receipt_keys], [key.public_key for key in keyset.e2ee_keys]
    )
    if (
        not same
        or record.measurement != found.software
        or not record.at - MAX_AGE <= began <= min(record.at + MAX_AGE, record.expires_at)
    ):
        return Check(name, False, f"0x{account.hex()} has other keys, software or times on the chain")
    if policy.genesis not in (None, record.genesis):
        return Check(name, False, f"the registration is on chain 0x{record.genesis.hex()}")
    told = f"0x{account.hex()} in block {record.block}, {record.level.label}, with a stake of {record.stake}"
    return Check(name, True, f"{told} planck")
