"""Statements about jobs: what opens their commitments, and whose the commitments of a statement are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from proofward.chain import SubstrateClient
from proofward.chain.pallets import jobs as chain_jobs
from proofward.chain.pallets import models
from proofward.chain.pallets.jobs import Accepted
from proofward.check import Check
from proofward.client.answer import examine
from proofward.client.collect import accepted_job, sealed_output
from proofward.client.job import job_bytes
from proofward.client.store import default_directory
from proofward.errors import Refused
from proofward.evidence import proof_file
from proofward.evidence.bundle import Bundle
from proofward.evidence.verify import Policy, flags_of, verify_bundle
from proofward.protocol import HpkePrivateKey, HpkeSuite
from proofward.statements.keys import StatementKey, find_or_make
from proofward.statements.meaning import Subject, bounds_of, meaning
from proofward.statements.sentence import parse
from proofward.statements.statement import Opened, Statement
from proofward.zkml import Artifact, PublicArtifact
from proofward.zkml.groth16.records import open_record

if TYPE_CHECKING:
    from proofward.client.client import Client

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def shelf() -> Path:
    """Where keys of one's own lie: `statement-keys` below `$PROOFWARD_STATE`."""
    return default_directory() / "statement-keys"


def key_for(
    sentence: str, public: PublicArtifact, records: int, together: bool, subject: Subject, keys: Path
) -> StatementKey:
    """The keys that a sentence needs, on a shelf of one's own; made there when there are none. Raises
    StatementError, CompileError.
    """
    return find_or_make(meaning(parse(sentence), public.manifest, subject, records, together).shape, keys)


def opened_jobs(
    client: Client,
    names: Sequence[str],
    *,
    subject: Subject = "output",
    artifact: Path | None = None,
    inputs: Floats | None = None,
) -> tuple[PublicArtifact, Opened]:
    """What opens the jobs' commitments; all must be of one model. Several jobs must carry one record each.

    `inputs` [records, features] for statements about inputs: a client keeps an input's salt, not the input.
    Raises NotFound, Refused, OutputMismatch.
    """
    public: PublicArtifact | None = None
    values: list[Integers] = []
    commitments, salts, ids = [], [], []
    given = None if inputs is None else np.atleast_2d(np.asarray(inputs, dtype=np.float64))
    for number, name in enumerate(names):
        job = job_bytes(name)
        secrets = client.store.load(job)
        record, verdict = accepted_job(client.chain, job)
        mine = client.artifact_of(secrets, artifact)
        if public is not None and mine.manifest_hash != public.manifest_hash:
            raise Refused("the jobs are of several models; a statement is about one")
        public = mine
        batch = public.manifest.batch
        if batch > 1 and len(names) > 1:
            raise Refused(f"the model takes {batch} records a job; a statement is about one such job")
        if subject == "output":
            found, salt = _output(client, public, job, secrets.reply_secret)
            commitments.append(verdict.output_commitment)
        else:
            own = None if given is None else given[number : number + 1] if batch == 1 else given
            found, salt = _input(public, own, bytes.fromhex(secrets.input_salt), record.input_commitment)
            commitments.append(record.input_commitment)
        values.append(found)
        salts += [open_record(public.manifest, subject, found, salt, i).salt for i in range(batch)]
        ids.append(job)
    assert public is not None
    together, flat = public.manifest.batch > 1, np.concatenate(values).tolist()
    return public, Opened(commitments, flat, salts, together, client.chain.genesis, ids)


def opened_file(
    path: Path, artifact: Artifact, inputs: Floats, subject: Subject = "output"
) -> tuple[PublicArtifact, Opened]:
    """What opens a proof file's commitments: its salts beside it, and the records that were proved.

    Raises Refused, ProofFileError, InputRangeError.
    """
    proof, public = proof_file.load(path), artifact.public
    input_salt, output_salt = proof_file.load_salts(path)
    values = public.pad(public.quantize(np.atleast_2d(np.asarray(inputs, dtype=np.float64))))
    if public.commit_input(values, input_salt) != proof.input_commitment:
        raise Refused(f"these records are not the ones that {path} proves", code="other-records")
    found, salt, commitment = (
        (artifact.infer(values), output_salt, proof.output_commitment)
        if subject == "output"
        else (values, input_salt, proof.input_commitment)
    )
    batch = public.manifest.batch
    salts = [open_record(public.manifest, subject, found, salt, i).salt for i in range(batch)]
    return public, Opened([commitment], found.tolist(), salts, batch > 1)


