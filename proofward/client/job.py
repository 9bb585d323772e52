"""What a client knows of a job: what it asks for, that it was submitted, where it stands."""

from __future__ import annotations

from dataclasses import dataclass

from proofward.chain.pallets.jobs import Accepted, Claimed, JobRecord, Refunded, Undelivered
from proofward.client.ids import hash32
from proofward.protocol import Level


@dataclass(frozen=True, slots=True)
class Demand:
    """What a client asks of workers and model; a price (smallest unit) of None: the least that will do."""

    min_level: Level
    dev_setup: bool
    price: int | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A job before it is sent: the price (smallest unit) that one of `recipients` gets for it, and how many
    workers were asked for. They are fewer where no others can take it, or others ask for far more.
    """

    price: int
    recipients: tuple[bytes, ...]
    wanted: int


@dataclass(frozen=True, slots=True, repr=False)
class Job:
    """A submitted job; printed, its id. `offer` is what it was sent as, and `seconds` says what the client
    spent on sealing.
    """

    id: bytes
    model: bytes
    block: int
    deadline: int
    offer: Offer
    seconds: dict[str, float]

    @property
    def recipients(self) -> tuple[bytes, ...]:
        """The workers that it is sealed to."""
        return self.offer.recipients

    def __str__(self) -> str:
        return f"0x{self.id.hex()}"

    def __repr__(self) -> str:
        return f"<Job {self}: in block {self.block}, deadline {self.deadline}>"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a job stands: `queued`, `claimed`, `accepted` or `refunded`. `paid` is in the smallest unit, 0
    unless accepted. `undelivered` says what its client has shown of an accepted result that does not open.
    """

    job: bytes
    state: str
    worker: bytes | None
    block: int | None
    paid: int
    record: JobRecord
    undelivered: Undelivered | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("accepted", "refunded")


def job_bytes(job: Job | str | bytes) -> bytes:
    """A job's id from whatever names it."""
    return job.id if isinstance(job, Job) else hash32(job, "job")


def outcome(job: bytes, record: JobRecord, undelivered: Undelivered | None = None) -> Outcome:
    """What a record says of where the job stands."""
    status = record.status
    if isinstance(status, Claimed):
        return Outcome(job, "claimed", status.worker, None, 0, record)
    if isinstance(status, Accepted):
        return Outcome(job, "accepted", status.worker, status.block, record.price, record, undelivered)
    if isinstance(status, Refunded):
        return Outcome(job, "refunded", None, status.block, 0, record)
    return Outcome(job, "queued", None, None, 0, record)
