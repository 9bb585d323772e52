"""A gateway's answers in the page's verifier: the checks, words and verdicts of `proofward verify`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proofward.aci import jcs
from proofward.aci.documents import evidence_of, sign_receipt
from proofward.attestation.gateway import collateral_of
from proofward.evidence import answer_file
from proofward.evidence.answer import Answer
from proofward.evidence.policy import Policy
from proofward.evidence.two_receipts import TwoReceipts
from proofward_gateway.measure import simulated_measurement
from tests.explorer.browser import STATIC, Browser
from tests.explorer.site import ask, require_packages
from tests.gateway.test_contradiction import NO_PROOF, UNJUDGED, _changed, _lied_to
from tests.gateway.test_legacy import LOG, Guest
from tests.gateway.test_proxy import ENDS, LIES, PINNED, answered, post, resigned
from tests.gateway.world import MODEL, POLICY, config, desk, echo, gateway, house, upstream, workloads
from tests.gateway.world import ask as asked

PAGE = (STATIC / "verify.html").as_uri()
PINS = [one.hex() for one in POLICY.measurements or ()]
EVIL = "<img src=x onerror=alert(1)>"


def content(kept: Answer, folder: Path) -> bytes:
    """The bytes of its file."""
    path = folder / "answer.json"
    path.unlink(missing_ok=True)
    answer_file.save(kept, path)
    return path.read_bytes()


def found(
    files: Sequence[bytes], pins: list[str] | None = PINS, *, kind: str = "exchange"
) -> list[dict[str, Any]]:
    return ask(
        [
            {
                "kind": kind,
                "file": base64.b64encode(one).decode(),
                "measurements": pins,
                "development": True,
            }
            for one in files
        ]
    )


async def test_a_proof_that_a_receipt_names_is_not_ticked_by_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library computes it again; the page does not, and says so."""
    require_packages()
    made = workloads(monkeypatch)
    async with (
        echo() as behind,
        gateway(config(tmp_path, upstream(behind.origin, "inside"))) as origin,
        desk(origin, tmp_path) as one,
    ):
        assert (await post(one, "/v1/chat/completions", asked("hello")))[0] == 200
        kept = answer_file.load(one.answers()[0])
    unsigned = {name: value for name, value in kept.receipt.items() if name != "signature"}
    events = [*kept.receipt["event_log"], {"type": "proof.verified", "weights": "sha256:" + "5b" * 32}]
    receipt = sign_receipt({**unsigned, "event_log": events}, made[0].keys.receipt)
    files = kept, replace(kept, receipt=receipt), replace(kept, anchor={"block": 7}, bond={"account": "00"})
    plain, named, on_chain = found([content(one, tmp_path) for one in files])
    assert plain["word"].startswith("accepted")
    assert named["word"].startswith("incomplete")
    assert [word for name, word, _ in named["checks"] if name == "proof"] == ["not checked"]
    assert on_chain["word"].startswith("incomplete")
    unread = [(name, word) for name, word, _ in on_chain["checks"][-2:]]
    assert unread == [("stake on chain", "not checked"), ("anchored", "not checked")]


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
        kept = [answer_file.load(file) for file in files]
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


async def test_the_page_says_whether_a_stream_has_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_packages()
    made = workloads(monkeypatch)
    async with house(tmp_path) as (_, outer), desk(outer, tmp_path) as one:
        assert (await post(one, "/v1/chat/completions", asked("hello", stream=True)))[0] == 200
        kept = answer_file.load(one.answers()[0])
    changed = [resigned(kept, made[1], change(kept.response)) for change, _ in ENDS.values()]
    told = found([content(one, tmp_path) for one in changed])
    for fault, cut, page in zip(ENDS, changed, told, strict=True):
        verdict = cut.verdict(PINNED)
        assert page["word"] == verdict.word, fault
        (word,) = [word for name, word, _ in page["checks"] if name == "stream"]
        assert word == next(line.word for line in verdict if line.name == "stream"), fault


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


def test_a_long_string_of_base64_does_not_overflow_the_page(tmp_path: Path) -> None:
    """V8's expressions have no stack for some eight million characters."""
    long = base64.b64encode(bytes(9 << 20)).decode()
    files = ['{"format": "x", "response": "' + long, '{"format": "x"' + " " * (9 << 20), long]
    for file, told in zip(files, found([file.encode() for file in files]), strict=True):
        assert told == {"error": "it is no answer's file: it is no JSON in UTF-8"}, file[:20]


async def test_a_long_answer_has_the_library_s_verdict_in_the_page(tmp_path: Path) -> None:
    require_packages()
    kept = await answered(tmp_path)
    longer = replace(kept, response=kept.response + b" " * (9 << 20))
    (page,) = found([content(longer, tmp_path)])
    verdict = longer.verdict(PINNED)
    assert [(name, word) for name, word, _ in page["checks"]] == [(c.name, c.word) for c in verdict]


