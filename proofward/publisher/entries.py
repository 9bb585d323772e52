"""A publisher's entries after publishing: their price, their end, their deposit."""

from __future__ import annotations

from pathlib import Path

from proofward.chain import Call, Outbox, accounts
from proofward.chain.pallets import models
from proofward.chain.pallets.models import ModelRecord
from proofward.client import Client
from proofward.client.store import chain_folder
from proofward.errors import Refused


def set_price(url: str, signer: str, which: str, price: int, state: Path | None = None) -> ModelRecord:
    """Change the least price of jobs of a model (plancks); jobs that were submitted keep theirs. Raises
    NotFound, Refused, DispatchError, ChainError, AccountError.
    """
    with Client(url) as client:
        record = client.model(which)
        if record.price == price:
            return record
        _send(client, signer, f"price:{price}", models.set_price(record.id, price), state, record)
        return client.model(record.id)


def retire(url: str, signer: str, which: str, state: Path | None = None) -> ModelRecord:
    """Take no new jobs for a model; those in its queue may still be done. Raises as `set_price`."""
    with Client(url) as client:
        record = client.model(which)
        if record.retired:
            return record
        _send(client, signer, "retire", models.retire(record.id), state, record)
        return client.model(record.id)


def remove(url: str, signer: str, which: str, state: Path | None = None) -> int:
    """Take a retired model out of state once no job of it can be open; its publisher has the deposit back.
    Gives the deposit. Raises as `set_price`.
    """
    with Client(url) as client:
        record = client.model(which)
        if record.retired_at is None:
            raise Refused(f"model 0x{record.id.hex()} is not retired: `proofward model retire` comes first")
        free_at = record.retired_at + int(client.chain.constant("Models", "MaxDeadline"))
        head = client.chain.finalised_head().number
        if head <= free_at:
            raise Refused(
                f"jobs of model 0x{record.id.hex()} may be open until block {free_at}, the chain is at block "
                f"{head}",
                code="too-early",
            )
        _send(client, signer, "remove", models.remove(record.id), state, record)
        return record.deposit


def _send(
    client: Client, signer: str, what: str, call: Call, state: Path | None, record: ModelRecord
) -> None:
    """Once, whatever happens: the same wish about the same state of the record is never signed twice."""
    outbox = Outbox(chain_folder(client.chain.genesis, state) / "outbox.sqlite", client.chain)
    try:
        key = f"{what}:{record.id.hex()}:{client.chain.finalised_head().number}"
        outbox.send(key, call, accounts.keypair_of(signer))
    finally:
        outbox.close()
