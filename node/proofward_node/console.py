"""`proofward worker console`: the worker's page in a terminal (Textual). Read-only.

It asks the daemon at its port and, where that does not answer, reads the files and the chain itself.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import aiohttp
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Footer, Header, Static

from proofward.errors import ProofwardError
from proofward.terminal import shown
from proofward_node import replies
from proofward_node.chain_port import ChainPort
from proofward_node.config import NodeConfig
from proofward_node.page import sections
from proofward_node.view import looked

EVERY_SECONDS, ANSWER_SECONDS, MAX_BYTES = 2.0, 5.0, 1 << 20
WIDTH = 200
"""Characters shown of one value."""


class Console(App[None]):
    """Shows a view again and again. `look` brings one, or raises ProofwardError."""

    TITLE = "Proofward worker"
    CSS = "Static { padding: 0 1; height: auto; } #trouble { text-style: bold; }"
    BINDINGS: ClassVar = [Binding("q", "quit", "Quit"), Binding("r", "again", "Look again")]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, look: Callable[[], Awaitable[dict[str, Any]]], every: float = EVERY_SECONDS) -> None:
        super().__init__()
        self._look, self._every = look, every

    def compose(self) -> ComposeResult:
        """A header, one text for trouble, the view, the keys."""
        yield Header()
        yield Static("", id="trouble", markup=False)
        with VerticalScroll():
            yield Static("looking ...", id="view", markup=False)
        yield Footer()

    async def on_mount(self) -> None:
        """Look at once, and then every two seconds."""
        self.set_interval(self._every, self.action_again)
        await self.action_again()

    async def action_again(self) -> None:
        """Look now."""
        try:
            view = await self._look()
        except ProofwardError as error:
            self.query_one("#trouble", Static).update(Text(clean(error.message)))
            return
        self.sub_title = clean(str(view["account"]))
        self.query_one("#trouble", Static).update(Text(""))
        self.query_one("#view", Static).update(grid(view))


def grid(view: dict[str, Any]) -> Table:
    """The view's sections under each other."""
    whole = Table.grid(expand=True)
    for title, rows in sections(view):
        part = Table.grid(padding=(0, 2))
        for row in rows:
            part.add_row(*(Text(clean(str(one)), overflow="fold") for one in row))
        whole.add_row(Text(title, style="bold underline"))
        whole.add_row(part if rows else Text("none", style="dim"))
        whole.add_row("")
    return whole


def clean(text: str) -> str:
    """The first `WIDTH` characters, without what steers a terminal."""
    return shown(text[:WIDTH])


def source(config: NodeConfig) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Where views come from: the daemon's page, or files and chain."""
    port = ChainPort(config.chain.url, config.signer, None, config.chain.genesis)
    url = f"http://{config.http.host}:{config.http.port}/status.json"

    async def look() -> dict[str, Any]:
        if config.http.enabled and config.http.port:
            try:
                timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
                async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as reply:
                    if reply.status == 200:
                        return dict(json.loads((await replies.body(reply, MAX_BYTES)).decode()))
            except (aiohttp.ClientError, TimeoutError, ValueError):
                pass  # the view that is made here says that the daemon does not answer
        return await looked(config, port)

    return look
