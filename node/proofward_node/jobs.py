"""The jobs of one worker: found on the chain, and several of them under way at once, each by the steps of
`proofward_node.steps`.

As many are claimed as can be proved before they lapse. The enclave proves one at a time, and meanwhile the
others' claims and results wait for their blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from proofward.chain.errors import ExtrinsicInvalid
from proofward.chain.pallets.jobs import JobRecord
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward_node.choice import hopeless
from proofward_node.journal import HELD, Entry, State
from proofward_node.ports import ChainDown, Head
from proofward_node.reasons import Code, Reason
from proofward_node.steps import HANDED_BACK, Steps

log = structlog.get_logger("proofward_node.worker")

LOOK = 500
"""Open jobs of ours that one look takes in, as one answer of the node holds them, on the chain as among those
that wait here: when there are more, the next look goes on behind them, so that nobody's junk hides a job for
longer than a turn.
"""
WAITING = 4096
"""Jobs that wait to be looked into or claimed, at most: no more are written down before some have ended."""
INSPECTIONS = 128
"""Envelopes looked into at once: one with no more in it than junk is done with in milliseconds."""
NOT_OURS = 4096
"""Jobs of models that we do not serve which are remembered, so that they are not fetched again each block."""


@dataclass
class Jobs(Steps):
    """The jobs of one worker. `start` is called at each new head; `run` besides waits for what it began."""

    unserved: Mapping[bytes, Reason] = field(default_factory=dict)
    _adopted: set[bytes] = field(default_factory=set)
    _after: dict[str, bytes | None] = field(default_factory=dict)
    _not_ours: dict[bytes, None] = field(default_factory=dict)
    _driving: dict[bytes, asyncio.Task[bool]] = field(default_factory=dict)
    _looks: int = 0
    _last_look: dict[bytes, int] = field(default_factory=dict)

    # finding work ---------------------------------------------------------------------------------

    def serve(self, models: dict[bytes, ModelRecord], unserved: Mapping[bytes, Reason] | None = None) -> None:
        """Take jobs of these models from now on; `unserved` says why others are not served."""
        self.unserved = unserved or {}
        if self.models.keys() != models.keys():
            self._not_ours.clear()  # jobs of a model that is served only now
        self.models = models

    async def adopt(self) -> None:
        """Write down the claims that the chain holds for us and the journal does not know (it was restored or
        lost, or a claim landed late): they are worked like any other.
        """
        worker = await self.chain.worker()
        if worker is None or worker.open_claims == 0:
            return
        for job in await self._page("adopt"):
            entry = self.journal.get(job)
            if entry is not None and entry.state not in (State.DONE, State.SEEN, State.INSPECTED):
                continue
            record = await self.chain.job(job)
            if record is None or not record.claimed_by(self.chain.account):
                continue
            self._adopted.add(job)
            if entry is None:
                self.journal.see(job, record.model)
            elif entry.state is State.DONE:
                self.journal.advance(job, State.SEEN)
            else:
                continue
            log.warning("claim-without-journal", job=job.hex())

    async def discover(self) -> None:
        """Write down the open jobs of our models that name us: queued, or claimed by one that may die. The
        chain keeps them by recipient, so that jobs of others cost nothing to pass over.
        """
        if len(self.journal.entries(State.SEEN, State.INSPECTED, State.DECLINING)) >= WAITING:
            return
        new = [job for job in await self._page("discover") if not self._known(job)]
        records = await self.chain.jobs(new) if new else {}
        for job in new:
            self._see(job, records.get(job))

    async def _page(self, reader: str) -> list[bytes]:
        """The next of our open jobs, in turns; the turn of each reader is its own."""
        found = await self.chain.open_jobs(LOOK, self._after.get(reader))
        self._after[reader] = found[-1] if len(found) == LOOK else None
        return found

    def _see(self, job: bytes, record: JobRecord | None) -> None:
        if record is None or record.model not in self.models or self.chain.account not in record.recipients:
            self._not_ours[job] = None
            if record is not None:
                self._note_left(record)
            if len(self._not_ours) > NOT_OURS:
                del self._not_ours[next(iter(self._not_ours))]
        else:
            self.journal.see(job, record.model)
            log.info("job-seen", job=job.hex(), model=record.model.hex(), deadline=record.deadline)

    def _note_left(self, record: JobRecord) -> None:
        named = self.chain.account in record.recipients
        reason = self.unserved.get(record.model, Reason(Code.NOT_SERVED, f"model 0x{record.model.hex()}"))
        self.on_reason(record.id, reason if named else Reason(Code.NOT_NAMED))

    def _known(self, job: bytes) -> bool:
        if job in self._not_ours:
            return True
        entry = self.journal.get(job)
        return entry is not None and entry.outcome != HANDED_BACK

    def reopen(self) -> None:
        """Let a new process try again what an earlier one handed back on its way out."""
        for entry in self.journal.entries(State.DONE):
            if entry.outcome == HANDED_BACK:
                self.journal.advance(entry.job, State.SEEN)

    @property
    def bound(self) -> bool:
        """Whether a claim is held, or was found on the chain and not come to its end yet."""
        for job in [*self._adopted]:
            entry = self.journal.get(job)
            if entry is None or entry.state not in (State.SEEN, State.INSPECTED):
                self._adopted.discard(job)  # it is done, or held as any other
        return bool(self._adopted) or self.held() is not None

    def held(self) -> Entry | None:
        """The job whose claim we hold or may hold, oldest first."""
        entries = self.journal.entries(*HELD)
        return entries[0] if entries else None

    # many jobs ------------------------------------------------------------------------------------

    async def run(self, head: Head, worker: WorkerRecord, stop: asyncio.Event) -> bool:
        """Take jobs as far as they go: the held ones, and those that can be claimed beside them. True when
        one came to its end.

        With `stop` set nothing new is claimed. Raises ChainDown; the journal then says where to go on.
        """
        done = await self.start(head, worker, stop)
        return await self._waited() or done

    async def start(self, head: Head, worker: WorkerRecord, stop: asyncio.Event) -> bool:
        """Set going, beside the caller, what can go on at this head; True when a job came to its end since.
        A job that the chain left in the lurch goes on with the next call. Raises ChainDown.
        """
        done = self._reap()
        self._worker = worker
        if worker.open_claims > len(self.journal.entries(*HELD)):
            await self.adopt()
        waiting = self.journal.entries(State.SEEN, State.INSPECTED, State.DECLINING)
        held = self.journal.entries(*HELD)
        under_way = [one for one in waiting if one.job in self._driving]
        looked_at = self._in_turn([one for one in waiting if one.job not in self._driving])
        records = await self.chain.jobs([entry.job for entry in looked_at])
        for entry in held:
            self._drive(entry.job, stop)
        coming = sum(self._opens(one) for one in under_way)
        looks = sum(one.state is not State.DECLINING for one in under_way) - coming
        claims, ahead = len(held) + coming, self._ahead() + coming
        for entry in looked_at:
            record = records.get(entry.job)
            if record is None or (ended := self._ended(record)) is not None:
                self._finish(entry.job, "unknown" if record is None else str(ended))
            elif record.claimed_by(self.chain.account) or entry.state is State.DECLINING:
                self._drive(entry.job, stop)
            elif stop.is_set():
                self.on_reason(entry.job, Reason(Code.STOPPING))
            elif not self._opens(entry):
                if looks < INSPECTIONS and self._may_go_on(record, worker, head):
                    self._drive(entry.job, stop)
                    looks += 1
            elif not self._full(entry.job, claims) and self._may_go_on(record, worker, head, ahead):
                self._drive(entry.job, stop)
                claims, ahead = claims + 1, ahead + 1
        return done

    def _in_turn(self, waiting: list[Entry]) -> list[Entry]:
        """As many as a look takes in, those first that were not looked at for the longest time; of these the
        opened ones first.
        """
        last = {one.job: self._last_look.get(one.job, 0) for one in waiting}
        now = sorted(waiting, key=lambda one: last[one.job])[:LOOK]
        self._looks += 1
        self._last_look = last | {one.job: self._looks for one in now}
        return sorted(now, key=lambda one: not self._opens(one))

    def _may_go_on(self, record: JobRecord, worker: WorkerRecord, head: Head, ahead: int = 0) -> bool:
        """Whether nothing speaks against its claim, or so much that it is to be declined."""
        reason = self._obstacle(record, worker, head, ahead)
        if reason is not None and hopeless(reason):
            return self._leave(record.id, f"declined:{reason.code}")
        return reason is None

    def _opens(self, entry: Entry) -> bool:
        """Whether the enclave that runs has opened its envelope."""
        return entry.state is not State.DECLINING and self._looked.get(entry.job) == self.enclave.generation

    def _drive(self, job: bytes, stop: asyncio.Event) -> None:
        if job not in self._driving:
            self._driving[job] = asyncio.create_task(self._driven(job, stop), name=f"job {job.hex()[:8]}")

    async def _driven(self, job: bytes, stop: asyncio.Event) -> bool:
        with structlog.contextvars.bound_contextvars(job=job.hex()), self.company.on_the_way():
            while await self.step(job, stop):
                pass
        entry = self.journal.get(job)
        return entry is not None and entry.state is State.DONE

    def _reap(self) -> bool:
        """Whether one of those that came to a rest is done. A silent chain is only logged; other errors are
        raised.
        """
        done = False
        for job, task in [(job, task) for job, task in self._driving.items() if task.done()]:
            del self._driving[job]
            try:
                done |= task.result()
            except ChainDown as error:
                log.warning("chain-failed", job=job.hex(), message=str(error))
                lost = isinstance(error.__cause__, ExtrinsicInvalid)
                self.on_reason(job, Reason(Code.EXTRINSIC_LOST if lost else Code.CHAIN_AWAY, str(error)))
        return done

    async def _waited(self) -> bool:
        """Wait for everything under way; the first error ends the others."""
        tasks = list(self._driving.values())
        if not tasks:
            return False
        finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = next((error for task in finished if (error := task.exception())), None)
        if failed is not None:
            await self.abandon()
            raise failed
        self._driving.clear()
        return any(task.result() for task in finished)

    @property
    def looked_into(self) -> int:
        """Jobs without a claim that are on their way to one, or to being left."""
        waiting = self.journal.entries(State.SEEN, State.INSPECTED)
        return sum(entry.job in self._driving for entry in waiting)

    async def abandon(self) -> None:
        """Let go of everything under way. The journal says where each job stands."""
        tasks, self._driving = list(self._driving.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def drain(self, seconds: float) -> None:
        """Wait until nothing is under way, for so long at most, and let go of the rest."""
        if self._driving:
            await asyncio.wait(self._driving.values(), timeout=seconds)
        await self.abandon()
