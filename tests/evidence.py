"""One real job, without a chain: a compiled model, a simulated platform's quote, the enclave's own code,
and the bundle of it all.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from proofward.attestation import parse_quote
from proofward.evidence.bundle import Bundle, ChainPart, JobPart, ModelPart, QuotePart, ResultPart, WorkerPart
from proofward.evidence.policy import Policy
from proofward.protocol import (
    DEV_SETUP,
    HpkePrivateKey,
    HpkeSuite,
    JobContext,
    JobPayload,
    Lane,
    Level,
    OutputContext,
    RecipientKey,
    Setup,
    job_id,
    model_id,
    reply_nonce,
    seal_job,
    sha256,
    worker_report_data,
)
from proofward.protocol.requests import JobRequest
from proofward.zkml import Artifact, CompileOptions, available_lanes, compile_model, load_artifact
from proofward.zkml.contracts import verifier_code
from proofward_enclave.epochs import Epochs
from proofward_enclave.models import ModelStore
from proofward_enclave.providers.simulator import SimulatorProvider
from proofward_enclave.work import JobRunner
from tests.once import once
from tests.zkml.onnx_models import Graph, hasty

GENESIS, WORKER, CLIENT, PUBLISHER, BLOCK_HASH = (sha256(name) for name in (b"g", b"w", b"c", b"p", b"b"))
VERIFIER = sha256(b"v")[:20]
RECORD = np.array([[0.25, -0.5, 0.75]])


@dataclass(frozen=True)
class Evidence:
    """The bundle, and what the client keeps to itself."""

    bundle: Bundle
    artifact: Artifact
    context: OutputContext
    reply_key: HpkePrivateKey
    cache: Path


def pinned(evidence: Evidence, **changes: Any) -> Policy:
    """The policy of a reader who admits development and knows chain and software from elsewhere."""
    measurement = parse_quote(evidence.bundle.worker.attestation.quote).measurement
    return Policy.for_development(genesis=GENESIS, measurements={measurement}, **changes)


@hasty()
def compile_tiny(out: Path, batch: int = 1, *, record_openings: bool = True) -> Artifact:
    """A 3-4-1 network, on the lane that this machine prefers."""
    graph = Graph((3,), seed=3)
    graph.node("Gemm", graph.weights(4, 3), graph.weights(4), transB=1)
    graph.node("Relu")
    graph.node("Gemm", graph.weights(1, 4), graph.weights(1), transB=1)
    return compile_model(
        graph.model(),
        graph.records(64),
        out,
        name="tiny",
        options=CompileOptions(
            lane=available_lanes()[0],
            batch=batch,
            record_openings=record_openings,
            accuracy_bound=0.5,
            max_shift=10.0,
            task="regression",
        ),
    )


def tiny(factory: pytest.TempPathFactory, batch: int = 1) -> Artifact:
    """The network, compiled once in a run, alone in its folder as `tiny`: who writes there makes a copy."""
    folder = once(factory, f"tiny-of-{batch}", lambda folder: compile_tiny(folder / "tiny", batch))
    return load_artifact(folder / "tiny")


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return tiny(tmp_path_factory)


@pytest.fixture(scope="session")
def evidence(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return make_evidence(artifact, RECORD, tmp_path_factory.mktemp("contracts"))


def make_evidence(
    artifact: Artifact, records: NDArray[np.float64], cache: Path, setup: Setup = DEV_SETUP
) -> Evidence:
    """Do a job on `records` [n, 3] with the enclave's own code, and bundle what came of it."""
    public, manifest = artifact.public, artifact.manifest
    contract = verifier_code(manifest.lane)
    facts = {
        "publisher": PUBLISHER,
        "weights_digest": bytes.fromhex(manifest.weights_digest),
        "manifest_hash": public.manifest_hash,
        "vk_hash": bytes.fromhex(manifest.vk_hash),
        "key_hash": public.key_hash,
    }
    model = model_id(lane=Lane.from_label(manifest.lane), **facts)
    reply_key = HpkePrivateKey.generate(HpkeSuite.X25519)
    job = job_id(CLIENT, reply_nonce(reply_key.public))

    epochs = Epochs()
    epoch = epochs.begin(GENESIS, WORKER, 1)
    binding = worker_report_data(
        genesis=GENESIS,
        account=WORKER,
        hpke_key=epoch.hpke.public,
        receipt_key=epoch.receipt.public,
        epoch=1,
        block_hash=BLOCK_HASH,
    )
    quoted = SimulatorProvider().quote(binding)
    assert quoted.collateral is not None

    values, salt = public.pad(public.quantize(records)), b"s" * 32
    context = JobContext(GENESIS, job, CLIENT, model, public.commit_input(values, salt))
    payload = JobPayload(len(records), tuple(int(one) for one in values.reshape(-1)), salt, reply_key.public)
    envelope = seal_job(context, payload, [RecipientKey(WORKER, 1, epoch.hpke.public)])
    store = ModelStore(artifact.path.parent)
    store.load(artifact.path.name)
    request = JobRequest(
        context=context,
        worker=WORKER,
        manifest_hash=public.manifest_hash,
        weights_digest=facts["weights_digest"],
        publisher=PUBLISHER,
        setup=setup,
        level=Level.SIMULATED,
    )
    done = JobRunner(epochs, store, simulated=True).work(request, envelope, 7)
    bundle = Bundle(
        chain=ChainPart(genesis=GENESIS, name="Test", type="Development"),
        job=JobPart(
            id=job,
            client=CLIENT,
            model=model,
            input_commitment=context.input_commitment,
            min_level="simulated",
            allow_dev_setup=True,
            deadline=100,
            submitted_at=5,
        ),
        result=ResultPart(
            worker=WORKER,
            level="simulated",
            setup=setup.encode(),
            output_commitment=done["output_commitment"],
            proof=done["proof"],
            sealed_output=done["sealed_output"],
            receipt_block=7,
            receipt_signature=done["receipt_signature"],
            block=9,
        ),
        model=ModelPart(
            name="tiny",
            lane=manifest.lane,
            circuit_digest=bytes.fromhex(manifest.circuit_digest),
            verifier=VERIFIER,
            contract_code=contract.runtime_code,
            files={"public/manifest.json": manifest.canonical(), **public.files},
            **facts,
        ),
        worker=WorkerPart(
            level="simulated",
            measurement=parse_quote(quoted.quote).measurement,
            hpke_key=epoch.hpke.public,
            receipt_key=epoch.receipt.public,
            epoch=1,
            quote_hash=sha256(quoted.quote),
            block_hash=BLOCK_HASH,
            attestation=QuotePart(quote=quoted.quote, collateral=quoted.collateral, time=int(time.time())),
        ),
    )
    output = OutputContext(GENESIS, job, model, WORKER, context.input_commitment, done["output_commitment"])
    return Evidence(bundle, artifact, output, reply_key, cache)
