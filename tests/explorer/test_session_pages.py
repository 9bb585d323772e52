"""The pages of sessions in Chromium, over an index of three hundred: counts, older ones, hostile text."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from proofward_explorer.store import open_index
from tests.explorer.browser import Browser, require_browser
from tests.explorer.serve import Served, free_port
from tests.explorer.test_index import LONG, SESSIONS, _sessions

EVIL = "<img src=x onerror=alert(1)>"
HOSTILE = (9).to_bytes(32, "big")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    require_browser()
    path, port = tmp_path_factory.mktemp("index") / "index.sqlite", free_port()
    database = open_index(path)
    database.execute("BEGIN")
    database.execute("INSERT INTO chain VALUES (zeroblob(32), 'crowded', 'Development')")
    blocks = ((n, n.to_bytes(32, "big"), n * 2_000) for n in range(9_000 + LONG))
    database.executemany("INSERT INTO blocks VALUES (?, ?, ?, 3)", blocks)
    _sessions(database)
    evil = json.dumps({"level": EVIL, "worker": "javascript:alert(1)", "escrow": EVIL, "opened_at": 3})
    database.execute("UPDATE records SET fields = ? WHERE id = ?", (evil, HOSTILE))
    database.execute("COMMIT")
    database.close()
    served = Served(path, "ws://127.0.0.1:1", port, {})
    yield f"http://127.0.0.1:{port}"
    served.close()


def test_sessions_are_counted_reached_and_shown_as_text(site: str) -> None:
    older = "[...document.querySelectorAll('main p > a')].at(-1)?.getAttribute('href') ?? null"
    with Browser() as browser:
        browser.do("open", url=f"{site}/#/sessions", width=360)
        browser.do("wait", selector="main table")
        assert f"{SESSIONS}sessions" in browser.do("text", selector="main .tiles")
        assert browser.do("axe") == []
        browser.do("go", hash=browser.do("evaluate", script=older))
        browser.do("wait", selector="main table")
        assert browser.do("evaluate", script="document.querySelectorAll('main tbody tr').length") == 50
        browser.do("go", hash=f"#/sessions/0x{(7).to_bytes(32, 'big').hex()}")
        browser.do("wait", selector="main dl")
        assert f"pages proved, the sum of the events below{3 * LONG} index" in browser.do(
            "text", selector="main dl"
        )
        assert browser.do("evaluate", script=older) is not None
        assert browser.do("axe") == []
        assert browser.do("evaluate", script="document.documentElement.scrollWidth") <= 360
        browser.do("go", hash=f"#/sessions/0x{HOSTILE.hex()}")
        browser.do("wait", selector="main dl")
        assert EVIL in browser.do("text", selector="main dl")
        bad = "document.querySelectorAll('main img, main script, [href^=\"javascript\"]').length"
        assert browser.do("evaluate", script=bad) == 0
        browser.do("wait", selector='[data-again="failed"]')
        assert "Every figure here is the index's word" in browser.do("text", selector=".again")
        assert set(browser.do("texts", selector="[data-by]")) == {"index"}
        seen = browser.do("seen")
        # no node is there to be asked
        assert [one for one in seen["errors"] if "WebSocket connection" not in one] == []
        assert seen["dialogs"] == 0
