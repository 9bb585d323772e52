"""The proxy's HTTP on the loopback address: it encrypts, checks, writes a file, and then ends the answer."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from proofward.aci import e2ee, jcs, sse
from proofward.aci.documents import MAX_ANSWER, RECEIPT_ID, SESSION_ID, Keyset
from proofward.aci.errors import AciError
from proofward.attestation.gateway import GatewayPolicy
from proofward.check import Check
from proofward.consensus.registered import MAX_AGE
from proofward.errors import ProofwardError
from proofward.evidence.answer import BONDED, UPSTREAM, Answer, Encryption, opened_event
from proofward.evidence.answer_file import AnswerError, load, save
from proofward.evidence.judged import STAKE
from proofward.evidence.policy import Policy
from proofward.evidence.registered import registered_check
from proofward.evidence.two_receipts import TwoReceipts
from proofward_gateway.channel import Attested, GatewayError, Origin, attest, get_document, read_bounded

ENDPOINTS: Final = (*e2ee.ENDPOINTS, "/v1/messages", "/v1/responses")
MAX_BODY: Final = 8 << 20
_ATTEST_AGAIN: Final = 3600
"""Seconds after which a gateway is asked for fresh evidence, however long its keys live."""
_PASSED: Final = ("Authorization", "x-api-key", "anthropic-version", "anthropic-beta")
_LOCAL: Final = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user trusts, and where answers are written."""

    origin: Origin
    policy: Policy
    """Must pin measurements: nothing is sent to software that nobody has named."""
    upstreams: frozenset[bytes]
    """Measurements of what may answer behind the gateway."""
    folder: Path
    allow_unverified: bool = False
    weights: frozenset[str] = frozenset()
    """`sha256:` of the weights that may answer; empty: any."""
    require_stake: bool = False
    """Whether the policy's chain must have a stake behind the gateway's keys, and could take it."""


class AnswerRefused(ProofwardError):
    """An answer or a gateway that does not pass every check: the client gets an error and no answer."""

    code = "answer-refused"


@dataclass(frozen=True, slots=True, repr=False)
class _Call:
    """One request on its way: what it says in plain, what leaves, and under whose evidence."""

    endpoint: str
    plain: bytes
    wire: bytes
    headers: dict[str, str]
    encryption: Encryption | None
    attested: Attested
    bond: dict[str, Any] | None


