"""Leaving: the worker's registration ends and its stake comes back."""

from __future__ import annotations

import asyncio

from proofward.chain.pallets import workers
from proofward.errors import ProofwardError
from proofward_node.chain_port import ChainPort
from proofward_node.config import NodeConfig
from proofward_node.journal import Journal
from proofward_node.ports import ChainDown


class RetireRefused(ProofwardError):
    """The worker is not registered, or cannot leave now. `code` says which."""


def retire(config: NodeConfig) -> int:
    """End the registration of a configuration's account; gives the block. The daemon must not be running.

    Raises RetireRefused, ConfigError, ChainMoved, JournalError (the daemon runs).
    """
    return asyncio.run(_retire(config))


async def _retire(config: NodeConfig) -> int:
    port = ChainPort(config.chain.url, config.signer, config.outbox, config.chain.genesis)
    try:
        await port.connect()
        journal = Journal(config.journal, port.genesis + port.account)
        try:
            record = await port.worker()
            if record is None:
                raise RetireRefused("this account is not a registered worker", code="not-found")
            sent = await port.send(f"retire:{record.epoch}:{record.receipt_key.hex()}", workers.retire())
        finally:
            journal.close()
    except ChainDown as error:
        raise RetireRefused(str(error), code="chain-unreachable") from error
    finally:
        await port.close()
    if sent.error is not None:
        advice = "; wait until its claims have ended" if sent.error == "OpenClaims" else ""
        raise RetireRefused(
            f"the chain refuses to retire this worker: {sent.error}{advice}", code="dispatch-error"
        )
    return sent.block
