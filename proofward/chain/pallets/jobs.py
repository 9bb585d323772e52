"""The jobs pallet: queues of sealed jobs, claims, verdicts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from proofward.chain.client import SubstrateClient
from proofward.chain.errors import MetadataError
from proofward.chain.pallets import _read
from proofward.chain.runtime import Runtime
from proofward.chain.values import Call
from proofward.protocol.hashes import sha256
from proofward.protocol.types import Lane, Level, Setup

PALLET: Final = "Jobs"
KNOWN: Final = 4096
"""Records that `Known` remembers."""


@dataclass(frozen=True, slots=True)
class Queued:
    """In its model's queue."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """In one worker's hands until block `lapses_at`; `bond` in the smallest unit."""

    worker: bytes
    claimed_at: int
    lapses_at: int
    bond: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """Done and paid. Proof and sealed output are in the extrinsic of block `block`; these are their
    SHA-256.
    """

    worker: bytes
    level: Level
    setup: Setup
    output_commitment: bytes
    proof_hash: bytes
    sealed_output_hash: bytes
    block: int


@dataclass(frozen=True, slots=True)
class Refunded:
    """Not done in time; the client has everything back."""

    block: int


Status: TypeAlias = Queued | Claimed | Accepted | Refunded


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job. `price`, `deposit` (for the sealed input) and `record_deposit` are in the smallest unit, held
    from the client; `deadline` is the last block in which a result counts. Workers in `rejected_by` and
    `declined_by` may not claim it any more.
    """

    id: bytes
    client: bytes
    model: bytes
    input_commitment: bytes
    sealed_hash: bytes
    recipients: tuple[bytes, ...]
    price: int
    deposit: int
    record_deposit: int
    deadline: int
    min_level: Level
    allow_dev_setup: bool
    submitted_at: int
    attempts: int
    rejected_by: tuple[bytes, ...]
    released_by: tuple[bytes, ...]
    declined_by: tuple[bytes, ...]
    status: Status

    @property
    def is_exhausted(self) -> bool:
        """Whether nobody is left who may do it."""
        return len(self.rejected_by) + len(self.declined_by) >= len(self.recipients)

    def is_for(self, account: bytes) -> bool:
        """Whether `account` may still claim it."""
        return account in self.recipients and account not in (*self.rejected_by, *self.declined_by)

    @property
    def is_open(self) -> bool:
        """Whether it waits for a worker or for a worker's result."""
        return isinstance(self.status, Queued | Claimed)

    @property
    def claim(self) -> Claimed | None:
        """The claim that it is under, lapsed or not."""
        return self.status if isinstance(self.status, Claimed) else None

    def claimed_by(self, account: bytes) -> bool:
        """Whether `account` holds the claim."""
        return self.claim is not None and self.claim.worker == account

    def claimable(self, block: int) -> bool:
        """Whether a claim included in `block` can succeed: queued, or under a claim that lapsed before it."""
        return block > self.claim.lapses_at if self.claim else isinstance(self.status, Queued)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a worker handed in, as block history holds it."""

    worker: bytes
    sealed_output: bytes
    output_commitment: bytes
    proof: bytes
    receipt_block: int
    receipt_signature: bytes


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A contest that was won: what is wrong with the output (`Sealed`, `Malformed`, `OutOfRange` or
    `OtherCommitment`), what was taken from the worker's stake (smallest unit), and in which block.
    """

    fault: str
    slashed: int
    block: int


def _status(value: Any) -> Status:
    if value == "Queued":
        return Queued()
    kind, fields = next(iter(value.items()))
    if kind == "Claimed":
        return Claimed(**fields)
    if kind == "Accepted":
        return Accepted(
            **{**fields, "level": _read.level(fields["level"]), "setup": _read.setup(fields["setup"])}
        )
    if kind == "Refunded":
        return Refunded(**fields)
    raise MetadataError(f"a job has the unknown status {kind}")