class Proxy:
    """One gateway, attested before the first request and whenever its evidence ends or its keys change."""

    def __init__(
        self, settings: Settings, client: aiohttp.ClientSession, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Raises AnswerRefused(usage) when no measurement is pinned."""
        if not settings.policy.measurements or not settings.upstreams:
            raise AnswerRefused(
                "pin the gateway's measurement: nothing is sent to software of no name", code="usage"
            )
        self._settings, self._client, self._clock = settings, client, clock
        self._attested: Attested | None = None
        self._bond: dict[str, Any] | None = None
        self._lock = asyncio.Lock()
        self.app = web.Application(client_max_size=MAX_BODY, middlewares=[_errors])
        for path in ENDPOINTS:
            self.app.router.add_post(path, self._prompt)
        self.app.router.add_get("/v1/models", self._models)

    async def attested(self, *, again: bool = False) -> Attested:
        """The gateway, all six checks made. Raises GatewayError."""
        async with self._lock:
            held, now = self._attested, self._clock()
            lasts = MAX_AGE if self._settings.require_stake else _ATTEST_AGAIN
            fresh = held is not None and now < min(held.evidence_ends, held.at + lasts)
            if held is None or not fresh or again:
                self._attested = None
                policy = GatewayPolicy(self._settings.policy.roots, self._settings.policy.measurements)
                held = await attest(
                    self._client, self._settings.origin, policy, clock=self._clock, choose_e2ee=_x25519
                )
                if self._settings.require_stake:
                    self._bond = await self._staked(held)
                self._attested = held
            return held

    async def _staked(self, held: Attested) -> dict[str, Any]:
        """The chain's proof that a stake is behind the gateway's keys. Raises AnswerRefused, GatewayError."""
        data = await get_document(self._client, held.origin, held.pin, "/v1/registration/proof")
        proof = jcs.loads(data)
        if not isinstance(proof, dict):
            raise AnswerRefused("the gateway's proof of its stake is no object")
        found = registered_check(BONDED, proof, held.appraisal, held.at, self._settings.policy)
        if found.ok is not True:
            raise AnswerRefused(f"no stake is proved to be behind the gateway: {found.detail}")
        return proof

    # ---- one request -------------------------------------------------------------------------------

    async def _prompt(self, request: web.Request) -> web.StreamResponse:
        _local(request)
        body = self._read(await request.read())
        for again in (False, True):
            call = self._call(request, body, await self.attested(again=again))
            try:
                async with self._client.post(
                    f"{call.attested.origin}{call.endpoint}",
                    data=call.wire,
                    headers=call.headers,
                    ssl=call.attested.pin,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(connect=10, sock_read=600),
                ) as response:
                    if response.status != 200:
                        told = await read_bounded(response.content, 1 << 20)
                        if not again and _keys_changed(told):
                            continue
                        if response.status < 400:
                            raise AnswerRefused(f"an answer has status 200, not {response.status}")
                        return _passed_on(response, told)
                    if response.content_type == "text/event-stream":
                        return await self._stream(request, call, response)
                    return await self._whole(call, response)
            except aiohttp.ServerFingerprintMismatch:
                if again:
                    raise AnswerRefused("the gateway shows another TLS key than it attested") from None
            except aiohttp.ClientError as error:
                raise GatewayError(
                    f"the gateway does not answer: {type(error).__name__}", code="gateway-unreachable"
                ) from None
        raise AnswerRefused("the gateway's keys change with every request")

    def _read(self, raw: bytes) -> dict[str, Any]:
        body = jcs.loads(raw, limit=MAX_BODY)
        if not isinstance(body, dict):
            raise AciError("the body is no JSON object", code="invalid-request-error")
        provider = body.get("provider", {})
        if not isinstance(provider, dict):
            raise AciError("`provider` is an object", code="invalid-request-error")
        if provider.get("aci_verified") is False and not self._settings.allow_unverified:
            raise AnswerRefused(
                "the request asks for an unverified upstream, which this proxy does not allow"
            )
        body["provider"] = {**provider, "aci_verified": not self._settings.allow_unverified}
        return body

    def _call(self, request: web.Request, body: dict[str, Any], attested: Attested) -> _Call:
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        headers["Content-Type"] = "application/json"
        value = json.loads(json.dumps(body))
        if request.path == e2ee.CHAT:
            e2ee.plain_contents(value)
        plain, encryption = jcs.compact(value), None
        service, model = attested.channel.e2ee_key, value.get("model")
        if request.path in e2ee.ENDPOINTS and service is not None and isinstance(model, str):
            key = e2ee.PrivateKey.generate()
            context = e2ee.Context(key.suite, model, secrets.token_hex(32), int(self._clock()))
            if e2ee.seal_request(bytes.fromhex(service), context, request.path, value):
                encryption = Encryption(context, key)
                named = ("2", key.public.hex(), service, context.nonce, str(context.timestamp))
                headers.update(zip(e2ee.HEADERS, named, strict=True))
        wire = plain if encryption is None else jcs.compact(value)
        return _Call(request.path, plain, wire, headers, encryption, attested, self._bond)

    async def _whole(self, call: _Call, response: aiohttp.ClientResponse) -> web.StreamResponse:
        wire = await read_bounded(response.content, MAX_ANSWER)
        answer, path = await self._proved(call, response, wire)
        headers = {"X-Proofward-Proof": str(path), "X-Receipt-Id": answer.receipt["receipt_id"]}
        return web.Response(body=answer.plain(), headers=headers, content_type="application/json")

    async def _stream(
        self, request: web.Request, call: _Call, response: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        """Events as they open; from the last one on, only when receipt and upstream have been checked."""
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await stream.prepare(request)
        try:
            splitter, wire, held, ended = sse.Splitter(), bytearray(), b"", False
            async for chunk in response.content.iter_any():
                wire += chunk
                if len(wire) > MAX_ANSWER:
                    raise AnswerRefused(f"the answer has more than {MAX_ANSWER} bytes")
                for event in splitter.feed(chunk):
                    plain = opened_event(call.encryption, call.endpoint, event)
                    ended = ended or sse.ends(plain)
                    if ended:
                        held += plain
                    elif plain:
                        await stream.write(plain)
            if not ended or splitter.rest().strip():
                raise AnswerRefused("the answer is refused: it ended without its last event")
            await self._proved(call, response, bytes(wire))
            await stream.write(held)
        except (ProofwardError, aiohttp.ClientError) as error:
            told = error.message if isinstance(error, ProofwardError) else "the gateway's answer ended early"
            data = json.dumps(_error(told, "answer-refused")).encode()
            await stream.write(b"event: error\ndata: " + data + b"\n\n")
        await stream.write_eof()
        return stream

    # ---- its proof -----------------------------------------------------------------------------------

    async def _proved(
        self, call: _Call, response: aiohttp.ClientResponse, wire: bytes
    ) -> tuple[Answer, Path]:
        """The answer with receipt and session, every check made, and its file.

        Raises AnswerRefused, GatewayError.
        """
        name = response.headers.get("X-Receipt-Id", "")
        if not RECEIPT_ID.fullmatch(name):
            raise AnswerRefused("the gateway names no receipt for its answer")
        receipt = jcs.loads(await self._document(call, f"/v1/aci/receipts/{name}"))
        if not isinstance(receipt, dict) or receipt.get("receipt_id") != name:
            raise AnswerRefused("the gateway gives another receipt than it named")
        held = call.attested
        answer = Answer(
            str(held.origin), held.at, held.nonce, held.report, held.channel, call.endpoint, call.plain, wire,
            call.encryption, receipt, await self._session(call, receipt), bond=call.bond,
        )  # fmt: skip
        checks = answer.checks(
            self._settings.policy, upstreams=self._settings.upstreams, appraised=held.appraisal
        )
        if bad := [one for one in checks if self._stops(one)]:
            raise AnswerRefused(f"the answer is refused: {bad[0].name}: {bad[0].detail}")
        if self._settings.weights and answer.weights not in self._settings.weights:
            named = answer.weights or "none"
            raise AnswerRefused(
                f"the answer is refused: its receipt names other weights ({named}) than pinned"
            )
        path = self._settings.folder / f"{name}.json"
        if path.exists():
            raise AnswerRefused(await asyncio.to_thread(self._twice, answer, path))
        await asyncio.to_thread(save, answer, path)
        return answer, path

    def _twice(self, answer: Answer, path: Path) -> str:
        """What is said of a receipt whose id an earlier answer has; two that differ are kept as evidence."""
        evidence = path.with_name(f"two-{path.name}")
        try:
            TwoReceipts.of(load(path), answer.receipt).save(evidence)
        except AnswerError as error:
            return f"the answer is refused: {path} is of another answer with this receipt ({error.message})"
        return f"the answer is refused: the gateway signed two receipts of one id; {evidence} proves it"

    def _stops(self, check: Check) -> bool:
        """Whether a check that is not made or does not hold keeps the answer from the user."""
        if self._settings.require_stake and check.name == STAKE:
            return True  # a receipt that no chain could judge
        if not check.required or check.ok is True:
            return False
        unverified = check.name == UPSTREAM and check.ok is None
        return not (unverified and self._settings.allow_unverified)

    async def _session(self, call: _Call, receipt: dict[str, Any]) -> dict[str, Any] | None:
        events = receipt.get("event_log")
        for event in events if isinstance(events, list) else ():
            cited = event.get("session_id") if isinstance(event, dict) else None
            if isinstance(cited, str) and SESSION_ID.fullmatch(cited):
                found = jcs.loads(await self._document(call, f"/v1/aci/sessions/{cited}"))
                return found if isinstance(found, dict) else None
        return None

    async def _document(self, call: _Call, path: str) -> bytes:
        headers = {
            name: value for name, value in call.headers.items() if name in ("Authorization", "x-api-key")
        }
        return await get_document(
            self._client, call.attested.origin, call.attested.pin, path, headers=headers
        )

    async def _models(self, request: web.Request) -> web.Response:
        _local(request)
        held = await self.attested()
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        found = await get_document(self._client, held.origin, held.pin, "/v1/models", headers=headers)
        return web.Response(body=found, content_type="application/json")


def _x25519(keyset: Keyset) -> str | None:
    return next((key.public_key for key in keyset.e2ee_keys if key.algo == e2ee.X25519), None)


def _keys_changed(body: bytes) -> bool:
    try:
        return bool(jcs.loads(body)["error"]["type"] == "e2ee_model_key_mismatch")
    except (AciError, KeyError, TypeError):
        return False


def _passed_on(response: aiohttp.ClientResponse, body: bytes) -> web.Response:
    headers = {"X-Receipt-Id": name} if (name := response.headers.get("X-Receipt-Id")) else {}
    return web.Response(body=body, status=response.status, headers=headers, content_type="application/json")


def _local(request: web.Request) -> None:
    """No page in a browser gets at the proxy: neither by another origin, nor by a name that leads here."""
    host = (request.headers.get("Host") or "").rpartition(":")[0] or request.headers.get("Host", "")
    if "Origin" in request.headers or host not in _LOCAL:
        raise AnswerRefused("the proxy serves programs of this machine, not pages", code="not-local")


def _error(message: str, code: str) -> dict[str, Any]:
    return {
        "type": "error",
        "error": {"message": message, "type": "proofward_error", "code": code, "param": None},
    }


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except AciError as error:
        status = 400 if error.code == "invalid-request-error" else 502
        return web.json_response(_error(error.message, error.code), status=status)
    except ProofwardError as error:
        status = 403 if error.code == "not-local" else 502
        return web.json_response(_error(error.message, error.code), status=status)
    except web.HTTPException as error:
        told = "this endpoint is not served" if error.status == 404 else error.reason
        return web.json_response(_error(told, "not-served"), status=error.status)