UNREAD = {
    "legacy": "a report from before ACI",
    "dstack": "a dstack guest's boot log",
    "of another kind": "of a kind that is not known",
}


async def test_of_a_receipts_stake_and_time_and_of_an_upstream_inside_the_page_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_packages()
    made = workloads(monkeypatch)
    async with (
        echo() as behind,
        gateway(config(tmp_path, upstream(behind.origin, "inside"))) as origin,
        desk(origin, tmp_path) as one,
    ):
        assert (await post(one, "/v1/chat/completions", asked("hello")))[0] == 200
        kept = answer_file.load(one.answers()[0])
    weights = [*kept.receipt["event_log"], {"type": "model.weights", "digest": "sha256:" + "5b" * 32}]
    times = [kept.at - 600, kept.at - 601, kept.at + 5_000, kept.at + 200_000]
    changes: dict[str, dict[str, Any]] = {"none": {}, **UNJUDGED, "weights": {"event_log": weights}}
    changes |= {str(time): {"served_at": time} for time in times}
    changed = [replace(kept, receipt=_changed(kept.receipt, made[0].keys, **one)) for one in changes.values()]
    told = found([content(one, tmp_path) for one in changed])
    for (fault, page), answer in zip(zip(changes, told, strict=True), changed, strict=True):
        lines = [(line.name, line.word, line.detail) for line in answer.checks(PINNED)]
        for name in ("stake", "upstream", "served at"):
            of_page = [tuple(one) for one in page["checks"] if one[0] == name]
            assert of_page == [one for one in lines if one[0] == name], fault
        assert any(name == "stake" for name, _, _ in lines) == (fault in UNJUDGED), fault
    words = [{name: word for name, word, _ in page["checks"]}["upstream"] for page in (told[0], told[7])]
    assert words == ["said", "ok"], "a tick for what the attested software itself has loaded, and for no more"


