"""Upstreams that are attested by the older report, or are dstack guests: what is refused, and why.

The boot log is a real guest's: near/mpc (MIT), crates/attestation/assets/tcb_info.json, registers 2 and 3.
"""

from __future__ import annotations

import json
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proofward.attestation import DEVELOPMENT_ROOTS
from proofward.attestation.dstack import RUNTIME_EVENT, compose_hash, deployment
from proofward.attestation.errors import AttestationError
from proofward.attestation.gateway import GatewayPolicy
from proofward.attestation.legacy import LEGACY
from proofward.attestation.quote import parse_quote
from proofward.evidence import answer_file
from proofward.evidence.policy import Policy
from proofward.evidence.verdict import Outcome
from proofward.protocol import sha256
from proofward.protocol.collateral import encode_collateral
from proofward_enclave.providers.base import Evidence
from proofward_enclave.providers.dev_platform import DevPlatform, TdIdentity
from proofward_gateway.keys import Workload, make_keys
from proofward_gateway.legacy import Legacy
from proofward_gateway.measure import code_digest, simulated_measurement
from tests.gateway.test_gateway import receipt_of, types
from tests.gateway.world import ask, caller, config, desk, echo, gateway, serving, upstream, workloads

REAL = json.loads((Path(__file__).parent / "dstack_log.json").read_text())
RTMR3, COMPOSE = bytes.fromhex(REAL["rtmr3"]), REAL["compose_hash"]


def events_of(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {"imr": 3, "event_type": RUNTIME_EVENT, "digest": "", "event": name, "event_payload": payload}
        for name, payload in pairs
    ]


LOG = [one for one in REAL["event_log"] if one["imr"] == 3]
FIRMWARE = {"imr": 0, "event_type": 4, "digest": "00" * 48, "event": "", "event_payload": "00000000"}
SECOND = events_of(("compose-hash", "11" * 32))
BAD_LOGS: dict[str, Callable[[], Any]] = {
    "an event left out": lambda: LOG[:-1],
    "events in another order": lambda: [LOG[1], LOG[0], *LOG[2:]],
    "another compose file": lambda: [*LOG[:2], *SECOND, *LOG[3:]],
    "a digest that is not the event's": lambda: [{**LOG[0], "digest": "00" * 48}, *LOG[1:]],
    "an event of another kind in its register": lambda: [{**LOG[0], "event_type": 4}, *LOG[1:]],
    "no list": lambda: {"events": LOG},
    "no JSON": lambda: "[{",
    "too many events": lambda: [FIRMWARE] * 1025,
    "a kind that is a float of the same value": lambda: [{**LOG[0], "event_type": float(RUNTIME_EVENT)}],
    "a kind that is a float, in a text": lambda: json.dumps([{**LOG[0], "event_type": float(RUNTIME_EVENT)}]),
    "a register that is a float": lambda: [{**LOG[0], "imr": 3.0}, *LOG[1:]],
    "a register that is none": lambda: [{**FIRMWARE, "imr": False}, *LOG],
    "an event that is a text": lambda: ["imr", *LOG],
    "a name that is a number": lambda: [{**LOG[0], "event": 7}, *LOG[1:]],
    "a payload that is a list": lambda: [{**LOG[0], "event_payload": [0]}, *LOG[1:]],
    "a digest that is a number": lambda: [{**LOG[0], "digest": 0}, *LOG[1:]],
}


def test_a_real_guest_s_log_gives_its_register_and_its_compose_file() -> None:
    bare = [{**one, "digest": ""} for one in LOG]
    for log in (LOG, bare, json.dumps(LOG), REAL["event_log"]):
        assert compose_hash(log, RTMR3).hex() == COMPOSE


@pytest.mark.parametrize("fault", BAD_LOGS)
def test_a_log_is_refused(fault: str) -> None:
    with pytest.raises(AttestationError):
        compose_hash(BAD_LOGS[fault](), RTMR3)


# ---- guests of ours, simulated ---------------------------------------------------------------------------


def register_of(log: list[dict[str, Any]]) -> bytes:
    """RTMR3 after a log, by the refusal-free half of the rule."""
    import hashlib

    register = bytes(48)
    for one in log:
        said = one["event_type"].to_bytes(4, "little") + f":{one['event']}:".encode()
        digest = hashlib.sha384(said + bytes.fromhex(one["event_payload"])).digest()
        register = hashlib.sha384(register + digest).digest()
    return register


