"""Jobs from the queue to the verdict, each as steps over the journal.

`Jobs.step` reads the job's line and the chain's finalised record, does the one thing that follows, and
writes down what came of it. A restart runs the same steps: there is no separate recovery path that could
differ from the normal one. What the chain says goes before what the journal says.

Several jobs are under way at once: as many are claimed as can be proved before they lapse. The enclave proves
one at a time, and meanwhile the others' claims and results wait for their blocks.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from proofward.chain.pallets import jobs as pallet
from proofward.chain.pallets.jobs import Accepted, JobRecord, Refunded
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward.protocol import JobContext, ProtocolError, decode_envelope
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.requests import JobRequest
from proofward_node.enclave_link import EnclaveDown
from proofward_node.journal import HELD, Entry, Journal, Result, State
from proofward_node.ports import Chain, ChainDown, Enclave, Head

log = structlog.get_logger("proofward_node.worker")

#: Open jobs of ours that one look takes in: each was paid for by a client who chose this worker.
OPEN_SCAN = 4096
#: Jobs of models that we do not serve which are remembered, so that they are not fetched again each block.
NOT_OURS = 4096
#: Blocks that the next recipient of a job leaves to each one named before it, so that they do not all pay
#: for one claim.
STAGGER_BLOCKS = 2
#: After the chain said that others, who did not let go of a job, come first: blocks until it is tried again.
OTHERS_FIRST_BLOCKS = 20
#: Kept beyond a bond, in the smallest unit: below this the chain refuses claims, since the worker could not
#: pay for handing in a result or handing back.
ENDING_RESERVE = 10**12
#: Envelopes kept between the look into them and the work: at most 64 KiB each.
ENVELOPES = 64
#: How long the enclave may take to look into an envelope.
INSPECT_SECONDS = 30.0
#: Weight of the newest measurement in the running mean of a model's working time.
NEWEST = 0.3

#: Refusals of a claim that no retry can change.
_FINAL_CLAIM_ERRORS = frozenset(
    {
        "UnknownJob",
        "NotRecipient",
        "WasRejected",
        "HasDeclined",
        "BondTooHigh",
        "LaneClosed",
        "LevelTooLow",
        "DevSetupRefused",
        "DeadlinePassed",
        "ModelRetired",
        "NotOpen",
    }
)
#: Enclave errors that say something about this process at this moment, not about the envelope.
_PASSING_CODES = frozenset({"busy", "unknown-model", "epoch-full"})
#: An outcome after which a later process may try the job again.
HANDED_BACK = "handed-back"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decides; see `proofward_node.config.WorkerConfig`."""

    min_price: int = 0
    max_bond: int = 10**12
    block_seconds: float = 1.0
    expected_seconds: float = 5.0
    margin_blocks: int = 10
    work_timeout_seconds: float = 300.0
    max_claims: int = 16


