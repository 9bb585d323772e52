"""The user's side: what is refused before a prompt leaves, or before an answer comes in; what is kept."""

from __future__ import annotations

import base64
import json
import secrets
import stat
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from proofward.aci import documents, jcs
from proofward.aci.errors import AciError
from proofward.cli import app
from proofward.errors import ProofwardError
from proofward.evidence import answer as answers
from proofward.evidence import answer_file
from proofward.evidence.answer import Answer
from proofward.evidence.answer_file import AnswerError
from proofward.evidence.policy import Policy
from proofward.evidence.verdict import Outcome
from proofward_gateway import answer as gateway_answer
from proofward_gateway.exchange import Exchange
from proofward_gateway.keys import Workload
from proofward_gateway.proxy.server import AnswerRefused
from proofward_gateway.proxy.settings import settings_of
from tests.canary import Canary, in_files, in_text
from tests.gateway.world import (
    MODEL,
    POLICY,
    UNVERIFIED,
    Desk,
    ask,
    caller,
    config,
    desk,
    echo,
    gateway,
    house,
    upstream,
    workloads,
)

PINNED = Policy.for_development(measurements=POLICY.measurements)


async def post(one: Desk, path: str, body: Any, **headers: str) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{one.url}{path}", json=body, headers=headers) as response,
    ):
        return response.status, await response.read()


async def answered(folder: Path, body: dict[str, Any] | None = None) -> Answer:
    async with house(folder) as (_, outer), desk(outer, folder) as one:
        assert (await post(one, "/v1/chat/completions", body or ask("hello")))[0] == 200
        return answer_file.load(one.answers()[0])


async def test_an_answer_and_its_file_say_the_same(tmp_path: Path) -> None:
    async with house(tmp_path) as (behind, outer), desk(outer, tmp_path) as one:
        bodies = [
            ("/v1/chat/completions", ask("hello")),
            ("/v1/chat/completions", ask("hello", stream=True)),
            ("/v1/chat/completions", ask("[1, 2]")),
            ("/v1/chat/completions", ask("x", tools=[{"type": "function", "function": {"name": "f"}}])),
            ("/v1/completions", {"model": MODEL, "prompt": "hello"}),
            ("/v1/embeddings", {"model": MODEL, "input": "hello"}),
            ("/v1/messages", ask("hello", max_tokens=3)),
            ("/v1/messages", ask("hello", max_tokens=3, stream=True)),
        ]
        for number, (path, body) in enumerate(bodies, 1):
            status, got = await post(one, path, body)
            assert status == 200
            assert len(one.answers()) == number
            file = one.answers()[-1]
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            kept = answer_file.load(file)
            if not body.get("stream"):
                assert json.loads(kept.plain()) == json.loads(got)
            verdict = kept.verdict(PINNED)
            assert verdict.word == "accepted (simulated)", str(verdict)
        assert json.loads(behind.seen[2])["messages"][0]["content"] == [{"type": "text", "text": "[1, 2]"}]


def spoil(kept: Answer, **changes: Any) -> Answer:
    return replace(kept, **changes)


def with_report(kept: Answer, change: Callable[[dict[str, Any]], object]) -> Answer:
    value = json.loads(kept.report)
    change(value)
    return replace(kept, report=json.dumps(value).encode())


def keyset(value: dict[str, Any]) -> dict[str, Any]:
    return value["attestation"]["workload_keyset"]  # type: ignore[no-any-return]


def evidence(value: dict[str, Any]) -> dict[str, Any]:
    return value["attestation"]["evidence"]  # type: ignore[no-any-return]


def sooner(value: dict[str, Any]) -> None:
    keyset(value)["not_after"] -= 1


def turned(value: dict[str, Any]) -> None:
    evidence(value)["quote"] = evidence(value)["quote"][:-9] + "0" * 9


def misstated(value: dict[str, Any]) -> None:
    value["workload_keyset_digest"] = "sha256:" + "00" * 32


def receipt(kept: Answer, **changes: Any) -> Answer:
    return replace(kept, receipt={**kept.receipt, **changes})


