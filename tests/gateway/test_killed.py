"""A gateway killed in the middle of an answer: what its client has whole has its receipt on disk."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from proofward.aci import jcs
from proofward_gateway.channel import Origin, client_session
from tests.gateway.world import MODEL, ask, serving

EVENTS = [*(b'data: {"id":"chunk","n":%d}\n\n' % n for n in range(9)), b"data: [DONE]\n\n"]
ASKED, HAS_ALL, SENT = 0, len(EVENTS), len(EVENTS) + 1
"""Points: the upstream has the request; the client has so many events; the upstream has sent the last."""


class Paced:
    """An upstream that streams an event a turn."""

    def __init__(self) -> None:
        self.turns: asyncio.Queue[None] = asyncio.Queue()
        self.asked, self.sent = asyncio.Event(), asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.asked.set()
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        for event in EVENTS:
            await self.turns.get()
            await stream.write(event)
        self.sent.set()
        return stream


@asynccontextmanager
async def process(folder: Path, behind: Origin) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A gateway's own process, and where it listens."""
    path = folder / "gateway.toml"
    path.write_text(
        f'listen = "127.0.0.1:0"\nstate = "{folder}/state"\n[[upstream]]\nname = "a"\n'
        f'url = "{behind}"\nkind = "inside"\nmodels = ["{MODEL}"]\n'
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proofward_gateway", str(path), stderr=asyncio.subprocess.PIPE
    )
    try:
        assert child.stderr is not None
        async for line in child.stderr:
            said = json.loads(line)
            if said["event"] == "ready":
                break
        yield child, f"https://127.0.0.1:{said['port']}/v1/chat/completions"
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


def receipts(state: Path) -> dict[str, str]:
    """Id of each receipt on disk -> the hash of the answer."""
    with closing(sqlite3.connect(state / "receipts.sqlite")) as file:
        rows = [json.loads(row[0]) for row in file.execute("SELECT document FROM receipts")]
    return {one["receipt_id"]: one["event_log"][-1].get("body_hash", "") for one in rows}


@pytest.mark.parametrize("point", [ASKED, 1, 5, HAS_ALL - 1, HAS_ALL, SENT])
async def test_kill_9_of_the_gateway_leaves_a_receipt_of_each_answer_that_came_whole(
    tmp_path: Path, point: int
) -> None:
    paced, had = Paced(), dict[str, bytes]()
    async with (
        serving(paced.answer) as behind,
        process(tmp_path, behind) as (child, url),
        client_session() as client,
    ):
        for _ in EVENTS:
            paced.turns.put_nowait(None)
        async with client.post(url, json=ask(stream=True), ssl=False) as response:
            had[response.headers["X-Receipt-Id"]] = await response.read()
        paced.asked.clear()
        paced.sent.clear()
        waiting = asyncio.create_task(_read(client, url, paced, had, min(point, HAS_ALL - (point == SENT))))
        await paced.asked.wait()
        if point != ASKED:
            await waiting
        if point == SENT:
            paced.turns.put_nowait(None)
            await paced.sent.wait()
        child.send_signal(signal.SIGKILL)
        await child.wait()
        if point == ASKED:
            with pytest.raises(aiohttp.ClientError):
                await waiting
        else:
            await _rest(await waiting, had)
    kept = receipts(tmp_path / "state")
    whole = {name for name, wire in had.items() if b"[DONE]" in wire}
    assert {name: kept.get(name) for name in whole} == {name: jcs.tagged(had[name]) for name in whole}
    assert len(whole) >= 1 + (point == HAS_ALL)


async def _read(
    client: aiohttp.ClientSession, url: str, paced: Paced, had: dict[str, bytes], events: int
) -> aiohttp.ClientResponse:
    """Ask, and take so many events, a turn for each."""
    if events:
        paced.turns.put_nowait(None)
    response = await client.post(url, json=ask(stream=True), ssl=False)
    got = b""
    for number in range(1, events + 1):
        while got.count(b"\n\n") < number:
            got += await response.content.readany()
        if number < events:
            paced.turns.put_nowait(None)
    had[response.headers["X-Receipt-Id"]] = got
    return response


async def _rest(response: aiohttp.ClientResponse, had: dict[str, bytes]) -> None:
    """What had come before the process was gone."""
    try:
        while more := await response.content.readany():
            had[response.headers["X-Receipt-Id"]] += more
    except aiohttp.ClientError:
        pass
    finally:
        response.close()
