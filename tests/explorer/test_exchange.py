"""A gateway's answers in the page's verifier: the checks, words and verdicts of `proofward verify`."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from proofward.evidence import answer as answers
from proofward.evidence.answer import Answer
from proofward.evidence.policy import Policy
from tests.explorer.browser import STATIC, Browser
from tests.explorer.site import ask, require_packages
from tests.gateway.test_proxy import LIES, PINNED, answered, post
from tests.gateway.world import MODEL, POLICY, desk, house
from tests.gateway.world import ask as asked

PAGE = (STATIC / "verify.html").as_uri()
PINS = [one.hex() for one in POLICY.measurements or ()]
EVIL = "<img src=x onerror=alert(1)>"


def content(kept: Answer, folder: Path) -> bytes:
    """The bytes of its file."""
    path = folder / "answer.json"
    path.unlink(missing_ok=True)
    answers.save(kept, path)
    return path.read_bytes()


def found(files: Sequence[bytes], pins: list[str] | None = PINS) -> list[dict[str, Any]]:
    return ask(
        [
            {
                "kind": "exchange",
                "file": base64.b64encode(one).decode(),
                "measurements": pins,
                "development": True,
            }
            for one in files
        ]
    )


async def test_page_and_library_say_the_same_of_answers(tmp_path: Path) -> None:
    """Of every endpoint, streamed and not, behind a verified upstream."""
    require_packages()
    async with house(tmp_path) as (_, outer), desk(outer, tmp_path) as one:
        for path, body in (
            ("/v1/chat/completions", asked("hello")),
            ("/v1/chat/completions", asked(EVIL, stream=True)),
            ("/v1/chat/completions", asked("x", tools=[{"type": "function", "function": {"name": "f"}}])),
            ("/v1/completions", {"model": MODEL, "prompt": "h\u00e9llo"}),
            ("/v1/embeddings", {"model": MODEL, "input": "hello"}),
            ("/v1/messages", asked("hello", max_tokens=3, stream=True)),
        ):
            assert (await post(one, path, body))[0] == 200
        files = one.answers()
        kept = [answers.load(file) for file in files]
        told = found([file.read_bytes() for file in files])
    assert len(told) == 6
    assert any(one["plain"] for one in told)
    for one_kept, page in zip(kept, told, strict=True):
        verdict = one_kept.verdict(PINNED)
        assert page["word"] == verdict.word
        assert [(name, word) for name, word, _ in page["checks"]] == [(c.name, c.word) for c in verdict]
    (unpinned,) = found([content(kept[0], tmp_path)], None)
    assert unpinned["word"] == kept[0].verdict(Policy.for_development()).word


async def test_every_lie_is_refused_in_the_page_too(tmp_path: Path) -> None:
    require_packages()
    kept = await answered(tmp_path)
    changed = {fault: change(kept) for fault, (change, _) in LIES.items()}
    told = found([content(one, tmp_path) for one in changed.values()])
    for (fault, one), page in zip(changed.items(), told, strict=True):
        verdict = one.verdict(PINNED)
        assert page["word"] == verdict.word, fault
        assert [(name, word) for name, word, _ in page["checks"]] == [(c.name, c.word) for c in verdict], (
            fault
        )
        assert LIES[fault][1] in [name for name, word, _ in page["checks"] if word == "REFUSED"], fault


async def test_what_is_no_answer_is_told(tmp_path: Path) -> None:
    require_packages()
    good = content(await answered(tmp_path), tmp_path)
    value = json.loads(good)
    bad = [
        good[:-2],
        good.replace(b'"at":', b'"at": 1, "at":', 1),
        json.dumps({**value, "report": "x"}).encode(),
        json.dumps({**value, "nonce": "0x"}).encode(),
        json.dumps({**value, "format": "proofward/answer/v2"}).encode(),
        json.dumps({**value, "at": 1.5}).encode(),
        b"[" * 100_000,
    ]
    assert all("error" in one for one in found(bad)), found(bad)


@pytest.fixture
def browser() -> Any:
    with Browser() as one:
        yield one


async def test_an_answer_is_verified_in_the_offline_page(browser: Browser, tmp_path: Path) -> None:
    """Its words are text, shown when they are asked for, and leave the page nowhere."""
    async with house(tmp_path) as (_, outer), desk(outer, tmp_path) as one:
        assert (await post(one, "/v1/chat/completions", asked(EVIL)))[0] == 200
        kept = answers.load(one.answers()[0])
    browser.do("open", url=PAGE, offline=True)
    browser.do("fill", selector="#measurements", value=" ".join(PINS))
    browser.do("check", selector="#development", on=True)
    text = content(kept, tmp_path).decode()
    shown = browser.do("verify", selector="#file", name="answer.json", content=text)
    assert shown["verdict"] == kept.verdict(PINNED).word == "accepted (simulated)"
    assert EVIL in browser.do("text", selector="#result details:last-of-type pre")
    assert browser.do("evaluate", script="document.querySelectorAll('#result img').length") == 0
    assert browser.do("axe") == []
    alone = browser.do("verify", selector="#file", name="r.json", content=json.dumps(kept.receipt))
    assert "a receipt alone" in alone["text"]
    assert browser.do("seen") == {"requests": [PAGE], "errors": [], "dialogs": 0}
