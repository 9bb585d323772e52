"""The explorer's server and its index, in a test's own process."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

from aiohttp import web

from proofward.chain import SubstrateClient
from proofward_explorer.indexer import Indexer
from proofward_explorer.server import LightSource, Site
from proofward_explorer.store import open_reader
from tests.explorer.browser import STATIC


def free_port() -> int:
    """A port of this machine that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def indexed(client: SubstrateClient, path: Path) -> Path:
    """The index of a chain up to its finalised head."""
    head = client.finalised_head().number
    indexer = Indexer(client, path)
    try:
        indexer.run(lambda number: indexer.stop() if number >= head else None)
    finally:
        indexer.close()
    return path


class Following:
    """An index that follows its chain, as `proofward explorer` has it, on a thread of its own."""

    def __init__(self, url: str, path: Path) -> None:
        self._client = SubstrateClient.connect(url)
        self._indexer = Indexer(self._client, path)
        self._thread = threading.Thread(target=self._indexer.run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._indexer.stop()
        self._thread.join(30)
        self._indexer.close()
        self._client.close()


class Served:
    """A site on a thread of its own."""

    def __init__(
        self, index: Path, node: str, port: int, artifacts: dict[str, Path], light: LightSource | None = None
    ) -> None:
        self._loop = asyncio.new_event_loop()
        site = Site(open_reader(index), node=node, static=STATIC, artifacts=artifacts, light=light)
        self._runner = web.AppRunner(site.app(), access_log=None)
        self._loop.run_until_complete(self._runner.setup())
        self._loop.run_until_complete(web.TCPSite(self._runner, "127.0.0.1", port).start())
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