class Guest:
    """The inner gateway as a dstack guest: its quotes have the log's register, its reports the log."""

    def __init__(self, log: list[dict[str, Any]], **registers: bytes) -> None:
        self.log, self._platform = log, DevPlatform()
        register = register_of(log)
        self._td = TdIdentity(
            mrtd=code_digest(), rtmrs=(b"\1" * 48, b"\2" * 48, b"\3" * 48, register), **registers
        )

    def quote(self, slot: bytes) -> Evidence:
        import datetime as dt

        collateral = self._platform.collateral(dt.datetime.now(dt.UTC).date())
        return Evidence(self._platform.quote(slot, self._td), encode_collateral(collateral))

    @property
    def pin(self) -> bytes:
        quote = parse_quote(self.quote(bytes(64)).quote)
        return sha256(
            b"proofward/dstack-deployment/v1"
            + quote.mrtd
            + b"".join(quote.rtmrs[:3])
            + bytes(96)
            + bytes.fromhex(COMPOSE)
        )

    def move_in(self, monkeypatch: pytest.MonkeyPatch, workload: Workload) -> None:
        """From now on this workload's evidence is the guest's."""
        aci, older = workload.report, Legacy.report

        async def quote(slot: bytes) -> Evidence:
            return self.quote(slot)

        async def report(nonce: str | None) -> dict[str, Any] | None:
            found = await aci(nonce)
            assert found is not None
            found["attestation"]["evidence"]["event_log"] = json.dumps(self.log)
            return found

        async def legacy(one: Legacy, query: Any) -> dict[str, Any]:
            found = await older(one, query)
            return {**found, "event_log": self.log} if one._workload is workload else found

        monkeypatch.setattr(workload, "quote", quote)
        monkeypatch.setattr(workload, "report", report)
        monkeypatch.setattr(Legacy, "report", legacy)


@pytest.mark.parametrize("kind", ["aci", "legacy"])
@pytest.mark.parametrize("guest", [False, True], ids=["measured whole", "dstack"])
async def test_an_answer_cites_evidence_that_its_reader_checks_again(
    kind: str, guest: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = workloads(monkeypatch)
    inside = Guest(LOG)
    pins = frozenset({inside.pin if guest else simulated_measurement()})
    async with echo() as behind, gateway(config(tmp_path / "in", upstream(behind.origin, "inside"))) as inner:
        if guest:
            inside.move_in(monkeypatch, made[0])
        async with (
            gateway(config(tmp_path / "out", upstream(inner, kind, measurements=pins))) as outer,
            desk(outer, tmp_path, upstream_pins=["0x" + next(iter(pins)).hex()]) as one,
            aiohttp.ClientSession() as session,
            session.post(f"{one.url}/v1/chat/completions", json=ask("hello")) as response,
        ):
            assert response.status == 200, await response.text()
            kept = answer_file.load(one.answers()[0])
    here = frozenset({simulated_measurement()})
    policy = Policy.for_development(measurements=here)
    assert kept.verdict(policy, upstreams=pins).outcome is Outcome.ACCEPTED
    other = kept.verdict(policy, upstreams=frozenset({bytes(32)}))
    assert other.outcome is Outcome.REFUSED, "nobody's pin but the reader's own"
    assert kept.session is not None
    assert kept.session["claims"]["extra"]["software"] == next(iter(pins)).hex()
    assert ("signing_address" in kept.session["identity"]) is (kind == LEGACY)


# The register of a guest that booted another file, whose hash begins with a colon, and then named the pinned
# one itself. Cut anew, the first event is of another name, and the second alone is shown as the compose file.
EVIL = "3a" + "22" * 31
BOOTED = [*LOG[:2], *events_of(("compose-hash", EVIL), ("compose-hash", COMPOSE))]
CUT_ANEW = [*LOG[:2], *events_of(("compose-hash:", EVIL[2:]), ("compose-hash", COMPOSE))]

BAD_GUESTS: dict[str, tuple[Guest, list[dict[str, Any]], str]] = {
    "a log with an event less": (Guest(LOG), LOG[:-1], "does not give the quote's RTMR3"),
    "a second compose file, of the application's": (
        Guest([*LOG, *SECOND]),
        [*LOG, *SECOND],
        "names 2",
    ),
    "no compose file": (Guest(LOG[:2]), LOG[:2], "names 0"),
    "another compose file": (Guest([*LOG[:2], *SECOND]), [*LOG[:2], *SECOND], "measurement allowed"),
    "an event cut anew, so that its name takes the payload's colon": (Guest(BOOTED), CUT_ANEW, "colon"),
    "MR_CONFIG_ID of another compose file": (
        Guest(LOG, mr_config_id=b"\1" + b"\x11" * 32 + bytes(15)),
        LOG,
        "MR_CONFIG_ID",
    ),
}


@pytest.mark.parametrize("fault", BAD_GUESTS)
def test_a_guest_is_no_pinned_deployment(fault: str) -> None:
    guest, log, told = BAD_GUESTS[fault]
    quote = parse_quote(guest.quote(bytes(64)).quote)
    if told == "measurement allowed":
        assert deployment(log, quote) != Guest(LOG).pin
        return
    with pytest.raises(AttestationError, match=told):
        deployment(log, quote)
    assert told != "colon" or register_of(log) == quote.rtmrs[3], "by its digests it is the guest's own log"
    good = parse_quote(
        Guest(LOG, mr_config_id=b"\1" + bytes.fromhex(COMPOSE) + bytes(15)).quote(bytes(64)).quote
    )
    assert deployment(LOG, good) == Guest(LOG).pin


# ---- reports that lie ------------------------------------------------------------------------------------


def _with(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda report: {**report, **changes}


def _same(report: dict[str, Any]) -> dict[str, Any]:
    return report


ASKED: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "nonce compared by prefix": lambda query: {**query, "nonce": query["nonce"][:62] + "00"},
    "an old report played again": lambda query: {**query, "nonce": "ab" * 32},
    "a quote over the signing key alone": lambda query: {**query, "include_tls_fingerprint": "false"},
}
LIES: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "a TLS key that the report names and the quote does not hold": (
        _with(tls_cert_fingerprint="11" * 32),
        "binding",
    ),
    "a signing key other than the attested one": (_with(signing_address="11" * 32), "binding"),
    "an address of no known length": (_with(signing_address="11" * 31), "hardware"),
    "no quote": (_with(intel_quote=None), "hardware"),
    "a quote that is no hex": (_with(intel_quote="zz"), "hardware"),
    "collateral of nobody": (_with(info={"collateral": None}), "hardware"),
    "a list": (lambda _report: [], "hardware"),  # type: ignore[dict-item,return-value]
}


