"""The client for asyncio: the same methods, as coroutines that wait in threads."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from proofward.client.answer import Answer
from proofward.client.client import Client
from proofward.client.job import Job, Outcome
from proofward.evidence.bundle import Bundle
from proofward.evidence.verify import Verdict


class AsyncClient:
    """Wraps a `Client`, which stays reachable as `sync`; arguments and errors are its own."""

    def __init__(self, sync: Client) -> None:
        self.sync = sync

    @classmethod
    async def connect(cls, url: str, signer: str | None = None, **options: Any) -> AsyncClient:
        """See `Client`."""
        return cls(await asyncio.to_thread(Client, url, signer, **options))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """See `Client.close`."""
        await asyncio.to_thread(self.sync.close)

    async def submit(self, model: str | bytes, x: ArrayLike, **options: Any) -> Job:
        """See `Client.submit`."""
        return await asyncio.to_thread(self.sync.submit, model, x, **options)

    async def show(self, job: Job | str | bytes) -> Outcome:
        """See `Client.show`."""
        return await asyncio.to_thread(self.sync.show, job)

    async def wait(self, job: Job | str | bytes, **options: Any) -> Outcome:
        """See `Client.wait`."""
        return await asyncio.to_thread(self.sync.wait, job, **options)

    async def cancel(self, job: Job | str | bytes) -> Outcome:
        """See `Client.cancel`."""
        return await asyncio.to_thread(self.sync.cancel, job)

    async def open(self, job: Job | str | bytes, *, artifact: str | Path | None = None) -> Answer:
        """See `Client.open`."""
        return await asyncio.to_thread(self.sync.open, job, artifact=artifact)

    async def bundle(self, job: Job | str | bytes, **options: Any) -> Bundle:
        """See `Client.bundle`."""
        return await asyncio.to_thread(self.sync.bundle, job, **options)

    async def verify(self, job: Job | str | bytes, **options: Any) -> Verdict:
        """See `Client.verify`."""
        return await asyncio.to_thread(self.sync.verify, job, **options)
