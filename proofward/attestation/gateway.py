"""Appraise an ACI service by its attestation report: the six checks of ACI's section 9.1, each by name."""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from proofward.aci import jcs
from proofward.aci.documents import API_VERSION, Keyset, report_slot
from proofward.aci.errors import AciError
from proofward.attestation.collateral import Collateral
from proofward.attestation.dstack import deployment
from proofward.attestation.errors import AttestationError
from proofward.attestation.roots import PRODUCTION_ROOTS, TrustRoot
from proofward.attestation.verify import TcbPolicy, VerifiedQuote, verify_quote
from proofward.check import Check

HARDWARE: Final = "hardware"
BINDING: Final = "binding"
EXPIRY: Final = "expiry"
PROVENANCE: Final = "measurement allowed"
CUSTODY: Final = "key custody"
CHANNEL: Final = "channel"
CHECKS: Final = (HARDWARE, BINDING, EXPIRY, PROVENANCE, CUSTODY, CHANNEL)

GENERATED_INSIDE: Final = "generated-in-workload"
"""The one form of custody that a measurement alone can back: the measured program makes its keys itself."""
MAX_KEYSET_LIFETIME: Final = 24 * 3600
CLOCK_SLACK: Final = 300


@dataclass(frozen=True, slots=True)
class GatewayPolicy:
    """What a relying party accepts. `measurements` (32 bytes each; None: none pinned) name the software whose
    source it trusts, by the quote's measurement or by a dstack guest's `deployment`; `subjects` the names
    that a keyset may carry besides none.
    """

    roots: Sequence[TrustRoot] = PRODUCTION_ROOTS
    measurements: Collection[bytes] | None = None
    subjects: Collection[str] = ()
    tcb: TcbPolicy | None = None
    collateral: Collateral | None = None
    """Used instead of what the report brings along."""


@dataclass(frozen=True, slots=True)
class Channel:
    """What the relying party itself has met: the host it asked for, the SHA-256 (hex) of the certificate's
    key there, and the E2EE key that it encrypts to (None: it does not).
    """

    host: str
    spki_sha256: str
    e2ee_key: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Appraisal:
    """The six checks, and what they were about as far as it could be read."""

    checks: tuple[Check, ...]
    keyset: Keyset | None = None
    quote: VerifiedQuote | None = None
    software: bytes = b""
    """What was found of the software (32 bytes): the measurement, or a dstack guest's deployment."""

    @property
    def holds(self) -> bool:
        """Whether every check was made and holds; nothing sensitive goes out otherwise."""
        return all(check.ok is True for check in self.checks)

    @property
    def reason(self) -> str:
        """The first check that does not hold, with its detail; empty when all do."""
        return next((f"{one.name}: {one.detail}" for one in self.checks if one.ok is not True), "")


def appraise(report: bytes, *, nonce: str, channel: Channel, now: int, policy: GatewayPolicy) -> Appraisal:
    """Check a report as it came over the wire, at a Unix time in seconds, against the nonce that was sent.

    Never raises for what the report says: what cannot be read fails the check that needs it, and all after.
    """
    try:
        value = jcs.loads(report)
        if not isinstance(value, dict) or value.get("api_version") != API_VERSION:
            raise AciError(f"the report is none of {API_VERSION}")
        attestation = value["attestation"]
        keyset = Keyset.read(attestation["workload_keyset"])
        evidence = attestation["evidence"]
        stated = (value["workload_keyset_digest"], attestation["report_data"])
        quote = bytes.fromhex(evidence["quote"])
        if attestation["tee_type"] != "tdx" or not isinstance(evidence, dict):
            raise AciError("the evidence is no TDX quote")
    except (AciError, KeyError, TypeError, ValueError) as error:
        told = (
            error.message
            if isinstance(error, AciError)
            else "the report lacks a member, or has one of another kind"
        )
        return Appraisal(tuple(Check(name, False, told) for name in CHECKS))
    try:
        verified = verify_quote(
            quote,
            policy.collateral or collateral_of(evidence),
            now=now,
            roots=policy.roots,
            policy=policy.tcb,
        )
    except AttestationError as error:
        checks = (
            Check(HARDWARE, False, str(error)),
            *(Check(name, None, "without a quote") for name in CHECKS[1:]),
        )
        return Appraisal(checks, keyset)
    software, allowed = provenance(verified, evidence.get("event_log"), policy)
    checks = (
        Check(
            HARDWARE, True, f"{verified.root.name}, TCB {verified.tcb_status}, level {verified.level.label}"
        ),
        _binding(keyset, nonce, stated, verified),
        _expiry(keyset, now),
        allowed,
        _custody(evidence, keyset, policy),
        _channel(keyset, channel),
    )
    return Appraisal(checks, keyset, verified, software)


