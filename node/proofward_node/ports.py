"""What the node needs of the chain and of the enclave, as two small protocols.

`chain_port` is the real chain, `enclave_link` the real enclave; the unit tests bring tables that can be
killed at any step.
Hashes and accounts are 32 bytes, block numbers and times as the chain counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from proofward.errors import ProofwardError
from proofward.protocol import Level, Setup


class ChainDown(ProofwardError):
    """The chain does not answer, or not in time. Nothing is known about what was sent: the outbox keeps it,
    and the next try reconciles."""

    code = "chain-unreachable"


class ChainMoved(ProofwardError):
    """Another chain answers than the one this worker belongs to: never retried."""

    code = "other-chain"


@dataclass(frozen=True, slots=True)
class Head:
    """A finalised block; `time_ms` is the chain's own clock in it."""

    number: int
    hash: bytes
    time_ms: int


class JobState(StrEnum):
    """The four states of a job on the chain."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    ACCEPTED = "accepted"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as the chain holds it. `worker`, `claimed_at` and `lapses_at` belong to a claim; `worker` also
    to an accepted job."""

    job: bytes
    model: bytes
    client: bytes
    input_commitment: bytes
    recipients: tuple[bytes, ...]
    price: int
    deadline: int
    min_level: Level
    allow_dev_setup: bool
    submitted_at: int
    rejected: tuple[bytes, ...]
    released: tuple[bytes, ...]
    state: JobState
    worker: bytes | None = None
    claimed_at: int | None = None
    lapses_at: int | None = None

    def claimed_by(self, account: bytes) -> bool:
        """Whether `account` holds the claim."""
        return self.state is JobState.CLAIMED and self.worker == account

    def claimable(self, block: int) -> bool:
        """Whether a claim included in `block` can succeed: queued, or under a claim that lapsed before it."""
        if self.state is JobState.CLAIMED:
            return self.lapses_at is not None and block > self.lapses_at
        return self.state is JobState.QUEUED


@dataclass(frozen=True, slots=True)
class ModelView:
    """A published model, as far as a worker needs it."""

    model: bytes
    name: str
    publisher: bytes
    verifier: bytes
    code_hash: bytes
    manifest_hash: bytes
    weights_digest: bytes
    vk_hash: bytes
    setup: Setup
    claim_blocks: int
    price: int
    retired: bool


@dataclass(frozen=True, slots=True)
class WorkerView:
    """This worker's record. `expires_at_ms` is on the chain's clock."""

    level: Level
    epoch: int
    hpke_key: bytes
    receipt_key: bytes
    measurement: bytes
    expires_at_ms: int
    open_claims: int


@dataclass(frozen=True, slots=True)
class Call:
    """An extrinsic to sign: pallet, call and arguments by name."""

    pallet: str
    name: str
    args: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a finalised extrinsic."""

    pallet: str
    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of an extrinsic in a finalised block. `error` is the module error's name (`ClaimLapsed`),
    None on success."""

    block: int
    error: str | None
    events: tuple[Event, ...] = ()

    def event(self, pallet: str, name: str) -> Event | None:
        """The first event of that name, if any."""
        return next((event for event in self.events if (event.pallet, event.name) == (pallet, name)), None)


class Chain(Protocol):
    """Reads are of finalised state. Every method raises ChainDown when the chain does not answer."""

    @property
    def genesis(self) -> bytes: ...

    @property
    def account(self) -> bytes: ...

    async def finalised(self) -> Head: ...

    async def job(self, job: bytes) -> JobView | None: ...

    async def sealed(self, job: bytes) -> bytes | None: ...

    async def queue(self, model: bytes, limit: int) -> list[bytes]: ...

    async def open_jobs(self, limit: int) -> list[bytes]: ...

    async def claims(self) -> list[bytes]: ...

    async def models(self) -> list[ModelView]: ...

    async def worker(self) -> WorkerView | None: ...

    async def collateral_missing(self, quote: bytes) -> bool: ...

    async def balance(self) -> int: ...

    async def send(self, key: str, call: Call) -> Sent:
        """Sign, persist under `key`, broadcast, and wait until finalised. A key sent before is never signed
        twice while the first
        signature can still land: its outcome is looked up, or the same bytes go out again."""
        ...


class Enclave(Protocol):
    """The enclave socket, as `proofward_node.enclave_link.EnclaveLink` serves it."""

    generation: int
    up: bool

    async def call(self, method: str, params: dict[str, Any], timeout_seconds: float) -> dict[str, Any]: ...
