"""A request's body taken apart: its model, its encryption, the caller's constraints, and what goes on."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from proofward.aci import e2ee, jcs
from proofward.aci.documents import SESSION_ID
from proofward.aci.errors import AciError
from proofward_gateway.exchange import Exchange, Refusal

RESPONSES: Final = "/v1/responses"
MAX_BODY: Final = 16 << 20
MAX_MODEL: Final = 256
_MAX_SESSIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Constraints:
    """Section 5.3: `verified` is None when the caller says nothing; `sessions` when he pins none."""

    verified: bool | None = None
    sessions: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Prompt:
    """A request that can be forwarded: `body` are the exact bytes for the upstream."""

    model: str
    body: bytes
    stream: bool
    constraints: Constraints
    encryption: e2ee.Exchange | None


def salted(prompt: Prompt, key: bytes) -> Prompt:
    """The prompt under a salt of its caller's, for servers that cache prefixes (vLLM's `cache_salt`).

    Who times an answer learns then of his own prompts alone. A caller's own salt goes into ours: it sets him
    apart further, and nobody's is another's.
    """
    value = jcs.loads(prompt.body, limit=MAX_BODY)
    own = jcs.compact({"cache_salt": value.get("cache_salt")})
    value["cache_salt"] = hmac.new(key, own, "sha256").hexdigest()
    return replace(prompt, body=jcs.compact(value))


class Replays:
    """Nonces of encrypted requests, kept for twice the window; full, it refuses rather than forgets."""

    def __init__(self, most: int = 200_000) -> None:
        self._most = most
        self._seen: dict[tuple[bytes, bytes, str], float] = {}

    def claim(self, client: bytes, service: bytes, nonce: str, *, now: float) -> None:
        """Raises Refusal when this nonce was used before, or no more can be kept."""
        while self._seen and now - next(iter(self._seen.values())) > 2 * e2ee.WINDOW_SECONDS:
            del self._seen[next(iter(self._seen))]
        entry = (client, service, nonce.lower())
        if entry in self._seen:
            raise Refusal(400, "e2ee_replay_detected", "this X-E2EE-Nonce was used already")
        if len(self._seen) >= self._most:
            raise Refusal(503, "overloaded", "too many encrypted requests in ten minutes: try again later")
        self._seen[entry] = now


def read_prompt(
    exchange: Exchange, raw: bytes, headers: Mapping[str, str], replays: Replays, *, now: float
) -> Prompt:
    """Raises Refusal, with the error types of ACI's section 10 and of E2EE v2's section 9."""
    try:
        value = jcs.loads(raw, limit=MAX_BODY)
        if not isinstance(value, dict):
            raise AciError("the body is no JSON object", code="invalid-request-error")
        _require_one_case(value)
        encryption = _encryption(exchange, value, {k.lower(): v for k, v in headers.items()}, replays, now)
        model = value.get("model")
        if not isinstance(model, str) or not 0 < len(model) <= MAX_MODEL:
            raise AciError(f"`model` is no text of 1 to {MAX_MODEL} characters", code="invalid-request-error")
        exchange.model = model
        if encryption is not None:
            encryption.open_request(exchange.endpoint, value)
            raw = jcs.compact(value)
            exchange.restored(raw)
        constraints, changed = _constraints(value)
        if exchange.endpoint == RESPONSES:
            changed = _stateless(value) or changed
        if not isinstance(value.get("stream", False), bool | None):
            raise AciError("`stream` is true or false", code="invalid-request-error")
    except AciError as error:
        raise Refusal(400, error.type, error.message) from None
    body = jcs.compact(value) if changed else raw
    return Prompt(model, body, bool(value.get("stream")), constraints, encryption)


_STATE: Final = ("previous_response_id", "conversation", "background")
_READ: Final = frozenset(
    {"model", "messages", "prompt", "input", "stream", "provider", "store", "tools", "cache_salt"}
    | {*_STATE, "type", "content", "container"}
)
"""The members that are looked at here."""


def _require_one_case(value: dict[str, Any]) -> None:
    """Some upstreams (all that Go's encoding/json reads for) take a name in any case for the one they know,
    and of two the last. Raises AciError.
    """
    items = [one for name in ("input", "tools") if isinstance(value.get(name), list) for one in value[name]]
    for one in (value, *items):
        for name in one if isinstance(one, dict) else ():
            folded = name.casefold()
            if name != folded and (folded in _READ or folded in one):
                raise AciError(
                    f"{name[:64]!r} is {folded[:64]!r} to some upstreams and nothing to others: write it in "
                    "lower case, and once",
                    code="invalid-request-error",
                )


def _encryption(
    exchange: Exchange, value: dict[str, Any], headers: dict[str, str], replays: Replays, now: float
) -> e2ee.Exchange | None:
    found = e2ee.parse_headers(headers, exchange.keys.e2ee, now=now)
    if found is None:
        return None
    key, client, nonce, timestamp = found
    if exchange.endpoint not in e2ee.ENDPOINTS:
        raise AciError(f"E2EE v2 does not define {exchange.endpoint}", code="e2ee-unsupported-endpoint")
    if exchange.endpoint == e2ee.EMBEDDINGS and value.get("stream"):
        raise AciError("E2EE v2 does not define streamed embeddings", code="e2ee-unsupported-endpoint")
    model = value.get("model")
    if not isinstance(model, str):
        raise AciError("the body names no model", code="e2ee-invalid-payload-model")
    replays.claim(client, key.public, nonce, now=now)
    return e2ee.Exchange(e2ee.Context(key.suite, model, nonce, timestamp), client, key)


def _stateless(value: dict[str, Any]) -> bool:
    """Responses without memory: an upstream knows the gateway's key alone, so what it kept of one caller
    another could name. `store` is false whatever the caller says; whether the body changed by that.
    """
    if kept := [name for name in _STATE if value.get(name)]:
        raise AciError(
            f"{kept[0]} needs an upstream that keeps answers, and none may: send the whole input",
            code="invalid-request-error",
        )
    items = value.get("input")
    if isinstance(items, list) and any(
        isinstance(one, dict)
        and (one.get("type") == "item_reference" or (not one.get("type") and "content" not in one))
        for one in items
    ):
        raise AciError(
            "input refers to an item that an upstream keeps, and none may: send the item itself",
            code="invalid-request-error",
        )
    tools = value.get("tools")
    if isinstance(tools, list) and any(
        isinstance(one, dict) and isinstance(one.get("container"), str) for one in tools
    ):
        raise AciError(
            "a tool names a container that an upstream keeps, and none may: leave its making to the upstream",
            code="invalid-request-error",
        )
    changed, value["store"] = value.get("store") is not False, False
    return changed


def _constraints(value: dict[str, Any]) -> tuple[Constraints, bool]:
    """The caller's constraints, taken out of the body; whether it changed by that."""
    provider = value.get("provider")
    if not isinstance(provider, dict):
        return Constraints(), False
    ours = {name: provider.pop(name) for name in list(provider) if name.startswith("aci_")}
    if not ours:
        return Constraints(), False
    if not provider:
        del value["provider"]
    if unknown := sorted(set(ours) - {"aci_verified", "aci_session_ids"}):
        raise AciError(
            f"provider has a constraint that is not known: {unknown[0][:64]}", code="invalid-request-error"
        )
    verified, ids = ours.get("aci_verified"), ours.get("aci_session_ids")
    if "aci_verified" in ours and not isinstance(verified, bool):
        raise AciError("provider.aci_verified is true or false", code="invalid-request-error")
    if "aci_session_ids" not in ours:
        return Constraints(verified), True
    good = isinstance(ids, list) and 0 < len(ids) <= _MAX_SESSIONS
    if not good or not all(isinstance(one, str) and SESSION_ID.fullmatch(one) for one in ids or ()):
        raise AciError(
            f"provider.aci_session_ids lists 1 to {_MAX_SESSIONS} ids of 64 hex digits",
            code="invalid-request-error",
        )
    if verified is False:
        raise AciError(
            "provider.aci_session_ids contradicts aci_verified: false", code="invalid-request-error"
        )
    return Constraints(True, frozenset(ids or ())), True