def session(kept: Answer, **changes: Any) -> Answer:
    assert kept.session is not None
    return replace(kept, session={**kept.session, **changes})


#: Fault -> what it does to a good answer, and the check that must say no.
LIES: dict[str, tuple[Callable[[Answer], Answer], str]] = {
    "encrypted to a key that nobody names": (
        lambda one: spoil(one, channel=replace(one.channel, e2ee_key=None)), "encryption",
    ),
    "encrypted to a key that is not the attested one": (
        lambda one: spoil(one, channel=replace(one.channel, e2ee_key="11" * 32)), "channel",
    ),
    "a TLS key that is not the attested one": (
        lambda one: spoil(one, channel=replace(one.channel, spki_sha256="11" * 32)), "channel",
    ),
    "the attested key, for another host": (
        lambda one: spoil(one, channel=replace(one.channel, host="example.com")), "channel",
    ),
    "a nonce that is the same for half of its length": (
        lambda one: spoil(one, nonce=one.nonce[:32] + "0" * 32), "binding",
    ),
    "a quote that was made without a nonce of ours": (lambda one: spoil(one, nonce="0" * 64), "binding"),
    "a keyset that is not the quoted one": (lambda one: with_report(one, sooner), "binding"),
    "a digest that is restated wrongly": (lambda one: with_report(one, misstated), "binding"),
    "an expiry put off": (
        lambda one: with_report(one, lambda value: keyset(value).update(not_after=1 << 40)), "expiry",
    ),
    "a keyset that has ended": (
        lambda one: with_report(one, lambda value: keyset(value).update(not_after=1)), "expiry",
    ),
    "custody that nobody vouches for": (
        lambda one: with_report(one, lambda value: evidence(value).pop("key_custody")), "key custody",
    ),
    "a subject that nobody has named": (
        lambda one: with_report(one, lambda value: keyset(value).update(subject="x")), "key custody",
    ),
    "a quote with bits turned": (lambda one: with_report(one, turned), "hardware"),
    "no quote": (lambda one: with_report(one, lambda value: evidence(value).pop("quote")), "hardware"),
    "another version": (
        lambda one: with_report(one, lambda value: value.update(api_version="aci/2")), "hardware",
    ),
    "another prompt": (
        lambda one: spoil(one, request=one.request.replace(b"hello", b"hullo")), "request",
    ),
    "another answer": (lambda one: spoil(one, response=one.response.replace(b"stop", b"tool")), "response"),
    "a byte after the answer": (lambda one: spoil(one, response=one.response + b" "), "response"),
    "a receipt with another model": (lambda one: receipt(one, model="other"), "receipt"),
    "a receipt with an event more": (
        lambda one: receipt(one, event_log=[*one.receipt["event_log"], {"type": "x"}]), "receipt",
    ),
    "a receipt without its upstream": (
        lambda one: receipt(one, event_log=one.receipt["event_log"][::3]), "receipt",
    ),
    "a session of other claims": (lambda one: session(one, claims={}), "upstream"),
    "a session that lasts longer": (lambda one: session(one, expires_at=1 << 40), "upstream"),
    "no session": (lambda one: spoil(one, session=None), "upstream"),
    "from the future": (lambda one: spoil(one, at=one.at + 10_000), "time"),
}  # fmt: skip


def resigned(kept: Answer, signer: Workload, wire: bytes) -> Answer:
    """The answer as its gateway would have it if these had been its bytes."""
    unsigned = {name: value for name, value in kept.receipt.items() if name != "signature"}
    log = [
        {**one, "body_hash": jcs.tagged(wire)} if one["type"] == "response.returned" else one
        for one in kept.receipt["event_log"]
    ]
    made = documents.sign_receipt({**unsigned, "event_log": log}, signer.keys.receipt)
    return replace(kept, response=wire, receipt=made)