@pytest.mark.parametrize("fault", [*ASKED, *LIES, "other software", "simulated, for a production gateway"])
async def test_nothing_goes_to_an_upstream_whose_report_lies(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_report = Legacy.report
    change, failing = LIES.get(fault, (_same, "binding"))

    async def report(one: Legacy, query: Any) -> dict[str, Any]:
        asked = dict(query)
        found = await true_report(one, ASKED[fault](asked) if fault in ASKED else asked)
        if fault in ASKED:  # it restates what was asked for: only the quote tells
            found["request_nonce"] = asked["nonce"]
        return change({**found, "all_attestations": []})

    monkeypatch.setattr(Legacy, "report", report)
    more: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    if fault == "other software":
        more, failing = {"measurements": frozenset({bytes(32)})}, "measurement allowed"
    if fault == "simulated, for a production gateway":
        whole, failing = {"development": False}, "hardware"
    async with echo() as behind, gateway(config(tmp_path / "in", upstream(behind.origin, "inside"))) as inner:
        pins = {"measurements": frozenset({simulated_measurement()}), **more}
        async with (
            gateway(config(tmp_path / "out", upstream(inner, "legacy", **pins), **whole)) as outer,
            caller(outer) as one,
        ):
            status, headers, wire = await one.post("/v1/chat/completions", ask())
            assert (status, json.loads(wire)["error"]["type"]) == (503, "upstream_verification_failed")
            assert failing in json.loads(wire)["error"]["message"]
            _, events = await receipt_of(one, headers)
            assert types(events) == ["request.received", "upstream.verified", "response.returned"]
            assert failing in events[1]["reason"]
        assert not behind.seen


async def test_who_answers_for_a_legacy_upstream_never_sees_its_key(tmp_path: Path) -> None:
    """He has a certificate of his own making, and an empty report."""
    seen: list[tuple[str, dict[str, str]]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.path_qs, dict(request.headers)))
        return web.json_response({})

    (tmp_path / "big.key").write_text("sk-secret")
    (tmp_path / "tls.pem").write_bytes(make_keys("127.0.0.1", not_after=int(time.time()) + 3600).tls_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem")
    pins = frozenset({simulated_measurement()})
    async with serving(answer, context) as origin:
        behind = upstream(origin, "legacy", measurements=pins, key_file=tmp_path / "big.key")
        async with gateway(config(tmp_path / "out", behind)) as outer, caller(outer) as one:
            status, _, wire = await one.post("/v1/chat/completions", ask())
    assert (status, json.loads(wire)["error"]["type"]) == (503, "upstream_verification_failed")
    assert [path.partition("?")[0] for path, _ in seen] == ["/v1/attestation/report"]
    assert "sk-secret" not in repr(seen)


async def test_a_report_among_others_is_found_by_the_key_that_was_met(tmp_path: Path) -> None:
    from proofward.attestation.gateway import Channel
    from proofward.attestation.legacy import appraise_legacy

    policy = GatewayPolicy(DEVELOPMENT_ROOTS, frozenset({simulated_measurement()}))
    nonce = secrets.token_hex(32)
    path = f"/v1/attestation/report?nonce={nonce}&signing_algo=ed25519&include_tls_fingerprint=true"
    async with (
        echo() as behind,
        gateway(config(tmp_path, upstream(behind.origin, "inside"))) as origin,
        caller(origin) as one,
    ):
        spki = one.attested.channel.spki_sha256
        _, report = await one.get(path)
    channel, now = Channel("127.0.0.1", spki), one.attested.at
    other = {**report, "tls_cert_fingerprint": "11" * 32, "all_attestations": []}
    for shape, holds in (
        (report, True),
        ({**other, "all_attestations": [other, report]}, True),
        ({"gateway_attestation": report, "model_attestations": [other]}, True),
        (other, False),
    ):
        raw = json.dumps(shape).encode()
        found = appraise_legacy(raw, nonce=nonce, channel=channel, now=now, policy=policy)
        assert found.holds is holds, found.reason
    sealed = replace(channel, e2ee_key="11" * 32)
    raw = json.dumps(report).encode()
    found = appraise_legacy(raw, nonce=nonce, channel=sealed, now=now, policy=policy)
    assert found.reason.startswith("channel")
