"""What a worker signs: what is to leave at the same moment goes to the node in one message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from proofward.chain import Call, DispatchError, Outbox
from proofward.chain.extrinsic import Signer
from proofward_node.ports import ChainDown, Sent

_T = TypeVar("_T")


class _Run(Protocol):
    """Runs a blocking call beside the event loop. Raises ChainDown."""

    def __call__(self, action: Callable[[], _T], /) -> Awaitable[_T]: ...


class Outgoing:
    """Sends through an outbox for one signer. For one event loop."""

    def __init__(self, outbox: Outbox, signer: Signer, run: _Run) -> None:
        self._outbox, self._signer, self._run = outbox, signer, run
        self._queued: list[tuple[str, Call]] = []
        self._leaving: asyncio.Future[None] | None = None

    async def send(self, key: str, call: Call) -> Sent:
        """See `proofward_node.ports.Chain.send`."""
        self._queued.append((key, call))
        if self._leaving is None:
            self._leaving = asyncio.ensure_future(self._together())
        await asyncio.shield(self._leaving)

        def act() -> Sent:
            try:
                receipt = self._outbox.send(key, call, self._signer)
            except DispatchError as error:
                entry = self._outbox.get(key)
                return Sent((entry.block if entry is not None else None) or 0, error.name)
            return Sent(receipt.block, None, receipt.events)

        return await self._run(act)

    async def _together(self) -> None:
        await asyncio.sleep(0)  # those that were let go with the first one come now
        queued, self._queued, self._leaving = self._queued, [], None
        if len(queued) > 1:
            with contextlib.suppress(ChainDown):  # each one learns of it by itself
                await self._run(lambda: self._outbox.hand_over(queued, self._signer))
