"""What a client does about a result that was paid for and does not open: it shows the chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from proofward.amounts import UNIT
from proofward.chain import Inclusion, SubstrateClient
from proofward.chain.pallets import jobs, models
from proofward.chain.pallets.jobs import Undelivered
from proofward.chain.values import Call
from proofward.check import Check
from proofward.client.answer import examine
from proofward.client.collect import accepted_job, sealed_output
from proofward.errors import NotFound, Refused
from proofward.evidence.verdict import Verdict
from proofward.protocol import HpkePrivateKey, HpkeSuite, job_id, reply_nonce
from proofward.zkml import PublicArtifact
from proofward.zkml.manifest import MAX_CONTESTED_BYTES


def require_contestable(public: PublicArtifact) -> None:
    """Refuse a model whose worker could be paid for a result that does not open. Raises Refused."""
    size = len(public.manifest.canonical())
    if size > MAX_CONTESTED_BYTES:
        raise Refused(
            f"the model's manifest has {size} bytes, and the chain reads {MAX_CONTESTED_BYTES} at most: a "
            "result that does not open could not be contested, and its worker keeps the price; `job submit "
            "--uncontestable` takes that risk",
            code="not-contestable",
        )


def contest(
    chain: SubstrateClient,
    send: Callable[[str, Call], Inclusion],
    job: bytes,
    public: PublicArtifact,
    reply_secret: bytes,
) -> Undelivered:
    """Show the chain that a job's result does not open, and what it took from the worker. `send` makes a call
    happen once under a key.

    Whether it opens is found out here first: who contests a result that opens publishes it. Raises Refused
    (`output-opens`, `contest-over`, `not-contestable`), NotFound, JobRefunded, DispatchError, ChainError.
    """
    record, verdict = accepted_job(chain, job)
    found = jobs.contested(chain, job)
    if found is not None:
        return found
    context, sealed = sealed_output(chain, record, verdict)
    key = HpkePrivateKey.from_bytes(HpkeSuite.X25519, reply_secret)
    fault, _ = examine(public, context, sealed, key)
    if fault is None:
        raise Refused(
            f"the output of job 0x{job.hex()} opens what was proven: the chain would refuse the contest, and "
            "everybody could read the answer; open it with `proofward job open`",
            code="output-opens",
        )
    if job_id(record.client, reply_nonce(key.public)) != job:
        raise Refused(
            f"job 0x{job.hex()} was submitted by a client that did not commit to its reply key; the chain "
            "cannot judge its output",
            code="not-contestable",
        )
    end = verdict.block + int(chain.constant(jobs.PALLET, "ContestWindow"))
    if chain.finalised_head().number >= end:
        raise Refused(f"job 0x{job.hex()} could be contested until block {end}", code="contest-over")
    require_contestable(public)
    # The entry may have left the chain since; a node that keeps old state still has it.
    model = models.get(chain, record.model) or models.get(
        chain, record.model, at=chain.block_hash(verdict.block)
    )
    if model is None:
        raise NotFound(f"the chain no longer has model 0x{record.model.hex()}; ask an archive node")
    call = jobs.contest(
        job=job,
        reply_key=reply_secret,
        sealed_output=sealed,
        manifest=public.manifest.canonical(),
        publisher=model.publisher,
        weights_digest=model.weights_digest,
        lane=model.lane,
        vk_hash=model.vk_hash,
        key_hash=model.key_hash,
    )
    send(f"contest:{job.hex()}", call)
    found = jobs.contested(chain, job)
    if found is None:
        raise NotFound(f"the chain shows no contest of job 0x{job.hex()}; look with `proofward job show`")
    return found


def with_contest(chain: SubstrateClient, verdict: Verdict) -> Verdict:
    """A verdict on evidence, refused if its output does not open, as its client has shown on the chain."""
    shown = jobs.contested(chain, verdict.job)
    if shown is None:
        return verdict
    told = (
        f"its client showed in block {shown.block} that the output does not open ({shown.fault}); the worker "
        f"lost {shown.slashed / UNIT:g} UNIT"
    )
    return replace(verdict, checks=(*verdict.checks, Check("delivery", False, told)))
