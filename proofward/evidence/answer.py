"""One answer of a language model behind a gateway, with everything that shows where it came from.

Source: ACI, sections 9.1 to 9.3.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from proofward.aci import documents, e2ee, jcs, sse
from proofward.aci.errors import AciError
from proofward.attestation.collateral import Collateral
from proofward.attestation.errors import AttestationError
from proofward.attestation.gateway import Appraisal, Channel, GatewayPolicy, appraise
from proofward.attestation.legacy import LEGACY, appraise_legacy
from proofward.check import Check, said
from proofward.errors import ProofwardError
from proofward.evidence.anchored import anchored_checks
from proofward.evidence.judged import stake_checks
from proofward.evidence.policy import Policy
from proofward.evidence.registered import registered_check
from proofward.evidence.times import CLOCK_SLACK
from proofward.evidence.verdict import Verdict
from proofward.protocol import Level

UPSTREAM: Final = "upstream"
PROVED: Final = "proof.verified"
ON_CHAIN: Final = "upstream on chain"
BONDED: Final = "stake on chain"


@dataclass(frozen=True, slots=True, repr=False)
class Encryption:
    """What opens an answer's fields: the context, and the client's key of this one request."""

    context: e2ee.Context
    key: e2ee.PrivateKey


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """One exchange: what the gateway said of itself, what went out and came back, and the receipt."""

    gateway: str
    at: int
    """Unix second of the attestation."""
    nonce: str
    report: bytes
    channel: Channel
    endpoint: str
    request: bytes
    """Plain, as the receipt's `request.received` has it."""
    response: bytes
    """As it came over the wire, framing and ciphertext included."""
    encryption: Encryption | None
    receipt: dict[str, Any]
    session: dict[str, Any] | None
    anchor: dict[str, Any] | None = None
    """A proof of inclusion, once the receipt is on a chain and its owner kept it."""
    bond: dict[str, Any] | None = None
    """The chain's proof of the gateway's own registration, where its user demanded one."""

    def checks(
        self,
        policy: Policy,
        *,
        upstreams: Collection[bytes] | None = None,
        appraised: Appraisal | None = None,
    ) -> tuple[Check, ...]:
        """Every check of ACI's section 9, on these bytes alone.

        `upstreams` pins the measurements of what may answer behind the gateway (None: the policy's).
        `appraised` is what the caller itself has found of this very report: the quote is not verified again.
        """
        found = appraised or appraise(
            self.report,
            nonce=self.nonce,
            channel=self.channel,
            now=self.at,
            policy=GatewayPolicy(policy.roots, policy.measurements),
        )
        checks = [*found.checks, dated(self.at, policy)]
        try:
            if found.keyset is None:
                raise AciError("without a keyset no receipt can be checked")
            events = documents.check_receipt(self.receipt, found.keyset)
        except AciError as error:
            return (*checks, Check("receipt", False, error.message))
        checks.append(Check("receipt", True, f"{self.receipt.get('receipt_id')}, signed by the attested key"))
        checks += stake_checks(self.receipt, found.keyset)
        if self.bond is not None:
            checks.append(registered_check(BONDED, self.bond, found, self.at, policy))
        checks += [self._frame(), self._request(events), self._response(events), *self._stream()]
        checks.append(self._opens())
        pins = policy.measurements if upstreams is None else upstreams
        checks += _upstream(self, events, replace(policy, measurements=pins))
        return (
            *checks,
            *_weights(events),
            *_proof(self, events, replace(policy, measurements=pins)),
            _served(self.receipt, self.at, found.keyset, policy),
            *anchored_checks(self.receipt, self.anchor, policy),
        )

    def verdict(self, policy: Policy, *, upstreams: Collection[bytes] | None = None) -> Verdict:
        """The checks, and the one word that they come to."""
        checks = self.checks(policy, upstreams=upstreams)
        simulated = any(Level.SIMULATED.label in one.detail for one in checks if one.name == "hardware")
        flags = (Level.SIMULATED.label,) if simulated else ()
        return Verdict(b"", tuple(dict.fromkeys((*flags, *_flags(self)))), checks)

    def plain(self) -> bytes:
        """The answer as a client of the API would have it. Raises AciError(e2ee-decryption-failed)."""
        if self.encryption is None:
            return self.response
        return opened(self.encryption, self.endpoint, self.response)

    @property
    def weights(self) -> str | None:
        """`sha256:` of the weights that the receipt names; only as good as its `checks`."""
        named = {"model.weights": "digest", PROVED: "weights"}
        found = [one.get(named[one["type"]]) for one in _events(self.receipt) if one["type"] in named]
        return str(found[0]) if len(found) == 1 else None

    def _frame(self) -> Check:
        said_endpoint, asked = (
            self.receipt.get("endpoint"),
            jcs.loads(self.request, limit=documents.MAX_ANSWER).get("model"),
        )
        good = said_endpoint == self.endpoint and self.receipt.get("model") == asked
        return Check(
            "model", good, f"{asked!r} at {self.endpoint}" if good else "the receipt is of another call"
        )

    def _request(self, events: list[dict[str, Any]]) -> Check:
        return _hash("request", events, "request.received", self.request)

    def _response(self, events: list[dict[str, Any]]) -> Check:
        ended = [one for one in events if one.get("type") == "response.aborted"]
        if ended:
            return Check("response", False, f"it ended early: {ended[0].get('reason')}")
        return _hash("response", events, "response.returned", self.response)

    def _stream(self) -> list[Check]:
        """Whether a stream has its last event; none for an answer in one document."""
        if _is_object(self.response):
            return []
        splitter = sse.Splitter()
        try:
            ended = any([sse.ends(event) for event in splitter.feed(self.response)])
        except AciError as error:
            return [Check("stream", False, error.message)]
        if not ended or splitter.rest().strip():
            return [Check("stream", False, "cut: it has no last event, so it is not the whole answer")]
        return [Check("stream", True, "ended: its last event is here")]

    def _opens(self) -> Check:
        if self.encryption is None:
            return said("encryption", "none beside the attested TLS connection")
        if self.channel.e2ee_key is None:
            return Check("encryption", False, "the file does not name the key that it was encrypted to")
        try:
            self.plain()
        except AciError as error:
            return Check("encryption", False, error.message)
        return Check("encryption", True, f"every field opens in its place, {self.encryption.context.suite}")


