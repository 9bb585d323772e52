"""Acts on a worker's stake: to leave, to take it back after the unbonding time, to make it whole again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from proofward.chain import Call
from proofward.chain.pallets import workers
from proofward.errors import ProofwardError
from proofward_node.chain_port import ChainPort
from proofward_node.config import NodeConfig
from proofward_node.journal import Journal
from proofward_node.ports import ChainDown


class RetireRefused(ProofwardError):
    """The worker is not registered, or cannot leave now. `code` says which."""


@dataclass(frozen=True, slots=True)
class Left:
    """The block of an act; from block `free_at` on the stake can be withdrawn."""

    block: int
    free_at: int


def retire(config: NodeConfig) -> Left:
    """End the registration of a configuration's account. The daemon must not be running.

    Raises RetireRefused, ConfigError, ChainMoved, JournalError (the daemon runs).
    """
    return asyncio.run(_act(config, "retire", workers.retire()))


def withdraw(config: NodeConfig) -> Left:
    """Take the stake of a retired worker back; a small part stays on hold for the account's last epoch.

    Raises as `retire`.
    """
    return asyncio.run(_act(config, "withdraw", workers.withdraw()))


def top_up(config: NodeConfig) -> Left:
    """Make the stake whole again after a part of it was lost; nothing happens to one that is whole.

    Raises as `retire`.
    """
    return asyncio.run(_act(config, "top-up", workers.top_up()))


_ADVICE = {
    "OpenClaims": "wait until its claims have ended",
    "AlreadyRetired": "take the stake back with `proofward worker withdraw`",
    "Banned": "what is left of its stake is for the consortium to free",
}


async def _act(config: NodeConfig, what: str, call: Call) -> Left:
    config.worker.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = ChainPort(config.chain.url, config.signer, config.outbox, config.chain.genesis)
    try:
        await port.connect()
        journal = Journal(config.journal, port.genesis + port.account)
        try:
            record = await port.worker()
            if record is None:
                raise RetireRefused("this account is not a registered worker", code="not-found")
            unbonding = await port.unbonding()
            free_at = (record.retired_at or 0) + unbonding
            head = await port.finalised()
            if what == "withdraw" and (record.retired_at is None or head.number < free_at):
                raise RetireRefused(
                    "this worker has not retired: `proofward worker retire` comes first"
                    if record.retired_at is None
                    else f"the stake is free from block {free_at} on, the chain is at block {head.number}",
                    code="too-early",
                )
            # A stake can be cut by the same amount, and made whole, more than once in an epoch.
            again = f":{head.number}" if what == "top-up" else ""
            sent = await port.send(f"{what}:{record.epoch}:{record.receipt_key.hex()}{again}", call)
        finally:
            journal.close()
    except ChainDown as error:
        raise RetireRefused(str(error), code="chain-unreachable") from error
    finally:
        await port.close()
    if sent.error is not None:
        advice = f"; {_ADVICE[sent.error]}" if sent.error in _ADVICE else ""
        raise RetireRefused(
            f"the chain refuses to {what} for this worker: {sent.error}{advice}", code="dispatch-error"
        )
    return Left(sent.block, sent.block + unbonding if what == "retire" else free_at)
