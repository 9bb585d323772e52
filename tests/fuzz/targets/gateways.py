"""What gateways, their callers and their users hand each other."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
from pathlib import Path
from typing import Any

from proofward.aci import e2ee, jcs, sse
from proofward.aci.documents import Keyset
from proofward.aci.errors import AciError
from proofward.attestation.quote import parse_quote
from proofward.errors import ProofwardError
from proofward.evidence import answer_file, two_receipts
from proofward.evidence.answer import Answer, opened_event
from proofward.evidence.answer_file import AnswerError
from proofward.evidence.policy import Policy
from proofward.evidence.proved import NoRecords, Opening, proved_checks, records_of
from proofward_gateway.exchange import Exchange, Refusal
from proofward_gateway.keys import Keys, make_keys
from proofward_gateway.request import Replays, read_prompt
from tests.fuzz.edits import document, edited
from tests.fuzz.targets.scratch import file_of

HERE = Path(__file__).parents[1]
ANSWER, LIE = (json.loads((HERE / f"{name}.json").read_text()) for name in ("answer", "two_receipts"))
"""A true answer and a proved lie, the same in every process; `python -m tests.fuzz.seeds` makes them."""
PROMPT: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "[[0.5, 1, -2]]"}],
    "stream": False,
    "input": [{"type": "message", "content": "x"}],
    "tools": [{"type": "code", "container": {"type": "auto"}}],
    "provider": {"aci_verified": True, "aci_session_ids": ["ab" * 32]},
}
OPENING = {
    "answer": ["t2: 1"],
    "outputs": [[7]],
    "records": 1,
    "input_salt": "00" * 32,
    "output_salt": "00" * 32,
}
KEY = e2ee.PrivateKey.from_bytes(e2ee.X25519, bytes(32))
NOW = 1_800_000_000


@functools.cache
def _report() -> Any:
    return json.loads(base64.b64decode(ANSWER["report"]))


@functools.cache
def _policy() -> Policy:
    """A reader who pins the software of the answer's gateway and upstream."""
    quote = parse_quote(bytes.fromhex(_report()["attestation"]["evidence"]["quote"]))
    return Policy.for_development(measurements={quote.measurement}, now=ANSWER["at"] + 100)


@functools.cache
def _keys() -> Keys:
    return make_keys("localhost", not_after=NOW)


def gateway(data: bytes) -> None:
    """By the first byte: an answer's file, two receipts, a report's keys, a prompt, events, an opening."""
    kind, data = data[:1], data[1:]
    match kind:
        case b"t":
            _lie(data)
        case b"k":
            with contextlib.suppress(AciError):
                value = jcs.loads(document(data, _report()["attestation"]["workload_keyset"]))
                assert Keyset.read(value).document() == value
        case b"p":
            _prompt(document(data, PROMPT))
        case b"s":
            _events(data)
        case b"h":
            with contextlib.suppress(AciError):
                told = edited(data, dict.fromkeys((one.lower() for one in e2ee.HEADERS), e2ee.VERSION))
                texts = {name: one for name, one in told.items() if isinstance(one, str)}
                e2ee.parse_headers(texts, {"ab" * 32: KEY}, now=NOW)
        case b"o":
            _opening(data)
        case _:
            _answer(data)


def _answer(data: bytes) -> None:
    """A verdict is always reached, and `accepted` of the very exchange alone."""
    try:
        read = answer_file.load(file_of(document(data, ANSWER), "answer.json"))
    except AnswerError:
        return
    assert isinstance(read.weights, str | None)
    if read.verdict(_policy()).accepted:
        true = _true()
        assert (read.request, read.response, read.receipt) == (true.request, true.response, true.receipt)
        assert (read.nonce, read.channel, read.endpoint) == (true.nonce, true.channel, true.endpoint)
        assert read.session == true.session


@functools.cache
def _true() -> Answer:
    found = answer_file.load(HERE / "answer.json")
    assert found.verdict(_policy()).accepted, "it is of an earlier version: `python -m tests.fuzz.seeds`"
    return found


def _lie(data: bytes) -> None:
    try:
        read = two_receipts.load(file_of(document(data, LIE), "two_receipts.json"))
    except AnswerError:
        return
    with contextlib.suppress(AnswerError):
        _, first, second = read.signed()
        assert first != second
    assert read.verdict(_policy())


def _prompt(data: bytes) -> None:
    exchange = Exchange(_keys(), "/v1/chat/completions", data, direct=False)
    with contextlib.suppress(Refusal):
        read = read_prompt(exchange, data, {}, Replays(), now=NOW)
        assert jcs.loads(read.body)["model"] == read.model
        with contextlib.suppress(NoRecords):
            assert records_of(jcs.loads(read.body)).ndim == 2


def _events(data: bytes) -> None:
    """Events are the stream, wherever it is cut."""
    cut, data = data[:1], data[1:]
    whole, parts = sse.Splitter(), sse.Splitter()
    at = cut[0] if cut else 0
    found = [*whole.feed(data)]
    assert [*parts.feed(data[:at]), *parts.feed(data[at:])] == found
    assert b"".join(found) + whole.rest() == data
    for event in found:
        assert sse.plain(sse.padded(event, 64)) == sse.plain(event) == sse.plain(sse.plain(event))
        assert sse.ends(event) in (True, False)
        with contextlib.suppress(AciError):
            opened_event(None, "/v1/chat/completions", event)


def _opening(data: bytes) -> None:
    """A proved model's answer: checks are made of whatever it says."""
    text = document(data, OPENING)
    with contextlib.suppress(AciError, KeyError, TypeError, ValueError):
        read = Opening.of(text.decode("utf-8", "replace"))
        assert Opening.of(read.text()) == read
    message = {"choices": [{"message": {"content": text.decode("utf-8", "replace")}}]}
    told = {**message, "proofward": {"bundle": _bundle()}}
    with contextlib.suppress(ProofwardError):
        found = proved_checks({}, json.dumps(PROMPT).encode(), json.dumps(told).encode(), _policy())
        assert not any(one.ok for one in found)


@functools.cache
def _bundle() -> Any:
    return json.loads((HERE / "evidence.json").read_text())
