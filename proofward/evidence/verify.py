"""Re-verify a job's evidence, offline: one named check a line, and a verdict that says what it rests on.

Every check is computed from the bundle's bytes; none is believed. The verdict carries `simulated` and
`setup: dev` as flags, and refuses both
unless the caller admits them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from proofward.attestation import (
    DEVELOPMENT_ROOTS,
    PRODUCTION_ROOTS,
    AttestationError,
    Collateral,
    TrustRoot,
    WorkerRecord,
    verify_quote,
    verify_worker,
)
from proofward.check import Check
from proofward.evidence.bundle import Bundle, ModelPart, QuotePart
from proofward.protocol import (
    Lane,
    Level,
    ProtocolError,
    Receipt,
    Setup,
    SetupKind,
    keccak256,
    model_id,
    setup_report_data,
    sha256,
    verify_receipt,
)
from proofward.zkml import PublicArtifact, ZkmlError, load_public
from proofward.zkml.verifier_contract import expected_contract

#: The attestation room's names of two checks, as a verdict calls them.
_NAMES = {"report_data": "binding", "level": "quote level"}


@dataclass(frozen=True, slots=True)
class Policy:
    """What the reader accepts.

    `development` admits the development root, level `simulated` and `setup: dev`. `genesis` and
    `measurements`, when given, pin the chain
    and the software.
    """

    development: bool = False
    min_level: Level = Level.HARDWARE
    allow_dev_setup: bool = False
    genesis: bytes | None = None
    measurements: Collection[bytes] | None = None

    @classmethod
    def for_development(cls, **changes: object) -> Policy:
        """Admits what one party alone set up or simulated; the verdict still says so."""
        return cls(development=True, min_level=Level.SIMULATED, allow_dev_setup=True, **changes)  # type: ignore[arg-type]

    @property
    def roots(self) -> tuple[TrustRoot, ...]:
        """The roots that a quote may chain to."""
        return DEVELOPMENT_ROOTS if self.development else PRODUCTION_ROOTS


@dataclass(frozen=True, slots=True)
class Verdict:
    """`accepted` when every check holds. `flags` name what was simulated or set up by one party, whether it
    was admitted or not."""

    job: bytes
    accepted: bool
    flags: tuple[str, ...]
    checks: tuple[Check, ...] = field(repr=False)

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    @property
    def word(self) -> str:
        """`accepted` or `refused`, with the flags."""
        return ("accepted" if self.accepted else "refused") + (
            f" ({', '.join(self.flags)})" if self.flags else ""
        )


def verify_bundle(bundle: Bundle, policy: Policy | None = None, *, cache: Path | None = None) -> Verdict:
    """Check everything that a bundle claims. Never raises for bad evidence: a check fails.

    `cache` keeps compiled verifier contracts, so that the next bundle of a model needs no compiler run.
    """
    policy = policy or Policy()
    public, model_checks = _model(bundle.model, bundle.job.model)
    checks = [
        _chain(bundle, policy),
        *model_checks,
        *_worker(bundle, policy),
        _receipt(bundle),
        _proof(bundle, public),
        _contract(bundle.model, public, cache),
        _setup(bundle, policy),
        _level(bundle, policy),
    ]
    return Verdict(bundle.job.id, all(check.ok for check in checks), _flags(bundle), tuple(checks))


def _flags(bundle: Bundle) -> tuple[str, ...]:
    flags = ["simulated"] if bundle.result.level != Level.HARDWARE.label else []
    try:
        setup = Setup.decode(bundle.result.setup)
    except ProtocolError:
        return (*flags, "setup: unknown")
    if setup.kind is SetupKind.DEV:
        flags.append("setup: dev")
    elif setup.level is Level.SIMULATED:
        flags.append("setup: attested, simulated")
    return tuple(flags)


def _chain(bundle: Bundle, policy: Policy) -> Check:
    genesis = bundle.chain.genesis
    if policy.genesis is not None and genesis != policy.genesis:
        return Check("chain", False, f"genesis 0x{genesis.hex()} is not the pinned 0x{policy.genesis.hex()}")
    pinned = "pinned" if policy.genesis is not None else "as the bundle says; pin it with --genesis"
    return Check(
        "chain", True, f"{bundle.chain.name} ({bundle.chain.type}), genesis 0x{genesis.hex()} ({pinned})"
    )


def _model(model: ModelPart, claimed: bytes) -> tuple[PublicArtifact | None, list[Check]]:
    """The public artefact out of the bundle, and whether it is the one that the model's id names."""
    found = model_id(
        publisher=model.publisher,
        weights_digest=model.weights_digest,
        manifest_hash=model.manifest_hash,
        lane=Lane.from_label(model.lane),
        vk_hash=model.vk_hash,
        verifier=model.verifier,
        code_hash=model.code_hash,
    )
    if found != claimed:
        return None, [
            Check("model", False, f"its record gives id 0x{found.hex()}, the job names 0x{claimed.hex()}")
        ]
    try:
        public = _unpack(model.files)
    except ZkmlError as error:
        return None, [Check("model", False, error.message)]
    manifest = public.manifest
    facts = {
        "manifest": (public.manifest_hash, model.manifest_hash),
        "weights digest": (bytes.fromhex(manifest.weights_digest), model.weights_digest),
        "verifying key": (bytes.fromhex(manifest.vk_hash), model.vk_hash),
        "circuit digest": (bytes.fromhex(manifest.circuit_digest), model.circuit_digest),
    }
    for name, (ours, theirs) in facts.items():
        if ours != theirs:
            return None, [
                Check("model", False, f"the artefact's {name} is {ours.hex()}, the chain's {theirs.hex()}")
            ]
    return public, [Check("model", True, f"{model.name!r}, weights {model.weights_digest.hex()}")]


