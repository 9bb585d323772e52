"""verify.html in a real browser, from a disk and without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proofward.evidence.bundle import Bundle
from proofward.evidence.verify import verify_bundle
from tests.client.test_verification import FAULTS
from tests.evidence import Evidence, pinned
from tests.explorer.browser import STATIC, Browser

PAGE = (STATIC / "verify.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


def pin(browser: Browser, evidence: Evidence) -> None:
    policy = pinned(evidence)
    assert policy.genesis is not None
    browser.do("fill", selector="#genesis", value="0x" + policy.genesis.hex())
    wanted = " ".join(one.hex() for one in policy.measurements or ())
    browser.do("fill", selector="#measurements", value=wanted)
    browser.do("check", selector="#development", on=True)


def verify(browser: Browser, bundle: Bundle | str) -> dict[str, Any]:
    content = bundle if isinstance(bundle, str) else bundle.model_dump_json()
    found: dict[str, Any] = browser.do("verify", selector="#file", name="job.bundle", content=content)
    return found


def test_a_bundle_is_verified_offline_from_a_disk(browser: Browser, evidence: Evidence) -> None:
    browser.do("open", url=PAGE, offline=True)
    pin(browser, evidence)
    found = verify(browser, evidence.bundle)
    verdict = verify_bundle(evidence.bundle, pinned(evidence))
    assert found["verdict"] == verdict.word == "accepted (simulated, setup: dev)"
    assert [(name, word) for name, word, _ in found["checks"]] == [(c.name, c.word) for c in verdict]
    print(f"verify.html, cold: {found['ms']:.0f} ms from the file to the verdict")
    seen = browser.do("seen")
    assert seen == {"requests": [PAGE], "errors": [], "dialogs": 0}


def test_each_tampered_bundle_turns_the_right_check_red(browser: Browser, evidence: Evidence) -> None:
    """As the library says of the same bytes; at least fourteen of them turn exactly one."""
    browser.do("open", url=PAGE)
    pin(browser, evidence)
    alone = 0
    for fault, change, check in FAULTS:
        bundle = change(evidence.bundle)
        expected = {c.name for c in verify_bundle(bundle, pinned(evidence)) if c.ok is False}
        found = verify(browser, bundle)
        red = {name for name, word, _ in found["checks"] if word == "REFUSED"}
        assert red == expected, fault
        assert check in red, fault
        assert found["verdict"].startswith("refused"), fault
        alone += len(red) == 1
    assert alone >= 14


def test_pins_that_are_none_and_files_that_are_no_bundles_are_told(
    browser: Browser, evidence: Evidence
) -> None:
    browser.do("open", url=PAGE)
    assert "cannot be read" in verify(browser, "{}")["text"]
    assert "no JSON" in verify(browser, "\x00")["text"]
    browser.do("fill", selector="#genesis", value="0x12")
    assert "64 hexadecimal digits" in verify(browser, evidence.bundle)["text"]


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "'\"><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}",
    "\u202egnp.exe\u0000\u2028",
    "</script><script>alert(1)</script>",
)


def test_what_a_bundle_says_is_text(browser: Browser, evidence: Evidence) -> None:
    browser.do("open", url=PAGE)
    pin(browser, evidence)
    for text in HOSTILE:
        fields = json.loads(evidence.bundle.model_dump_json())
        fields["chain"]["name"], fields["chain"]["type"] = text, text[:32]
        fields["model"]["files"]["public/" + text] = "00"
        found = verify(browser, json.dumps(fields))
        assert found["verdict"].startswith("refused"), text
    strange = verify(browser, json.dumps({"format": "proofward/bundle/v1", HOSTILE[0]: HOSTILE[1]}))
    assert "cannot be read" in strange["text"]
    script = "document.querySelectorAll('#result script, #result img, #result svg').length"
    assert browser.do("evaluate", script=script) == 0
    seen = browser.do("seen")
    assert (seen["dialogs"], seen["requests"], seen["errors"]) == (0, [PAGE], [])


@pytest.mark.parametrize(("width", "dark"), [(360, True), (1280, False)])
def test_everybody_can_use_it(
    browser: Browser, evidence: Evidence, width: int, dark: bool, tmp_path: Path
) -> None:
    browser.do("open", url=PAGE, width=width, dark=dark)
    pin(browser, evidence)
    verify(browser, evidence.bundle)
    assert browser.do("axe") == []
    assert browser.do("evaluate", script="document.documentElement.scrollWidth") <= width
    browser.do("screenshot", path=str(tmp_path / "page.png"))
    assert (tmp_path / "page.png").stat().st_size > 10_000
