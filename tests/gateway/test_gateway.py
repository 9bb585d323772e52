"""The gateway: a receipt over the exact bytes of every request, no prompt to an upstream without proof."""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from proofward.aci import documents, e2ee, jcs, sse
from proofward.attestation import DEVELOPMENT_ROOTS, PRODUCTION_ROOTS, Collateral
from proofward.attestation.gateway import GatewayPolicy
from proofward.attestation.verify import verify_quote
from proofward.protocol import sha256
from proofward_enclave.providers.base import Evidence
from proofward_gateway import service
from proofward_gateway.channel import GatewayError, Origin, attest, client_session
from proofward_gateway.config import GatewayConfigError, load
from proofward_gateway.exchange import Refusal
from proofward_gateway.keys import Workload
from proofward_gateway.request import Replays
from tests.gateway.world import (
    MODEL,
    POLICY,
    UNVERIFIED,
    Caller,
    ask,
    caller,
    config,
    desk,
    echo,
    gateway,
    house,
    upstream,
)

REQUESTS = {
    "chat": ("/v1/chat/completions", ask("a prompt, ü")),
    "chat stream": ("/v1/chat/completions", ask("a prompt of some length", stream=True)),
    "completions": ("/v1/completions", {"model": MODEL, "prompt": "a prompt"}),
    "completions stream": ("/v1/completions", {"model": MODEL, "prompt": "a prompt", "stream": True}),
    "embeddings": ("/v1/embeddings", {"model": MODEL, "input": ["a"]}),
    "messages": ("/v1/messages", ask("a prompt", max_tokens=9)),
    "messages stream": ("/v1/messages", ask("a prompt", max_tokens=9, stream=True)),
    "response": ("/v1/responses", {"model": MODEL, "input": "a prompt", "store": False}),
    "response stream": (
        "/v1/responses",
        {"model": MODEL, "input": "a prompt", "store": False, "stream": True},
    ),
}


def types(events: list[dict[str, Any]]) -> list[str]:
    return [str(one["type"]) for one in events]


