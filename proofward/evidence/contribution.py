"""An enclave's contribution to a ceremony, and what shows that an enclave made it."""

from __future__ import annotations

from pathlib import Path

from proofward.attestation import AttestationError, Collateral, verify_quote
from proofward.check import Check
from proofward.evidence.bundle import Hash, QuotePart, load_as
from proofward.evidence.policy import Policy
from proofward.evidence.times import no_younger
from proofward.protocol import contribution_report_data
from proofward.zkml.groth16.ceremony import Transcript

MAX_BYTES = 1 << 18


class ContributionQuote(QuotePart):
    """The quote of an enclave that contributed; `contribution` is the transcript's hash after it."""

    contribution: Hash


def load_quote(path: Path) -> ContributionQuote:
    """Read a contribution's quote, bounded and strict. Raises BundleError."""
    return load_as(ContributionQuote, path, called="contribution's quote", most=MAX_BYTES)


def contribution_checks(evidence: ContributionQuote, transcript: Transcript, policy: Policy) -> list[Check]:
    """Whether one of the transcript's contributions was made in an enclave, and in which. Never raises."""
    hashes = [one.hash for one in transcript.contributions]
    if evidence.contribution.hex() not in hashes:
        return [Check("enclave", False, f"no contribution has the hash {evidence.contribution.hex()}")]
    place = hashes.index(evidence.contribution.hex())
    late = no_younger("enclave", evidence.time, policy)
    if late is not None:
        return [late]
    try:
        collateral = Collateral.decode(evidence.collateral)
        found = verify_quote(evidence.quote, collateral, now=evidence.time, roots=policy.roots)
    except AttestationError as error:
        return [Check("enclave", False, f"its quote: {error}")]
    bound = contribution_report_data(
        circuit_digest=bytes.fromhex(transcript.circuit),
        phase1=bytes.fromhex(transcript.phase1),
        contribution=evidence.contribution,
    )
    if found.quote.report_data != bound:
        return [Check("enclave", False, "its quote binds another circuit, phase 1 or contribution")]
    name = transcript.contributions[place].name
    told = f"contribution {place + 1} ({name}) was made in an enclave of level {found.level.label}"
    checks = [Check("enclave", found.level >= policy.min_level, told)]
    measurement = found.quote.measurement
    if policy.measurements is None:
        told = f"{measurement.hex()}: no measurement is pinned; give --measurement"
        return [*checks, Check("enclave measurement", None, told)]
    allowed = measurement in policy.measurements
    told = measurement.hex() if allowed else f"{measurement.hex()} is not on the given allow-list"
    return [*checks, Check("enclave measurement", allowed, told)]
