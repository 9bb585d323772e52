"""The client for asyncio: the same methods, as coroutines that wait in threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from proofward.chain import ChainError
from proofward.chain.pallets.jobs import Undelivered
from proofward.client.answer import Answer
from proofward.client.client import Client
from proofward.client.job import Job, Outcome
from proofward.client.session import IN_FLIGHT, Session, SessionAnswer
from proofward.evidence.bundle import Bundle
from proofward.evidence.verify import Verdict


class AsyncSession:
    """Wraps a `Session`, which stays reachable as `sync`."""

    def __init__(self, sync: Session) -> None:
        self.sync = sync

    async def infer(self, x: ArrayLike) -> SessionAnswer:
        """The answer to one record [features]. Raises SessionError, InputRangeError."""
        return (await asyncio.wrap_future(await asyncio.to_thread(self.sync.ask, x)))[0]

    async def infer_many(self, x: ArrayLike) -> list[SessionAnswer]:
        """See `Session.infer_many`."""
        return await asyncio.to_thread(self.sync.infer_many, x)

    async def stream(self, records: AsyncIterable[ArrayLike]) -> AsyncIterator[SessionAnswer]:
        """Answers to records [features] as they come, several on their way at once, in their order."""
        waiting: deque[asyncio.Future[list[SessionAnswer]]] = deque()
        async for record in records:
            waiting.append(asyncio.wrap_future(await asyncio.to_thread(self.sync.ask, record)))
            while waiting and (waiting[0].done() or len(waiting) >= IN_FLIGHT):
                yield (await waiting.popleft())[0]
        while waiting:
            yield (await waiting.popleft())[0]


class AsyncClient:
    """Wraps a `Client`, which stays reachable as `sync`; arguments and errors are its own.

    ```python
    import asyncio

    from proofward import AsyncClient, Job


    async def answers(records):
        client = await AsyncClient.connect("ws://127.0.0.1:9944", "//Charlie", development=True)
        async with client:
            found = await client.submit_many("breast-cancer-mlp", records, artifact="build/models/mlp/public")
            jobs = [one for one in found if isinstance(one, Job)]  # the others are errors
            await asyncio.gather(*[client.wait(job) for job in jobs])
            return [await client.open(job) for job in jobs]


    for answer in asyncio.run(answers(records)):
        print(answer)
    ```
    """

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

    async def submit_many(
        self, model: str | bytes, xs: Sequence[ArrayLike], **options: Any
    ) -> list[Job | ChainError]:
        """See `Client.submit_many`."""
        return await asyncio.to_thread(self.sync.submit_many, model, xs, **options)

    @asynccontextmanager
    async def session(self, model: str | bytes, **options: Any) -> AsyncIterator[AsyncSession]:
        """See `Client.session`: `async with client.session("ecg") as s: await s.infer(x)`."""
        found = AsyncSession(await asyncio.to_thread(self.sync.session, model, **options))
        try:
            yield found
        finally:
            await asyncio.to_thread(found.sync.close)

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

    async def contest(self, job: Job | str | bytes, *, artifact: str | Path | None = None) -> Undelivered:
        """See `Client.contest`."""
        return await asyncio.to_thread(self.sync.contest, job, artifact=artifact)

    async def bundle(self, job: Job | str | bytes, **options: Any) -> Bundle:
        """See `Client.bundle`."""
        return await asyncio.to_thread(self.sync.bundle, job, **options)

    async def verify(self, job: Job | str | bytes, **options: Any) -> Verdict:
        """See `Client.verify`."""
        return await asyncio.to_thread(self.sync.verify, job, **options)
