"""Appraise a service by the report that services of private inference had before ACI: a quote over the key
that signs answers, the TLS key, and the caller's nonce.

Source: nearai/nearai-cloud-verifier and nearai/vllm-proxy, `GET /v1/attestation/report` with
`include_tls_fingerprint=true`: report_data is SHA-256(signing address || TLS key's SHA-256), then the nonce.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any, Final

from proofward.aci import jcs
from proofward.aci.documents import SESSION_ID
from proofward.aci.errors import AciError
from proofward.attestation.collateral import Collateral
from proofward.attestation.errors import AttestationError
from proofward.attestation.gateway import (
    BINDING,
    CHANNEL,
    CHECKS,
    CUSTODY,
    EXPIRY,
    HARDWARE,
    Appraisal,
    Channel,
    GatewayPolicy,
    collateral_of,
    provenance,
)
from proofward.attestation.verify import VerifiedQuote, verify_quote
from proofward.check import Check
from proofward.protocol import sha256

LEGACY: Final = "legacy"
"""What a session's evidence is marked with whose report is of this form."""
QUERY: Final = "signing_algo=ed25519&include_tls_fingerprint=true"
"""What a report with the TLS key in it is asked for by, besides the nonce."""
MAX_PARTS: Final = 16
"""Reports inside a report that are looked at."""
_ADDRESS: Final = {"ecdsa": 20, "ed25519": 32}
"""Bytes of a signing address."""


def appraise_legacy(
    report: bytes, *, nonce: str, channel: Channel, now: int, policy: GatewayPolicy
) -> Appraisal:
    """The six checks of a report as it came over the wire, as `appraise` has them for ACI's.

    A report without the TLS key in its quote fails `channel`: whoever ended the connection would read all.
    """
    try:
        part = _about(jcs.loads(report), channel)
        address, spki = _address(part), str(part.get("tls_cert_fingerprint") or "").lower()
        quote = bytes.fromhex(part["intel_quote"])
        collateral = policy.collateral or _collateral(part)
    except (AciError, AttestationError, KeyError, TypeError, ValueError) as error:
        told = error.message if isinstance(error, AciError | AttestationError) else "it lacks a member"
        return Appraisal(tuple(Check(name, False, f"the report cannot be read: {told}") for name in CHECKS))
    try:
        verified = verify_quote(quote, collateral, now=now, roots=policy.roots, policy=policy.tcb)
    except AttestationError as error:
        rest = (Check(name, None, "without a quote") for name in CHECKS[1:])
        return Appraisal((Check(HARDWARE, False, str(error)), *rest))
    software, allowed = provenance(verified, part.get("event_log"), policy)
    checks = (
        Check(
            HARDWARE, True, f"{verified.root.name}, TCB {verified.tcb_status}, level {verified.level.label}"
        ),
        _binding(part, address, spki, nonce, verified),
        Check(EXPIRY, True, "the report names no end: its evidence ends with the collateral"),
        allowed,
        _custody(policy),
        _channel(spki, channel),
    )
    return Appraisal(checks, None, verified, software)


def signer_of(report: bytes, channel: Channel) -> str:
    """The signing address (hex) in a report that was appraised. Raises AciError, KeyError, ValueError."""
    return _address(_about(jcs.loads(report), channel)).hex()


def _about(value: Any, channel: Channel) -> dict[str, Any]:
    """Of the reports in a report, the one about the TLS key that was met; the outer one when none is."""
    if not isinstance(value, dict):
        raise AciError("it is no object")
    parts = [one for one in _parts(value) if isinstance(one, dict) and one.get("intel_quote")]
    met = [one for one in parts if str(one.get("tls_cert_fingerprint") or "").lower() == channel.spki_sha256]
    found: dict[str, Any] = (met or parts or [value])[0]
    return found


def _parts(value: dict[str, Any]) -> Iterator[Any]:
    yield value
    yield value.get("gateway_attestation")
    for name in ("all_attestations", "model_attestations"):
        inner = value.get(name)
        yield from inner[:MAX_PARTS] if isinstance(inner, list) else ()


def _address(part: dict[str, Any]) -> bytes:
    algorithm = part.get("signing_algo", "ecdsa")
    address = bytes.fromhex(str(part["signing_address"]).removeprefix("0x"))
    if _ADDRESS.get(algorithm) != len(address):
        raise AciError(f"a signing address of {len(address)} bytes is none of {str(algorithm)[:20]!r}")
    return address


def _collateral(part: dict[str, Any]) -> Collateral:
    info = part.get("info")
    return collateral_of(info if isinstance(info, dict) else {})


def _binding(part: dict[str, Any], address: bytes, spki: str, nonce: str, verified: VerifiedQuote) -> Check:
    if part.get("request_nonce", nonce) != nonce:
        return Check(BINDING, False, "the report restates another nonce than ours")
    if not SESSION_ID.fullmatch(spki):
        bare = address.ljust(32, b"\0") + bytes.fromhex(nonce)
        known = hmac.compare_digest(bare, verified.quote.report_data)
        told = (
            "the quote is over a signing key alone, and over no TLS key" if known else "it names no TLS key"
        )
        return Check(BINDING, False, told)
    wanted = sha256(address + bytes.fromhex(spki)) + bytes.fromhex(nonce)
    if not hmac.compare_digest(wanted, verified.quote.report_data):
        return Check(BINDING, False, "the quote is over other keys, or over another nonce than ours")
    return Check(BINDING, True, f"the quote is over signing key {address.hex()[:16]}…, TLS key and our nonce")


def _custody(policy: GatewayPolicy) -> Check:
    if policy.measurements is None:
        return Check(CUSTODY, None, "it rests on the software, and no measurement is pinned")
    return Check(CUSTODY, True, "nothing is said of it: both keys are as good as the pinned software")


def _channel(spki: str, channel: Channel) -> Check:
    if channel.e2ee_key is not None:
        return Check(CHANNEL, False, "such a report attests no encryption key")
    if spki != channel.spki_sha256:
        return Check(CHANNEL, False, f"the TLS key met at {channel.host} is not the attested one")
    return Check(CHANNEL, True, f"TLS key {channel.spki_sha256[:16]}… is attested")
