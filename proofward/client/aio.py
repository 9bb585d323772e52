"""The client for asyncio: the same methods, as coroutines that wait in threads."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from numpy.typing import ArrayLike

from proofward.client.client import Client
from proofward.client.session import IN_FLIGHT, Session, SessionAnswer
from proofward.client.sessions import SessionOrder

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _in_thread(
    method: Callable[Concatenate[Client, _P], _T],
) -> Callable[Concatenate[AsyncClient, _P], Coroutine[Any, Any, _T]]:
    """A method of the wrapped client as a coroutine, with its arguments, types and docstring."""

    @wraps(method)
    async def call(self: AsyncClient, /, *args: _P.args, **options: _P.kwargs) -> _T:
        return await asyncio.to_thread(getattr(self.sync, method.__name__), *args, **options)

    return call


def _connecting(
    make: Callable[_P, Client],
) -> Callable[Concatenate[type[AsyncClient], _P], Coroutine[Any, Any, AsyncClient]]:
    """What makes a client as a coroutine, with its arguments and types, for `help()` too."""

    async def connect(cls: type[AsyncClient], /, *args: _P.args, **options: _P.kwargs) -> AsyncClient:
        """See `Client`."""
        return cls(await asyncio.to_thread(make, *args, **options))

    own = inspect.signature(connect)
    arguments = [own.parameters["cls"], *inspect.signature(make, eval_str=True).parameters.values()]
    connect.__signature__ = own.replace(parameters=arguments)  # type: ignore[attr-defined]
    return connect


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

    connect = classmethod(_connecting(Client))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def session(
        self,
        model: str | bytes,
        *,
        artifact: str | Path | None = None,
        order: SessionOrder | None = None,
        resume: bytes | str | None = None,
    ) -> AsyncIterator[AsyncSession]:
        """See `Client.session`: `async with client.session("ecg") as s: await s.infer(x)`."""
        open_session = partial(self.sync.session, model, artifact=artifact, order=order, resume=resume)
        found = AsyncSession(await asyncio.to_thread(open_session))
        try:
            yield found
        finally:
            await asyncio.to_thread(found.sync.close)

    close = _in_thread(Client.close)
    submit = _in_thread(Client.submit)
    submit_many = _in_thread(Client.submit_many)
    show = _in_thread(Client.show)
    wait = _in_thread(Client.wait)
    cancel = _in_thread(Client.cancel)
    open = _in_thread(Client.open)
    contest = _in_thread(Client.contest)
    bundle = _in_thread(Client.bundle)
    verify = _in_thread(Client.verify)