#: What is done to the bytes of a stream -> whether they are still a whole answer.
ENDS: dict[str, tuple[Callable[[bytes], bytes], bool]] = {
    "whole": (lambda wire: wire, True),
    "without its last event": (lambda wire: wire[: wire.rindex(b"data: [DONE]")], False),
    "cut within its last event": (lambda wire: wire.rstrip(b"\n"), False),
    "with half an event behind its last": (lambda wire: wire + b"data: {", False),
    "its end in a comment": (lambda wire: wire.replace(b"data: [DONE]", b": data: [DONE]"), False),
    "an object before it": (lambda wire: b"{}\n\n" + wire[: wire.rindex(b"data: [DONE]")], False),
    "empty": (lambda _wire: b"", False),
    "no JSON and no events": (lambda _wire: b"<html>", False),
    "an event that is too long": (lambda wire: b"data: " + b"1" * (1 << 20) + b"\n\n" + wire, False),
}


async def test_a_verdict_says_whether_a_stream_has_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = workloads(monkeypatch)
    async with house(tmp_path) as (_, outer), desk(outer, tmp_path) as one:
        assert (await post(one, "/v1/messages", ask("hello", max_tokens=3, stream=True)))[0] == 200
        assert (await post(one, "/v1/responses", {"model": MODEL, "input": "hello", "stream": True}))[
            0
        ] == 200
        assert (await post(one, "/v1/chat/completions", ask("hello")))[0] == 200
        assert (await post(one, "/v1/chat/completions", ask("hello", stream=True)))[0] == 200
        *others, kept = [answer_file.load(file) for file in one.answers()]
    told = [
        [line.detail.partition(":")[0] for line in x.verdict(PINNED) if line.name == "stream"] for x in others
    ]
    assert told == [["ended"], ["ended"], []], "a document has no end of its own"
    for fault, (change, whole) in ENDS.items():
        verdict = resigned(kept, made[1], change(kept.response)).verdict(PINNED)
        (line,) = [line for line in verdict if line.name == "stream"]
        assert line.ok is whole, fault
        assert (verdict.outcome is Outcome.ACCEPTED) is whole, fault


async def test_every_lie_is_refused_by_the_check_that_is_for_it(tmp_path: Path) -> None:
    kept = await answered(tmp_path)
    assert kept.verdict(PINNED).outcome is Outcome.ACCEPTED
    for fault, (change, name) in LIES.items():
        verdict = change(kept).verdict(PINNED)
        assert verdict.outcome is Outcome.REFUSED, fault
        assert name in [check.name for check in verdict if check.ok is False], f"{fault}: {verdict}"

    def stated(value: dict[str, Any]) -> None:
        """Provenance in the service's own words is none."""
        value["attestation"]["source_provenance"] = {"repo_url": "https://good", "repo_commit": "00" * 20}

    pins = {
        "nobody pins anything": (Policy.for_development(), Outcome.NOT_ANCHORED),
        "other software is pinned": (
            Policy.for_development(measurements=frozenset({bytes(32)})),
            Outcome.REFUSED,
        ),
        "simulated, in production": (Policy(measurements=POLICY.measurements), Outcome.REFUSED),
    }
    for fault, (policy, wanted) in pins.items():
        for one in (kept, with_report(kept, stated)):
            assert one.verdict(policy).outcome is wanted, fault
    upstreams = kept.verdict(PINNED, upstreams=frozenset({bytes(32)}))
    assert [check.name for check in upstreams if check.ok is False] == ["upstream"]


async def test_a_session_that_a_lying_gateway_seals_is_appraised_again(tmp_path: Path) -> None:
    """Its id is right, since it is made anew; its evidence is of another service than its binding says."""
    kept = await answered(tmp_path)
    assert kept.session is not None
    bundle = json.loads(documents.check_session(kept.session, documents.session_id(kept.session)))
    for change in (
        {"spki_sha256": "00" * 32},
        {"nonce": "0" * 64},
        {"at": 1},
        {"report_b64": base64.b64encode(b"{}").decode()},
    ):
        sealed = {**kept.session, "evidence": documents.evidence_of(jcs.canonical({**bundle, **change}))}
        found = answers._session(spoil(kept, session=sealed), documents.session_id(sealed), PINNED)
        assert [check.ok for check in found] == [False], change