async def receipt_of(one: Caller, headers: dict[str, str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The signed receipt that an answer names, and its events."""
    status, receipt = await one.get(f"/v1/aci/receipts/{headers['X-Receipt-Id']}")
    assert status == 200
    return receipt, documents.check_receipt(receipt, one.attested.keyset)


async def test_receipts_cover_the_bytes_of_the_wire(tmp_path: Path) -> None:
    async with house(tmp_path) as (behind, outer), caller(outer) as one:
        for name, (path, body) in REQUESTS.items():
            raw = json.dumps(body).encode()
            status, headers, wire = await one.post(path, raw)
            assert status == 200, name
            receipt, events = await receipt_of(one, headers)
            assert (receipt["endpoint"], receipt["model"]) == (path, MODEL)
            assert types(events) == [
                "request.received",
                "request.forwarded",
                "upstream.verified",
                "response.returned",
            ]
            assert events[0]["body_hash"] == events[1]["body_hash"] == jcs.tagged(raw)
            assert behind.seen[-1] == raw
            assert events[3]["body_hash"] == jcs.tagged(wire), name
            assert headers["X-ACI-Version"] == "aci/1"
            assert (
                headers["X-ACI-Keyset-Digest"]
                == one.attested.keyset.digest
                == receipt["workload_keyset_digest"]
            )
            if body.get("stream"):
                parts = list(sse.Splitter().feed(wire))
                assert {len(part) % 256 for part in parts} == {0}, "lengths of tokens show"
            _, by_answer = (
                await one.get(f"/v1/aci/receipts/{receipt['chat_id']}")
                if receipt["chat_id"]
                else (0, receipt)
            )
            assert by_answer == receipt
        session = events[2]["session_id"]
        status, whole = await one.get(f"/v1/aci/sessions/{session}")
        documents.check_session(whole, session)
        _, listed = await one.get(f"/v1/aci/sessions?model={MODEL}")
        assert [entry["session_id"] for entry in listed["sessions"]] == [session]
        assert "data" not in listed["sessions"][0]["evidence"]
        assert (await one.get("/v1/aci/sessions?model=other"))[1]["sessions"] == []
        # what nobody has verified is not asserted, whatever an upstream may send along
        for claim in ("gpu_attested", "os_known_good", "model_weights_provenance"):
            assert whole["claims"][claim] == {"status": "unknown"}
        assert whole["claims"]["tee_attested"]["source"] == "verifier_derived", (
            "a simulated quote is no hardware"
        )
        evidence_ends = whole["expires_at"]
        assert evidence_ends <= whole["established_at"] + 300


async def test_constraints_are_taken_out_before_a_request_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path) as (behind, outer), caller(outer) as one:
        body = ask(provider={"aci_verified": True, "order": ["x"]})
        _, headers, _ = await one.post("/v1/chat/completions", body)
        _, events = await receipt_of(one, headers)
        assert json.loads(behind.seen[-1])["provider"] == {"order": ["x"]}
        assert events[1]["body_hash"] == jcs.tagged(behind.seen[-1]) != events[0]["body_hash"]
        session = events[2]["session_id"]
        pinned = ask(provider={"aci_session_ids": ["00" * 32, session]})
        assert (await one.post("/v1/chat/completions", pinned))[0] == 200


REFUSED: dict[str, tuple[Any, int, str]] = {
    "no JSON": (b"{", 400, "invalid_request_error"),
    "a member twice": (b'{"model":"echo-1","model":"other","messages":[]}', 400, "invalid_request_error"),
    "no object": (b"[]", 400, "invalid_request_error"),
    "no model": ({"messages": []}, 400, "invalid_request_error"),
    "a model of a thousand letters": ({"model": "m" * 1000}, 400, "invalid_request_error"),
    "a model that nobody serves": ({"model": "other"}, 404, "invalid_request_error"),
    "stream is a word": (ask(stream="yes"), 400, "invalid_request_error"),
    "an unknown constraint": (ask(provider={"aci_region": "x"}), 400, "invalid_request_error"),
    "verified is a word": (ask(provider={"aci_verified": "yes"}), 400, "invalid_request_error"),
    "no session pinned": (ask(provider={"aci_session_ids": []}), 400, "invalid_request_error"),
    "a prefix of a session": (ask(provider={"aci_session_ids": ["00" * 31]}), 400, "invalid_request_error"),
    "pinned and unverified": (
        ask(provider={"aci_session_ids": ["00" * 32], "aci_verified": False}),
        400,
        "invalid_request_error",
    ),
    "another model for who reads names in any case": (ask(Model="dear"), 400, "invalid_request_error"),
    "streamed by who does": (ask(STREAM=True), 400, "invalid_request_error"),
    "another session pinned": (ask(provider={"aci_session_ids": ["00" * 32]}), 412, "session_not_accepted"),
}


async def test_a_refusal_has_its_type_and_its_receipt_and_nothing_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path) as (behind, outer), caller(outer) as one:
        for fault, (body, wanted, kind) in REFUSED.items():
            status, headers, wire = await one.post("/v1/chat/completions", body)
            assert (status, json.loads(wire)["error"]["type"]) == (wanted, kind), fault
            _, events = await receipt_of(one, headers)
            assert types(events) == ["request.received", "upstream.verified", "response.returned"], fault
            assert events[1]["result"] == "failed"
            assert events[2]["body_hash"] == jcs.tagged(wire)
        for path in ("/v1/responses/x/cancel", "/v1/audio/speech", "/v1/signature/x/y"):
            status, _, wire = await one.post(path, ask())
            assert (status, json.loads(wire)["error"]["code"]) == (404, "unsupported_endpoint")
        for query in ("nonce=00", f"nonce={'A' * 64}", f"nonce={'0' * 64}&nonce={'1' * 64}", "nonce="):
            status, told = await one.get(f"/v1/aci/attestation?{query}")
            assert (status, told["error"]["type"]) == (400, "invalid_request_error")
        assert not behind.seen


async def test_no_upstream_keeps_what_another_caller_could_name(tmp_path: Path) -> None:
    async with house(tmp_path) as (behind, outer), caller(outer) as one:
        for kept in (
            {"previous_response_id": "resp-1"},
            {"conversation": "conv-1"},
            {"conversation": {"id": "conv-1"}},
            {"background": True},
            {"input": [{"type": "item_reference", "id": "item-1"}]},
            {"input": [{"id": "item-1"}]},
            {"input": [{"type": None, "id": "item-1"}]},
            {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
            {"Previous_Response_ID": "resp-1"},
            {"\u017ftore": True},
            {"input": [{"type": "message", "content": "x", "Type": "item_reference"}]},
            {"tools": [{"type": "code_interpreter", "CONTAINER": "cntr_1"}]},
        ):
            status, _, wire = await one.post("/v1/responses", {"model": MODEL, "input": "x", **kept})
            assert (status, json.loads(wire)["error"]["type"]) == (400, "invalid_request_error"), kept
        assert not behind.seen
        for store in ({}, {"store": True}, {"store": None}):
            status, headers, _ = await one.post("/v1/responses", {"model": MODEL, "input": "x", **store})
            assert (status, json.loads(behind.seen[-1])["store"]) == (200, False)
            _, events = await receipt_of(one, headers)
            assert events[1]["body_hash"] == jcs.tagged(behind.seen[-1]) != events[0]["body_hash"]


async def test_prompts_are_cached_for_one_caller_alone(tmp_path: Path) -> None:
    async with (
        echo() as behind,
        gateway(config(tmp_path, upstream(behind.origin, "inside", cache_salt=True))) as origin,
        caller(origin) as one,
    ):

        async def salt(key: str | None, **more: Any) -> str:
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            status, answered, _ = await one.post("/v1/chat/completions", ask(**more), headers=headers)
            assert status == 200
            if key is None:
                _, events = await receipt_of(one, answered)
                assert events[1]["body_hash"] == jcs.tagged(behind.seen[-1]) != events[0]["body_hash"]
            return str(json.loads(behind.seen[-1])["cache_salt"])

        ann, ben = await salt("ann"), await salt("ben")
        assert await salt("ann") == ann != ben, "a caller's own prompts are found again, another's are not"
        assert await salt("ben", cache_salt=ann) not in (ann, ben), "nobody names another's salt"
        assert len({ann, ben, await salt(None), await salt(None)}) == 4


UNKNOWN = ("gpu_attested", "os_known_good", "model_weights_provenance")


@pytest.mark.parametrize("nonce_of_gpu", ["ours", "00" * 32], ids=["our nonce", "another nonce"])
async def test_evidence_of_a_gpu_asserts_nothing(
    nonce_of_gpu: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody here can verify it, nor what an upstream says of its source: such claims stay unknown."""
    made, asked = Workload.report, []

    async def report(self: Workload, nonce: str | None) -> dict[str, Any] | None:
        found = await made(self, nonce)
        assert found is not None
        shown = nonce if nonce_of_gpu == "ours" else nonce_of_gpu
        found["attestation"]["evidence"]["nvidia_payload"] = {"nonce": shown, "arch": "HOPPER"}
        found["attestation"]["source_provenance"] = {"repo_url": "https://good.example"}
        asked.append(nonce)
        return found

    monkeypatch.setattr(Workload, "report", report)
    async with house(tmp_path) as (_, outer), caller(outer) as one:
        _, headers, _ = await one.post("/v1/chat/completions", ask())
        _, events = await receipt_of(one, headers)
        _, session = await one.get(f"/v1/aci/sessions/{events[2]['session_id']}")
    assert len(asked) == 2, "of the outer gateway to its caller, of the inner to the outer"
    assert [session["claims"][name] for name in UNKNOWN] == [{"status": "unknown"}] * 3


async def test_clients_of_the_older_endpoints_find_key_nonce_and_hashes(tmp_path: Path) -> None:
    async with house(tmp_path) as (_, outer), caller(outer) as one:
        nonce = secrets.token_hex(32)
        status, report = await one.get(f"/v1/attestation/report?nonce={nonce}&signing_algo=ed25519&model=x")
        assert status == 200
        address = report["signing_address"]
        assert address == one.attested.keyset.receipt_keys[0].public_key
        quote = verify_quote(
            bytes.fromhex(report["intel_quote"]),
            Collateral.from_json(json.dumps(report["info"]["collateral"])),
            now=int(time.time()),
            roots=DEVELOPMENT_ROOTS,
        ).quote
        assert quote.report_data.hex() == address + nonce, "the whole nonce, not a prefix of it"
        raw = json.dumps(ask("a prompt")).encode()
        _, headers, wire = await one.post("/v1/chat/completions", raw)
        for name in ("cmpl-1", headers["X-Receipt-Id"]):
            _, signed = await one.get(f"/v1/signature/{name}?model={MODEL}&signing_algo=ed25519")
            assert signed["text"] == f"{sha256(raw).hex()}:{sha256(wire).hex()}"
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(address)).verify(
                bytes.fromhex(signed["signature"]), signed["text"].encode()
            )
        for path, wanted in (
            ("/v1/attestation/report?signing_algo=ecdsa", 400),
            ("/v1/attestation/report?nonce=00", 400),
            (f"/v1/attestation/report?signing_address={'00' * 32}", 404),
            (f"/v1/signature/{name}?signing_algo=ecdsa", 400),
            ("/v1/signature/cmpl-2", 404),
        ):
            assert (await one.get(path))[0] == wanted, path


async def test_what_a_host_puts_into_the_store_is_not_signed(tmp_path: Path) -> None:
    async with house(tmp_path) as (_, outer), caller(outer) as one:
        _, headers, _ = await one.post("/v1/chat/completions", ask())
        receipt, _ = await receipt_of(one, headers)
        forged = {**receipt, "receipt_id": "rcpt-forged", "chat_id": "cmpl-forged"}
        forged["event_log"][0]["body_hash"] = jcs.tagged(b"another prompt")
        with sqlite3.connect(tmp_path / "outer" / "state" / "receipts.sqlite") as store:
            row = ("rcpt-forged", "cmpl-forged", None, json.dumps(forged), int(time.time()))
            store.execute("INSERT INTO receipts VALUES (?, ?, ?, ?, ?)", row)
        status, told = await one.get("/v1/signature/cmpl-forged")
        assert (status, told["error"]["code"]) == (404, "signature_unavailable")


async def test_a_plain_upstream_serves_only_who_asks_and_is_marked(tmp_path: Path) -> None:
    async with (
        echo() as behind,
        gateway(config(tmp_path, upstream(behind.origin, "plain"))) as origin,
        caller(origin) as one,
    ):
        for body in (ask(), ask(provider={"aci_verified": True}), ask(provider={})):
            status, headers, wire = await one.post("/v1/chat/completions", body)
            assert (status, json.loads(wire)["error"]["type"]) == (503, "upstream_verification_failed")
            _, events = await receipt_of(one, headers)
            assert (events[1]["result"], events[1]["required"]) == ("failed", True)
        assert not behind.seen
        status, headers, _ = await one.post("/v1/chat/completions", ask(**UNVERIFIED))
        _, events = await receipt_of(one, headers)
        assert (status, events[2]["result"], events[2]["required"]) == (200, "failed", False)
        assert b"provider" not in behind.seen[0]
        assert (await one.get("/v1/aci/sessions"))[1]["sessions"] == []


NO_UPSTREAM: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "of other software": ({"measurements": frozenset({bytes(32)})}, {}, "measurement allowed"),
    "simulated, for a production gateway": ({}, {"development": False}, "hardware"),
    "of keys that live too long": ({}, {}, "expiry"),
    "that shows another TLS key": ({}, {}, "channel"),
}


