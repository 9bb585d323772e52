"""The operator's page and console: what they show is what there is, and nothing that others wrote acts."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from textual.widgets import Static

from proofward.amounts import UNIT
from proofward_node import view as views
from proofward_node.config import NodeConfig, load
from proofward_node.console import Console, clean
from proofward_node.diary import Diary
from proofward_node.holding import Hold, write
from proofward_node.journal import Journal, State, peek
from proofward_node.metrics import HttpServer, Metrics
from proofward_node.page import HEADERS, Page, html, own_name
from proofward_node.ports import ChainDown, Head
from proofward_node.reasons import Code, Reason
from proofward_node.view import View
from tests.node.world import ACCOUNT, GENESIS, MODEL, WORKER, FakeChain, World, claimed, job

HOSTILE = '"><script src="//evil"></script><img src=x onerror=alert(1)>&[bold]x[/]\x1b[2J\u202e'


class Chain(FakeChain):
    record = replace(WORKER, endpoint=HOSTILE, expires_at=10_000_000)

    async def worker(self) -> Any:
        return self.record


@pytest.fixture
def world() -> World:
    return World(serving={MODEL.id: 3 * UNIT})


@pytest.fixture
def config(tmp_path: Path, world: World) -> NodeConfig:
    """A worker with a claim, an outcome, a hold, and a diary in which a node's words stand."""
    path = tmp_path / "worker.toml"
    path.write_text(
        '[worker]\ndev_account = "//Alice"\ndata_dir = "data"\n'
        '[enclave]\nprovider = "simulator"\nmodels = "models"\n[http]\nenabled = false\n'
    )
    config = load(path)
    journal = Journal(config.journal, GENESIS + ACCOUNT)
    held, done = world.add(job(1, status=claimed(ACCOUNT, 9, 70))), world.add(job(2))
    for record in (held, done):
        journal.see(record.id, MODEL.id)
    for state in (State.INSPECTED, State.CLAIMING, State.CLAIMED):
        journal.advance(held.id, state)
    journal.advance(done.id, State.DONE, outcome=f"refused:{HOSTILE}")
    journal.close()
    book = Diary(config.diary)
    book.state(Reason(Code.CHAIN_AWAY, HOSTILE), Head(12, b"h" * 32, 12_000))
    book.note(done.id, Reason(Code.ENVELOPE, HOSTILE), None)
    book.close()
    write(config.hold, Hold(Code.DRAINING, HOSTILE))
    return config


def looked(config: NodeConfig, world: World, **options: Any) -> View:
    return View(config, Chain(world), lambda: {"status": "degraded", "reasons": [HOSTILE]}, **options)


async def test_the_view_has_what_an_operator_looks_for(config: NodeConfig, world: World) -> None:
    found = await looked(config, world, tcb=lambda: 13.04).look()
    assert found["tcb_days_left"] == 13.0
    assert found["head"]["number"] == world.block
    (claim,) = found["claims"]
    assert claim["blocks_left"] == 70 - world.block
    assert found["registration"]["epoch"] == WORKER.epoch
    assert found["registration"]["ends_in_seconds"] == 10_000 - world.block
    assert found["serves"] == {f"0x{MODEL.id.hex()}": "3.0000"}
    assert len(found["outcomes"]) == 1
    assert {line["code"] for line in found["log"]} == {"chain-away", "envelope-refused"}
    assert json.loads(json.dumps(found)) == found


async def test_many_who_ask_cost_the_chain_one_look(config: NodeConfig, world: World) -> None:
    now, view = [0.0], looked(config, world)
    view.clock = lambda: now[0]
    blocks = world.block
    for _ in range(50):
        await view.look()
    assert world.block == blocks + 1, "each look asks for the head once"
    now[0] += views.FRESH_SECONDS
    await view.look()
    assert world.block == blocks + 2


def test_a_look_reads_the_newest_outcomes_of_the_journal_and_not_all(config: NodeConfig) -> None:
    journal = Journal(config.journal, GENESIS + ACCOUNT)
    for number in range(40):
        key = number.to_bytes(32, "big")
        journal.see(key, MODEL.id)
        journal.advance(key, State.DONE, outcome="lost")
    journal.close()
    entries = peek(config.journal, views.OUTCOMES)
    assert [entry.outcome for entry in entries[-views.OUTCOMES :]] == ["lost"] * views.OUTCOMES
    assert len(entries) == views.OUTCOMES + 1, "and the claim"


