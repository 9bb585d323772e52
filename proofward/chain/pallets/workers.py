"""The workers pallet: registration by quote, and which models a worker serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from proofward.chain.client import FoundCall, SubstrateClient
from proofward.chain.pallets import _read
from proofward.chain.values import Call
from proofward.protocol.receipt import Receipt
from proofward.protocol.types import Level

PALLET: Final = "Workers"
MAX_SERVED: Final = 32
"""Most models that one worker serves (MAX_SERVED of the pallet)."""

MAX_ANSWER_RECEIPT: Final = 16 * 1024
"""Longest receipt of a gateway's answer, in bytes (MAX_ANSWER_RECEIPT of the pallet)."""


@dataclass(frozen=True, slots=True)
class PreviousEpoch:
    """The keys of the epoch before, whose receipts still count."""

    epoch: int
    receipt_key: bytes


@dataclass(frozen=True, slots=True)
class PastKey:
    """A receipt key that signs no more, kept so that evidence against it can be brought."""

    receipt_key: bytes
    superseded_at: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How a worker's claims ended, since it registered; `declined` counts jobs it never claimed."""

    accepted: int = 0
    rejected: int = 0
    lapsed: int = 0
    released: int = 0
    declined: int = 0


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A registration. `expires_at` is in milliseconds, `stake` in the smallest unit; `registered_at` is the
    block whose extrinsic holds the quote; `platform` is the SHA-256 of the machine's identifier; `served` is
    how many models it serves; `retired_at` is the block in which it left, its stake held for the unbonding
    time.
    """

    account: bytes
    level: Level
    root: bytes
    measurement: bytes
    platform: bytes
    hpke_key: bytes
    receipt_key: bytes
    epoch: int
    previous: PreviousEpoch | None
    past_keys: tuple[PastKey, ...]
    endpoint: str
    quote_hash: bytes
    registered_at: int
    expires_at: int
    stake: int
    open_claims: int
    served: int
    tally: Tally
    retired_at: int | None
    banned: bool

    @property
    def working(self) -> bool:
        """Whether it may take jobs at all: neither retired nor banned. Its registration may have expired."""
        return self.retired_at is None and not self.banned


def _record(account: bytes, value: dict[str, Any]) -> WorkerRecord:
    previous = value["previous"]
    return _read.record(
        WorkerRecord,
        account=account,
        **{
            **value,
            "level": _read.level(value["level"]),
            "endpoint": _read.text(value["endpoint"]),
            "previous": previous and PreviousEpoch(**previous),
            "past_keys": tuple(PastKey(**past) for past in value["past_keys"]),
            "tally": _read.record(Tally, **value["tally"]),
        },
    )


def get(client: SubstrateClient, account: bytes, at: bytes | None = None) -> WorkerRecord | None:
    """The registration of an account; None when it is not a worker. It may have expired."""
    value = client.query(PALLET, "Workers", account, at=at)
    return value and _record(account, value)


def all(client: SubstrateClient, at: bytes | None = None) -> list[tuple[bytes, WorkerRecord]]:
    """Every registration, expired ones included."""
    return [(account, _record(account, value)) for account, value in client.iterate(PALLET, "Workers", at=at)]


def last_epoch(client: SubstrateClient, account: bytes, at: bytes | None = None) -> int | None:
    """The last epoch of an account that ever was a worker; it only grows, through retirement too."""
    value = client.query(PALLET, "Epochs", account, at=at)
    return None if value is None else int(value)


def holder(client: SubstrateClient, receipt_key: bytes, at: bytes | None = None) -> bytes | None:
    """The account whose stake answers for a receipt key, for as long as evidence may name the key."""
    value = client.query(PALLET, "ReceiptKeys", receipt_key, at=at)
    return None if value is None else bytes(value)


def serving(client: SubstrateClient, account: bytes, at: bytes | None = None) -> dict[bytes, int]:
    """The models that a worker serves, with its least price of each in the smallest unit."""
    block = at or client.finalised_head().hash
    ids = [model for _, model in client.keys(PALLET, "Serving", account, limit=MAX_SERVED, at=block)]
    return _read.found(client, PALLET, "Served", {model: (model, account) for model in ids}, block)


def serves(client: SubstrateClient, account: bytes, model: bytes, at: bytes | None = None) -> int | None:
    """A worker's least price of a model; None when it does not serve it."""
    value = client.query(PALLET, "Served", model, account, at=at)
    return None if value is None else int(value)


