"""The gateway's HTTP: prompt endpoints, attestation, receipts, sessions, metrics."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from proofward.aci.documents import API_VERSION, DIGEST, RECEIPT_ID, SESSION_ID, nonce_of
from proofward.aci.errors import AciError
from proofward.protocol import sha256
from proofward_enclave import log
from proofward_enclave.providers.base import ProviderError
from proofward_gateway.answer import Answer, Broken, Gone
from proofward_gateway.bond import registered, registration
from proofward_gateway.channel import CONNECT_SECONDS, GatewayError
from proofward_gateway.config import HASH, INSIDE, Config, ProvedConfig, UpstreamConfig
from proofward_gateway.exchange import Exchange, Refusal
from proofward_gateway.inclusion import inclusion
from proofward_gateway.keys import Workload
from proofward_gateway.legacy import Legacy
from proofward_gateway.process import PROVED_HEADER
from proofward_gateway.request import MAX_BODY, RESPONSES, Constraints, Prompt, Replays, read_prompt, salted
from proofward_gateway.store import Store, StoreError, credential_digest
from proofward_gateway.upstreams import Session, Upstream

PROMPTS: Final = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/messages", RESPONSES)
MAX_CREDENTIAL: Final = 4096
_BODY_SECONDS: Final = 60
_FACTS: Final = ("genesis", "job", "model", "weights", "verifying_key", "block")


class Service:
    """Everything behind the port; `app` is what the server runs."""

    def __init__(
        self,
        config: Config,
        workload: Workload,
        store: Store,
        client: aiohttp.ClientSession,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._config, self._workload, self._store = config, workload, store
        self._client, self._clock = client, clock
        self._upstreams = {
            one.name: Upstream(one, config, client, store, clock=clock) for one in config.upstreams
        }
        self._replays, self._salts = Replays(), secrets.token_bytes(32)
        self._open = 0
        self._ending = "client-gone"
        self._counts: Counter[str] = Counter()
        self.app = web.Application(client_max_size=MAX_BODY, middlewares=[self._errors])
        self.app.on_shutdown.append(self._stopping)
        self.app.on_response_prepare.append(self._headers)
        for path in PROMPTS:
            self.app.router.add_post(path, self._prompt)
        self.app.router.add_get("/v1/models", self._models)
        self.app.router.add_get("/v1/aci/attestation", self._attestation)
        self.app.router.add_get("/v1/aci/receipts/{id}", self._receipt)
        self.app.router.add_get("/v1/aci/sessions", self._sessions)
        self.app.router.add_get("/v1/aci/sessions/{id}", self._session)
        self._legacy = Legacy(workload)
        self.app.router.add_get("/v1/attestation/report", self._legacy_report)
        self.app.router.add_get("/v1/signature/{id}", self._legacy_signature)
        self.app.router.add_get("/v1/receipts/{id}/inclusion", self._inclusion)
        self.app.router.add_get("/v1/registration", self._registration)
        self.app.router.add_get("/v1/registration/proof", self._registered)
        self.app.router.add_get("/healthz", self._health)
        self.app.router.add_get("/metrics", self._metrics)

    # ---- prompts ---------------------------------------------------------------------------------

    async def _prompt(self, request: web.Request) -> web.StreamResponse:
        credential = _credential(request)
        self._admit(credential)
        if self._open >= self._config.max_requests:
            raise Refusal(429, "rate_limit_error", "too many requests are open: try again later")
        self._open += 1
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await request.read()
        except (TimeoutError, web.HTTPRequestEntityTooLarge) as error:
            self._open -= 1
            if isinstance(error, TimeoutError):
                raise Refusal(408, "invalid_request_error", "the body did not arrive in time") from None
            raise Refusal(413, "invalid_request_error", f"a body has at most {MAX_BODY} bytes") from None
        except BaseException:
            self._open -= 1
            raise
        exchange = Exchange(self._workload.keys, request.path, body, direct=self._config.direct)
        answer = Answer(exchange, request, self._finish(exchange, credential), pad=self._config.pad_bytes)
        try:
            async with asyncio.timeout(self._config.request_seconds):
                return await self._serve(answer, body)
        except Refusal as refusal:
            return await answer.refuse(refusal)
        except TimeoutError:
            return await answer.broken("gateway-timeout", 504)
        except Broken as broken:
            return await answer.broken(broken.reason, 502)
        except asyncio.CancelledError:
            answer.abort(self._ending)
            raise
        except Gone:
            answer.abort("client-gone")
            raise asyncio.CancelledError from None  # as aiohttp ends a handler whose client has left
        finally:
            self._open -= 1
            answer.abort("gateway-fault")  # nothing ends without a receipt; a no-op when there is one

    async def _serve(self, answer: Answer, raw: bytes) -> web.StreamResponse:
        exchange = answer.exchange
        prompt = read_prompt(exchange, raw, answer.request.headers, self._replays, now=self._clock())
        configured = self._config.route(prompt.model)
        if configured is None:
            raise Refusal(
                404, "invalid_request_error", "no upstream serves this model", code="model_not_found"
            )
        upstream = self._upstreams[configured.name]
        if configured.cache_salt:
            prompt = salted(prompt, self._salt_of(_credential(answer.request)))
        headers = _forwarded_headers(upstream, answer.request)
        for again in (False, True):
            session = await self._admitted(exchange, upstream, prompt)
            try:
                async with self._client.post(
                    f"{configured.origin}{exchange.endpoint}",
                    data=prompt.body,
                    headers=headers,
                    ssl=True if session is None else session.pin,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        connect=CONNECT_SECONDS, sock_read=self._config.idle_seconds
                    ),
                    trace_request_ctx=partial(exchange.forwarded, prompt.body),
                ) as response:
                    if configured.kind == "proved" and response.status == 200:
                        exchange.proved(prompt.model, _facts(response.headers.get(PROVED_HEADER), configured))
                    return await answer.relay(response, prompt.encryption)
            except aiohttp.ServerFingerprintMismatch:
                if session is not None:
                    upstream.forget(session)  # it has new keys: they are attested before the one more try
                if again:
                    break
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                raise Broken("upstream-unreachable") from None
            except aiohttp.ServerTimeoutError:
                raise Broken("upstream-timeout") from None
            except aiohttp.ClientError:
                raise Broken("upstream-failed") from None
        told = "the upstream shows another TLS key than it has just attested"
        exchange.unverified(prompt.model, told, required=True, upstream=configured.name)
        raise Refusal(503, "upstream_verification_failed", told)

    async def _admitted(self, exchange: Exchange, upstream: Upstream, prompt: Prompt) -> Session | None:
        """The session to go out under; None for an upstream inside, or a plain one that the caller asked for.

        Raises Refusal: 503 `upstream_verification_failed`, 412 `session_not_accepted`.
        """
        asked, name = prompt.constraints, upstream.config.name
        if upstream.config.kind in INSIDE:
            if upstream.config.proved is None and upstream.config.digest is not None:
                exchange.weighed(prompt.model, upstream.config.digest)
            if asked.sessions is not None:
                raise Refusal(412, "session_not_accepted", "a direct service has no sessions")
            return None
        if upstream.config.kind == "plain":
            return self._plain(exchange, prompt.model, asked, name)
        try:
            session = await upstream.verified()
        except GatewayError as error:
            exchange.unverified(prompt.model, error.message, required=True, upstream=name)
            raise Refusal(503, "upstream_verification_failed", error.message) from None
        if asked.sessions is not None and session.id not in asked.sessions:
            exchange.unverified(prompt.model, "no pinned session can serve", required=True, upstream=name)
            raise Refusal(
                412, "session_not_accepted", "none of the pinned sessions is current for this model"
            )
        exchange.verified(prompt.model, session.id)
        return session

    @staticmethod
    def _plain(exchange: Exchange, model: str, asked: Constraints, name: str) -> None:
        reason = "the upstream offers no attestation"
        exchange.unverified(model, reason, required=asked.verified is not False, upstream=name)
        if asked.verified is not False:
            raise Refusal(
                503,
                "upstream_verification_failed",
                f"{reason}; a caller who wants it all the same says provider.aci_verified: false",
            )

    def _salt_of(self, credential: str | None) -> bytes:
        """A caller's key for salts; who shows no API key has another with each request."""
        if credential is None:
            return secrets.token_bytes(32)
        return hmac.digest(self._salts, credential.encode(), "sha256")

    def _finish(
        self, exchange: Exchange, credential: str | None
    ) -> Callable[[str | None], asyncio.Future[None]]:
        def finish(aborted: str | None) -> asyncio.Future[None]:
            receipt = exchange.receipt(now=int(self._clock()), aborted=aborted)
            self._counts[aborted or "returned"] += 1
            owner = None if credential is None else credential_digest(exchange.id, credential)
            return self._store.put_receipt(receipt, owner)

        return finish

    # ---- what a verifier asks for ----------------------------------------------------------------

    async def _attestation(self, request: web.Request) -> web.Response:
        nonces = request.query.getall("nonce", [])
        try:
            nonce = nonce_of(nonces[0]) if len(nonces) == 1 else None
        except AciError as error:
            raise Refusal(400, error.type, error.message) from None
        if len(nonces) > 1:
            raise Refusal(400, "invalid_request_error", "one nonce, not several")
        try:
            report = await self._workload.report(nonce)
        except ProviderError as error:
            raise Refusal(503, "attestation_unavailable", error.message) from None
        if report is None:
            raise Refusal(429, "rate_limit_error", "too many quotes are asked for: try again later")
        return _json(report)

    async def _legacy_report(self, request: web.Request) -> web.Response:
        return _json(await self._legacy.report(request.query))

    async def _legacy_signature(self, request: web.Request) -> web.Response:
        return _json(self._legacy.signature(await self._owned(request), request.query))

    async def _receipt(self, request: web.Request) -> web.Response:
        return _json(await self._owned(request))

    async def _inclusion(self, request: web.Request) -> web.Response:
        """Hashes alone, so whoever knows a receipt's id may have them."""
        name = request.match_info["id"]
        known = RECEIPT_ID.fullmatch(name)
        found = await asyncio.to_thread(inclusion, self._config.state, name) if known else None
        if found is None:
            raise Refusal(404, "not_found", "this receipt is on no chain yet", code="not_anchored")
        return _json(found)

    async def _registration(self, request: web.Request) -> web.Response:
        """For the configured account alone, so whoever asks can do nothing else with it."""
        return _json(await registration(self._config.bond, self._workload, request.query))

    async def _registered(self, _request: web.Request) -> web.Response:
        return _json(await asyncio.to_thread(registered, self._config.bond))

    async def _owned(self, request: web.Request) -> dict[str, Any]:
        """The receipt that a path names, for who asked for its answer. Raises Refusal."""
        name = request.match_info["id"]
        stored = await self._store.receipt(name) if RECEIPT_ID.fullmatch(name) else None
        gone = Refusal(404, "not_found", "there is no such receipt, or it is another caller's")
        if stored is None:
            raise gone
        if stored.credential is not None:
            credential = _credential(request)
            if credential is None:
                raise Refusal(401, "unauthorized", "this receipt belongs to the API key of its request")
            owner = credential_digest(stored.document["receipt_id"], credential)
            if not hmac.compare_digest(owner, stored.credential):
                raise gone
        return stored.document

    async def _session(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        document = await self._store.session(name) if SESSION_ID.fullmatch(name) else None
        if document is None:
            raise Refusal(404, "not_found", "there is no such session")
        return _json(document)

    async def _sessions(self, request: web.Request) -> web.Response:
        name, model = request.query.get("upstream_name"), request.query.get("model")
        entries = []
        for one in self._upstreams.values():
            held = one.session
            if held is None or name not in (None, one.config.name):
                continue
            if model is not None and model not in one.config.models:
                continue
            evidence = {"digest": held.document["evidence"]["digest"]}
            entries.append({"session_id": held.id, **held.document, "evidence": evidence})
        return _json({"api_version": API_VERSION, "sessions": entries})

    async def _models(self, request: web.Request) -> web.Response:
        self._admit(_credential(request))
        models = [
            {"id": model, "object": "model", "created": 0, "owned_by": one.name}
            for one in self._config.upstreams
            for model in one.models
        ]
        return _json({"object": "list", "data": models})

    async def _health(self, _request: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def _metrics(self, _request: web.Request) -> web.Response:
        lines = ["# TYPE proofward_gateway_requests counter"]
        lines += [f'proofward_gateway_requests{{end="{end}"}} {n}' for end, n in sorted(self._counts.items())]
        lines += ["# TYPE proofward_gateway_open gauge", f"proofward_gateway_open {self._open}"]
        lines += ["# TYPE proofward_gateway_session gauge"]
        lines += [
            f'proofward_gateway_session{{upstream="{name}"}} {int(one.session is not None)}'
            for name, one in sorted(self._upstreams.items())
        ]
        return web.Response(text="\n".join([*lines, ""]), content_type="text/plain")

    # ---- every answer ----------------------------------------------------------------------------

    def _admit(self, credential: str | None) -> None:
        if not self._config.keys_sha256:
            return
        shown = "" if credential is None else sha256(credential.encode()).hex()
        if not any([hmac.compare_digest(shown, one) for one in self._config.keys_sha256]):
            raise Refusal(401, "unauthorized", "no API key, or one that is not known here")

    async def _headers(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-ACI-Version"] = API_VERSION
        response.headers.setdefault("X-ACI-Keyset-Digest", self._workload.keys.digest)
        response.headers["Cache-Control"] = "no-store"
        response.headers.popall("Server", None)

    async def _stopping(self, _app: web.Application) -> None:
        self._ending = "gateway-stopped"

    @web.middleware
    async def _errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            return _json(refusal.document(), refusal.status)
        except web.HTTPNotFound:
            told = "this endpoint is not served: docs/gateway.md lists those that are"
            return _json(Refusal(404, "not_found", told, code="unsupported_endpoint").document(), 404)
        except web.HTTPException as error:
            return _json(
                Refusal(error.status, "invalid_request_error", error.reason).document(), error.status
            )
        except StoreError as error:
            log.error("store-failed", code=error.code)
            return _json(Refusal(500, "server_error", error.message).document(), 500)


def _facts(text: str | None, upstream: UpstreamConfig) -> dict[str, Any]:
    """What the process of a proved model says of the job that it has verified. Raises Broken."""
    try:
        found = json.loads(text or "")
        named = found["weights"] == upstream.digest and found["model"] == f"0x{_proved(upstream).model.hex()}"
        hashes = all(HASH.fullmatch(found[name]) for name in ("genesis", "job", "model"))
        key = DIGEST.fullmatch(found["verifying_key"])
        good = named and hashes and key and type(found["block"]) is int
    except (ValueError, KeyError, TypeError):
        good = None
    if not good:
        raise Broken("upstream-malformed")
    return {name: found[name] for name in _FACTS}


def _proved(upstream: UpstreamConfig) -> ProvedConfig:
    assert upstream.proved is not None  # of kind `proved` it is there
    return upstream.proved


def _forwarded_headers(upstream: Upstream, request: web.Request) -> dict[str, str]:
    """What an upstream is told beside the body: its own key, and Anthropic's version; nothing else."""
    headers = {"Content-Type": "application/json"}
    if upstream.key is not None:
        headers["Authorization"] = f"Bearer {upstream.key}"
        headers["x-api-key"] = upstream.key
    for name in ("anthropic-version", "anthropic-beta"):
        if name in request.headers:
            headers[name] = request.headers[name][:256]
    return headers


def _credential(request: web.Request) -> str | None:
    """The API key of a request, as OpenAI's or Anthropic's clients send it. Raises Refusal."""
    bearer = request.headers.get("Authorization")
    key = bearer.removeprefix("Bearer ") if bearer is not None else request.headers.get("x-api-key")
    if key is not None and len(key) > MAX_CREDENTIAL:
        raise Refusal(401, "unauthorized", "the API key is too long")
    return key or None


def _json(value: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), status=status, content_type="application/json")
