"""The consortium pallet: who runs the chain, and decisions that hold after a notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from proofward.chain.client import SubstrateClient
from proofward.chain.errors import MetadataError
from proofward.chain.pallets import _read
from proofward.chain.values import Call

PALLET: Final = "Consortium"
MAX_ENDPOINT: Final = 256
"""Longest endpoint of a member's node, in bytes (MAX_ENDPOINT of the pallet)."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member. `legal_name` is the SHA-256 of its name; `out_since` the session in which it was shown to
    have said two things at once, None while it takes part; `seated`: whether it votes now; `has_keys`:
    whether the chain has session keys of it.
    """

    account: bytes
    legal_name: bytes
    endpoint: str
    out_since: int | None
    seated: bool
    has_keys: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """A decision that does not hold yet. `change` is the pallet's name of it (`Admit`, `Enact`), `details`
    what it says; it holds from block `due` on.
    """

    number: int
    change: str
    details: dict[str, Any]
    due: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What the genesis fixed: what the chain is for, blocks of a session (0: its validators never change)
    and of a notice, and how many validators no vote goes below.
    """

    kind: str
    session_blocks: int
    notice_blocks: int
    least_validators: int


def settings(client: SubstrateClient, at: bytes | None = None) -> Settings:
    """The chain's settings."""
    value = client.query(PALLET, "SettingsOf", at=at)
    return Settings(**{name: value[name] for name in Settings.__dataclass_fields__})


def members(client: SubstrateClient, at: bytes | None = None) -> list[Member]:
    """Every member, taking part or not, by account."""
    block = at or client.finalised_head().hash
    seats = {bytes(one) for one in client.query("Council", "Members", at=block)}
    found = sorted((bytes(account), value) for account, value in client.iterate(PALLET, "Members", at=block))
    keys = _read.found(client, "Session", "NextKeys", {account: (account,) for account, _ in found}, block)
    return [
        Member(
            account=account,
            legal_name=bytes(value["legal_name"]),
            endpoint=_read.text(value["endpoint"]),
            out_since=_out(value["standing"]),
            seated=account in seats,
            has_keys=account in keys,
        )
        for account, value in found
    ]


def _out(standing: Any) -> int | None:
    return int(standing["Out"]["session"]) if isinstance(standing, dict) else None


def notices(client: SubstrateClient, at: bytes | None = None) -> list[Notice]:
    """Every decision that does not hold yet, the oldest first."""
    return sorted(
        (_notice(number, value) for number, value in client.iterate(PALLET, "Notices", at=at)),
        key=lambda one: one.number,
    )


def _notice(number: int, value: dict[str, Any]) -> Notice:
    if not isinstance(value["change"], dict):
        raise MetadataError(f"notice {number} is of an unknown kind")
    change, details = next(iter(value["change"].items()))
    return Notice(number, change, dict(details), int(value["due"]))


def admit(account: bytes, legal_name: bytes, endpoint: str) -> Call:
    """Admit a member (`legal_name`: SHA-256), which must have set session keys when the decision holds."""
    return Call(
        PALLET, "admit", {"account": account, "legal_name": legal_name, "endpoint": endpoint.encode("ascii")}
    )


def replace(member: bytes, successor: bytes) -> Call:
    """Put a member's place on another account."""
    return Call(PALLET, "replace", {"member": member, "successor": successor})


def remove(member: bytes) -> Call:
    """Remove a member."""
    return Call(PALLET, "remove", {"member": member})


def reinstate(member: bytes) -> Call:
    """Let a member that was put out take part again."""
    return Call(PALLET, "reinstate", {"member": member})


def leave() -> Call:
    """As a member: leave, after the notice."""
    return Call(PALLET, "leave")


def set_endpoint(endpoint: str) -> Call:
    """As a member: say where one's node is met."""
    return Call(PALLET, "set_endpoint", {"endpoint": endpoint.encode("ascii")})


def announce_call(call: bytes) -> Call:
    """Announce a call by BLAKE2b-256 of its encoding; after the notice anybody may have it made as root."""
    return Call(PALLET, "announce_call", {"call": call})


def enact(notice: int, call: Call) -> Call:
    """Have an announced call made, once. Anyone may sign it."""
    return Call(PALLET, "enact", {"notice": notice, "call": call})


def withdraw(notice: int) -> Call:
    """A third of the members: take a decision back that does not hold yet."""
    return Call(PALLET, "withdraw", {"notice": notice})


def recover_finality(delay: int, best_finalised: int) -> Call:
    """Begin anew with finality, `delay` blocks behind the next session, on top of a block that any of the
    remaining validators has as final.
    """
    return Call(PALLET, "recover_finality", {"delay": delay, "best_finalised": best_finalised})


def set_keys(aura: bytes, grandpa: bytes, proof: bytes) -> Call:
    """As a member, or one to come: the session keys (32 bytes each) of one's node, with its proof of them."""
    return Call("Session", "set_keys", {"keys": {"aura": aura, "grandpa": grandpa}, "proof": proof})


def authorise_upgrade(code_hash: bytes) -> Call:
    """As root: let the runtime of this BLAKE2b-256 be put on the chain by anybody."""
    return Call("System", "authorize_upgrade", {"code_hash": code_hash})


def apply_upgrade(code: bytes) -> Call:
    """Put an authorised runtime on the chain. Anyone may sign it."""
    return Call("System", "apply_authorized_upgrade", {"code": code})
