"""Collect a job's evidence from the chain into a bundle: every byte is fetched, nothing is concluded."""

from __future__ import annotations

from proofward.chain import SubstrateClient, accounts
from proofward.chain.ethereum.revive import contract_code
from proofward.chain.pallets import jobs, models, workers
from proofward.chain.pallets.jobs import Accepted, Delivery, JobRecord, Refunded
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward.client.errors import JobRefunded
from proofward.client.inclusion import prove
from proofward.client.workers import collateral_of, registration
from proofward.errors import NotFound, Refused
from proofward.evidence.bundle import (
    Bundle,
    ChainPart,
    JobPart,
    ModelPart,
    QuotePart,
    ResultPart,
    SetupPart,
    WorkerPart,
)
from proofward.protocol import OutputContext, ProtocolError, Receipt, SetupKind, sha256, verify_receipt
from proofward.zkml import PublicArtifact


def accepted_job(client: SubstrateClient, job: bytes) -> tuple[JobRecord, Accepted]:
    """A job's record and its verdict. Raises NotFound, JobRefunded, or Refused for a job without a verdict
    yet.
    """
    record = jobs.get(client, job)
    if record is None:
        raise NotFound(f"the chain has no job 0x{job.hex()}")
    if isinstance(record.status, Refunded):
        raise JobRefunded(
            f"job 0x{job.hex()} was refunded in block {record.status.block}: nobody delivered by its deadline"
        )
    if not isinstance(record.status, Accepted):
        raise Refused(f"job 0x{job.hex()} has no result yet; wait for it first", code="not-finished")
    return record, record.status


def delivered(client: SubstrateClient, record: JobRecord) -> Delivery:
    """What the worker handed in for an accepted job. Raises NotFound."""
    found = jobs.delivery(client, record)
    if found is None:
        raise NotFound(
            f"the node no longer has the block with the result of job 0x{record.id.hex()}; ask an archive "
            "node"
        )
    return found


def sealed_output(
    client: SubstrateClient, record: JobRecord, verdict: Accepted
) -> tuple[OutputContext, bytes]:
    """What an accepted job's output was sealed for, and the sealed output. Raises NotFound."""
    context = OutputContext(
        client.genesis,
        record.id,
        record.model,
        verdict.worker,
        record.input_commitment,
        verdict.output_commitment,
    )
    return context, delivered(client, record).sealed_output


def collect(
    client: SubstrateClient, job: bytes, public: PublicArtifact, *, inclusion: bool = False
) -> Bundle:
    """The bundle of an accepted job; with `inclusion` the chain's own proof of it, where it has GRANDPA.

    Raises NotFound, JobRefunded, Refused, ChainError.
    """
    record, verdict = accepted_job(client, job)
    model = models.get(client, record.model)
    if model is None:
        raise NotFound(f"the chain has no model 0x{record.model.hex()}")
    delivery = delivered(client, record)
    worker = _signer(client, record, model, verdict, delivery)
    return Bundle(
        chain=ChainPart(genesis=client.genesis, name=client.chain_name, type=client.chain_type),
        job=JobPart(
            id=job,
            client=record.client,
            model=record.model,
            input_commitment=record.input_commitment,
            min_level=record.min_level.label,
            allow_dev_setup=record.allow_dev_setup,
            deadline=record.deadline,
            submitted_at=record.submitted_at,
        ),
        result=ResultPart(
            worker=verdict.worker,
            level=verdict.level.label,
            setup=verdict.setup.encode(),
            output_commitment=verdict.output_commitment,
            proof=delivery.proof,
            sealed_output=delivery.sealed_output,
            receipt_block=delivery.receipt_block,
            receipt_signature=delivery.receipt_signature,
            block=verdict.block,
        ),
        model=model_part(client, model, public, verdict.block),
        worker=worker_part(client, worker),
        setup_evidence=setup_evidence(client, model),
        inclusion=prove(
            client, job=job, model=record.model, lane=model.lane, measurement=worker.measurement,
            block=verdict.block,
        ) if inclusion else None,
    )  # fmt: skip


def worker_part(client: SubstrateClient, worker: WorkerRecord) -> WorkerPart:
    """A registration with its quote. Raises NotFound."""
    found = registration(client, worker)
    return WorkerPart(
        level=worker.level.label,
        measurement=worker.measurement,
        hpke_key=worker.hpke_key,
        receipt_key=worker.receipt_key,
        epoch=worker.epoch,
        quote_hash=worker.quote_hash,
        block_hash=found.block_hash,
        attestation=QuotePart(quote=found.quote, collateral=found.collateral, time=found.time),
    )


def model_part(client: SubstrateClient, model: ModelRecord, public: PublicArtifact, block: int) -> ModelPart:
    """A model's record and files, with the contract that judged in this block. Raises NotFound."""
    at = client.block_hash(block)
    contract = models.verifier(client, model.lane, at)
    if contract is None:
        raise NotFound(f"the {model.lane.label} lane had no contract in block {block}")
    return ModelPart(
        publisher=model.publisher,
        name=model.name,
        lane=model.lane.label,
        weights_digest=model.weights_digest,
        manifest_hash=model.manifest_hash,
        vk_hash=model.vk_hash,
        circuit_digest=model.circuit_digest,
        key_hash=model.key_hash,
        verifier=contract.address,
        contract_code=contract_code(client, contract.address, at),
        files={"public/manifest.json": public.manifest.canonical(), **public.files},
    )


def _signer(
    client: SubstrateClient, record: JobRecord, model: ModelRecord, verdict: Accepted, delivery: Delivery
) -> WorkerRecord:
    """The worker's record, at the verdict, of the epoch whose key signed the receipt: the current one or
    the one before.
    """
    receipt = Receipt(
        genesis=client.genesis,
        job=record.id,
        model=record.model,
        worker=verdict.worker,
        weights_digest=model.weights_digest,
        input_commitment=record.input_commitment,
        output_commitment=verdict.output_commitment,
        sealed_output_hash=verdict.sealed_output_hash,
        proof_hash=verdict.proof_hash,
        level=verdict.level,
        setup=verdict.setup,
        block=delivery.receipt_block,
    )
    newest = workers.get(client, verdict.worker, at=client.block_hash(verdict.block))
    if newest is None:
        raise NotFound(f"the chain had no worker {accounts.ss58(verdict.worker)} in block {verdict.block}")
    try:
        verify_receipt(receipt, delivery.receipt_signature, newest.receipt_key)
    except ProtocolError:
        earlier = workers.get(client, verdict.worker, at=client.block_hash(newest.registered_at - 1))
        return earlier or newest
    return newest


def setup_evidence(client: SubstrateClient, model: ModelRecord) -> SetupPart | None:
    """The quote of a model's attested setup; None of another's. Raises NotFound."""
    if model.setup.kind is not SetupKind.ATTESTED:
        return None
    included = client.block_hash(model.published_at)
    for call in client.find_calls(included, "Models", "publish"):
        evidence = call.args["evidence"]
        attested = evidence["Attested"] if isinstance(evidence, dict) else None
        if attested is not None and sha256(attested["quote"]) == model.evidence_hash:
            quote = attested["quote"]
            return SetupPart(
                quote=quote,
                block_hash=client.block_hash(attested["block"]),
                collateral=collateral_of(client, quote, included),
                time=client.timestamp(included) // 1000,
            )
    raise NotFound(
        f"block {model.published_at} has no publication of model 0x{model.id.hex()} with its setup's quote"
    )