@pytest.mark.parametrize("fault", NO_UPSTREAM)
async def test_no_byte_of_a_prompt_goes_to_an_upstream(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more, whole, failing = NO_UPSTREAM[fault]
    async with echo() as behind, gateway(config(tmp_path / "in", upstream(behind.origin, "inside"))) as inner:
        async with (
            gateway(config(tmp_path / "out", upstream(inner, "aci", **more), **whole)) as outer,
            caller(outer) as one,
        ):
            if failing == "expiry":
                monkeypatch.setattr("proofward.attestation.gateway.MAX_KEYSET_LIFETIME", 3600)
            if failing == "channel":
                monkeypatch.setattr("proofward_gateway.channel.spki_sha256", lambda _der: "00" * 32)
            status, headers, wire = await one.post("/v1/chat/completions", ask())
            assert (status, json.loads(wire)["error"]["type"]) == (503, "upstream_verification_failed")
            assert failing in json.loads(wire)["error"]["message"]
            _, events = await receipt_of(one, headers)
            assert types(events) == ["request.received", "upstream.verified", "response.returned"]
            assert failing in events[1]["reason"]
        assert not behind.seen


FAULTS = {
    "is down": (500, None),
    "redirects": (502, "upstream-redirects"),
    "creates": (502, "upstream-malformed"),
    "talks nonsense": (502, "upstream-malformed"),
    "compresses": (502, "upstream-malformed"),
    "names a member twice": (502, "upstream-malformed"),
    "is endless": (502, "upstream-too-long"),
    "hangs": (502, "upstream-timeout"),
}
STREAM_FAULTS = {
    "dies in the middle": "upstream-failed",
    "breaks an event": "upstream-malformed",
    "breaks after its end": "upstream-malformed",
    "errs in the middle": "upstream-failed",
    "ends without its end": "upstream-truncated",
    "stops in the middle": "upstream-timeout",
}


async def test_an_upstream_that_fails_leaves_a_receipt(tmp_path: Path) -> None:
    async with (
        echo() as behind,
        gateway(config(tmp_path, upstream(behind.origin, "inside"), idle_seconds=1)) as origin,
        caller(origin) as one,
    ):
        service, client = one.attested.keyset.e2ee_keys[0], e2ee.PrivateKey.generate()
        for fault, (wanted, reason) in FAULTS.items():
            behind.fault = fault
            status, headers, wire = await one.post("/v1/chat/completions", ask())
            assert status == wanted, fault
            _, events = await receipt_of(one, headers)
            ended = [event for event in events if event["type"] == "response.aborted"]
            assert [event["reason"] for event in ended] == ([] if reason is None else [reason])
            assert events[2]["body_hash"] == jcs.tagged(wire)
        for fault, reason in STREAM_FAULTS.items():
            behind.fault = fault
            body, headers = encrypted(ask("a prompt of some length", stream=True), service, client)
            _, answered, wire = await one.post("/v1/chat/completions", body, headers=headers)
            _, events = await receipt_of(one, answered)
            assert types(events)[-2:] == ["response.returned", "response.aborted"], fault
            assert (events[-1]["reason"], events[-1]["bytes"]) == (reason, len(wire))
            assert events[-2]["body_hash"] == jcs.tagged(wire)
            assert b"[DONE]" not in wire, "a client would take it for whole"
            assert b"a prompt" not in wire, "an upstream's error repeats what was encrypted"


async def test_a_stream_without_its_last_event_is_receipted_as_cut(tmp_path: Path) -> None:
    async with (
        echo() as behind,
        gateway(config(tmp_path, upstream(behind.origin, "inside"))) as origin,
        caller(origin) as one,
        desk(origin, tmp_path) as user,
    ):
        behind.fault = "ends without its end"
        for path, body in REQUESTS.values():
            if not body.get("stream"):
                continue
            _, answered, wire = await one.post(path, body)
            _, events = await receipt_of(one, answered)
            assert types(events)[-1] == "response.aborted", path
            assert (events[-1]["reason"], events[-1]["bytes"]) == ("upstream-truncated", len(wire))
            async with one.session.post(f"{user.url}{path}", json=body) as response:
                assert b"answer-refused" in await response.read()
        assert not user.answers()


@pytest.mark.parametrize("ends", ["the connection", "the request"])
async def test_no_receipt_says_forwarded_of_a_prompt_that_never_left(
    ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upstream takes the connection and never shakes hands: whichever time ends first, no byte left."""
    if ends == "the connection":
        monkeypatch.setattr(service, "CONNECT_SECONDS", 0.2)
    seconds = 60 if ends == "the connection" else 1
    silent = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    behind = upstream(Origin("https", "127.0.0.1", silent.sockets[0].getsockname()[1]), "plain")
    async with (
        silent,
        gateway(config(tmp_path, behind, request_seconds=seconds)) as origin,
        caller(origin) as one,
    ):
        status, headers, _ = await one.post("/v1/chat/completions", ask(**UNVERIFIED))
        _, events = await receipt_of(one, headers)
        assert "request.forwarded" not in types(events)
        wanted = {"the connection": (502, "upstream-unreachable"), "the request": (504, "gateway-timeout")}
        assert (status, events[-1]["reason"]) == wanted[ends]


async def test_a_client_that_leaves_gets_a_receipt_of_what_was_sent(tmp_path: Path) -> None:
    async with (
        echo() as behind,
        gateway(config(tmp_path, upstream(behind.origin, "inside"), pad_bytes=0)) as origin,
        caller(origin) as one,
    ):
        behind.fault = "stops in the middle"
        url = f"{one.attested.origin}/v1/chat/completions"
        body = json.dumps(ask("a prompt of some length", stream=True))
        async with aiohttp.ClientSession() as leaver:
            response = await leaver.post(url, data=body, ssl=one.attested.pin)
            got = b""
            while got.count(b"\n\n") < 2:
                got += await response.content.readany()
            name = response.headers["X-Receipt-Id"]
            response.close()
        receipt = await eventually(one, name)
        events = documents.check_receipt(receipt, one.attested.keyset)
        assert (events[-1]["type"], events[-1]["reason"]) == ("response.aborted", "client-gone")
        assert (events[-1]["bytes"], events[-2]["body_hash"]) == (len(got), jcs.tagged(got))


async def test_a_gateway_that_stops_leaves_a_receipt_of_what_was_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proofward_gateway.__main__._STOP_SECONDS", 0.1)
    async with echo() as behind, AsyncExitStack() as outside:
        behind.fault = "hangs"
        async with gateway(config(tmp_path, upstream(behind.origin, "inside"))) as origin:
            one = await outside.enter_async_context(caller(origin))
            url = f"{one.attested.origin}/v1/chat/completions"
            waiting = asyncio.create_task(
                one.session.post(url, json=ask(), ssl=one.attested.pin).__aenter__()
            )
            await behind.entered.wait()
        with pytest.raises(aiohttp.ClientError):
            await waiting
    with sqlite3.connect(tmp_path / "state" / "receipts.sqlite") as store:
        ((document,),) = store.execute("SELECT document FROM receipts").fetchall()
    events = documents.check_receipt(json.loads(document), one.attested.keyset)
    assert (events[-1]["reason"], events[-1]["bytes"]) == ("gateway-stopped", 0)


async def test_an_upstream_with_new_keys_is_attested_before_it_gets_a_byte(tmp_path: Path) -> None:
    async with echo() as behind, AsyncExitStack() as outside:
        whole = config(tmp_path / "in", upstream(behind.origin, "inside"))
        async with gateway(whole) as inner:
            outer = await outside.enter_async_context(
                gateway(config(tmp_path / "out", upstream(inner, "aci")))
            )
            one = await outside.enter_async_context(caller(outer))
            _, headers, _ = await one.post("/v1/chat/completions", ask())
            first = (await receipt_of(one, headers))[1][2]["session_id"]
        async with gateway(replace(whole, port=inner.port)):
            status, headers, _ = await one.post("/v1/chat/completions", ask())
            second = (await receipt_of(one, headers))[1][2]["session_id"]
            assert (status, len(behind.seen)) == (200, 2)
            assert first != second
            _, listed = await one.get("/v1/aci/sessions")
            assert [entry["session_id"] for entry in listed["sessions"]] == [second], (
                "a superseded one is not current"
            )
        status, headers, wire = await one.post("/v1/chat/completions", ask())
        assert (status, json.loads(wire)["error"]["code"]) == (502, "upstream-unreachable")
        assert "request.forwarded" not in types((await receipt_of(one, headers))[1])


async def eventually(one: Caller, name: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            status, found = await one.get(f"/v1/aci/receipts/{name}")
            if status == 200:
                return dict(found)
            await asyncio.sleep(0.01)


def encrypted(
    body: dict[str, Any], service: documents.Key, client: e2ee.PrivateKey, **changes: str
) -> tuple[dict[str, Any], dict[str, str]]:
    nonce, now = secrets.token_hex(32), int(time.time())
    context = e2ee.Context(service.algo, body["model"], nonce, now)
    sealed = json.loads(json.dumps(body))
    e2ee.seal_request(bytes.fromhex(service.public_key), context, "/v1/chat/completions", sealed)
    named = ("2", client.public.hex(), service.public_key, nonce, str(now))
    return sealed, {**dict(zip(e2ee.HEADERS, named, strict=True)), **changes}


async def test_every_key_that_is_advertised_is_accepted_and_a_replay_is_not(tmp_path: Path) -> None:
    async with house(tmp_path) as (behind, outer), caller(outer) as one:
        assert {key.algo for key in one.attested.keyset.e2ee_keys} == set(e2ee.SUITES)
        for key in one.attested.keyset.e2ee_keys:
            client = e2ee.PrivateKey.generate(key.algo)
            body, headers = encrypted(ask("secret"), key, client)
            status, answered, wire = await one.post("/v1/chat/completions", body, headers=headers)
            assert (status, answered["X-E2EE-Applied"], answered["X-E2EE-Algo"]) == (200, "true", key.algo)
            assert b"secret" not in wire
            _, events = await receipt_of(one, answered)
            assert events[0]["body_hash"] == jcs.tagged(jcs.compact(ask("secret")))
            assert events[-1]["body_hash"] == jcs.tagged(wire)
            for nonce in (headers["X-E2EE-Nonce"], headers["X-E2EE-Nonce"].upper()):
                again = {**headers, "X-E2EE-Nonce": nonce}
                status, answered, wire = await one.post("/v1/chat/completions", body, headers=again)
                assert (status, json.loads(wire)["error"]["type"]) == (400, "e2ee_replay_detected")
                await receipt_of(one, answered)
        assert len(behind.seen) == 2
        for path, kind in (
            ("/v1/messages", "e2ee_unsupported_endpoint"),
            ("/v1/chat/completions", "e2ee_header_missing"),
        ):
            body, headers = encrypted(ask("secret"), key, client)
            if kind == "e2ee_header_missing":
                del headers["X-E2EE-Timestamp"]
            status, _, wire = await one.post(path, body, headers=headers)
            assert (status, json.loads(wire)["error"]["type"]) == (400, kind)


def test_a_full_memory_of_nonces_refuses_and_forgets_none() -> None:
    replays = Replays(most=2)
    for number in range(2):
        replays.claim(b"c", b"s", f"{number}", now=0)
    for nonce, told in (("0", "used already"), ("2", "try again later")):
        with pytest.raises(Refusal, match=told):
            replays.claim(b"c", b"s", nonce, now=599)
    replays.claim(b"c", b"s", "2", now=601)


async def test_a_receipt_belongs_to_who_asked(tmp_path: Path) -> None:
    key = "a-key"
    known = frozenset({sha256(key.encode()).hex()})
    async with (
        echo() as behind,
        gateway(config(tmp_path, upstream(behind.origin, "inside"), keys_sha256=known)) as origin,
        caller(origin) as one,
    ):
        for headers in ({}, {"Authorization": "Bearer other"}):
            assert (await one.post("/v1/chat/completions", ask(), headers=headers))[0] == 401
        assert not behind.seen
        status, answered, _ = await one.post("/v1/messages", ask(), headers={"x-api-key": key})
        assert status == 200
        assert key not in json.dumps(behind.headers), "a client's key went to the upstream"
        path = f"/v1/aci/receipts/{answered['X-Receipt-Id']}"
        assert (await one.get(path))[0] == 401
        assert (await one.get(path, headers={"Authorization": "Bearer other"}))[0] == 404
        assert (await one.get(path, headers={"Authorization": f"Bearer {key}"}))[0] == 200
        assert (await one.get("/v1/aci/receipts/rcpt-0", headers={"Authorization": f"Bearer {key}"}))[
            0
        ] == 404


class Quick:
    """A provider whose quotes nobody verifies."""

    name, simulated = "simulator", True

    def quote(self, report_data: bytes) -> Evidence:
        return Evidence(report_data)


async def test_keys_end_within_a_day_and_are_renewed_before() -> None:
    now = [1000.0]
    workload = Workload(Quick(), domain="localhost", seconds=86_400, direct=True, clock=lambda: now[0])
    first = workload.keys
    assert first.keyset.not_after == 1000 + 86_400
    now[0] += 43_000
    assert workload.keys is first
    now[0] += 400
    second = workload.keys
    old, new = (set(one.e2ee) | {one.keyset.tls_keys[0].spki_sha256} for one in (first, second))
    assert not old & new
    assert first.keyset.receipt_keys[0].public_key != second.keyset.receipt_keys[0].public_key


async def test_production_clients_refuse_a_development_image(tmp_path: Path) -> None:
    async with (
        echo() as behind,
        gateway(config(tmp_path, upstream(behind.origin, "inside"))) as origin,
        client_session() as session,
    ):
        with pytest.raises(GatewayError, match="hardware: unknown-root") as caught:
            await attest(session, origin, GatewayPolicy(PRODUCTION_ROOTS, POLICY.measurements))
        assert caught.value.code == "unattested"


GOOD = """
[[upstream]]
name = "a"
url = "http://127.0.0.1:1"
kind = "inside"
models = ["m"]
"""
OWN = '[[upstream]]\nname = "a"\nkind = "model"\nmodels = ["m"]\n'
HASH = "0x" + "5b" * 32
CHAIN = f'[chain]\ngenesis = "{HASH}"\naccount = "{HASH}"\n'
PROVED = f"""
[[upstream]]
name = "p"
kind = "proved"
models = ["p"]
node = "ws://127.0.0.1:9944"
model = "{HASH}"
artifact = "ecg"
signer = "//Ferdie"
measurements = ["{HASH}"]
"""
KNOWN = f"""
[[upstream]]
name = "b"
kind = "aci"
models = ["b"]
url = "https://127.0.0.1:1"
worker = "{HASH}"
registered = "b.json"
"""
BAD_CONFIGS = {
    "a model of its own, at an address": (
        OWN + 'weights = "w"\nurl = "http://127.0.0.1"',
        "url is not a key",
    ),
    "weights of another's model": (GOOD + 'weights = "w"', "weights is not a key"),
    "a chain without an account": (
        f'[chain]\ngenesis = "{HASH}"\n' + GOOD,
        "chain needs genesis and account",
    ),
    "an account by its address": (CHAIN.replace(HASH, "5Grw", 1) + GOOD, "64 hex digits"),
    "an upstream of the chain, and nobody who finalises it": (CHAIN + KNOWN, "chain.spec must"),
    "an upstream of the chain without its proof": (
        CHAIN + KNOWN.replace("registered", "key_file"),
        "together",
    ),
    "an upstream of the chain by its name": (CHAIN + KNOWN.replace(HASH, "big"), "worker must be an account"),
    "a plain one of the chain": (CHAIN + KNOWN.replace("aci", "plain"), "together, of kind"),
    "a proved model of anybody's workers": (
        CHAIN + PROVED.replace("measurements = ", "# "),
        "measurements must be there",
    ),
    "a proved model of no chain": (PROVED, "chain must say"),
    "a proved model for everybody": (CHAIN + PROVED, "keys_sha256 must name who may spend"),
    "a proved model by its name": (CHAIN + PROVED.replace(HASH, "ecg", 1), "model must be the model's id"),
    "a proved model without a node": (CHAIN + PROVED.replace("ws:", "http:"), "node must be"),
    "a proved model with weights": (CHAIN + PROVED + 'weights = "w"', "weights is not a key"),
    "a proved model without an account": (CHAIN + PROVED.replace("signer", "key_file"), "needs artifact"),
    "a number for an address": (
        GOOD + "[[upstream]]\nname='b'\nkind='plain'\nmodels=['b']\nurl=1",
        "b.url must",
    ),
    "a number for weights": (OWN + "weights = 1", "weights must be text"),
    "a salt that is a word": (GOOD + 'cache_salt = "yes"', "cache_salt must be"),
    "a model without weights": (OWN, "needs kind, models, name, weights"),
    "no TOML": ("[[", "no TOML"),
    "one that does not end": ("#" * (1 << 20) + "\n", "more than 1048576 bytes"),
    "nested without end": ("a = " + "[" * 100_000, "no TOML"),
    "a chain that is a number": ("chain = 1\n" + KNOWN, "chain needs genesis and account"),
    "a misspelt key": ("lisen = '1'\n" + GOOD, "lisen is not known"),
    "no upstream": ("", "upstream must be 1"),
    "keys that live two days": ("keyset_seconds = 172800\n" + GOOD, "keyset_seconds must be"),
    "keys too many for a chain": (
        "keyset_seconds = 37799\n" + GOOD + CHAIN,
        "at least 37800 with",
    ),
    "inside, elsewhere": (GOOD.replace("127.0.0.1", "example.com"), "loopback"),
    "attested, and no measurement": (
        GOOD.replace("inside", "aci").replace("http:", "https:"),
        "measurements must",
    ),
    "attested, without TLS": (GOOD.replace("inside", "aci"), "https"),
    "an older report, and no measurement": (
        GOOD.replace("inside", "legacy").replace("http:", "https:"),
        "measurements must",
    ),
    "collateral of what is not attested": (GOOD + 'collateral = "c.json"', "collateral is a file"),
    "one model twice": (GOOD * 2, "alike"),
    "direct and not": (
        GOOD + GOOD.replace('"a"', '"b"').replace('"m"', '"n"').replace("inside", "plain"),
        "mixes",
    ),
    "a key in clear": ("keys_sha256 = ['secret']\n" + GOOD, "keys_sha256 must"),
}


@pytest.mark.parametrize("fault", BAD_CONFIGS)
def test_a_configuration_is_refused_by_the_key_that_is_wrong(fault: str, tmp_path: Path) -> None:
    text, told = BAD_CONFIGS[fault]
    (tmp_path / "g.toml").write_text(text)
    with pytest.raises(GatewayConfigError, match=told):
        load(tmp_path / "g.toml")
    (tmp_path / "good.toml").write_text("listen = 'localhost:1234'\n" + GOOD)
    found = load(tmp_path / "good.toml")
    assert (found.listen, found.port, found.direct) == ("localhost", 1234, True)