async def test_a_silent_chain_leaves_what_the_files_say(config: NodeConfig, world: World) -> None:
    world.down = True
    found = await looked(config, world).look()
    assert found["chain"] == "nobody answers"
    assert len(found["claims"]) == len(found["outcomes"]) == 1
    assert "nobody answers" in html(found)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs


async def test_attack_page_nothing_that_others_wrote_becomes_markup(config: NodeConfig, world: World) -> None:
    page = html(await looked(config, world).look())
    tags = Tags()
    tags.feed(page)
    assert "onerror=alert" in page, "it is shown, as text"
    assert tags.seen <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "code", "table", "tr", "th", "td", "p",
    }  # fmt: skip
    assert {name for name, _ in tags.attributes} <= {
        "lang",
        "charset",
        "name",
        "content",
        "http-equiv",
        "scope",
        "class",
    }
    assert not re.search(r"https?://|url\(|@import", page)


@pytest.fixture
async def url(config: NodeConfig, world: World) -> Any:
    page = Page("worker.internal")
    server = HttpServer(Metrics(), "127.0.0.1", 0, None, page)
    port = await server.start()
    page.view = looked(config, world)
    yield f"http://127.0.0.1:{port}"
    await server.stop()


async def test_attack_page_it_is_read_only_and_asked_by_its_own_name_alone(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/status.json"):
            async with session.get(url + path) as reply:
                assert reply.status == 200
                assert {name: reply.headers[name] for name in HEADERS} == HEADERS
                assert "script-src" not in reply.headers["Content-Security-Policy"]
                assert "Access-Control-Allow-Origin" not in reply.headers
            async with session.get(url + path, headers={"Host": "evil.example:9615"}) as reply:
                assert reply.status == 403
            for method in ("POST", "PUT", "DELETE"):
                async with session.request(method, url + path) as reply:
                    assert reply.status == 405


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:9615", True), ("localhost", True), ("[::1]:9615", True), ("10.1.2.3", True),
        ("worker.internal:9615", True), ("evil.example", False), ("", False), ("[", False),
        ("127.0.0.1.evil.example", False), ("localhost.evil.example", False),
    ],
)  # fmt: skip
def test_who_is_asked_under_a_foreign_name_does_not_answer(host: str, own: bool) -> None:
    assert own_name(host, "worker.internal") is own


async def test_the_console_shows_the_view_as_text(config: NodeConfig, world: World) -> None:
    view = looked(config, world)
    app = Console(view.look, every=3600)
    async with app.run_test(size=(150, 60)) as pilot:
        await pilot.pause()
        shown = _screen(app)
        assert "claimed" in shown
        assert "3.0000 UNIT or more" in shown
        assert "[bold]x[/]" in shown, "markup of others is text"
        assert "\x1b" not in shown
        assert "\u202e" not in shown

        async def away() -> dict[str, Any]:
            raise ChainDown("nobody answers at ws://[bold]x[/]")

        app._look = away
        await pilot.press("r")
        await pilot.pause()
        trouble = app.query_one("#trouble", Static)
        assert "nobody answers at ws://[bold]x[/]" in str(trouble.render())
        await pilot.press("q")
    assert app.return_code == 0


def _screen(app: Console) -> str:
    from rich.console import Console as Printer

    view = app.query_one("#view", Static)
    printer = Printer(width=220, color_system=None, file=StringIO())
    printer.print(view.content)
    assert isinstance(printer.file, StringIO)
    return printer.file.getvalue()


def test_what_steers_a_terminal_is_a_dot() -> None:
    assert clean("a\x1b[31mb\r\n\u200b\u202ec") == "a·[31mb····c"
    assert len(clean("x" * 10_000)) == 200


def test_the_page_is_made_within_a_block() -> None:
    """A view of full tables is text of some kilobytes: bounded, whatever the worker has done."""
    claim = {"job": "0x" + "11" * 32, "model": "0x" + "22" * 32, "state": "working", "blocks_left": 3}
    log = {"at": int(time.time()), "of": "worker", "code": "busy", "text": "x" * 400, "block": 1}
    out = {"job": "0x" + "11" * 32, "outcome": "accepted", "at": 1, "price": "1"}
    view = {
        "account": "5F", "daemon": {"status": "ok"}, "hold": None, "tcb_days_left": None, "chain": "answers",
        "claims": [claim] * views.CLAIMS, "outcomes": [out] * views.OUTCOMES, "log": [log] * views.LINES,
    }  # fmt: skip
    assert len(html(view)) < 40_000