def _events(receipt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those events of a receipt that have a type; nothing of it is checked yet."""
    events = receipt.get("event_log")
    objects = [one for one in (events if isinstance(events, list) else ()) if isinstance(one, dict)]
    return [one for one in objects if isinstance(one.get("type"), str)]


def _is_object(wire: bytes) -> bool:
    if not wire.lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(jcs.loads(wire, limit=documents.MAX_ANSWER), dict)
    except AciError:
        return False


def opened(encryption: Encryption, endpoint: str, wire: bytes) -> bytes:
    """An encrypted answer's plain form, JSON or events. Raises AciError(e2ee-decryption-failed)."""
    if not wire.lstrip().startswith((b"{", b"[")):
        splitter = sse.Splitter()
        return (
            b"".join(opened_event(encryption, endpoint, event) for event in splitter.feed(wire))
            + splitter.rest()
        )
    value = jcs.loads(wire, limit=documents.MAX_ANSWER)
    if not isinstance(value, dict):
        raise AciError("the answer is no object", code="e2ee-decryption-failed")
    e2ee.open_response(encryption.key, encryption.context, endpoint, value)
    return jcs.compact(value)


def opened_event(encryption: Encryption | None, endpoint: str, event: bytes) -> bytes:
    """One event without padding, its fields in plain; empty when it was padding alone.

    Raises AciError, for data too that parsers would read differently.
    """
    event = sse.plain(event)
    data = sse.data_of(event)
    if data is None or data == b"[DONE]":
        return event
    value = jcs.loads(data)
    if not isinstance(value, dict):
        raise AciError("an event holds no object", code="e2ee-decryption-failed")
    if encryption is None:
        return event
    e2ee.open_response(encryption.key, encryption.context, endpoint, value)
    return sse.with_data(event, jcs.compact(value))


def _hash(name: str, events: list[dict[str, Any]], kind: str, data: bytes) -> Check:
    try:
        stated, found = documents.one_event(events, kind).get("body_hash"), jcs.tagged(data)
    except AciError as error:
        return Check(name, False, error.message)
    return Check(name, stated == found, found if stated == found else f"{found}, the receipt says {stated}")


def dated(at: int, policy: Policy) -> Check:
    """Whether an attestation is of the reader's past."""
    now = int(time.time()) if policy.now is None else policy.now
    good = at <= now + CLOCK_SLACK
    return Check("time", good, f"attested at {at}" if good else f"attested at {at}, in the reader's future")


def _served(receipt: dict[str, Any], at: int, keyset: documents.Keyset, policy: Policy) -> Check:
    """The gateway's word, unless it lies outside of what the reader knows himself: when he attested it, until
    when its keys were, and his own time.
    """
    served = receipt.get("served_at")
    if not isinstance(served, int) or isinstance(served, bool):
        return Check("served at", False, "the receipt has no time")
    now = int(time.time()) if policy.now is None else policy.now
    bounds = {
        "before the gateway was attested": served < at - CLOCK_SLACK,
        "after its keys ended": served > keyset.not_after + CLOCK_SLACK,
        "in the reader's future": served > now + CLOCK_SLACK,
    }
    wrong = [name for name, outside in bounds.items() if outside]
    if wrong:
        return Check("served at", False, f"{served}: {wrong[0]}")
    return said("served at", f"{served}: the gateway's own clock")


def _upstream(answer: Answer, events: list[dict[str, Any]], policy: Policy) -> list[Check]:
    """Whether a verified upstream served, and whether its own evidence says so too (sections 9.2 and 9.3)."""
    if not any(one.get("type") == "upstream.verified" for one in events):
        return [_own(events)]
    try:
        event = documents.one_event(events, "upstream.verified")
        if event.get("result") != "verified":
            asked = event.get("required") is False
            told = f"unverified: {event.get('reason')}"
            return [
                Check(
                    UPSTREAM, None if asked else False, f"{told}; the caller asked for it" if asked else told
                )
            ]
        return _session(answer, str(event.get("session_id")), policy)
    except (AciError, AttestationError, ValueError, KeyError, TypeError) as error:
        told = (
            error.message
            if isinstance(error, ProofwardError)
            else "the session lacks a member, or has another kind"
        )
        return [Check(UPSTREAM, False, told)]


def _own(events: list[dict[str, Any]]) -> Check:
    """A model that the gateway has loaded or had proved is its own; of others its configuration says so."""
    told = "none: the model runs in the gateway's own trust domain"
    named = any(one.get("type") in ("model.weights", PROVED) for one in events)
    return Check(UPSTREAM, True, told) if named else said(UPSTREAM, f"{told}, says its configuration")


def _weights(events: list[dict[str, Any]]) -> list[Check]:
    """What the attested software says of weights that it has loaded itself; none where it says nothing."""
    found = [one for one in events if one.get("type") == "model.weights"]
    if not found:
        return []
    digest = str(found[0].get("digest"))
    if len(found) > 1 or not documents.DIGEST.fullmatch(digest):
        return [Check("weights", False, "the receipt names no one digest of the model's weights")]
    if any(one.get("type") == "upstream.verified" for one in events):
        return [Check("weights", False, "the receipt names weights of a model that runs elsewhere")]
    return [Check("weights", True, f"{digest}, measured by the attested software as it loaded them")]


def _proof(answer: Answer, events: list[dict[str, Any]], policy: Policy) -> list[Check]:
    """Whether the answer is a proved model's, where the receipt says so; none where it says nothing."""
    found = [one for one in events if one.get("type") == PROVED]
    if not found:
        return []
    if len(found) > 1 or any(one.get("type") in ("upstream.verified", "model.weights") for one in events):
        return [Check("proof", False, "the receipt says it of another model than the one that answered")]
    from proofward.evidence.proved import proved_checks  # brings a prover along, which few answers need

    try:
        return proved_checks(found[0], answer.request, answer.plain(), policy)
    except AciError as error:
        return [Check("proof", False, error.message)]


def _flags(answer: Answer) -> tuple[str, ...]:
    """What a verdict says beside its word of a proved model's job."""
    if not any(one["type"] == PROVED for one in _events(answer.receipt)):
        return ()
    from proofward.evidence.proved import flags

    try:
        return flags(answer.plain())
    except AciError:
        return ()


def _session(answer: Answer, cited: str, policy: Policy) -> list[Check]:
    session, served = answer.session, answer.receipt["served_at"]
    bundle = jcs.loads(documents.check_session(session, cited))
    assert session is not None  # check_session refuses None
    binding = {"type": "tls_spki_sha256", "origin": session["endpoint"], "spki_sha256": bundle["spki_sha256"]}
    if session["channel_binding"] != [binding]:
        return [Check(UPSTREAM, False, "the session is bound to another key than its evidence")]
    began, end = session["established_at"], session["expires_at"]
    # a long answer ends after the session that it began under; it cannot begin before it
    if not began <= served or bundle["at"] != began or end > began + 24 * 3600:
        return [Check(UPSTREAM, False, "the answer is older than the session that it cites")]
    kind, collateral = bundle.get("kind"), bundle.get("collateral")
    if kind not in (None, LEGACY):
        return [Check(UPSTREAM, False, f"the session's evidence is of a kind that is not known: {kind!r}")]
    found = (appraise if kind is None else appraise_legacy)(
        base64.b64decode(bundle["report_b64"], validate=True),
        nonce=bundle["nonce"],
        channel=Channel(bundle["host"], bundle["spki_sha256"]),
        now=began,
        policy=GatewayPolicy(
            policy.roots,
            policy.measurements,
            collateral=None if collateral is None else Collateral.from_json(collateral),
        ),
    )
    good = f"session {cited[:16]}…, {session['upstream_name']} at {session['endpoint']}"
    failed = [one for one in found.checks if one.ok is False]
    if failed:
        return [Check(UPSTREAM, False, f"its evidence fails: {failed[0].name}: {failed[0].detail}")]
    pinned = Check(
        f"{UPSTREAM} measurement", True if found.holds else None, found.reason or "is on the reader's list"
    )
    return [Check(UPSTREAM, True, good), pinned, *_registered(bundle, found, began, policy)]


def _registered(bundle: dict[str, Any], found: Appraisal, began: int, policy: Policy) -> list[Check]:
    """Whether the chain's final state had the upstream's keys and software, where a session or the reader
    says so.
    """
    value = bundle.get("registered")
    if value is not None:
        return [registered_check(ON_CHAIN, value, found, began, policy)]
    told = "no proof is here that the reader's chain has this upstream"
    return [] if policy.authorities is None else [Check(ON_CHAIN, None, told)]