async def test_nothing_leaves_for_a_gateway_that_is_not_what_was_pinned(tmp_path: Path) -> None:
    async with house(tmp_path) as (behind, outer):
        for options in ({"pins": ["0x" + "00" * 32]}, {"pins": ["0x" + POLICY_HEX], "development": False}):
            with pytest.raises(ProofwardError) as caught:
                async with desk(outer, tmp_path, **options):
                    pass
            assert caught.value.code == "unattested"
        with pytest.raises(ProofwardError, match="pin the gateway"):
            settings_of(
                str(outer),
                pins=[],
                upstream_pins=[],
                folder=tmp_path,
                development=False,
                allow_unverified=False,
            )
        with pytest.raises(ProofwardError, match="no address"):
            settings_of(
                "http://127.0.0.1:1",
                pins=[],
                upstream_pins=[],
                folder=tmp_path,
                development=True,
                allow_unverified=False,
            )
        async with desk(outer, tmp_path, upstream_pins=["0x" + "00" * 32]) as one:
            status, told = await post(one, "/v1/chat/completions", ask("hello"))
            assert (status, json.loads(told)["error"]["code"]) == (502, "answer-refused")
            assert not one.answers()
        assert len(behind.seen) == 1, "an upstream's measurement is known only by its answer's session"


POLICY_HEX = next(iter(POLICY.measurements or ())).hex()


async def test_a_gateway_that_lies_about_the_bytes_gets_no_answer_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as (_, outer), desk(outer, tmp_path) as one:
        monkeypatch.setattr(Exchange, "emitted", lambda self, data: None)
        status, told = await post(one, "/v1/chat/completions", ask("hello"))
        assert (status, b"response" in told, b"hello" in told) == (502, True, False)
        status, wire = await post(one, "/v1/chat/completions", ask("hello", stream=True))
        assert b"[DONE]" not in wire
        assert b"answer-refused" in wire
        assert not one.answers()


RESPONSE = {"model": MODEL, "input": "hello", "store": False, "stream": True}
DELTA = b'data: {"type":"response.output_text.delta","delta":"a"}'
#: What OpenAI's clients take for the end of a response's stream -> how its upstream writes it.
HIDDEN_ENDS = {
    "[DONE] and more": [b"data: [DONE]x\n\n"],
    "the end by its type alone": [b'data: {"type":"response.completed","response":{}}\n\n'],
    "the end in an event of another name": [b'event: x\ndata: {"type":"response.completed"}\n\n'],
    "the end with a character escaped": [b'data: {"type":"response\\u002ecompleted"}\n\n'],
    "the end behind a blank line that some do not see": [DELTA + b"\n\rdata: [DONE]\n\n"],
    "the end behind a byte-order mark": [b"\xef\xbb\xbfdata: [DONE]\n\n"],
    "two ends": [b"data: [DONE]\n\n", b"data: [DONE]\n\n"],
}


async def test_no_end_of_a_stream_leaves_before_its_checks(tmp_path: Path) -> None:
    async with (
        house(tmp_path) as (behind, outer),
        desk(outer, tmp_path, upstream_pins=["0x" + "00" * 32]) as one,
    ):
        for fault, events in HIDDEN_ENDS.items():
            behind.script = [DELTA + b"\n\n", *events, DELTA + b"\n\n", b"data: [DONE]\n\n"]
            _, wire = await post(one, "/v1/responses", RESPONSE)
            assert b"answer-refused" in wire, fault
            assert not any(end in wire for end in (b"[DONE]", b"response.completed")), fault
        assert not one.answers()


async def test_no_event_hides_in_another(tmp_path: Path) -> None:
    """In a text, or in a name, with what only some clients take for the end of a line."""
    breaks = [mark for mark in map(chr, range(0x3000)) if len(f"a{mark}b".splitlines()) > 1]
    text = "".join(f"a{mark}data: [DONE]{mark}{mark}" for mark in breaks if mark >= " ")
    assert len(text) > 3
    delta = {"type": "response.output_text.delta", "delta": text}
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": text}}]}
    async with house(tmp_path) as (behind, outer), desk(outer, tmp_path) as one:
        for path, body, said in (
            ("/v1/responses", RESPONSE, delta),
            ("/v1/chat/completions", ask("x", stream=True), chunk),
        ):
            data = b"data: " + json.dumps(said, ensure_ascii=False).encode() + b"\n\n"
            names = [f"event: x{mark}data: [DONE]\n".encode() for mark in breaks if mark not in "\r\n"]
            behind.script = [data, *(name + data for name in names), b"data: [DONE]\n\n"]
            _, wire = await post(one, path, body)
            lines = wire.decode().splitlines()
            assert lines == wire.decode().split("\n")[:-1]
            assert [line for line in lines if "[DONE]" in line[:12]] == ["data: [DONE]"]
            told = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
            assert told == [said] * (len(names) + 1), "nobody's text changes"


