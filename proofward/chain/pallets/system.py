"""The system pallet's remarks: bytes that a block has under an account's signature, and no state keeps."""

from __future__ import annotations

from typing import Final

from proofward.chain.client import SubstrateClient
from proofward.chain.values import Call

PALLET: Final = "System"
_REMARK: Final = "remark_with_event"


def remark(data: bytes) -> Call:
    """Put bytes into a block."""
    return Call(PALLET, _REMARK, {"remark": data})


def remarks(client: SubstrateClient, block: bytes) -> list[tuple[bytes | None, bytes]]:
    """Every remark in a block (its hash), nested ones included, with the account that signed for it."""
    found = client.find_calls(block, PALLET, _REMARK)
    return [(one.signer, bytes(one.args["remark"])) for one in found]
