"""Upstreams: attested and pinned before a prompt goes to them, for as long as their evidence holds."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import aiohttp

from proofward.aci import jcs
from proofward.aci.documents import API_VERSION, evidence_of, session_id
from proofward.attestation import DEVELOPMENT_ROOTS, PRODUCTION_ROOTS, Collateral
from proofward.attestation.gateway import GatewayPolicy
from proofward.attestation.legacy import LEGACY, signer_of
from proofward.protocol import Level
from proofward_gateway.channel import Attested, GatewayError, attest, attest_legacy
from proofward_gateway.config import Config, UpstreamConfig
from proofward_gateway.registered import Standing, require_keys, standing
from proofward_gateway.store import Store

VERIFIER: Final = "proofward-gateway/1"
_RETRY_SECONDS: Final = 2
"""How long a failed verification is repeated to callers before it is tried again."""


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """A verified channel: the document under its id, and the pin that requests go out under."""

    id: str
    document: dict[str, Any]
    pin: aiohttp.Fingerprint

    @property
    def expires_at(self) -> int:
        """Unix second after which nothing goes out under it."""
        return int(self.document["expires_at"])


class Upstream:
    """One configured upstream and its current session."""

    def __init__(
        self,
        config: UpstreamConfig,
        whole: Config,
        client: aiohttp.ClientSession,
        store: Store,
        *,
        clock: Callable[[], float],
    ) -> None:
        """Raises GatewayError(bad-config) when its key file cannot be read, AttestationError when its
        collateral cannot.
        """
        self.config, self._seconds, self._client = config, whole.session_seconds, client
        self._store, self._clock, self._lock = store, clock, asyncio.Lock()
        self._collateral = None if config.collateral is None else Collateral.from_file(config.collateral)
        self._policy = GatewayPolicy(
            DEVELOPMENT_ROOTS if whole.development else PRODUCTION_ROOTS,
            config.measurements,
            collateral=self._collateral,
        )
        self._chain, self._development = whole.bond, whole.development
        self._session: Session | None = None
        self._failed: tuple[float, GatewayError] | None = None
        self.key = _key(config)

    @property
    def session(self) -> Session | None:
        """The session that requests go out under now; None when there is none that holds."""
        held = self._session
        return held if held is not None and self._clock() < held.expires_at else None

    async def verified(self) -> Session:
        """A session that holds now, verified anew when the last has ended. Raises GatewayError."""
        async with self._lock:
            if (held := self.session) is not None:
                return held
            if self._failed is not None and self._clock() < self._failed[0]:
                raise self._failed[1]
            try:
                self._session = await self._established()
                await self._store.put_session(self._session.id, self._session.document)
            except GatewayError as error:
                self._session, self._failed = None, (self._clock() + _RETRY_SECONDS, error)
                raise
            return self._session

    async def _established(self) -> Session:
        """Raises GatewayError."""
        what, chain = self.config.registered, self._chain
        if what is None or chain is None:
            return self._seal(await self._attested(self._policy))
        held = await asyncio.to_thread(
            standing, what, chain, now=self._clock(), development=self._development
        )
        software = held.record.measurement
        if self.config.measurements and software not in self.config.measurements:
            raise GatewayError(
                f"the chain has software 0x{software.hex()} of it, which is not pinned", code="unattested"
            )
        found = await self._attested(replace(self._policy, measurements=frozenset({software})))
        require_keys(held.record, found.keyset)
        return self._seal(found, held)

    async def _attested(self, policy: GatewayPolicy) -> Attested:
        origin = self.config.origin
        # the key stays here until then: whoever answers has shown no more than some certificate
        if self.config.kind == LEGACY:
            return await attest_legacy(self._client, origin, policy, clock=self._clock)
        return await attest(self._client, origin, policy, clock=self._clock)

    def forget(self, session: Session) -> None:
        """The upstream no longer shows the key that this session is bound to."""
        if self._session is session:
            self._session = None

    def _seal(self, found: Attested, held: Standing | None = None) -> Session:
        bundle: dict[str, Any] = {
            "nonce": found.nonce,
            "host": found.channel.host,
            "spki_sha256": found.channel.spki_sha256,
            "at": found.at,
            "report_b64": base64.b64encode(found.report).decode("ascii"),
        }
        if found.listed is None:
            bundle["kind"] = LEGACY
        if held is not None:
            bundle["registered"] = {"account": held.record.account.hex(), **held.proof}
        if self._collateral is not None:
            bundle["collateral"] = self._collateral.to_json()
        document = {
            "api_version": API_VERSION,
            "upstream_name": self.config.name,
            "endpoint": str(found.origin),
            "verifier_id": VERIFIER,
            "established_at": found.at,
            "expires_at": min(
                found.at + self._seconds, found.evidence_ends, *([] if held is None else [held.ends])
            ),
            "identity": {"signing_address": signer_of(found.report, found.channel)}
            if found.listed is None
            else {"keyset_digest": found.keyset.digest},
            "channel_binding": [
                {
                    "type": "tls_spki_sha256",
                    "origin": str(found.origin),
                    "spki_sha256": found.channel.spki_sha256,
                }
            ],
            "claims": _claims(found, self.config, held),
            "evidence": evidence_of(jcs.canonical(bundle)),
        }
        return Session(session_id(document), document, found.pin)


def _claims(found: Attested, config: UpstreamConfig, held: Standing | None) -> dict[str, Any]:
    vouches = [
        *(["its measurement is on the list of the gateway's operator"] if config.measurements else []),
        *([] if held is None else ["a final state of the chain has and allows its measurement"]),
    ]
    hardware = found.quote.level is Level.HARDWARE
    unknown = {"status": "unknown"}
    return {
        "tee_attested": {
            "status": "asserted",
            "source": "hardware_proven" if hardware else "verifier_derived",
            "reason": f"a quote under {found.quote.root.name}: level {found.quote.level.label}",
        },
        "tcb_up_to_date": {
            "status": "asserted" if found.quote.tcb_status == "UpToDate" else "refuted",
            "source": "hardware_proven" if hardware else "verifier_derived",
            "reason": f"the collateral says {found.quote.tcb_status}",
        },
        "serving_software_known_good": {
            "status": "asserted",
            "source": "operator_asserted" if config.measurements else "verifier_derived",
            "reason": "; ".join(vouches),
        },
        "gpu_attested": unknown,
        "os_known_good": unknown,
        "model_weights_provenance": unknown,
        "extra": {
            "tcb_status": found.quote.tcb_status,
            "measurement": found.quote.quote.measurement.hex(),
            "software": found.appraisal.software.hex(),
            "level": found.quote.level.label,
        },
    }


def _key(config: UpstreamConfig) -> str | None:
    if config.key_file is None:
        return None
    try:
        key = config.key_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise GatewayError(
            f"{config.key_file} cannot be read: it holds {config.name}'s API key", code="bad-config"
        ) from None
    if not key or not key.isprintable() or len(key) > 4096:
        raise GatewayError(f"{config.key_file} holds no API key of one line", code="bad-config")
    return key
