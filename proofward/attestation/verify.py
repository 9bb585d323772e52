"""Verify a quote: one code path for Intel's and the simulator's, by dcap-qvl under trusted roots."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import dcap_qvl

from proofward.attestation.chains import check_signers, why
from proofward.attestation.collateral import Collateral
from proofward.attestation.errors import AttestationError, Code
from proofward.attestation.quote import Quote, parse_quote
from proofward.attestation.roots import PRODUCTION_ROOTS, TrustRoot
from proofward.protocol import Level

_CHAIN = "verify certificate chain"
"""What dcap-qvl says of every fault of a chain alike."""


@dataclass(frozen=True, slots=True)
class TcbPolicy:
    """Which TCB verdicts pass. Default: `UpToDate` only.

    The platform flags (several packages, cached keys, hyperthreading) are accepted: every TDX server sets
    them, and the TCB status already speaks where one of them is unsafe.
    """

    statuses: frozenset[str] = frozenset({"UpToDate"})
    rejected_advisories: frozenset[str] = frozenset()
    min_evaluation_number: int = 0

    def at(self, now: int) -> dcap_qvl.QuotePolicy:
        """The policy in dcap-qvl's terms, at a Unix time in seconds."""
        policy = (
            dcap_qvl.QuotePolicy.strict(now)
            .allow_dynamic_platform(True)
            .allow_cached_keys(True)
            .allow_smt(True)
            .reject_advisories(sorted(self.rejected_advisories))
            .min_tcb_eval_data_number(self.min_evaluation_number)
        )
        for status in sorted(self.statuses - {"UpToDate"}):
            policy = policy.allow_status(status)
        return policy


@dataclass(frozen=True, slots=True)
class VerifiedQuote:
    """What a verified quote says, and the root that it verified under."""

    quote: Quote
    root: TrustRoot
    tcb_status: str
    advisory_ids: tuple[str, ...] = field(default=())
    issued_at: int = 0
    """Unix seconds: the latest issue date in the collateral."""
    expires_at: int = 0
    """Unix seconds: the earliest end of validity in the collateral."""

    @property
    def level(self) -> Level:
        """The level of the root."""
        return self.root.level


def verify_quote(
    quote: bytes,
    collateral: Collateral,
    *,
    now: int,
    roots: Sequence[TrustRoot] = PRODUCTION_ROOTS,
    policy: TcbPolicy | None = None,
) -> VerifiedQuote:
    """Verify a quote at a Unix time in seconds.

    Raises AttestationError: malformed-quote, unknown-root, quote-rejected (a signature, a certificate, a
    date), tcb-not-allowed, debug-td. What report_data and measurement must be is the caller's to compare.
    """
    parsed = parse_quote(quote)
    if parsed.debug:
        raise AttestationError(
            "the trust domain runs in debug mode: its host can read it", code=Code.DEBUG_TD
        )
    claimed = claimed_roots(quote, roots)
    if not claimed:
        names = ", ".join(root.name for root in roots) or "none"
        raise AttestationError(
            f"its certificate chain does not end at a trusted root (trusted: {names})", code=Code.UNKNOWN_ROOT
        )
    reason, published = "", json.loads(collateral.to_json())
    for root in claimed:
        verifier = dcap_qvl.QuoteVerifier(root.der)
        try:
            # without judging the TCB first, so that a wrong root and a bad TCB are told apart
            claims = verifier.verify_with_policy(
                quote, collateral.inner, now, dcap_qvl.QuotePolicy.claims_only(now)
            )
        except ValueError as error:
            reason = f"{root.name}: {error}"
            if _CHAIN in reason and (told := why(_chain(quote), published, root, now)) is not None:
                reason = f"{reason}: {told}"
            continue
        check_signers(published, root)
        try:
            verifier.verify_with_policy(quote, collateral.inner, now, (policy or TcbPolicy()).at(now))
        except ValueError as error:
            raise AttestationError(f"the policy refuses it: {error}", code=Code.TCB_NOT_ALLOWED) from None
        found = json.loads(claims.to_json())
        return VerifiedQuote(
            parsed,
            root,
            tcb_status=found["tcb"]["status"],
            advisory_ids=tuple(found["tcb"]["advisory_ids"]),
            issued_at=found["latest_issue_date"],
            expires_at=found["earliest_expiration_date"],
        )
    raise AttestationError(reason, code=Code.QUOTE_REJECTED)


def claimed_roots(quote: bytes, roots: Sequence[TrustRoot]) -> list[TrustRoot]:
    """Those of some roots that the quote's own chain ends at, as the pallet has it: dcap-qvl does not look at
    that.
    """
    return [root for root in roots if _claims(quote, root)]


def _claims(quote: bytes, root: TrustRoot) -> bool:
    """Whether the quote's own chain ends in this root's certificate; alone it proves nothing."""
    return _chain(quote)[-1:] == [root.der]


def _chain(quote: bytes) -> list[bytes]:
    """The certificates (DER) in a quote, the platform's own first."""
    return _certificates(dcap_qvl.parse_quote(quote).cert_chain_pem_bytes() or b"")


def _certificates(pem: bytes) -> list[bytes]:
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    bodies = [b"".join(part.split(end)[0].split()) for part in pem.split(begin)[1:]]
    try:
        return [base64.b64decode(body, validate=True) for body in bodies]
    except ValueError:
        return []
