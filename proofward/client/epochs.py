"""Whether those whom a job is sealed to can still open it: an enclave holds the keys of two epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from proofward.chain.pallets.jobs import JobRecord
from proofward.protocol import decode_envelope

HELD: Final = 2
"""Epochs whose keys an enclave holds: the present one, and the one before while it has not started again."""


@dataclass(frozen=True, slots=True)
class GoneKeys:
    """A recipient that cannot open a job any more: it was sealed to epoch `sealed`, and the worker is at
    epoch `present`, or registered no more (None).
    """

    worker: bytes
    sealed: int
    present: int | None


def gone(job: JobRecord, envelope: bytes, present: Mapping[bytes, int]) -> list[GoneKeys]:
    """The recipients that may still work the job, and have its keys no more. `present`: each registered
    worker's epoch. One that started again may have lost the epoch before its present one too: it declines the
    job then.

    Raises ProtocolError for bytes that are no envelope.
    """
    sealed = {one.account: one.epoch for one in decode_envelope(envelope).recipients}
    found = []
    for worker in job.recipients:
        if not job.is_for(worker) or worker not in sealed:
            continue
        now = present.get(worker)
        if now is None or now - sealed[worker] >= HELD:
            found.append(GoneKeys(worker, sealed[worker], now))
    return found


def nobody_left(job: JobRecord, lost: list[GoneKeys]) -> bool:
    """Whether a queued job can be opened by nobody any more, and waits for its deadline in vain."""
    left = {worker for worker in job.recipients if job.is_for(worker)} - {one.worker for one in lost}
    return job.is_open and job.claim is None and not left
