"""Answers of HTTP servers, read to their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from proofward_node import replies


@pytest.fixture
async def answer() -> AsyncIterator[tuple[aiohttp.ClientResponse, asyncio.Event]]:
    """An answer of two parts; the second is sent when the event is set."""
    begun = asyncio.Event()

    async def give(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first ")
        await begun.wait()
        await response.write(b"second")
        return response

    app = web.Application()
    app.router.add_get("/", give)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as reply:
            yield reply, begun
    finally:
        begun.set()
        await runner.cleanup()


async def test_an_answer_of_several_parts_is_read_to_its_end(
    answer: tuple[aiohttp.ClientResponse, asyncio.Event],
) -> None:
    reply, begun = answer
    reading = asyncio.create_task(replies.body(reply, 12))
    await asyncio.wait({reading}, timeout=0.05)
    begun.set()
    assert await reading == b"first second"


async def test_an_answer_that_is_too_long_is_refused(
    answer: tuple[aiohttp.ClientResponse, asyncio.Event],
) -> None:
    reply, begun = answer
    begun.set()
    with pytest.raises(aiohttp.ClientError, match="more than 11 bytes"):
        await replies.body(reply, 11)