def collateral_of(evidence: dict[str, Any]) -> Collateral:
    """What a report brings along for its quote. Raises AttestationError."""
    return Collateral.from_json(json.dumps(evidence.get("collateral")))


def _binding(keyset: Keyset, nonce: str, stated: tuple[Any, Any], verified: VerifiedQuote) -> Check:
    slot = report_slot(keyset.digest, nonce)
    if stated != (keyset.digest, slot[:32].hex()):
        return Check(BINDING, False, "the report restates a digest that its keyset and our nonce do not give")
    if not hmac.compare_digest(slot, verified.quote.report_data):
        return Check(BINDING, False, "the quote is over another keyset, or over another nonce than ours")
    return Check(BINDING, True, f"the quote is over this keyset and our nonce, {keyset.digest}")


def _expiry(keyset: Keyset, now: int) -> Check:
    left = keyset.not_after - now
    if left <= 0:
        return Check(EXPIRY, False, f"the keyset ended {-left} s ago")
    if left > MAX_KEYSET_LIFETIME + CLOCK_SLACK:
        return Check(EXPIRY, False, f"the keyset is to live {left} s more, above {MAX_KEYSET_LIFETIME}")
    return Check(EXPIRY, True, f"{left} s are left")


def provenance(verified: VerifiedQuote, event_log: Any, policy: GatewayPolicy) -> tuple[bytes, Check]:
    """What runs behind a quote, and whether a policy names it: by all registers, or by the log of a dstack
    guest's boot.
    """
    found, told = verified.quote.measurement, ""
    if event_log and policy.measurements is not None and found not in policy.measurements:
        try:
            found, told = (
                deployment(event_log, verified.quote),
                " (dstack: operating system and compose file)",
            )
        except AttestationError as error:
            return found, Check(PROVENANCE, False, f"0x{found.hex()}, and {error.message}")
    if policy.measurements is None:
        return found, Check(PROVENANCE, None, f"0x{found.hex()}: nobody has pinned what it should be")
    return found, Check(PROVENANCE, found in policy.measurements, f"0x{found.hex()}{told}")


def _custody(evidence: dict[str, Any], keyset: Keyset, policy: GatewayPolicy) -> Check:
    if keyset.subject is not None and keyset.subject not in policy.subjects:
        return Check(CUSTODY, False, "the keyset has a subject that the policy does not name")
    if evidence.get("key_custody") != GENERATED_INSIDE:
        return Check(CUSTODY, False, "no custody that a measurement backs: a KMS chain is not verified here")
    if policy.measurements is None:
        return Check(CUSTODY, None, "it rests on the software, and no measurement is pinned")
    return Check(CUSTODY, True, "the measured software makes its keys itself and exports none")


def _channel(keyset: Keyset, channel: Channel) -> Check:
    if not keyset.lists_tls(channel.spki_sha256, channel.host):
        return Check(CHANNEL, False, f"the TLS key met at {channel.host} is not in the attested keyset")
    if channel.e2ee_key is not None and not keyset.lists_e2ee(channel.e2ee_key):
        return Check(CHANNEL, False, "the encryption key is not in the attested keyset")
    return Check(CHANNEL, True, f"TLS key {channel.spki_sha256[:16]}… is attested")