@dataclass
class Jobs:
    """The jobs of one worker. `start` is called at each new head; `run` besides waits for what it began.

    Args:
        on_outcome, on_seconds: told of each outcome and of each stage's seconds, for the metrics.
    """

    chain: Chain
    enclave: Enclave
    journal: Journal
    policy: Policy = Policy()
    on_outcome: Callable[[str], None] = lambda outcome: None
    on_seconds: Callable[[str, float], None] = lambda stage, seconds: None
    models: dict[bytes, ModelRecord] = field(default_factory=dict)
    _not_ours: dict[bytes, None] = field(default_factory=dict)
    _poor_at: int | None = None
    _others_first: dict[bytes, int] = field(default_factory=dict)
    _driving: dict[bytes, asyncio.Task[bool]] = field(default_factory=dict)
    _bench: asyncio.Lock = field(default_factory=asyncio.Lock)
    _envelopes: dict[bytes, bytes] = field(default_factory=dict)
    _worker: WorkerRecord | None = None

    # finding work ---------------------------------------------------------------------------------

    def serve(self, models: dict[bytes, ModelRecord]) -> None:
        """Take jobs of these models from now on."""
        if self.models.keys() != models.keys():
            self._not_ours.clear()  # jobs of a model that is served only now
        self.models = models

    async def adopt(self) -> None:
        """Write down the claims that the chain holds for us and the journal does not know (it was restored or
        lost, or a claim landed late): they are worked like any other."""
        worker = await self.chain.worker()
        if worker is None or worker.open_claims == 0:
            return
        for job in await self.chain.open_jobs(OPEN_SCAN):
            entry = self.journal.get(job)
            if entry is not None and entry.state is not State.DONE:
                continue
            record = await self.chain.job(job)
            if record is None or not record.claimed_by(self.chain.account):
                continue
            if entry is None:
                self.journal.see(job, record.model)
            else:
                self.journal.advance(job, State.SEEN)
            log.warning("claim-without-journal", job=job.hex())

    async def discover(self) -> None:
        """Write down the open jobs of our models that name us: queued, or claimed by one that may die. The
        chain keeps them by recipient, so that jobs of others cost nothing to pass over.
        """
        for job in await self.chain.open_jobs(OPEN_SCAN):
            await self._see(job)

    async def _see(self, job: bytes) -> None:
        if self._known(job):
            return
        record = await self.chain.job(job)
        if record is None or record.model not in self.models or self.chain.account not in record.recipients:
            self._not_ours[job] = None
            if len(self._not_ours) > NOT_OURS:
                del self._not_ours[next(iter(self._not_ours))]
        else:
            self.journal.see(job, record.model)
            log.info("job-seen", job=job.hex(), model=record.model.hex(), deadline=record.deadline)

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
        A job that the chain left in the lurch goes on with the next call. Raises ChainDown."""
        done = self._reap()
        self._worker = worker
        if worker.open_claims > len(self.journal.entries(*HELD)):
            await self.adopt()
        waiting = self.journal.entries(State.SEEN, State.INSPECTED, State.DECLINING)
        held = self.journal.entries(*HELD)
        records = await self.chain.jobs([entry.job for entry in (*held, *waiting)])
        for entry in held:
            self._drive(entry.job, stop)
        claims = len(held) + sum(task_job not in {one.job for one in held} for task_job in self._driving)
        for entry in waiting:
            record = records.get(entry.job)
            if entry.job in self._driving:
                continue
            if record is None or (ended := self._ended(record)) is not None:
                self._finish(entry.job, "unknown" if record is None else str(ended))
            elif record.claimed_by(self.chain.account) or entry.state is State.DECLINING:
                self._drive(entry.job, stop)
            elif stop.is_set() or claims >= self.policy.max_claims:
                continue
            elif self._worth(record, worker, head, ahead=claims):
                self._drive(entry.job, stop)
                claims += 1
        return done

    def _drive(self, job: bytes, stop: asyncio.Event) -> None:
        if job not in self._driving:
            self._driving[job] = asyncio.create_task(self._driven(job, stop), name=f"job {job.hex()[:8]}")

    async def _driven(self, job: bytes, stop: asyncio.Event) -> bool:
        with structlog.contextvars.bound_contextvars(job=job.hex()):
            while await self.step(job, stop):
                pass
        entry = self.journal.get(job)
        return entry is not None and entry.state is State.DONE

    def _reap(self) -> bool:
        """Whether one of those that came to a rest is done. A silent chain is only logged; other errors are
        raised."""
        done = False
        for job, task in [(job, task) for job, task in self._driving.items() if task.done()]:
            del self._driving[job]
            try:
                done |= task.result()
            except ChainDown as error:
                log.warning("chain-failed", job=job.hex(), message=str(error))
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

    # one job --------------------------------------------------------------------------------------

    async def step(self, job: bytes, stop: asyncio.Event) -> bool:
        """Do the next thing for a job. False when the job waits or is done."""
        entry, worker = self.journal.get(job), self._worker
        assert entry is not None
        if entry.state is State.DONE or worker is None:
            return False
        record = await self.chain.job(job)
        if record is None:
            return self._finish(job, "unknown")
        if (ended := self._ended(record)) is not None:
            return self._finish(job, ended)
        ours = record.claimed_by(self.chain.account)
        if ours and await self._has_lapsed(record):
            return await self._lapse(entry, record)
        match entry.state:
            case State.SEEN:
                return await self._inspect(record, worker)
            case State.INSPECTED | State.CLAIMING if ours:
                return self._claimed(entry, record)
            case State.INSPECTED:
                return await self._intend_claim(record, worker, stop)
            case State.CLAIMING:
                return await self._claim(entry, record, worker)
            case State.DECLINING:
                return await self._decline(entry, record)
        if not ours:
            return self._lost(entry, record)
        match entry.state:
            case State.CLAIMED:
                self.journal.advance(job, State.WORKING)
                return True
            case State.WORKING:
                async with self._bench:
                    return await self._work(entry, worker)
            case State.PROVED:
                self.journal.advance(job, State.COMPLETING)
                return True
            case State.COMPLETING:
                return await self._complete(entry, record, worker)
            case _:
                return await self._release(entry, record)

    # before the claim -----------------------------------------------------------------------------

    def _worth(self, record: JobRecord, worker: WorkerRecord, head: Head, ahead: int = 0) -> bool:
        """Whether a claim in the next block can succeed, pays enough and leaves time for the work, with
        `ahead` others to be proved first."""
        account, model = self.chain.account, self.models.get(record.model)
        if model is None or not record.is_for(account) or model.terms.bond > self.policy.max_bond:
            return False
        # a second hand-back costs the bond: only a job that we ourselves handed back on the way out is
        # tried again
        entry = self.journal.get(record.id)
        if account in record.released_by and (entry is None or entry.attempt == 0):
            return False
        if head.number < self._others_first.get(record.id, 0):
            return False
        if record.price < self.policy.min_price or worker.level < record.min_level:
            return False
        if worker.expires_at <= head.time_ms:
            return False
        if not _setup_allowed(model, record):
            return False
        free_since = record.claim.lapses_at + 1 if record.claim else record.submitted_at
        turn = free_since + STAGGER_BLOCKS * record.recipients.index(account)
        if not record.claimable(head.number + 1) or head.number < turn:
            return False
        need = self._blocks(record.model, ahead)
        return head.number + need <= record.deadline and need <= model.claim_blocks

    def _blocks(self, model: bytes, ahead: int) -> int:
        """Blocks that a job of this model needs from claim to verdict, with the margin, when `ahead` others
        (taken to be of its kind) are proved before it. Half as much again is kept for their surprises."""
        seconds = self.expected_seconds(model) * (1 + 1.5 * ahead)
        return math.ceil(seconds / self.policy.block_seconds) + self.policy.margin_blocks

    def expected_seconds(self, model: bytes) -> float:
        """The running mean of the model's working time, or the configured guess."""
        stored = self.journal.get_meta(f"seconds:{model.hex()}")
        return float(stored) if stored else self.policy.expected_seconds

    async def _envelope(self, job: bytes) -> bytes | None:
        if job not in self._envelopes:
            sealed = await self.chain.sealed(job)
            if sealed is None:
                return None
            self._envelopes[job] = sealed
            while len(self._envelopes) > ENVELOPES:
                del self._envelopes[next(iter(self._envelopes))]
        return self._envelopes[job]

    async def _inspect(self, record: JobRecord, worker: WorkerRecord) -> bool:
        """Look into the envelope before a bond is put down, or, of a claim that the journal did not know,
        before it is worked."""
        ours = record.claimed_by(self.chain.account)
        if record.model not in self.models:
            return self._give_back(record.id, "not-served") if ours else False
        sealed = await self._envelope(record.id)
        if sealed is None:
            return False
        try:
            found = await self.enclave.call(
                "inspect", {"job": self._context(record, worker), "envelope": sealed}, INSPECT_SECONDS
            )
        except EnclaveDown as error:
            log.warning("inspect-failed", message=str(error))
            return False
        except EnclaveError as error:
            if error.code in _PASSING_CODES:
                return False
            log.warning("envelope-refused", code=error.code, message=error.message)
            if ours:
                return self._give_back(record.id, f"refused:{error.code}")
            if error.code == "unknown-epoch" and _sealed_before(sealed, self.chain.account, worker.epoch):
                self.journal.advance(record.id, State.DECLINING, outcome="keys-gone")
                return True
            return self._finish(record.id, f"refused:{error.code}")
        begun = found.get("block")
        if begun is not None and not (record.claim and ours and begun >= record.claim.claimed_at):
            # its one receipt names a block of an earlier claim, and counts in no other
            if ours:
                return self._give_back(record.id, "worked-before")
            return self._finish(record.id, "worked-before")
        self.journal.advance(record.id, State.INSPECTED)
        return True

    async def _intend_claim(self, record: JobRecord, worker: WorkerRecord, stop: asyncio.Event) -> bool:
        worth = not stop.is_set() and self._worth(record, worker, await self.chain.finalised())
        if not worth or not await self._can_pay(record):
            self.journal.advance(record.id, State.SEEN)
            return False
        self.journal.advance(record.id, State.CLAIMING)
        return True

    async def _can_pay(self, record: JobRecord) -> bool:
        """Whether the account can put down the bond and pay for the end of the claim, and of those that are
        out or under way: a claim that cannot be ended loses its bond."""
        balance = await self.chain.balance()
        held = self.journal.entries(*HELD)
        under_way = sum(entry.state is State.CLAIMING for entry in held)
        bond = self.models[record.model].terms.bond
        need = bond + under_way * self.policy.max_bond + ENDING_RESERVE * (1 + len(held))
        if self._poor_at is not None and balance > self._poor_at:
            self._poor_at = None
        if balance >= need and self._poor_at is None:
            return True
        if not held:
            message = "fund the account"
            log.error("account-too-poor", balance=balance, needed_at_least=need, message=message)
        return False

    async def _decline(self, entry: Entry, record: JobRecord) -> bool:
        if record.claimed_by(self.chain.account):
            self.journal.advance(entry.job, State.SEEN)
            return True
        if record.is_for(self.chain.account):
            sent = await self.chain.send(f"decline:{entry.job.hex()}", pallet.decline(entry.job))
            if sent.error is not None:
                log.warning("decline-refused", error=sent.error)
        return self._finish(entry.job, f"declined:{entry.outcome or 'keys-gone'}")

    async def _claim(self, entry: Entry, record: JobRecord, worker: WorkerRecord) -> bool:
        if not self._worth(record, worker, await self.chain.finalised()):
            # decided long ago, by a process that ended; one that lands after all is found as ours
            self.journal.advance(entry.job, State.SEEN)
            return False
        call = pallet.claim(entry.job, self.policy.max_bond)
        sent = await self.chain.send(f"claim:{entry.job.hex()}:{entry.attempt}", call)
        if sent.error is None:
            after = await self.chain.job(entry.job)
            if after is not None and after.claimed_by(self.chain.account):
                return self._claimed(entry, after)
            return self._lost(entry, after or record)
        log.info("claim-refused", error=sent.error)
        if sent.error == "CannotPayForEnding":
            self._poor_at = await self.chain.balance()
        if sent.error == "OthersFirst":
            self._others_first[entry.job] = sent.block + OTHERS_FIRST_BLOCKS
        if sent.error in _FINAL_CLAIM_ERRORS:
            return self._finish(entry.job, f"refused:{sent.error}")
        self.journal.advance(entry.job, State.SEEN)
        return False

    def _claimed(self, entry: Entry, record: JobRecord) -> bool:
        assert record.claim is not None
        if entry.state is State.INSPECTED:
            self.journal.advance(entry.job, State.CLAIMING)
        self.journal.advance(entry.job, State.CLAIMED, lapses_at=record.claim.lapses_at)
        log.info("claimed", block=record.claim.claimed_at, lapses_at=record.claim.lapses_at)
        return True

    # under the claim ------------------------------------------------------------------------------

    async def _work(self, entry: Entry, worker: WorkerRecord) -> bool:
        record, head = await self.chain.job(entry.job), await self.chain.finalised()
        if record is None or record.claim is None or not record.claimed_by(self.chain.account):
            return True  # while it waited for its turn: the next step says what it means
        left = (min(record.claim.lapses_at, record.deadline) - head.number - 1) * self.policy.block_seconds
        if record.model not in self.models:
            return self._give_back(entry.job, "not-served")
        if left <= 0:
            return self._give_back(entry.job, "too-late")
        sealed = await self._envelope(entry.job)
        if sealed is None:
            return True
        params = {"job": self._context(record, worker), "envelope": sealed, "block": head.number}
        started = asyncio.get_running_loop().time()
        try:
            reply = await self._worked(params, record, min(left, self.policy.work_timeout_seconds))
            result = Result(
                reply["sealed_output"],
                reply["output_commitment"],
                reply["proof"],
                reply["block"],
                reply["receipt_signature"],
            )
        except EnclaveError as error:
            log.error("work-failed", code=error.code, message=error.message)
            if error.code == "busy":
                return False
            return self._give_back(entry.job, f"failed:{error.code}")
        except EnclaveDown as error:
            log.error("enclave-lost", message=str(error))
            return self._give_back(entry.job, "failed:enclave-down")
        self.journal.proved(entry.job, result)
        self._learn(record.model, asyncio.get_running_loop().time() - started, reply.get("seconds"))
        log.info("proved", proof_bytes=len(result.proof), seconds=reply.get("seconds"))
        return True

    async def _worked(self, params: dict[str, Any], record: JobRecord, seconds: float) -> dict[str, Any]:
        """The enclave's result; that of an earlier process under the same claim, if there was one."""
        try:
            return await self.enclave.call("work", params, seconds)
        except EnclaveError as error:
            if error.code != "already-worked":
                raise
            asked = {name: params[name] for name in ("job", "envelope")}
            begun = (await self.enclave.call("inspect", asked, INSPECT_SECONDS)).get("block")
            if begun is None or record.claim is None or begun < record.claim.claimed_at:
                raise
            return await self.enclave.call("work", params | {"block": begun}, seconds)

    async def _complete(self, entry: Entry, record: JobRecord, worker: WorkerRecord) -> bool:
        result = entry.result
        assert result is not None
        assert record.claim is not None
        head = await self.chain.finalised()
        if worker.expires_at <= head.time_ms:
            return False  # until it is renewed
        if result.receipt_block < record.claim.claimed_at:
            return self._give_back(entry.job, "worked-before")
        call = pallet.complete(
            job=entry.job,
            sealed_output=result.sealed_output,
            output_commitment=result.output_commitment,
            proof=result.proof,
            receipt_block=result.receipt_block,
            receipt_signature=result.receipt_signature,
        )
        sent = await self.chain.send(_claim_key("complete", record), call)
        if sent.error is not None:
            log.error("complete-refused", error=sent.error, block=sent.block)
            return self._give_back(entry.job, f"refused:{sent.error}")
        if sent.event("Jobs", "Accepted") is not None:
            return self._finish(entry.job, "accepted")
        rejected = sent.event("Jobs", "Rejected")
        if rejected is not None:
            log.error("proof-rejected", reason=str(rejected.fields.get("reason")), block=sent.block)
            return self._finish(entry.job, "rejected")
        faulty = sent.event("Jobs", "FaultyProof")
        if faulty is not None:
            log.error("faulty-proof", reason=str(faulty.fields.get("reason")), block=sent.block)
            return self._finish(entry.job, "faulty-proof")
        undecided = sent.event("Jobs", "NoVerdict")
        if undecided is not None:
            log.error("no-verdict", reason=str(undecided.fields.get("reason")), block=sent.block)
            return self._finish(entry.job, "no-verdict")
        return self._lost(entry, record)

    async def _release(self, entry: Entry, record: JobRecord) -> bool:
        sent = await self.chain.send(_claim_key("release", record), pallet.release(entry.job))
        if sent.error is not None:
            log.warning("release-refused", error=sent.error)
            return self._lost(entry, record)
        return self._finish(entry.job, entry.outcome or HANDED_BACK)

    async def _has_lapsed(self, record: JobRecord) -> bool:
        """Whether no call of ours can end this claim any more."""
        head = await self.chain.finalised()
        return record.claim is not None and head.number >= record.claim.lapses_at

    async def _lapse(self, entry: Entry, record: JobRecord) -> bool:
        """Our claim ran out. It is put back into the queue, so that it no longer counts as open; the bond is
        gone either way. After the deadline the client ends the job."""
        head = await self.chain.finalised()
        if record.claim is None or head.number <= record.claim.lapses_at or head.number > record.deadline:
            return False
        sent = await self.chain.send(_claim_key("lapse", record), pallet.lapse(entry.job))
        if sent.error is not None:
            log.info("lapse-refused", error=sent.error)
        if entry.state not in (State.SEEN, State.DECLINING):
            return self._lost(entry, record)
        return False

    def hand_back(self) -> list[Entry]:
        """On the way out: turn claims that have no proof yet into ones to be released. A proof that exists
        is kept for the restart. Gives those that are to be released."""
        for entry in self.journal.entries(State.CLAIMED, State.WORKING):
            self.journal.advance(entry.job, State.RELEASING, outcome=HANDED_BACK)
        return self.journal.entries(State.RELEASING)

    # endings --------------------------------------------------------------------------------------

    def _ended(self, record: JobRecord) -> str | None:
        match record.status:
            case Accepted(worker=worker):
                return "accepted" if worker == self.chain.account else "lost"
            case Refunded():
                return "refunded"
        return None

    def _give_back(self, job: bytes, outcome: str) -> bool:
        self.journal.advance(job, State.RELEASING, outcome=outcome)
        return True

    def _lost(self, entry: Entry, record: JobRecord) -> bool:
        """Our claim is gone. A verdict or a release of ours that this process did not hear of is written down
        as what it was; else it lapsed, and the job is looked at again like any other."""
        account, job = self.chain.account, entry.job
        if entry.state is State.COMPLETING and account in record.rejected_by:
            return self._finish(job, "rejected")
        if entry.state is State.COMPLETING and account in record.declined_by:
            return self._finish(job, "no-verdict")
        if entry.state is State.RELEASING and account in record.released_by:
            return self._finish(job, entry.outcome or HANDED_BACK)
        self.journal.advance(job, State.SEEN)
        self.on_outcome("lapsed")
        log.warning("claim-lost", job=job.hex())
        return False

    def _finish(self, job: bytes, outcome: str) -> bool:
        self.journal.advance(job, State.DONE, outcome=outcome)
        self._envelopes.pop(job, None)
        self._others_first.pop(job, None)
        self.on_outcome(outcome)
        log.info("job-done", job=job.hex(), outcome=outcome)
        return False

    # helpers --------------------------------------------------------------------------------------

    def _learn(self, model: bytes, seconds: float, stages: object) -> None:
        mean = (1 - NEWEST) * self.expected_seconds(model) + NEWEST * seconds
        self.journal.set_meta(f"seconds:{model.hex()}", repr(mean).encode())
        if isinstance(stages, dict):
            for stage, value in stages.items():
                if isinstance(stage, str) and isinstance(value, int | float):
                    self.on_seconds(stage, float(value))

    def _context(self, record: JobRecord, worker: WorkerRecord) -> dict[str, Any]:
        model = self.models[record.model]
        return JobRequest(
            context=JobContext(
                genesis=self.chain.genesis,
                job=record.id,
                client=record.client,
                model=record.model,
                input_commitment=record.input_commitment,
            ),
            worker=self.chain.account,
            manifest_hash=model.manifest_hash,
            weights_digest=model.weights_digest,
            publisher=model.publisher,
            setup=model.setup,
            level=worker.level,
        ).encode()


def _sealed_before(envelope: bytes, account: bytes, epoch: int) -> bool:
    """Whether the envelope is sealed to keys of an epoch of ours before `epoch`: an invented epoch, for which
    a client would have us pay, is none.
    """
    try:
        return decode_envelope(envelope).recipient(account).epoch < epoch
    except ProtocolError:
        return False


def _setup_allowed(model: ModelRecord, record: JobRecord) -> bool:
    """As the pallet counts it: a setup attested below the level that the job demands is a `dev` one."""
    if record.allow_dev_setup:
        return True
    if model.setup.level is not None:
        return model.setup.level >= record.min_level
    return model.setup.label == "ceremony"


def _claim_key(what: str, record: JobRecord) -> str:
    """One key for one claim: what was sent under an earlier claim is never taken for this one's."""
    assert record.claim is not None
    return f"{what}:{record.id.hex()}:{record.claim.claimed_at}"