def _output(client: Client, public: PublicArtifact, job: bytes, reply_secret: str) -> tuple[Integers, bytes]:
    context, sealed = sealed_output(client.chain, *accepted_job(client.chain, job))
    key = HpkePrivateKey.from_bytes(HpkeSuite.X25519, bytes.fromhex(reply_secret))
    fault, payload = examine(public, context, sealed, key)
    if payload is None:
        raise Refused(f"the output of job 0x{job.hex()} does not open ({fault}); nothing can be said of it")
    bounds_of(public.manifest, "output")
    shape = (public.manifest.batch, public.manifest.output.length)
    return np.array(payload.values, dtype=np.int64).reshape(shape), payload.output_salt


def _input(
    public: PublicArtifact, given: Floats | None, salt: bytes, commitment: bytes
) -> tuple[Integers, bytes]:
    if given is None or not len(given):
        raise Refused(
            "a statement about an input needs the record again: give --input; its salt is kept here, the "
            "record is not",
            code="usage",
        )
    values = public.pad(public.quantize(given))
    if public.commit_input(values, salt) != commitment:
        raise Refused("the record is not the one that was submitted", code="other-records")
    return values, salt


def chain_check(chain: SubstrateClient, statement: Statement) -> Check:
    """Whether the statement's commitments are those of its accepted jobs on this chain, of its model."""
    name = "commitments"
    if statement.jobs is None:
        return Check(name, False, "the statement names no jobs, so no chain can vouch for its commitments")
    if statement.genesis != chain.genesis.hex():
        return Check(name, False, f"the jobs are of the chain 0x{statement.genesis}, not of this one")
    if len(statement.jobs) != len(statement.commitments):
        return Check(name, False, "the statement has not one commitment a job")
    for named, commitment in zip(statement.jobs, statement.roots, strict=True):
        record = chain_jobs.get(chain, bytes.fromhex(named))
        if record is None or not isinstance(record.status, Accepted):
            return Check(name, False, f"the chain has no accepted job 0x{named}")
        own = record.status.output_commitment if statement.subject == "output" else record.input_commitment
        if own != commitment:
            return Check(name, False, f"job 0x{named} has another commitment on the chain, 0x{own.hex()}")
        model = models.get(chain, record.model)
        if model is None or model.manifest_hash.hex() != statement.manifest_hash:
            return Check(name, False, f"job 0x{named} is of another model")
    several = len(set(statement.jobs)) != len(statement.jobs)
    if several:
        return Check(name, False, "one job stands twice among them: it would be counted twice")
    return Check(name, True, f"of {len(statement.jobs)} accepted job(s): {chain.witness}")


def chain_flags(chain: SubstrateClient, statement: Statement) -> tuple[str, ...]:
    """What a verdict says beside its word of the statement's jobs that this chain has accepted."""
    found: list[str] = []
    for named in statement.jobs or ():
        record = chain_jobs.get(chain, bytes.fromhex(named))
        model = None if record is None else models.get(chain, record.model)
        if record is not None and model is not None and isinstance(record.status, Accepted):
            status = record.status
            found += flags_of(model.lane.label, status.level.label, status.setup.encode())
    return tuple(dict.fromkeys(found))


def bundle_flags(bundles: Sequence[Bundle]) -> tuple[str, ...]:
    """What a verdict says beside its word of the bundles' jobs."""
    each = (flags_of(one.model.lane, one.result.level, one.result.setup) for one in bundles)
    return tuple(dict.fromkeys(flag for flags in each for flag in flags))


def bundle_checks(bundles: Sequence[Bundle], statement: Statement, policy: Policy) -> list[Check]:
    """Every check of every bundle, and whether they are of the statement's jobs."""
    found = [
        Check(one.name, one.ok, f"job {number}: {one.detail}", one.required)
        for number, bundle in enumerate(bundles)
        for one in verify_bundle(bundle, policy)
    ]
    mine = [
        (
            b.job.id.hex(),
            (b.result.output_commitment if statement.subject == "output" else b.job.input_commitment).hex(),
            b.model.manifest_hash.hex(),
            b.chain.genesis.hex(),
        )
        for b in bundles
    ]
    theirs = [
        (job, commitment, statement.manifest_hash, statement.genesis)
        for job, commitment in zip(statement.jobs or [], statement.commitments, strict=False)
    ]
    same = sorted(mine) == sorted(theirs) and len(theirs) == len(statement.commitments)
    same = same and len(statement.jobs or []) == len(statement.commitments)
    same = same and len(set(mine)) == len(mine)
    detail = f"of the job(s) of {len(bundles)} bundle(s)" if same else "the bundles are of other jobs"
    return [*found, Check("commitments", same, detail)]
