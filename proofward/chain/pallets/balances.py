"""The balances pallet: what an account has, and how it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proofward.chain.client import SubstrateClient
from proofward.chain.values import Call

PALLET: Final = "Balances"


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's money, in the smallest unit: `free` can be spent, `held` is put down for stakes, bonds,
    escrow and deposits.
    """

    free: int
    held: int


def get(client: SubstrateClient, account: bytes, at: bytes | None = None) -> Balance:
    """The balance of an account (32 bytes); zero for one that the chain does not know."""
    data = client.query("System", "Account", account, at=at)["data"]
    return Balance(int(data["free"]), int(data["reserved"]))


def holds(client: SubstrateClient, account: bytes, at: bytes | None = None) -> dict[str, int]:
    """What an account's held money is for: `Pallet.Reason` to amount."""
    found = client.query(PALLET, "Holds", account, at=at) or ()
    return {_reason(one["id"]): int(one["amount"]) for one in found}


def _reason(value: object) -> str:
    if isinstance(value, dict):
        return ".".join(f"{pallet}.{reason}" for pallet, reason in value.items())
    return str(value)


def transfer(to: bytes, amount: int) -> Call:
    """Send money; refused where it would leave the sender's account too small to live."""
    return Call(PALLET, "transfer_keep_alive", {"dest": {"Id": to}, "value": amount})
