"""The explorer in the foreground: the indexer on a thread, the server on this one."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from proofward.chain import SubstrateClient
from proofward.errors import ProofwardError
from proofward.light.errors import LightError
from proofward.light.spec import read_spec
from proofward.zkml import load_public
from proofward_explorer.indexer import Indexer
from proofward_explorer.lists import BadQuestion
from proofward_explorer.server import MAX_PEERS, LightSource, Site, node_origin, peer_origin, static_files
from proofward_explorer.store import IndexUnusable, open_reader


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the chain is, where the index is kept, and where the site is served."""

    chain: str
    index: Path
    host: str = "127.0.0.1"
    port: int = 8090
    node: str | None = None
    """What readers' browsers ask at first; None: the same node."""
    artifacts: Sequence[Path] = ()
    rebuild: bool = False
    spec: Path | None = None
    """The raw spec of a chain with GRANDPA: tabs then read by proofs."""
    boot_nodes: Sequence[str] = ()
    """Peers in place of the spec's."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What is served, and of which chain."""

    url: str
    genesis: bytes
    block: int | None


def artifact_folders(paths: Sequence[Path]) -> dict[str, Path]:
    """Public folders by the manifest's hash. Raises ZkmlError."""
    found = {}
    for path in paths:
        public = load_public(path)
        found[public.manifest_hash.hex()] = path / "public" if (path / "public").is_dir() else path
    return found


def light_source(path: Path, boot_nodes: Sequence[str] = ()) -> LightSource:
    """What tabs' light clients begin with. Raises LightError; BadQuestion where no peer speaks WebSocket."""
    try:
        read = read_spec(path, boot_nodes=tuple(boot_nodes))
    except LightError as error:
        if error.code != "no-finality-proofs":
            raise
        raise LightError(
            f"the chain of {path} has no GRANDPA, so nobody can prove to a tab what is final: leave out "
            "--spec, and readers ask a node",
            code=error.code,
        ) from error
    nodes = json.loads(read.text)["bootNodes"]
    boot = tuple(one for one in nodes if peer_origin(one) is not None)[:MAX_PEERS]
    if not boot:
        raise BadQuestion(
            f"no boot node of {path} can be reached by a browser: give --boot-node with an address that ends "
            "in /ws/p2p/ID or /wss/p2p/ID (a node listens there with --listen-addr /ip4/…/tcp/…/ws)",
            code="usage",
        )
    return LightSource(path.read_bytes(), boot)


def explore(settings: Settings, ready: Callable[[Ready], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises ChainUnreachable, IndexUnusable, SiteMissing, BadQuestion (addresses), ZkmlError, LightError.
    """
    static = static_files()
    artifacts = artifact_folders(settings.artifacts)
    node = settings.node or settings.chain
    try:
        node_origin(node)
    except BadQuestion as error:
        raise BadQuestion(f"{error.message}; {node} is none: give --node", code="usage") from error
    light = None if settings.spec is None else light_source(settings.spec, settings.boot_nodes)
    with SubstrateClient.connect(settings.chain) as client:
        indexer = Indexer(client, settings.index, rebuild=settings.rebuild)
        failures: list[ProofwardError] = []
        try:
            reader = open_reader(settings.index)
            site = Site(reader, node=node, static=static, artifacts=artifacts, light=light)
            asyncio.run(_serve(settings, site, indexer, failures, client.genesis, ready))
            reader.close()
        finally:
            indexer.close()
        if failures:
            raise failures[0]


async def _serve(
    settings: Settings,
    site: Site,
    indexer: Indexer,
    failures: list[ProofwardError],
    genesis: bytes,
    ready: Callable[[Ready], None],
) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def follow() -> None:
        try:
            indexer.run()
        except ProofwardError as error:
            failures.append(error)
        finally:
            loop.call_soon_threadsafe(ended.set)

    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, ended.set)
    runner = web.AppRunner(site.app(), access_log=None)
    await runner.setup()
    try:
        place = web.TCPSite(runner, settings.host, settings.port)
        try:
            await place.start()
        except OSError as error:
            raise IndexUnusable(
                f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): give another --port",
                code="bad-config",
            ) from error
        port = runner.addresses[0][1]
        thread = threading.Thread(target=follow, name="explorer-index", daemon=True)
        block = indexer.cursor
        thread.start()
        ready(Ready(f"http://{settings.host}:{port}/", genesis, block))
        await ended.wait()
        indexer.stop()
        await asyncio.to_thread(thread.join, 10)
    finally:
        await runner.cleanup()
