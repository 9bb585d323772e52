"""Re-verify a job's evidence, offline: one named check a line, and a verdict that says what it rests on.

Every check is computed from the bundle's bytes; none is believed. What a bundle tells and cannot show is
repeated as its own word and decides nothing. The verdict carries `simulated` and `setup: dev` as flags, and
refuses both unless the caller admits them.
"""

from __future__ import annotations

from dataclasses import replace

from proofward.attestation import AttestationError, Collateral, WorkerClaim, verify_worker
from proofward.check import Check, said
from proofward.evidence.bundle import Bundle, ChainPart, WorkerPart
from proofward.evidence.inclusion import included
from proofward.evidence.model import contract_checks, model_checks, proof_check
from proofward.evidence.policy import Policy
from proofward.evidence.setup import setup_checks
from proofward.evidence.times import no_younger, order_checks
from proofward.evidence.two_results import receipt_of
from proofward.evidence.verdict import Outcome, Verdict
from proofward.protocol import (
    Level,
    ProtocolError,
    Setup,
    SetupKind,
    verify_receipt,
)
from proofward.zkml.hiding import hides

__all__ = ["Outcome", "Policy", "Verdict", "verify_bundle"]

_NAMES = {"report_data": "binding", "level": "quote level"}
"""The attestation room's names of two checks, as a verdict calls them."""


def verify_bundle(bundle: Bundle, policy: Policy | None = None) -> Verdict:
    """Check everything that a bundle claims. Never raises for bad evidence: a check fails."""
    policy = policy or Policy()
    public, checks_of_model = model_checks(bundle.model, bundle.job.model)
    job, result = bundle.job, bundle.result
    state = included(bundle, policy)
    checks = [
        *chain_checks(bundle.chain, policy),
        *checks_of_model,
        *worker_checks(bundle.result.worker, bundle.worker, bundle.chain.genesis, policy),
        _receipt(bundle),
        proof_check(public, job.input_commitment, result.output_commitment, result.proof),
        *contract_checks(bundle.model, policy),
        *setup_checks(
            result.setup,
            bundle.setup_evidence,
            model=bundle.model,
            public=public,
            genesis=bundle.chain.genesis,
            policy=policy,
            certificate=state.certificate or policy.certified.get(job.model),
        ),
        _level(bundle, policy),
        _terms(bundle, policy),
        *order_checks(bundle, policy),
        *state.checks,
        said("client", f"0x{job.client.hex()}, who may be anybody: {policy.witness}"),
    ]
    flags = flags_of(bundle.model.lane, bundle.result.level, bundle.result.setup)
    return Verdict(bundle.job.id, flags, tuple(checks))


def flags_of(lane: str, level: str, encoded: bytes) -> tuple[str, ...]:
    """What a verdict says beside its word: what was simulated, set up by one party or not hiding."""
    flags = [] if hides(lane) else ["not hiding"]
    if level != Level.HARDWARE.label:
        flags.append("simulated")
    try:
        setup = Setup.decode(encoded)
    except ProtocolError:
        return (*flags, "setup: unknown")
    if setup.kind is SetupKind.DEV:
        flags.append("setup: dev")
    elif setup.level is Level.SIMULATED:
        flags.append("setup: attested, simulated")
    return tuple(flags)


def chain_checks(chain: ChainPart, policy: Policy) -> list[Check]:
    """Which chain, against the reader's pin."""
    named = said("chain name", f"{chain.name!r}, {chain.type!r}: {policy.witness}")
    told = f"genesis 0x{chain.genesis.hex()}"
    if policy.genesis is None:
        return [Check("chain", None, f"{told}: no genesis is pinned; give --genesis"), named]
    if chain.genesis != policy.genesis:
        return [Check("chain", False, f"{told} is not the pinned 0x{policy.genesis.hex()}"), named]
    return [Check("chain", True, f"{told}, as pinned"), named]


def worker_checks(account: bytes, worker: WorkerPart, genesis: bytes, policy: Policy) -> list[Check]:
    """A worker's quote: whose keys it binds, of what platform and software."""
    late = no_younger("quote", worker.attestation.time, policy)
    if late is not None:
        return [late]
    record = WorkerClaim(
        account=account,
        level=Level.from_label(worker.level),
        measurement=worker.measurement,
        hpke_key=worker.hpke_key,
        receipt_key=worker.receipt_key,
        epoch=worker.epoch,
        quote_hash=worker.quote_hash,
    )
    try:
        collateral = Collateral.decode(worker.attestation.collateral)
    except AttestationError as error:
        return [Check("quote", False, str(error))]
    checks = verify_worker(
        record,
        worker.attestation.quote,
        collateral,
        genesis=genesis,
        block_hash=worker.block_hash,
        now=worker.attestation.time,
        roots=policy.roots,
        measurements=policy.measurements,
    )
    if policy.measurements is None:
        checks.append(Check("measurement allowed", None, "no measurement is pinned; give --measurement"))
    return [replace(check, name=_NAMES.get(check.name.split(" (")[0], check.name)) for check in checks]


def _receipt(bundle: Bundle) -> Check:
    try:
        receipt = receipt_of(bundle)
        verify_receipt(receipt, bundle.result.receipt_signature, bundle.worker.receipt_key)
    except ProtocolError as error:
        return Check("receipt", False, error.message)
    return Check(
        "receipt",
        True,
        f"signed by the enclave's key {bundle.worker.receipt_key.hex()} at block {receipt.block}",
    )


def _level(bundle: Bundle, policy: Policy) -> Check:
    level = Level.from_label(bundle.result.level)
    if bundle.worker.level != bundle.result.level:
        return Check(
            "level", False, f"the receipt says {level.label}, the worker's record {bundle.worker.level}"
        )
    if level < Level.from_label(bundle.job.min_level):
        return Check("level", False, f"{level.label}, below the job's own {bundle.job.min_level}")
    good = level >= policy.min_level
    return Check("level", good, level.label if good else f"{level.label}; refused without --dev")


def _terms(bundle: Bundle, policy: Policy) -> Check:
    """What the job asked for is somebody's word; that its result keeps to it is checked, as a chain would."""
    job = bundle.job
    by_one = "keys that one party made" if job.allow_dev_setup else "no keys that one party made"
    asked = f"level {job.min_level} at least, {by_one}"
    try:
        setup = Setup.decode(bundle.result.setup)
    except ProtocolError as error:
        return Check("terms", False, error.message)
    if not setup.acceptable(Level.from_label(job.min_level), allow_dev=job.allow_dev_setup):
        return Check("terms", False, f"the result rests on a setup {setup}, and the job asked for {asked}")
    return said("terms", f"{asked}: {policy.witness}")
