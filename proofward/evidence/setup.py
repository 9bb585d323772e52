"""Who made the model's keys, and what shows it."""

from __future__ import annotations

from proofward.attestation import AttestationError, Collateral, verify_quote
from proofward.check import Check, said
from proofward.evidence.bundle import ModelPart, SetupPart
from proofward.evidence.ceremony import ceremony_checks
from proofward.evidence.policy import Certificate, Policy
from proofward.evidence.times import no_younger
from proofward.protocol import ProtocolError, Setup, SetupKind, setup_report_data
from proofward.zkml import PublicArtifact


def setup_checks(
    encoded: bytes,
    evidence: SetupPart | None,
    *,
    model: ModelPart,
    public: PublicArtifact | None,
    genesis: bytes,
    policy: Policy,
    certificate: Certificate | None,
) -> list[Check]:
    """Who made a model's keys; `encoded` is what the chain says of it (SCALE)."""
    try:
        setup = Setup.decode(encoded)
    except ProtocolError as error:
        return [Check("setup", False, error.message)]
    if setup.kind is SetupKind.ATTESTED:
        if evidence is None:
            return [Check("setup", None, "attested, and there is no quote that shows it")]
        return _attested(evidence, model, genesis, setup, policy)
    unread = [said("setup quote", f"one is here and unread: the setup is {setup.label}")] if evidence else []
    if setup.kind is SetupKind.CEREMONY:
        return [*ceremony_checks(public, certificate, policy), *unread]
    text = "dev: one party made the keys and could forge proofs"
    admitted = policy.allow_dev_setup
    return [Check("setup", admitted, text if admitted else f"{text}; refused without --dev"), *unread]


def _attested(
    evidence: SetupPart, model: ModelPart, genesis: bytes, setup: Setup, policy: Policy
) -> list[Check]:
    late = no_younger("setup", evidence.time, policy)
    if late is not None:
        return [late]
    try:
        found = verify_quote(
            evidence.quote, Collateral.decode(evidence.collateral), now=evidence.time, roots=policy.roots
        )
    except AttestationError as error:
        return [Check("setup", False, f"its quote: {error}")]
    bound = setup_report_data(
        genesis=genesis,
        publisher=model.publisher,
        manifest_hash=model.manifest_hash,
        circuit_digest=model.circuit_digest,
        vk_hash=model.vk_hash,
        block_hash=evidence.block_hash,
    )
    if found.quote.report_data != bound:
        return [Check("setup", False, "its quote binds another chain, publisher, model, key or block")]
    if found.level is not setup.level:
        return [Check("setup", False, f"its quote gives level {found.level.label}, the receipt says {setup}")]
    measurement = found.quote.measurement
    good = found.level >= policy.min_level or policy.allow_dev_setup
    checks = [Check("setup", good, f"attested at level {found.level.label}")]
    if policy.measurements is None:
        told = f"{measurement.hex()}: no measurement is pinned; give --measurement"
        return [*checks, Check("setup measurement", None, told)]
    allowed = measurement in policy.measurements
    told = measurement.hex() if allowed else f"{measurement.hex()} is not on the given allow-list"
    return [*checks, Check("setup measurement", allowed, told)]