@pytest.mark.parametrize("what", UNREAD)
async def test_a_session_that_the_page_cannot_appraise_is_not_accepted_there(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it refused, but for a kind that the library does not know either."""
    require_packages()
    made, guest = workloads(monkeypatch), Guest(LOG)
    upstream_pin = guest.pin if what == "dstack" else simulated_measurement()
    kind = "legacy" if what in ("legacy", "of another kind") else "aci"

    def sealed(data: bytes) -> dict[str, Any]:
        bundle = jcs.loads(data)
        if what == "of another kind":
            bundle["kind"] = what
        return evidence_of(jcs.canonical(bundle))

    monkeypatch.setattr("proofward_gateway.upstreams.evidence_of", sealed)
    async with echo() as behind, gateway(config(tmp_path / "in", upstream(behind.origin, "inside"))) as inner:
        if what == "dstack":
            guest.move_in(monkeypatch, made[0])
        outside = upstream(inner, kind, measurements=frozenset({upstream_pin}))
        with monkeypatch.context() as patch:
            if what == "of another kind":  # or its desk would not keep it
                patch.setattr("proofward.evidence.answer.LEGACY", what)
            async with (
                gateway(config(tmp_path / "out", outside)) as outer,
                desk(outer, tmp_path, upstream_pins=["0x" + upstream_pin.hex()]) as one,
            ):
                assert (await post(one, "/v1/chat/completions", asked("hello")))[0] == 200
                kept = answer_file.load(one.answers()[0])
    pins = frozenset({simulated_measurement(), upstream_pin})
    verdict = kept.verdict(Policy.for_development(measurements=pins))
    (page,) = found([content(kept, tmp_path)], [pin.hex() for pin in pins])
    open_lines = [(name, word) for name, word, _ in page["checks"] if word not in ("ok", "said")]
    assert UNREAD[what] in next(detail for name, _, detail in page["checks"] if name == "upstream")
    if what == "of another kind":
        assert (verdict.word, page["word"]) == ("refused (simulated)", "refused (simulated)")
        assert open_lines == [("upstream", "REFUSED")]
        return
    assert (verdict.word, page["word"]) == ("accepted (simulated)", "incomplete (simulated)")
    assert open_lines == [("upstream", "not checked"), ("upstream measurement", "not checked")]


async def test_collateral_of_the_operator_s_own_is_appraised_in_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts in the report's place, there as in the library."""
    require_packages()
    given: list[Any] = []

    def sealed(data: bytes) -> dict[str, Any]:
        bundle = jcs.loads(data)
        report = jcs.loads(base64.b64decode(bundle["report_b64"]))
        own = json.loads(collateral_of(report["attestation"]["evidence"]).to_json())
        bundle["collateral"] = given[0](own)
        return evidence_of(jcs.canonical(bundle))

    monkeypatch.setattr("proofward_gateway.upstreams.evidence_of", sealed)
    faults: dict[str, Callable[[dict[str, Any]], Any]] = {
        "good": json.dumps,
        "a list of another's": lambda own: json.dumps({**own, "pck_crl": own["root_ca_crl"]}),
        "a signature of another's": lambda own: json.dumps(
            {**own, "tcb_info_signature": own["qe_identity_signature"]}
        ),
        "none": lambda _own: "null",
        "no JSON": lambda _own: "{",
    }
    for fault, change in faults.items():
        given[:] = [change]
        folder = tmp_path / fault
        with monkeypatch.context() as patch:  # or the desk would not keep it
            patch.setattr("proofward_gateway.proxy.server.Proxy._stops", lambda _self, _check: False)
            async with house(folder) as (_, outer), desk(outer, folder) as one:
                assert (await post(one, "/v1/chat/completions", asked("hello")))[0] == 200
                kept = answer_file.load(one.answers()[0])
        verdict = kept.verdict(PINNED)
        (page,) = found([content(kept, tmp_path)])
        wanted = "accepted (simulated)" if fault == "good" else "refused (simulated)"
        assert (fault, verdict.word, page["word"]) == (fault, wanted, wanted)
        assert [(name, word) for name, word, _ in page["checks"]] == [(c.name, c.word) for c in verdict]


async def test_a_boot_log_beside_a_gateway_s_quote_makes_nothing_accepted_in_the_page(tmp_path: Path) -> None:
    """Any host can add one: the page reads none, and never ends milder than `incomplete`."""
    require_packages()
    async with (
        echo() as behind,
        gateway(config(tmp_path, upstream(behind.origin, "inside"))) as origin,
        desk(origin, tmp_path) as one,
    ):
        assert (await post(one, "/v1/chat/completions", asked("hello")))[0] == 200
        kept = answer_file.load(one.answers()[0])
    report = jcs.loads(kept.report)
    report["attestation"]["evidence"]["event_log"] = LOG
    logged = replace(kept, report=jcs.compact(report))
    (other,) = found([content(logged, tmp_path)], ["11" * 32])
    assert other["word"] == "incomplete (simulated)"
    named = {name: word for name, word, _ in other["checks"]}
    assert {named[one] for one in ("measurement allowed", "deployment", "key custody")} == {"not checked"}
    assert logged.verdict(Policy.for_development(measurements=frozenset({b"\x11" * 32}))).word == (
        "refused (simulated)"
    )
    (pinned,) = found([content(logged, tmp_path)])
    assert pinned["word"] == logged.verdict(PINNED).word == "accepted (simulated)"


async def test_page_and_library_say_the_same_of_two_receipts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a proven lie, of all that proves none, to readers of every kind; and in the offline page."""
    require_packages()
    kept, other, keys = await _lied_to(tmp_path, monkeypatch)
    lie = TwoReceipts.of(kept, other)
    unjudged = TwoReceipts.of(kept, _changed(other, keys, x=1))
    cases = [("a lie", lie), ("no stake", unjudged)]
    cases += [(fault, change(lie, keys)) for fault, change in NO_PROOF.items()]
    files = []
    for number, (_, two) in enumerate(cases):
        two.save(tmp_path / f"{number}.json")
        files.append((tmp_path / f"{number}.json").read_bytes())
    readers = [(PINNED, PINS), (Policy.for_development(), None)]
    for policy, pins in readers:
        told = found(files, pins, kind="receipts")
        for (fault, two), page in zip(cases, told, strict=True):
            verdict = two.verdict(policy)
            assert page["word"] == verdict.word, fault
            lines = [(one.name, one.word, one.ok is not False and one.detail) for one in verdict]
            shown = [(name, word, word != "REFUSED" and detail) for name, word, detail in page["checks"]]
            assert shown == lines, fault
    assert lie.verdict(PINNED).word == "accepted (simulated)"
    value = json.loads(files[0])
    bad = [{**value, "receipts": value["receipts"][:1]}, {**value, "at": True}, {**value, "nonce": "0x"}]
    assert all("error" in one for one in found([json.dumps(one).encode() for one in bad], kind="receipts"))
    with Browser() as browser:
        browser.do("open", url=PAGE, offline=True)
        browser.do("fill", selector="#measurements", value=" ".join(PINS))
        browser.do("check", selector="#development", on=True)
        shown = browser.do("verify", selector="#file", name=EVIL, content=files[0].decode())
        assert shown["verdict"] == "accepted (simulated)"
        assert "lied" in browser.do("text", selector="#result")
        assert browser.do("axe") == []


@pytest.fixture
def browser() -> Any:
    with Browser() as one:
        yield one


async def test_an_answer_is_verified_in_the_offline_page(browser: Browser, tmp_path: Path) -> None:
    """Its words are text, shown when they are asked for, and leave the page nowhere."""
    async with house(tmp_path) as (_, outer), desk(outer, tmp_path) as one:
        assert (await post(one, "/v1/chat/completions", asked(EVIL)))[0] == 200
        kept = answer_file.load(one.answers()[0])
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