def _record(job: bytes, value: dict[str, Any]) -> JobRecord:
    return _read.record(
        JobRecord,
        id=job,
        **{
            **value,
            "recipients": tuple(value["recipients"]),
            "rejected_by": tuple(value["rejected_by"]),
            "released_by": tuple(value["released_by"]),
            "declined_by": tuple(value["declined_by"]),
            "min_level": _read.level(value["min_level"]),
            "status": _status(value["status"]),
        },
    )


def get(client: SubstrateClient, job: bytes, at: bytes | None = None) -> JobRecord | None:
    """A job's record, or None."""
    value = client.query(PALLET, "Jobs", job, at=at)
    return value and _record(job, value)


def many(client: SubstrateClient, ids: Sequence[bytes], at: bytes | None = None) -> dict[bytes, JobRecord]:
    """Those of some jobs that there are, in one request."""
    found = _read.found(client, PALLET, "Jobs", {job: (job,) for job in ids}, at)
    return {job: _record(job, value) for job, value in found.items()}


class Known:
    """Records that are read at each block: one that has not changed since is not taken apart again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # a read that was given up goes on in its thread
        self._runtime: Runtime | None = None
        self._records: dict[bytes, tuple[bytes, JobRecord]] = {}

    def many(self, client: SubstrateClient, ids: Sequence[bytes], at: bytes) -> dict[bytes, JobRecord]:
        """As the function `many`."""
        values, runtime = client.query_many_raw(PALLET, "Jobs", [(job,) for job in ids], at), client.runtime
        with self._lock:
            if runtime is not self._runtime:
                self._runtime, self._records = runtime, {}
            pairs = zip(ids, values, strict=True)
            found = {job: self._read(runtime, job, raw) for job, raw in pairs if raw is not None}
            while len(self._records) > KNOWN:
                del self._records[next(iter(self._records))]
        return found

    def _read(self, runtime: Runtime, job: bytes, raw: bytes) -> JobRecord:
        had, record = self._records.pop(job, (b"", None))
        if record is None or had != raw:
            record = _record(job, runtime.decode_storage(PALLET, "Jobs", raw))
        self._records[job] = raw, record
        return record


def all(client: SubstrateClient, at: bytes | None = None) -> list[tuple[bytes, JobRecord]]:
    """Every job that is open or ended within the retention time."""
    return [(job, _record(job, value)) for job, value in client.iterate(PALLET, "Jobs", at=at)]


def contested(client: SubstrateClient, job: bytes, at: bytes | None = None) -> Undelivered | None:
    """What a job's client has shown of its result, or None: nobody contested it, or its record is gone."""
    value = client.query(PALLET, "Contested", job, at=at)
    return value and Undelivered(**value)


def queue(
    client: SubstrateClient, model: bytes, limit: int | None = None, at: bytes | None = None
) -> list[bytes]:
    """The ids of a model's queued jobs as they were at one block, the one that has waited longest first."""
    block = at or client.finalised_head().hash
    ends = client.query(PALLET, "Queues", model, at=block)
    job: bytes | None = ends["head"]
    found: list[bytes] = []
    most = ends["len"] if limit is None else min(limit, ends["len"])
    while job is not None and len(found) < most:
        found.append(job)
        link = client.query(PALLET, "Links", job, at=block)
        job = link and link["next"]
    return found


def open_for(
    client: SubstrateClient,
    worker: bytes,
    limit: int,
    at: bytes | None = None,
    after: bytes | None = None,
) -> list[bytes]:
    """Up to `limit` open jobs (queued or claimed) that a worker may still do or holds, in the order of their
    hashes; those behind the job `after`, if given, which need not be open any more.
    """
    start = b"" if after is None else hashlib.blake2b(after, digest_size=16).digest() + after
    return [job for _, job in client.keys(PALLET, "JobsOf", worker, limit=limit, at=at, start=start)]


def sealed(client: SubstrateClient, job: bytes, at: bytes | None = None) -> bytes | None:
    """The envelope of an open job; None when the job has ended: its block has it then."""
    value = client.query(PALLET, "Sealed", job, at=at)
    return None if value is None else bytes(value)