def servers(
    client: SubstrateClient, model: bytes, limit: int, at: bytes | None = None, start: bytes = b""
) -> dict[bytes, int]:
    """Up to `limit` workers that serve a model, with their least prices: those whose hashed accounts follow
    `start` (up to 16 bytes, at random for a random sample), then those from the beginning.
    """
    block = at or client.finalised_head().hash
    found = list(client.keys(PALLET, "Served", model, limit=limit, at=block, start=start))
    if len(found) < limit and start:
        found += client.keys(PALLET, "Served", model, limit=limit - len(found), at=block)
    return _read.found(client, PALLET, "Served", {account: (model, account) for _, account in found}, block)


def many(
    client: SubstrateClient, accounts: Sequence[bytes], at: bytes | None = None
) -> dict[bytes, WorkerRecord]:
    """The registrations of some accounts, in one request; accounts without one are left out."""
    found = _read.found(client, PALLET, "Workers", {account: (account,) for account in accounts}, at)
    return {account: _record(account, value) for account, value in found.items()}


def registration(client: SubstrateClient, worker: WorkerRecord) -> FoundCall | None:
    """The call that made the record, with `quote`, `block` and the keys in its arguments, from block
    history.
    """
    block = client.block_hash(worker.registered_at)
    for name in ("renew", "register"):
        for found in reversed(client.find_calls(block, PALLET, name)):
            if found.signer == worker.account and found.args["receipt_key"] == worker.receipt_key:
                return found
    return None


def _keys(
    quote: bytes,
    hpke_key: bytes,
    receipt_key: bytes,
    possession: bytes,
    epoch: int,
    block: int,
    endpoint: str,
) -> dict[str, Any]:
    return {
        "quote": quote,
        "hpke_key": hpke_key,
        "receipt_key": receipt_key,
        "possession": possession,
        "epoch": epoch,
        "block": block,
        "endpoint": endpoint.encode(),
    }


def register(
    *,
    quote: bytes,
    hpke_key: bytes,
    receipt_key: bytes,
    possession: bytes,
    epoch: int,
    block: int,
    endpoint: str = "",
) -> Call:
    """Become a worker. `block` is the one whose hash the quote binds: one of the last 256; `possession` is
    `proofward.protocol.sign_possession` over what the quote binds.
    """
    return Call(PALLET, "register", _keys(quote, hpke_key, receipt_key, possession, epoch, block, endpoint))


def renew(
    *,
    quote: bytes,
    hpke_key: bytes,
    receipt_key: bytes,
    possession: bytes,
    epoch: int,
    block: int,
    endpoint: str = "",
) -> Call:
    """Change to the keys of a greater epoch."""
    return Call(PALLET, "renew", _keys(quote, hpke_key, receipt_key, possession, epoch, block, endpoint))


def report_equivocation(
    receipt_key: bytes, first: Receipt, first_signature: bytes, second: Receipt, second_signature: bytes
) -> Call:
    """Show that a worker signed two different results of one job under one key."""
    return Call(
        PALLET,
        "report_equivocation",
        {
            "receipt_key": receipt_key,
            "first": first.values(),
            "first_signature": first_signature,
            "second": second.values(),
            "second_signature": second_signature,
        },
    )


def report_two_receipts(
    receipt_key: bytes, first: bytes, first_signature: bytes, second: bytes, second_signature: bytes
) -> Call:
    """Show that a gateway signed two receipts of one id: each as the bytes that were signed (its canonical
    form, at most `MAX_ANSWER_RECEIPT`) and the signature's 64.
    """
    return Call(
        PALLET,
        "report_two_receipts",
        {
            "receipt_key": receipt_key,
            "first": first,
            "first_signature": first_signature,
            "second": second,
            "second_signature": second_signature,
        },
    )


def retire() -> Call:
    """Leave; not while claims are open. The stake stays for the unbonding time: see `withdraw`."""
    return Call(PALLET, "retire")


def withdraw() -> Call:
    """Take the stake back, once the unbonding time is over."""
    return Call(PALLET, "withdraw")


def top_up() -> Call:
    """Make the stake whole again after a part of it was lost."""
    return Call(PALLET, "top_up")


def serve(model: bytes, min_price: int) -> Call:
    """Declare that one does jobs of a model at this price (smallest unit) or above; again to change it."""
    return Call(PALLET, "serve", {"model": model, "min_price": min_price})


def unserve(model: bytes) -> Call:
    """Take a declaration back."""
    return Call(PALLET, "unserve", {"model": model})


def ban(worker: bytes, banned: bool) -> Call:
    """Governance origin: stop a worker, or let it work again."""
    return Call(PALLET, "ban", {"worker": worker, "banned": banned})