async def test_events_after_the_end_come_with_it(tmp_path: Path) -> None:
    """Some servers end a message by its own last event and by OpenAI's besides."""
    async with house(tmp_path) as (behind, outer), desk(outer, tmp_path) as one:
        last = [b'event: message_stop\ndata: {"type":"message_stop"}\n\n', b"data: [DONE]\n\n"]
        behind.script = [b'event: message_start\ndata: {"type":"message_start"}\n\n', *last]
        _, wire = await post(one, "/v1/messages", ask(max_tokens=9, stream=True))
        assert wire == b"".join(behind.script)
        assert answer_file.load(one.answers()[0]).verdict(PINNED).outcome is Outcome.ACCEPTED


async def test_an_answer_of_another_status_than_200_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a client 201 is as good as 200; it would have come past receipt, pins and file."""
    async with house(tmp_path) as (_, outer), desk(outer, tmp_path) as one:
        send = gateway_answer.Answer._send

        async def created(self: Any, body: bytes, _status: int, *rest: Any, **named: Any) -> Any:
            return await send(self, body, 201, *rest, **named)

        monkeypatch.setattr(gateway_answer.Answer, "_send", created)
        status, told = await post(one, "/v1/messages", ask("hello", max_tokens=3))
        assert (status, json.loads(told)["error"]["code"]) == (502, "answer-refused")
        assert b"hello" not in told
        assert not one.answers()


async def test_a_gateway_that_was_replaced_is_attested_again(tmp_path: Path) -> None:
    """New keys on the same port: the pinned connection fails before a byte of the prompt is written."""
    async with echo() as behind, AsyncExitStack() as desks:
        whole = config(tmp_path / "g", upstream(behind.origin, "inside"))
        async with gateway(whole) as origin:
            one = await desks.enter_async_context(desk(origin, tmp_path))
            assert (await post(one, "/v1/chat/completions", ask("hello")))[0] == 200
        async with gateway(replace(whole, port=origin.port)):
            assert (await post(one, "/v1/chat/completions", ask("hello")))[0] == 200
        first, second = (answer_file.load(path) for path in one.answers())
        assert first.receipt["workload_keyset_digest"] != second.receipt["workload_keyset_digest"]
        assert len(behind.seen) == 2


async def test_an_unverified_upstream_answers_only_where_the_user_allows_it(tmp_path: Path) -> None:
    async with echo() as behind, gateway(config(tmp_path / "g", upstream(behind.origin, "plain"))) as origin:
        async with desk(origin, tmp_path) as one:
            assert (await post(one, "/v1/chat/completions", ask("hello")))[0] == 503
            assert (await post(one, "/v1/chat/completions", ask("hello", **UNVERIFIED)))[0] == 502
            assert not behind.seen
        async with desk(origin, tmp_path, allow_unverified=True) as one:
            assert (await post(one, "/v1/chat/completions", ask("hello")))[0] == 200
            verdict = answer_file.load(one.answers()[0]).verdict(PINNED)
            assert verdict.word == "incomplete (simulated)"


async def test_an_answer_of_other_weights_than_pinned_is_refused(tmp_path: Path) -> None:
    loaded, other = (f"sha256:{byte * 32}" for byte in ("11", "22"))
    async with echo() as behind:
        for number, (named, pinned, status) in enumerate(
            ((loaded, [loaded], 200), (loaded, [other, loaded], 200), (loaded, [], 200), (None, [], 200),
             (loaded, [other], 502), (None, [loaded], 502))
        ):  # fmt: skip
            folder = tmp_path / str(number)
            inside = upstream(behind.origin, "inside", digest=named)
            async with (
                gateway(config(folder, inside)) as origin,
                desk(origin, folder, weights=pinned) as one,
            ):
                assert (await post(one, "/v1/chat/completions", ask("hello")))[0] == status, (named, pinned)
                assert len(one.answers()) == (status == 200)
    with pytest.raises(AnswerRefused, match="no digest of weights"):
        async with desk(behind.origin, tmp_path, weights=["sha256:11"]):
            pass


async def test_no_page_in_a_browser_gets_at_the_proxy(tmp_path: Path) -> None:
    async with house(tmp_path) as (behind, outer), desk(outer, tmp_path) as one:
        for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example:8089"}):
            status, told = await post(one, "/v1/chat/completions", ask("hello"), **headers)
            assert (status, json.loads(told)["error"]["code"]) == (403, "not-local")
        assert not behind.seen
        assert (await post(one, "/v1/audio/speech", ask()))[0] == 404


async def test_neither_prompt_nor_answer_is_anywhere_but_with_the_user(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = secrets.token_bytes(24)
    canary, text = Canary.of_bytes(secret), secret.hex()
    async with house(tmp_path, idle_seconds=1) as (behind, outer), desk(outer, tmp_path) as one:
        for path, body in (
            ("/v1/chat/completions", ask(text)),
            ("/v1/chat/completions", ask(text, stream=True)),
            ("/v1/messages", ask(text, max_tokens=1)),
            ("/v1/responses", {"model": MODEL, "input": text}),
        ):
            for fault in (
                None,
                "is down",
                "talks nonsense",
                "dies in the middle",
                "breaks an event",
                "redirects",
            ):
                behind.fault = fault
                await post(one, path, body)
        assert any(text.encode() in seen for seen in behind.seen)
        async with caller(outer) as outside:
            async with outside.session.get(f"{outer}/metrics", ssl=outside.attested.pin) as response:
                metrics = await response.text()
            assert "proofward_gateway_requests" in metrics
    log = "".join(capfd.readouterr())
    assert '"event": "ready"' in log
    assert not in_text(canary, log=log, metrics=metrics)
    assert not in_files(canary, tmp_path / "inner", tmp_path / "outer")
    kept = [answer_file.load(path) for path in one.answers()]
    assert kept
    assert all(text.encode() in each.request for each in kept)


async def test_the_command_line_gives_the_same_word_offline(tmp_path: Path) -> None:
    await answered(tmp_path)
    (file,) = (tmp_path / "answers").glob("*.json")
    runner, pin = CliRunner(), f"0x{POLICY_HEX}"
    for options, code, word in (
        (["--dev", "--measurement", pin], 0, "accepted"),
        (["--dev"], 6, "consistent, not anchored"),
        (["--measurement", pin], 1, "refused"),
        (["--dev", "--measurement", "0x" + "00" * 32], 1, "refused"),
    ):
        done = runner.invoke(app, ["verify", str(file), *options])
        assert done.exit_code == code, done.output
        assert done.output.splitlines()[-1].startswith(word)


BROKEN_FILES: dict[str, Callable[[str], str]] = {
    "cut off": lambda text: text[:-9],
    "another format": lambda text: text.replace("answer/v1", "answer/v2"),
    "no receipt": lambda text: text.replace('"receipt"', '"recept"'),
    "a nonce of another form": lambda text: text.replace('"nonce": "', '"nonce": "0x', 1),
    "a time that is text": lambda text: text.replace('"at": ', '"at": "x", "was": '),
}


async def test_a_file_that_is_broken_says_so(tmp_path: Path) -> None:
    kept = await answered(tmp_path)
    (file,) = (tmp_path / "answers").glob("*.json")
    text = file.read_text()
    for change in BROKEN_FILES.values():
        (tmp_path / "broken").write_text(change(text))
        with pytest.raises(AnswerError):
            answer_file.load(tmp_path / "broken")
    with pytest.raises(AnswerError, match="cannot write"):
        answer_file.save(kept, file)
    with pytest.raises(AciError):
        answers.opened_event(kept.encryption, kept.endpoint, b"data: []\n\n")
