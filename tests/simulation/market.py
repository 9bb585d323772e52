"""The market's rules as far as a worker and a client meet them, and everybody's money.

Written after the pallets (chain/pallets/jobs, workers); every amount has one owner at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from proofward.amounts import UNIT
from proofward.chain import Call, Event
from proofward.chain.pallets.jobs import Accepted, Claimed, JobRecord, Queued, Refunded
from proofward.chain.pallets.workers import PreviousEpoch, WorkerRecord
from proofward.protocol import Level, sha256
from proofward_node.steps import ENDING_RESERVE
from tests.node.world import MODEL, WORKER

FEE, BOND, PRICE, STAKE = 10**9, 5 * 10**11, UNIT, UNIT
FREE_BLOCKS = 5
REGISTERED_MS = 400_000
QUOTE_BLOCKS = 256
RESERVE = ENDING_RESERVE // 10


class Refused(Exception):
    """The call fails in its block, with this error of the pallet."""


@dataclass
class Market:
    """The finalised state. `state` is replaced as a whole, so that an earlier one can be asked again."""

    free: Counter[bytes] = field(default_factory=Counter)
    held: Counter[bytes] = field(default_factory=Counter)
    pot: int = 0
    jobs: dict[bytes, JobRecord] = field(default_factory=dict)
    sealed: dict[bytes, bytes] = field(default_factory=dict)
    workers: dict[bytes, WorkerRecord] = field(default_factory=dict)
    serving: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    ended: list[tuple[int, str, bytes]] = field(default_factory=list)
    cuts: list[tuple[int, str, bytes, bytes, Claimed]] = field(default_factory=list)
    fees: Counter[bytes] = field(default_factory=Counter)
    allowed: tuple[bytes, ...] = (b"q",)

    @property
    def total(self) -> int:
        return sum(self.free.values()) + sum(self.held.values()) + self.pot

    def copy(self) -> Market:
        """The state on its own: what happens to it is no part of this one's history."""
        return Market(
            Counter(self.free), Counter(self.held), self.pot, dict(self.jobs), dict(self.sealed),
            dict(self.workers), dict(self.serving), allowed=self.allowed,
        )  # fmt: skip

    def include(self, who: bytes, call: Call, block: int) -> tuple[str | None, tuple[Event, ...]]:
        """An extrinsic in a block: its fee, and its effects or its error."""
        self.free[who] -= FEE
        self.pot += FEE
        self.fees[who] += 1
        try:
            with self._whole():
                return None, tuple(self._act(who, call, block))
        except Refused as error:
            return str(error), ()

    def would_fail(self, who: bytes, call: Call, block: int) -> str | None:
        """The error that the call would have in a block on top of this state."""
        return self.copy().include(who, call, block)[0]

    @contextmanager
    def _whole(self) -> Iterator[None]:
        kept = self.copy()
        ended, cuts = len(self.ended), len(self.cuts)
        try:
            yield
        except Refused:
            for name in ("free", "held", "pot", "jobs", "sealed", "workers", "serving"):
                setattr(self, name, getattr(kept, name))
            del self.ended[ended:], self.cuts[cuts:]
            raise

    # money ----------------------------------------------------------------------------------------

    def _hold(self, who: bytes, amount: int) -> None:
        if self.free[who] < amount:
            raise Refused("FundsUnavailable")
        self.free[who] -= amount
        self.held[who] += amount

    def _unhold(self, who: bytes, amount: int, to: bytes | None = None) -> None:
        assert self.held[who] >= amount, "more is paid than was held"
        self.held[who] -= amount
        self.free[who if to is None else to] += amount

    # calls ----------------------------------------------------------------------------------------

    def _act(self, who: bytes, call: Call, block: int) -> list[Event]:
        if call.pallet == "Utility":
            return [event for one in call.args["calls"] for event in self._act(who, one, block)]
        acts: dict[str, Callable[..., list[Event]]] = {
            "Jobs.submit": self._submit, "Jobs.claim": self._claim, "Jobs.release": self._release,
            "Jobs.complete": self._complete, "Jobs.lapse": self._lapse, "Jobs.expire": self._expire,
            "Jobs.decline": self._decline, "Jobs.cancel": self._cancel, "Workers.register": self._register,
            "Workers.renew": self._register, "Workers.serve": self._serve, "Workers.unserve": self._serve,
        }  # fmt: skip
        return acts[f"{call.pallet}.{call.name}"](who, block, **call.args)

    def _job(self, job: bytes, *, is_open: bool = True) -> JobRecord:
        if job not in self.jobs:
            raise Refused("UnknownJob")
        record = self.jobs[job]
        if is_open and not record.is_open:
            raise Refused("NotOpen")
        return record

    def _submit(self, who: bytes, block: int, **args: Any) -> list[Event]:
        job = sha256(who + args["nonce"])
        if job in self.jobs:
            raise Refused("DuplicateJob")
        if args["deadline"] <= block:
            raise Refused("BadDeadline")
        self._hold(who, args["price"])
        self.sealed[job] = args["sealed"]
        self.jobs[job] = JobRecord(
            id=job, client=who, model=args["model"], input_commitment=args["input_commitment"],
            sealed_hash=sha256(args["sealed"]), recipients=tuple(args["recipients"]), price=args["price"],
            deposit=0, record_deposit=0, deadline=args["deadline"], min_level=Level.SIMULATED,
            allow_dev_setup=True, submitted_at=block, attempts=0, rejected_by=(), released_by=(),
            declined_by=(), status=Queued(),
        )  # fmt: skip
        return [_event("Submitted", job)]

    def _claim(self, who: bytes, block: int, job: bytes, max_bond: int) -> list[Event]:
        record = self._job(job)
        if block > record.deadline:
            raise Refused("DeadlinePassed")
        if not record.is_for(who):
            raise Refused("NotRecipient")
        if not self._active(who, block):
            raise Refused("WorkerInactive")
        if max_bond < BOND:
            raise Refused("BondTooHigh")
        if not record.claimable(block):
            raise Refused("AlreadyClaimed")
        self._forfeit(record, block)
        self._hold(who, BOND)
        if self.free[who] < RESERVE:
            raise Refused("CannotPayForEnding")
        claim = Claimed(who, block, min(block + MODEL.claim_blocks, record.deadline), BOND)
        self.jobs[job] = replace(record, status=claim, attempts=record.attempts + 1)
        self._opened(who, 1)
        return [_event("Claimed", job)]

    def _held(self, record: JobRecord, who: bytes, block: int) -> Claimed:
        claim = record.claim
        if claim is None or claim.worker != who:
            raise Refused("NotClaimant")
        if block > claim.lapses_at:
            raise Refused("ClaimLapsed")
        return claim

    def _release(self, who: bytes, block: int, job: bytes) -> list[Event]:
        record = self._job(job)
        claim = self._held(record, who, block)
        cut, held = BOND, block - claim.claimed_at
        if who not in record.released_by:
            life = max(1, claim.lapses_at - claim.claimed_at)
            cut = 0 if held <= FREE_BLOCKS else BOND * min(held, life) // life
        else:
            self.cuts.append((block, "second release", job, who, claim))
        self._unhold(who, cut, record.client)
        self._unhold(who, BOND - cut)
        self._opened(who, -1)
        released = tuple({*record.released_by, who})
        self.jobs[job] = replace(record, status=Queued(), released_by=released)
        return [_event("Released", job)]

    def _complete(self, who: bytes, block: int, job: bytes, **args: Any) -> list[Event]:
        record = self._job(job)
        claim = self._held(record, who, block)
        if not claim.claimed_at <= args["receipt_block"] <= block:
            raise Refused("ReceiptBlock")
        if not self._active(who, block):
            raise Refused("WorkerInactive")
        worker = self.workers[who]
        keys = {worker.receipt_key} | ({worker.previous.receipt_key} if worker.previous else set())
        if args["receipt_signature"][:32] not in keys:
            raise Refused("BadReceipt")
        self._unhold(who, BOND)
        self._unhold(record.client, record.price, who)
        self._opened(who, -1)
        accepted = Accepted(
            worker=who, level=Level.SIMULATED, setup=MODEL.setup, output_commitment=args["output_commitment"],
            proof_hash=sha256(args["proof"]), sealed_output_hash=sha256(args["sealed_output"]), block=block,
        )  # fmt: skip
        self.jobs[job] = replace(record, status=accepted)
        self._end(job, block, "Accepted")
        return [_event("Accepted", job)]

    def _lapse(self, who: bytes, block: int, job: bytes) -> list[Event]:
        record = self._job(job)
        if record.claim is None or block <= record.claim.lapses_at:
            raise Refused("NotLapsed")
        self._forfeit(record, block)
        self.jobs[job] = replace(record, status=Queued())
        return [_event("Lapsed", job)]

    def _expire(self, who: bytes, block: int, job: bytes) -> list[Event]:
        record = self._job(job)
        if block <= record.deadline and not record.is_exhausted:
            raise Refused("DeadlineNotPassed")
        self._forfeit(record, block)
        return self._refund(record, block)

    def _decline(self, who: bytes, block: int, job: bytes) -> list[Event]:
        record = self._job(job)
        if who not in record.recipients:
            raise Refused("NotRecipient")
        if who in record.declined_by or who in record.rejected_by:
            raise Refused("HasDeclined")
        if record.claimed_by(who):
            raise Refused("HoldsClaim")
        record = self.jobs[job] = replace(record, declined_by=(*record.declined_by, who))
        if record.is_exhausted and isinstance(record.status, Queued):
            return [_event("Declined", job), *self._refund(record, block)]
        return [_event("Declined", job)]

    def _cancel(self, who: bytes, block: int, job: bytes) -> list[Event]:
        record = self._job(job)
        if record.client != who:
            raise Refused("NotClient")
        if record.claim is not None:
            raise Refused("AlreadyClaimed")
        return self._refund(record, block)

    def _refund(self, record: JobRecord, block: int) -> list[Event]:
        self._unhold(record.client, record.price)
        self.jobs[record.id] = replace(record, status=Refunded(block))
        self._end(record.id, block, "Refunded")
        return [_event("Refunded", record.id)]

    def _forfeit(self, record: JobRecord, block: int) -> None:
        if (claim := record.claim) is not None:
            self._unhold(claim.worker, BOND, record.client)
            self.cuts.append((block, "lapse", record.id, claim.worker, claim))
            self._opened(claim.worker, -1)

    def _end(self, job: bytes, block: int, how: str) -> None:
        self.sealed.pop(job)
        self.ended.append((block, how, job))

    # workers --------------------------------------------------------------------------------------

    def _active(self, who: bytes, block: int) -> bool:
        return who in self.workers and self.workers[who].expires_at > block * 1000

    def _opened(self, who: bytes, change: int) -> None:
        worker = self.workers[who]
        self.workers[who] = replace(worker, open_claims=worker.open_claims + change)

    def _register(self, who: bytes, now: int, **args: Any) -> list[Event]:
        before = self.workers.get(who)
        if not now - QUOTE_BLOCKS <= args["block"] < now:
            raise Refused("StaleQuote")
        if args["quote"] not in self.allowed:
            raise Refused("MeasurementNotAllowed")
        if before is None:
            self._hold(who, STAKE)
        elif args["epoch"] <= before.epoch:
            raise Refused("EpochNotNewer")
        self.workers[who] = replace(
            before or WORKER, account=who, epoch=args["epoch"], hpke_key=args["hpke_key"],
            receipt_key=args["receipt_key"], measurement=sha256(args["quote"]),
            expires_at=now * 1000 + REGISTERED_MS,
            previous=None if before is None else PreviousEpoch(before.epoch, before.receipt_key),
        )  # fmt: skip
        return []

    def _serve(self, who: bytes, block: int, model: bytes, min_price: int | None = None) -> list[Event]:
        if who not in self.workers:
            raise Refused("NotRegistered")
        if min_price is None:
            del self.serving[who, model]
        else:
            self.serving[who, model] = min_price
        return []


def _event(name: str, job: bytes) -> Event:
    return Event("Jobs", name, {"job": job}, 0)
