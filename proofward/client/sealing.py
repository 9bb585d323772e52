"""A record into a sealed job: quantise, commit, seal to the workers' enclaves. Nothing is on a chain."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from proofward.chain.pallets.workers import WorkerRecord
from proofward.client.store import JobSecrets
from proofward.protocol import (
    SYSTEM_RANDOM,
    HpkePrivateKey,
    HpkeSuite,
    JobContext,
    JobPayload,
    RecipientKey,
    job_id,
    reply_nonce,
    seal_job,
)
from proofward.zkml import PublicArtifact


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose job it is: the chain's genesis hash and the client's account, 32 bytes each."""

    genesis: bytes
    account: bytes


@dataclass(frozen=True, slots=True, repr=False)
class SealedJob:
    """What goes on the chain (context, nonce, sealed), and what its client keeps: salt and reply key."""

    context: JobContext
    nonce: bytes
    sealed: bytes
    records: int
    salt: bytes
    reply_secret: bytes
    seconds: float

    def secrets(self, manifest_hash: bytes, artifact: Path) -> JobSecrets:
        """What opens the answer, to be on the disk before the job is signed."""
        return JobSecrets(
            genesis=self.context.genesis.hex(),
            job=self.context.job.hex(),
            client=self.context.client.hex(),
            model=self.context.model.hex(),
            manifest_hash=manifest_hash.hex(),
            input_commitment=self.context.input_commitment.hex(),
            input_salt=self.salt.hex(),
            reply_secret=self.reply_secret.hex(),
            records=self.records,
            artifact=str(artifact.resolve()),
        )


def seal(
    public: PublicArtifact,
    x: ArrayLike,
    owner: Owner,
    model: bytes,
    workers: Sequence[WorkerRecord],
) -> SealedJob:
    """Seal one record [features] or several [n, features] to each of the workers. Raises InputRangeError."""
    began = time.perf_counter()
    table = np.atleast_2d(np.asarray(x, dtype=np.float64))
    values = public.pad(public.quantize(table))
    salt, reply_secret = SYSTEM_RANDOM(32), SYSTEM_RANDOM(32)
    reply = HpkePrivateKey.from_bytes(HpkeSuite.X25519, reply_secret).public
    nonce = reply_nonce(reply)
    commitment = public.commit_input(values, salt)
    context = JobContext(owner.genesis, job_id(owner.account, nonce), owner.account, model, commitment)
    sealed = seal_job(
        context,
        JobPayload(len(table), tuple(int(value) for value in values.reshape(-1)), salt, reply),
        [RecipientKey(worker.account, worker.epoch, worker.hpke_key) for worker in workers],
    )
    return SealedJob(context, nonce, sealed, len(table), salt, reply_secret, time.perf_counter() - began)