def _unpack(files: dict[str, bytes]) -> PublicArtifact:
    with TemporaryDirectory(prefix="proofward-bundle-") as folder:
        for name, data in files.items():
            plain = name.removeprefix("public/")
            if "/" in plain or plain.startswith(".") or len(plain) > 64:
                raise ZkmlError(
                    f"the bundle names a file {name!r}, which is not public/NAME", code="bad-artifact"
                )
            (Path(folder) / plain).write_bytes(data)
        return load_public(Path(folder))


def _worker(bundle: Bundle, policy: Policy) -> list[Check]:
    worker = bundle.worker
    record = WorkerRecord(
        account=bundle.result.worker,
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
        genesis=bundle.chain.genesis,
        block_hash=worker.block_hash,
        now=worker.attestation.time,
        roots=policy.roots,
        measurements=policy.measurements,
    )
    return [replace(check, name=_NAMES.get(check.name.split(" (")[0], check.name)) for check in checks]


def _receipt(bundle: Bundle) -> Check:
    result, job = bundle.result, bundle.job
    try:
        receipt = Receipt(
            genesis=bundle.chain.genesis,
            job=job.id,
            model=job.model,
            worker=result.worker,
            weights_digest=bundle.model.weights_digest,
            input_commitment=job.input_commitment,
            output_commitment=result.output_commitment,
            sealed_output_hash=sha256(result.sealed_output),
            proof_hash=sha256(result.proof),
            level=Level.from_label(result.level),
            setup=Setup.decode(result.setup),
            block=result.receipt_block,
        )
        verify_receipt(receipt, result.receipt_signature, bundle.worker.receipt_key)
    except ProtocolError as error:
        return Check("receipt", False, error.message)
    return Check(
        "receipt",
        True,
        f"signed by the enclave's key {bundle.worker.receipt_key.hex()} at block {receipt.block}",
    )


def _proof(bundle: Bundle, public: PublicArtifact | None) -> Check:
    if public is None:
        return Check("proof", False, "not verified: the model's artefact is not the one that the chain names")
    result = bundle.result
    try:
        good = public.verify(bundle.job.input_commitment, result.output_commitment, result.proof)
    except ZkmlError as error:
        return Check("proof", False, error.message)
    committed = bundle.job.input_commitment.hex()
    said = f"{len(result.proof)} bytes, {public.manifest.lane}, for input commitment {committed}"
    return Check("proof", good, said if good else f"it does not verify: {said}")


def _contract(model: ModelPart, public: PublicArtifact | None, cache: Path | None) -> Check:
    if public is None:
        return Check(
            "contract", False, "not rebuilt: the model's artefact is not the one that the chain names"
        )
    if keccak256(model.contract_code) != model.code_hash:
        return Check(
            "contract", False, f"the code at 0x{model.verifier.hex()} is not the code of the published hash"
        )
    try:
        expected = expected_contract(public, cache)
    except ZkmlError as error:
        return Check("contract", False, error.message)
    if expected.code_hash != model.code_hash:
        return Check(
            "contract",
            False,
            f"rebuilt from the verifying key it has code hash {expected.code_hash.hex()}, on the chain "
            f"{model.code_hash.hex()}",
        )
    return Check("contract", True, f"0x{model.verifier.hex()} is the contract rebuilt from the verifying key")


def _setup(bundle: Bundle, policy: Policy) -> Check:
    try:
        setup = Setup.decode(bundle.result.setup)
    except ProtocolError as error:
        return Check("setup", False, error.message)
    if setup.kind is SetupKind.DEV:
        text = "dev: one party made the keys and could forge proofs"
        return Check(
            "setup",
            policy.allow_dev_setup,
            text + ("" if policy.allow_dev_setup else "; refused without --dev"),
        )
    if setup.kind is SetupKind.CEREMONY:
        return Check("setup", True, "ceremony, certified by the chain's governance")
    if bundle.setup_evidence is None:
        return Check("setup", False, "attested, but the bundle has no quote for it")
    return _attested(bundle.setup_evidence, bundle.model, setup, policy)


def _attested(evidence: QuotePart, model: ModelPart, setup: Setup, policy: Policy) -> Check:
    try:
        found = verify_quote(
            evidence.quote, Collateral.decode(evidence.collateral), now=evidence.time, roots=policy.roots
        )
    except AttestationError as error:
        return Check("setup", False, str(error))
    if found.quote.report_data != setup_report_data(
        circuit_digest=model.circuit_digest, vk_hash=model.vk_hash
    ):
        return Check("setup", False, "the setup's quote binds another circuit or verifying key")
    if found.level is not setup.level:
        return Check(
            "setup", False, f"the setup's quote gives level {found.level.label}, the chain says otherwise"
        )
    good = found.level >= policy.min_level or policy.allow_dev_setup
    return Check(
        "setup", good, f"attested at level {found.level.label}, measurement {found.quote.measurement.hex()}"
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