def delivery(client: SubstrateClient, job: JobRecord) -> Delivery | None:
    """The result of an accepted job, from block history; its hashes are those in the record.

    None for a job that was not accepted, or when the node no longer has the block's body.
    """
    status = job.status
    if not isinstance(status, Accepted):
        return None
    for found in client.find_calls(client.block_hash(status.block), PALLET, "complete"):
        args = found.args
        if args["job"] != job.id or sha256(args["proof"]) != status.proof_hash:
            continue
        if sha256(args["sealed_output"]) == status.sealed_output_hash:
            return Delivery(
                worker=status.worker,
                sealed_output=args["sealed_output"],
                output_commitment=args["output_commitment"],
                proof=args["proof"],
                receipt_block=args["receipt_block"],
                receipt_signature=args["receipt_signature"],
            )
    return None


def submit(
    *,
    model: bytes,
    nonce: bytes,
    sealed: bytes,
    input_commitment: bytes,
    recipients: Sequence[bytes],
    price: int,
    deadline: int,
    min_level: Level,
    allow_dev_setup: bool,
) -> Call:
    """Put a sealed job into its model's queue; `price` goes into escrow."""
    return Call(
        PALLET,
        "submit",
        {
            "model": model,
            "nonce": nonce,
            "sealed": sealed,
            "input_commitment": input_commitment,
            "recipients": list(recipients),
            "price": price,
            "deadline": deadline,
            "min_level": min_level.name.capitalize(),
            "allow_dev_setup": allow_dev_setup,
        },
    )


def claim(job: bytes, max_bond: int) -> Call:
    """Take a job, on the model's bond; refused when that is above `max_bond` (smallest unit)."""
    return Call(PALLET, "claim", {"job": job, "max_bond": max_bond})


def decline(job: bytes) -> Call:
    """As a recipient that does not hold it: never do this job. When nobody is left the client has its money
    back at once.
    """
    return Call(PALLET, "decline", {"job": job})


def cancel(job: bytes) -> Call:
    """End a job of one's own that nobody has claimed."""
    return Call(PALLET, "cancel", {"job": job})


def forget(job: bytes) -> Call:
    """Take the record of a job out of state whose retention time is over. Anyone may sign it."""
    return Call(PALLET, "forget", {"job": job})


def release(job: bytes) -> Call:
    """Hand a claimed job back."""
    return Call(PALLET, "release", {"job": job})


def lapse(job: bytes) -> Call:
    """Put a job whose claim has run out back into the queue. Anyone may sign it."""
    return Call(PALLET, "lapse", {"job": job})


def complete(
    *,
    job: bytes,
    sealed_output: bytes,
    output_commitment: bytes,
    proof: bytes,
    receipt_block: int,
    receipt_signature: bytes,
) -> Call:
    """Hand in a result. Ok in any case: the event says Accepted, Rejected or NoVerdict."""
    return Call(
        PALLET,
        "complete",
        {
            "job": job,
            "sealed_output": sealed_output,
            "output_commitment": output_commitment,
            "proof": proof,
            "receipt_block": receipt_block,
            "receipt_signature": receipt_signature,
        },
    )


def contest(
    *,
    job: bytes,
    reply_key: bytes,
    sealed_output: bytes,
    manifest: bytes,
    publisher: bytes,
    weights_digest: bytes,
    lane: Lane,
    vk_hash: bytes,
    key_hash: bytes,
) -> Call:
    """As a job's client: show that its accepted result does not open, by revealing the job's reply key
    (32 bytes, X25519). `manifest` is the artefact's manifest.json; with the other fields it makes the model's
    id.
    """
    return Call(
        PALLET,
        "contest",
        {
            "job": job,
            "reply_key": reply_key,
            "sealed_output": sealed_output,
            "manifest": manifest,
            "identity": {
                "publisher": publisher,
                "weights_digest": weights_digest,
                "lane": lane.name.capitalize(),
                "vk_hash": vk_hash,
                "key_hash": key_hash,
            },
        },
    )


def expire(job: bytes) -> Call:
    """End a job that was not done by its deadline, or that nobody may do any more. Anyone may sign it."""
    return Call(PALLET, "expire", {"job": job})
