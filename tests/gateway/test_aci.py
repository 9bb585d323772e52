"""ACI's documents and encryption: the specification's vectors, a second implementation, and hostile forms."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from proofward.aci import documents, e2ee, jcs, sse
from proofward.aci.errors import AciError
from proofward.protocol import sha256

HERE = Path(__file__).parent
VECTORS: dict[str, Any] = json.loads((HERE / "vectors.json").read_text())
KEYSET = documents.Keyset.read(json.loads(VECTORS["keyset"]))
RECEIPT_KEY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS["receipt_seed"]))
SERVICE = e2ee.PrivateKey.from_bytes(e2ee.X25519, bytes.fromhex(VECTORS["e2ee_seed"]))
CONTEXT = e2ee.Context(*(VECTORS["e2ee"][name] for name in ("algo", "model", "nonce", "ts")))
#: Strings that sort differently by UTF-8 and by UTF-16, numbers whose text is not the obvious one.
VALUES = [
    {"\ue000": 1, "\U0001f600": 2, 'a"\\\n\x7f': -0.0},
    [1e21, 1e-7, 0.1, 2**53 - 1, True, None, "é\u2028"],
]


def test_every_vector_of_the_specification() -> None:
    assert RECEIPT_KEY.public_key().public_bytes_raw().hex() == VECTORS["receipt_public"]
    assert SERVICE.public.hex() == VECTORS["e2ee_public"]
    assert jcs.canonical(KEYSET.document()).decode() == VECTORS["keyset"]
    assert KEYSET.digest == VECTORS["keyset_digest"]
    for nonce, name in ((VECTORS["nonce"], ""), (None, "_without_nonce")):
        assert documents.statement(KEYSET.digest, nonce).decode() == VECTORS[f"statement{name}"]
        assert documents.report_data(KEYSET.digest, nonce).hex() == VECTORS[f"report_data{name}"]
    assert documents.report_slot(KEYSET.digest, VECTORS["nonce"]).hex() == VECTORS["report_slot"]
    evidence = documents.evidence_of(VECTORS["evidence_bytes"].encode(), content_type="text/plain")
    assert evidence == {"digest": VECTORS["evidence_digest"], "data": VECTORS["evidence_data"]}
    session = json.loads(VECTORS["session"])
    assert documents.session_id(session) == VECTORS["session_id"]
    assert documents.check_session(session, VECTORS["session_id"]) == VECTORS["evidence_bytes"].encode()
    assert jcs.tagged(VECTORS["request"].encode()) == VECTORS["request_hash"]
    assert jcs.tagged(VECTORS["response"].encode()) == VECTORS["response_hash"]
    unsigned = json.loads(VECTORS["receipt_unsigned"])
    assert sha256(jcs.canonical(unsigned)).hex() == VECTORS["receipt_sha256"]
    receipt = documents.sign_receipt(unsigned, RECEIPT_KEY)
    assert receipt["signature"] == VECTORS["signature"]
    assert jcs.canonical(receipt).decode() == VECTORS["receipt"]
    assert documents.check_receipt(receipt, KEYSET) == unsigned["event_log"]
    fields = VECTORS["e2ee"]
    assert CONTEXT.request_aad(fields["request_field"]).decode() == fields["request_aad"]
    assert CONTEXT.response_aad(fields["response_field"], fields["id"]).decode() == fields["response_aad"]


def test_another_implementation_finds_the_same() -> None:
    """Node's own crypto and 40 lines of JavaScript: all digests, both directions of the encryption."""
    fields = VECTORS["e2ee"]
    text = "a prompt, ü and \U0001f600"
    sealed = e2ee.seal(
        e2ee.X25519, SERVICE.public, text.encode(), CONTEXT.request_aad(fields["request_field"])
    )
    asked = {"vectors": VECTORS, "values": VALUES, "sealed": sealed, "answer": text[::-1]}
    done = subprocess.run(
        ["node", str(HERE / "independent.mjs")],
        input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    found = json.loads(done.stdout)
    for name in ("keyset", "keyset_digest", "report_data", "session_id", "signature", "e2ee_public"):
        assert found[name] == VECTORS[name]
    assert (found["request_aad"], found["response_aad"]) == (fields["request_aad"], fields["response_aad"])
    assert found["canonical"] == [jcs.canonical(value).decode() for value in VALUES]
    assert found["opened"] == text
    aad = CONTEXT.response_aad(fields["response_field"], fields["id"])
    assert e2ee.open_field(SERVICE, found["sealed"], aad).decode() == text[::-1]


def changed(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**document, **changes}


RECEIPT: dict[str, Any] = json.loads(VECTORS["receipt"])
ED_SPKI = sha256(RECEIPT_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hex()
BAD_RECEIPTS = {
    "another model": changed(RECEIPT, model="other"),
    "another version": changed(RECEIPT, api_version="aci/2"),
    "a member more": changed(RECEIPT, note="x"),
    "no signature": {name: value for name, value in RECEIPT.items() if name != "signature"},
    "a signature in capitals": changed(RECEIPT, signature=RECEIPT["signature"].upper()),
    "another keyset": changed(RECEIPT, workload_keyset_digest="sha256:" + "00" * 32),
    "an unlisted key": changed(RECEIPT, key_id="receipt-2"),
    "no object": [RECEIPT],
    "signed, but nothing received": documents.sign_receipt(
        changed(json.loads(VECTORS["receipt_unsigned"]), event_log=RECEIPT["event_log"][1:]), RECEIPT_KEY
    ),
}


@pytest.mark.parametrize("fault", BAD_RECEIPTS)
def test_a_receipt_is_refused(fault: str) -> None:
    with pytest.raises(AciError, match="bad-receipt"):
        documents.check_receipt(BAD_RECEIPTS[fault], KEYSET)


KEYS: dict[str, Any] = json.loads(VECTORS["keyset"])
BAD_KEYSETS = {
    "a member that aci/1 does not know": changed(KEYS, admin_keys=[]),
    "no expiry": {name: value for name, value in KEYS.items() if name != "not_after"},
    "an expiry in text": changed(KEYS, not_after="1800000000"),
    "one key for receipts and encryption": changed(
        KEYS, e2ee_public_keys=[changed(KEYS["e2ee_public_keys"][0], public_key=VECTORS["receipt_public"])]
    ),
    "one key for receipts and TLS": changed(KEYS, tls_public_keys=[{"spki_sha256": ED_SPKI}]),
    "two keys under one id": changed(KEYS, receipt_signing_keys=KEYS["receipt_signing_keys"] * 2),
    "a key of another kind": changed(KEYS, e2ee_public_keys=["x"]),
    "a thousand keys": changed(KEYS, tls_public_keys=KEYS["tls_public_keys"] * 1000),
    "no object": 7,
}


@pytest.mark.parametrize("fault", BAD_KEYSETS)
def test_a_keyset_is_refused(fault: str) -> None:
    with pytest.raises(AciError, match="bad-keyset"):
        documents.Keyset.read(BAD_KEYSETS[fault])


def test_a_key_that_is_no_ascii_is_one_that_nobody_has() -> None:
    document = KEYSET.document()
    first, *others = document["e2ee_public_keys"]
    odd = documents.Keyset.read(
        {**document, "e2ee_public_keys": [{**first, "public_key": "\u00e9"}, *others]}
    )
    assert not odd.lists_e2ee("ab" * 32)
    assert not odd.lists_tls("\u00e9", "localhost")
    with pytest.raises(AciError, match="bad-session"):
        documents.check_session(json.loads(VECTORS["session"]), "\u00e9")


def test_a_session_is_refused() -> None:
    session = json.loads(VECTORS["session"])
    for spoilt, cited in (
        (changed(session, expires_at=1), VECTORS["session_id"]),
        (changed(session, api_version="aci/2"), None),
        (changed(session, evidence={}), None),
        (changed(session, evidence=changed(session["evidence"], data="data:text/plain;base64,AAAA")), None),
    ):
        with pytest.raises(AciError, match="bad-session"):
            documents.check_session(spoilt, cited or documents.session_id(spoilt))


@pytest.mark.parametrize("nonce", ["", "00" * 31, "00" * 33, "0x" + "00" * 31, "AA" * 32, "00" * 32 + "\n"])
def test_a_nonce_has_one_form(nonce: str) -> None:
    with pytest.raises(AciError, match="invalid-request-error"):
        documents.statement(KEYSET.digest, nonce)


AMBIGUOUS = {
    "a name twice": b'{"model":"a","model":"b"}',
    "NaN": b'{"a":NaN}',
    "beyond a double": b'{"a":1e999}',
    "an integer beyond a double": b'{"a":' + b"4" * 310 + b"}",
    "an integer of 5,000 digits": b'{"a":' + b"4" * 5_000 + b"}",
    "a lone surrogate": b'{"a":"\\ud800"}',
    "no UTF-8": b'{"a":"\xff"}',
    "too deep": b"[" * 100 + b"]" * 100,
    "deeper than the stack": b"[" * 100_000,
    "objects deeper than the stack": b'{"a":' * 100_000,
    "deep behind a quote in a string": b'{"\\"":' + b"[" * 100_000,
    "two texts": b"{}{}",
}


@pytest.mark.parametrize("fault", AMBIGUOUS)
def test_json_that_parsers_read_differently_is_refused(fault: str) -> None:
    with pytest.raises(AciError, match="invalid-request-error"):
        jcs.loads(AMBIGUOUS[fault])


def test_brackets_in_strings_are_no_nesting() -> None:
    assert jcs.loads(b'["' + b"[" * 200 + b'\\"{", "\\\\", []]') == ["[" * 200 + '"{', "\\", []]


def chat(*contents: Any) -> dict[str, Any]:
    return {"model": "demo-model", "messages": [{"role": "user", "content": one} for one in contents]}


CONTENTS = [
    "plain",
    [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:,x"}}],
    [{"type": "text", "text": "a"}, {"type": "file", "file": {"file_data": "secret"}}],
]


@pytest.mark.parametrize("suite", e2ee.SUITES)
def test_a_request_and_its_answer_come_back_whole(suite: str) -> None:
    service, client = e2ee.PrivateKey.generate(suite), e2ee.PrivateKey.generate(suite)
    context = e2ee.Context(suite, "demo-model", "ab" * 32, 1)
    exchange = e2ee.Exchange(context, client.public, service)
    bodies: list[tuple[str, dict[str, Any]]] = [
        (e2ee.CHAT, chat(*CONTENTS)),
        (e2ee.COMPLETIONS, {"model": "m", "prompt": "secret"}),
        (e2ee.EMBEDDINGS, {"model": "m", "input": ["secret", [1, 2]]}),
    ]
    for endpoint, body in bodies:
        sealed = json.loads(json.dumps(body))
        assert e2ee.seal_request(service.public, context, endpoint, sealed)
        assert "secret" not in json.dumps(sealed)
        assert "plain" not in json.dumps(sealed)
        exchange.open_request(endpoint, sealed)
        assert sealed == body
    answers: list[tuple[str, dict[str, Any]]] = [
        (
            e2ee.CHAT,
            {"id": "i", "choices": [{"index": 3, "message": {"content": "secret", "reasoning": "why"}}]},
        ),
        (e2ee.CHAT, {"choices": [{"delta": {"content": "secret"}}]}),
        (e2ee.COMPLETIONS, {"id": "i", "choices": [{"text": "secret"}]}),
        (e2ee.EMBEDDINGS, {"data": [{"index": 0, "embedding": [0.5, -1.0]}]}),
    ]
    for endpoint, body in answers:
        sealed = json.loads(json.dumps(body))
        exchange.seal_response(endpoint, sealed)
        assert sealed != body
        assert "secret" not in json.dumps(sealed)
        e2ee.open_response(client, context, endpoint, sealed)
        assert sealed == body


def test_a_ciphertext_opens_in_its_place_alone() -> None:
    client = e2ee.PrivateKey.generate()
    exchange = e2ee.Exchange(CONTEXT, client.public, SERVICE)
    body = chat("first", "second")
    e2ee.seal_request(SERVICE.public, CONTEXT, e2ee.CHAT, body)
    first, second = body["messages"]

    def under(model: str, nonce: str) -> e2ee.Exchange:
        return e2ee.Exchange(e2ee.Context(CONTEXT.suite, model, nonce, CONTEXT.timestamp), b"", SERVICE)

    turned = first["content"][:-1] + ("0" if first["content"][-1] != "0" else "1")
    faults: dict[str, tuple[e2ee.Exchange, dict[str, Any]]] = {
        "two messages exchanged": (exchange, changed(body, messages=[second, first])),
        "another endpoint": (exchange, {"prompt": first["content"]}),
        "another model": (under("other", CONTEXT.nonce), body),
        "another nonce": (under("demo-model", "ff" * 32), body),
        "a bit turned": (exchange, chat(turned)),
        "nothing encrypted": (exchange, chat("plain")),
        "another service's": (e2ee.Exchange(CONTEXT, b"", e2ee.PrivateKey.generate()), body),
    }
    for one, spoilt in faults.values():
        endpoint = e2ee.COMPLETIONS if "prompt" in spoilt else e2ee.CHAT
        with pytest.raises(AciError, match="e2ee-decryption-failed"):
            one.open_request(endpoint, json.loads(json.dumps(spoilt)))


def test_an_answer_in_plain_text_does_not_pass_for_an_encrypted_one() -> None:
    with pytest.raises(AciError, match="e2ee-decryption-failed"):
        e2ee.open_response(SERVICE, CONTEXT, e2ee.CHAT, {"choices": [{"message": {"content": "plain"}}]})


def test_a_text_that_looks_like_a_list_stays_a_text() -> None:
    body = chat("[1, 2]")
    e2ee.plain_contents(body)
    exchange = e2ee.Exchange(CONTEXT, SERVICE.public, SERVICE)
    sealed = json.loads(json.dumps(body))
    e2ee.seal_request(SERVICE.public, CONTEXT, e2ee.CHAT, sealed)
    exchange.open_request(e2ee.CHAT, sealed)
    assert sealed["messages"][0]["content"] == [{"type": "text", "text": "[1, 2]"}]


GOOD = dict(
    zip(e2ee.HEADERS, ("2", SERVICE.public.hex(), SERVICE.public.hex(), "0a" * 32, "1000"), strict=True)
)
BAD_HEADERS: dict[str, tuple[dict[str, str | None], str]] = {
    "one missing": ({"X-E2EE-Nonce": None}, "e2ee-header-missing"),
    "version 3": ({"X-E2EE-Version": "3"}, "e2ee-invalid-version"),
    "the legacy mode": ({"X-Signing-Algo": "ecdsa"}, "e2ee-invalid-version"),
    "a key that is not attested": ({"X-Model-Pub-Key": "11" * 32}, "e2ee-model-key-mismatch"),
    "half a client key": ({"X-Client-Pub-Key": "11" * 16}, "e2ee-invalid-public-key"),
    "a client key of small order": ({"X-Client-Pub-Key": "00" * 32}, "e2ee-invalid-public-key"),
    "a short nonce": ({"X-E2EE-Nonce": "0a" * 31}, "e2ee-invalid-nonce"),
    "a nonce with 0x": ({"X-E2EE-Nonce": "0x" + "0a" * 31}, "e2ee-invalid-nonce"),
    "an old time": ({"X-E2EE-Timestamp": "699"}, "e2ee-invalid-timestamp"),
    "a future time": ({"X-E2EE-Timestamp": "1301"}, "e2ee-invalid-timestamp"),
    "no time": ({"X-E2EE-Timestamp": "-1000"}, "e2ee-invalid-timestamp"),
}


@pytest.mark.parametrize("fault", BAD_HEADERS)
def test_headers_are_refused_by_the_name_of_their_fault(fault: str) -> None:
    changes, code = BAD_HEADERS[fault]
    headers = {name.lower(): value for name, value in {**GOOD, **changes}.items() if value is not None}
    with pytest.raises(AciError) as caught:
        e2ee.parse_headers(headers, {SERVICE.public.hex(): SERVICE}, now=1000)
    assert caught.value.code == code
    assert e2ee.parse_headers({}, {}, now=0) is None


@given(
    st.lists(st.sampled_from([b"data: a", b"\n", b"\r\n", b"\r", b": c", b"event: x", b"\n\n"])),
    st.integers(1, 9),
)
def test_a_stream_cut_anywhere_joins_to_the_same_bytes(parts: list[bytes], size: int) -> None:
    stream = b"".join(parts)
    splitter = sse.Splitter()
    events = [event for at in range(0, len(stream), size) for event in splitter.feed(stream[at : at + size])]
    assert b"".join([*events, splitter.rest()]) == stream


def test_an_event_without_end_is_refused() -> None:
    splitter = sse.Splitter()
    assert not list(splitter.feed(b"x" * sse.MAX_EVENT))
    with pytest.raises(AciError, match="stream-too-long"):
        list(splitter.feed(b"x"))


def test_an_end_is_known_by_every_form_that_a_client_takes_for_one() -> None:
    ends = [
        b"data: [DONE]", b"data:[DONE] and more", b"event: message_stop\ndata: {}",
        b'event: x\ndata: {"type": "response.completed"}', b'data: {"type":\ndata: "response.\\u0066ailed"}',
    ]  # fmt: skip
    goes_on = [
        b"data: {}",
        b'data: "[DONE]"',
        b": [DONE]",
        b'data: {"a": {"type": "message_stop"}}',
        b"id: 1",
    ]
    assert [sse.ends(one + b"\n\n") for one in ends + goes_on] == [True] * len(ends) + [False] * len(goes_on)


def test_what_one_reader_of_a_stream_sees_and_another_does_not_is_left_out() -> None:
    for event, wanted in {
        b"data: a\n\rdata: b\r\n\r\n": b"data: a\ndata: b\n\n",
        b"\xef\xbb\xbfdata: a\n\n": b"",
        b"data\nid: 1\nretry: 1\n: c\nevent: x\ndata:a\n\n": b"event: x\ndata:a\n\n",
    }.items():
        assert sse.plain(event) == wanted


def test_padding_hides_lengths_and_changes_nothing() -> None:
    for length in range(300):
        event = b"data: " + b"x" * length + b"\n\n"
        padded = sse.padded(event, 256)
        assert len(padded) % 256 == 0
        assert sse.data_of(padded) == sse.data_of(event)
        assert sse.plain(padded) == event
