"""What the node needs of the chain and of the enclave, as two small protocols over the chain's own records.

`chain_port` is the real chain, `enclave_link` the real enclave; the unit tests bring tables that can be
killed at any step.
Hashes and accounts are 32 bytes, block numbers and times as the chain counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from proofward.chain import Call, Event
from proofward.chain.pallets.jobs import JobRecord
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward.errors import ProofwardError
from proofward.protocol import Lane


class ChainDown(ProofwardError):
    """The chain does not answer, or not in time. Nothing is known about what was sent: the outbox keeps it,
    and the next try reconciles.
    """

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


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of an extrinsic in a finalised block. `error` is the module error's name (`ClaimLapsed`),
    None on success.
    """

    block: int
    error: str | None
    events: tuple[Event, ...] = ()

    def event(self, pallet: str, name: str) -> Event | None:
        """The first event of that name, if any."""
        return next((event for event in self.events if (event.pallet, event.name) == (pallet, name)), None)


class Chain(Protocol):
    """Reads are of finalised state. Every method raises ChainDown when the chain does not answer."""

    @property
    def genesis(self) -> bytes:
        """The chain's genesis hash, 32 bytes."""

    @property
    def account(self) -> bytes:
        """The worker's account, 32 bytes."""

    async def finalised(self) -> Head:
        """The finalised head."""

    async def best(self) -> int:
        """Number of the newest block, final or not."""
        ...

    async def job(self, job: bytes) -> JobRecord | None:
        """A job's record, or None."""

    async def jobs(self, jobs: Sequence[bytes]) -> dict[bytes, JobRecord]:
        """Those of some jobs that there are."""
        ...

    async def sealed(self, job: bytes) -> bytes | None:
        """A job's sealed input while the chain holds it."""
        ...

    async def open_jobs(self, limit: int, after: bytes | None = None) -> list[bytes]:
        """Up to `limit` open jobs that name this worker, and those it holds, in an order that stays; those
        behind the job `after`, if given.
        """

    async def models(self, ids: Sequence[bytes]) -> list[ModelRecord]:
        """Those of some models that there are."""

    async def live_models(self, pairs: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Ids of live models by (publisher, manifest hash)."""

    async def judge(self, lane: Lane) -> bytes | None:
        """The code hash of the contract that judges the lane's proofs; None when the lane is closed."""

    async def serving(self) -> dict[bytes, int]:
        """The models that the chain says we serve, with the least price of each."""

    async def worker(self) -> WorkerRecord | None:
        """This worker's own record, retired or not."""

    async def last_epoch(self) -> int | None:
        """The account's last epoch, through retirement too."""

    async def collateral_missing(self, quote: bytes) -> bool:
        """Whether the chain has no collateral for the quote's platform."""

    async def balance(self) -> int:
        """What the account can spend, in the smallest unit."""

    async def send(self, key: str, call: Call) -> Sent:
        """Sign, persist under `key`, broadcast, and wait until finalised. A key sent before is never signed
        twice while the first signature can still land: its outcome is looked up, or the same bytes go out
        again.
        """


class Enclave(Protocol):
    """The enclave socket, as `proofward_node.enclave_link.EnclaveLink` serves it."""

    generation: int
    up: bool

    async def call(self, method: str, params: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """Ask the enclave. Raises EnclaveError, EnclaveUnreachable."""
