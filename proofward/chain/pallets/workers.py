"""The workers pallet: registration by quote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from proofward.chain.client import FoundCall, SubstrateClient
from proofward.chain.pallets import _read
from proofward.chain.values import Call
from proofward.protocol.types import Level

PALLET: Final = "Workers"


@dataclass(frozen=True, slots=True)
class PreviousEpoch:
    """The keys of the epoch before, whose receipts still count."""

    epoch: int
    receipt_key: bytes


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A registration. `expires_at` is in milliseconds, `stake` in the smallest unit; `registered_at` is the
    block whose extrinsic holds the quote.
    """

    account: bytes
    level: Level
    root: bytes
    measurement: bytes
    hpke_key: bytes
    receipt_key: bytes
    epoch: int
    previous: PreviousEpoch | None
    endpoint: str
    quote_hash: bytes
    registered_at: int
    expires_at: int
    stake: int
    open_claims: int


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
        },
    )


def get(client: SubstrateClient, account: bytes, at: bytes | None = None) -> WorkerRecord | None:
    """The registration of an account; None when it is not a worker. It may have expired."""
    value = client.query(PALLET, "Workers", account, at=at)
    return value and _record(account, value)


def all(client: SubstrateClient, at: bytes | None = None) -> list[tuple[bytes, WorkerRecord]]:
    """Every registration, expired ones included."""
    return [(account, _record(account, value)) for account, value in client.iterate(PALLET, "Workers", at=at)]


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
    quote: bytes, hpke_key: bytes, receipt_key: bytes, epoch: int, block: int, endpoint: str
) -> dict[str, Any]:
    return {
        "quote": quote,
        "hpke_key": hpke_key,
        "receipt_key": receipt_key,
        "epoch": epoch,
        "block": block,
        "endpoint": endpoint.encode(),
    }


def register(
    *, quote: bytes, hpke_key: bytes, receipt_key: bytes, epoch: int, block: int, endpoint: str = ""
) -> Call:
    """Become a worker. `block` is the one whose hash the quote binds: one of the last 256."""
    return Call(PALLET, "register", _keys(quote, hpke_key, receipt_key, epoch, block, endpoint))


def renew(
    *, quote: bytes, hpke_key: bytes, receipt_key: bytes, epoch: int, block: int, endpoint: str = ""
) -> Call:
    """Change to the keys of a greater epoch."""
    return Call(PALLET, "renew", _keys(quote, hpke_key, receipt_key, epoch, block, endpoint))


def retire() -> Call:
    """Leave, and take the stake back; not while claims are open."""
    return Call(PALLET, "retire")
