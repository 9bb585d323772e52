"""One job from the journal's line to its end, step by step.

`Steps.step` reads the job's line and the chain's finalised record, does the one thing that follows, and
writes down what came of it. A restart runs the same steps: there is no separate recovery path that could
differ from the normal one. What the chain says goes before what the journal says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from proofward.amounts import UNIT
from proofward.chain import Call
from proofward.chain.pallets import jobs as pallet
from proofward.chain.pallets.jobs import Accepted, JobRecord, Refunded
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward.logs import Logger
from proofward.protocol import JobContext
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.requests import JobRequest
from proofward_node.choice import Choice, Situation, obstacle, only_ours
from proofward_node.company import Company, Lots
from proofward_node.enclave_link import EnclaveDown
from proofward_node.journal import HELD, Entry, Journal, Result, State
from proofward_node.ports import Chain, Enclave, Head, Sent
from proofward_node.reasons import Code, Reason

log = Logger("proofward_node.worker")

OTHERS_FIRST_BLOCKS = 20
"""After the chain said that others, who did not let go of a job, come first: blocks until it is tried again.
"""
ENDING_RESERVE = UNIT
"""Kept beyond a bond, in the smallest unit: below this the chain refuses claims, since the worker could not
pay for handing in a result or handing back.
"""
TO_PROVE = (State.CLAIMING, State.CLAIMED, State.WORKING)
"""States of held claims that the enclave has yet to prove."""
DECLINES = 32
"""Jobs declined at once: most of the senders are left to claims and results."""
ENVELOPES = 256
"""Envelopes kept between the look into them and the work: at most 64 KiB each."""
AT_THE_ENCLAVE = 2
"""Jobs handed to the enclave at once: it proves one, and need not wait for the next."""
INSPECT_SECONDS = 30.0
"""How long the enclave may take to look into an envelope."""
COMPANY_SHARE = 0.25
"""Part of a block time for which a claim or a result waits for company."""
COMPANY_BLOCKS = 10
"""Blocks beyond the margin that a claim must have left for its result to wait for company."""
LONGER, SHORTER = 0.3, 0.1
"""Weight of the newest measurement in the running mean of a model's working time, when it is longer than the
mean and when it is shorter: claims are taken by it, and one too many costs a bond.
"""
LAST_BLOCKS = 3
"""Blocks before a claim's end with which no proof is begun any more: handing back has to land as well."""

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
"""Refusals of a claim that no retry can change."""
_PASSING_CODES = frozenset({"busy", "unknown-model", "epoch-full"})
"""Enclave errors that say something about this process at this moment, not about the envelope."""
_CLAIM_CODES = {
    "AlreadyClaimed": Code.CLAIMED_LATE,
    "CannotPayForEnding": Code.POOR,
    "OthersFirst": Code.OTHERS_FIRST,
    "BondTooHigh": Code.BOND,
    "LevelTooLow": Code.LEVEL,
    "DeadlinePassed": Code.DEADLINE,
}
"""What some refusals of a claim mean."""
_UNPAID = {
    "Rejected": ("proof-rejected", Code.REJECTED, "rejected"),
    "FaultyProof": ("faulty-proof", Code.FAULTY_PROOF, "faulty-proof"),
    "NoVerdict": ("no-verdict", Code.NO_VERDICT, "no-verdict"),
}
"""How a result ends unpaid, by the verdict's event: the log's name of it, the reason, the outcome."""
HANDED_BACK = "handed-back"
"""An outcome after which a later process may try the job again."""


@dataclass
class Steps:
    """What can be done for one job of a worker.

    Args:
        on_outcome, on_seconds: told of each outcome and of each stage's seconds, for the metrics.
        on_reason: told why a job does not go on, whenever it is looked at.
        closed: why nothing new is claimed at present, if so.
        stalled: how the chain fails to finalise, if it does: nothing new is claimed then. What is held goes
            on: a signed result lands in whichever blocks become final, and its bond depends on it.
    """

    chain: Chain
    enclave: Enclave
    journal: Journal
    policy: Choice = field(default_factory=Choice)
    on_outcome: Callable[[str], None] = lambda outcome: None
    on_seconds: Callable[[str, float], None] = lambda stage, seconds: None
    models: dict[bytes, ModelRecord] = field(default_factory=dict)
    on_reason: Callable[[bytes, Reason], None] = lambda job, reason: None
    closed: Reason | None = None
    stalled: Reason | None = None
    company: Company = field(default_factory=Company)
    _poor_at: int | None = None
    _others_first: dict[bytes, int] = field(default_factory=dict)
    _bench: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_THE_ENCLAVE))
    _free_at: float = 0.0  # when the enclave had done with the last one
    _declining: Lots = field(default_factory=lambda: Lots(DECLINES))
    _envelopes: dict[bytes, bytes] = field(default_factory=dict)
    _looked: dict[bytes, int] = field(default_factory=dict)  # which run of the enclave opened the envelope
    _worker: WorkerRecord | None = None
    _since: Head | None = None

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

    def _obstacle(self, record: JobRecord, worker: WorkerRecord, head: Head, ahead: int = 0) -> Reason | None:
        """Why the job is not claimed now, with `ahead` others to be proved first. `on_reason` is told."""
        entry = self.journal.get(record.id)
        closed = self._closed_for(record)
        found = obstacle(
            record,
            self.models.get(record.model),
            self.policy,
            Situation(
                account=self.chain.account,
                worker=worker,
                head=head,
                seconds=self.expected_seconds(record.model),
                ahead=ahead,
                tried=entry is not None and entry.attempt > 0,
                others_first=self._others_first.get(record.id, 0),
                closed=closed,
                block_ms=self._block_ms(head),
            ),
        )
        if found is not None:
            self.on_reason(record.id, found)
        return found

    def _closed_for(self, record: JobRecord) -> Reason | None:
        closed = self.closed
        if closed is not None and closed.code is Code.DRAINING and only_ours(record, self.chain.account):
            closed = None  # its client has nobody else, and the keys that open it end with this enclave
        return self.stalled or closed

    def _block_ms(self, head: Head) -> float:
        """How far the chain's clock goes in a block: a development chain's has a pace of its own."""
        since = self._since = self._since or head
        blocks = max(head.number - since.number, 1)
        return max(self.policy.block_seconds * 1000, (head.time_ms - since.time_ms) / blocks)

    def _note(self, job: bytes, code: Code, detail: str = "") -> None:
        self.on_reason(job, Reason(code, detail))

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
        before it is worked.
        """
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
            self._note(record.id, Code.ENCLAVE_DOWN, "at the look into its envelope")
            # an enclave that is gone took the keys along, and each block of waiting costs a part of the bond
            if not ours or await self._may_come_back(record):
                return False
            return self._give_back(record.id, "failed:enclave-down")
        except EnclaveError as error:
            if error.code in _PASSING_CODES:
                self._note(record.id, Code.ENCLAVE_FAILED, error.code)
                return False
            log.warning("envelope-refused", code=error.code, message=error.message)
            gone = error.code == "unknown-epoch"
            self._note(record.id, Code.KEYS_GONE if gone else Code.ENVELOPE, error.code)
            if ours:
                return self._give_back(record.id, f"refused:{error.code}")
            return self._leave(record.id, f"declined:{Code.KEYS_GONE}" if gone else f"refused:{error.code}")
        begun = found.get("block")
        if begun is not None and not (record.claim and ours and begun >= record.claim.claimed_at):
            # its one receipt names a block of an earlier claim, and counts in no other
            self._note(record.id, Code.WORKED_BEFORE, f"begun at block {begun}")
            if ours:
                return self._give_back(record.id, "worked-before")
            return self._leave(record.id, "worked-before")
        self._looked[record.id] = self.enclave.generation
        self.journal.advance(record.id, State.INSPECTED)
        return True

    def _leave(self, job: bytes, outcome: str) -> bool:
        """Never do a job that is not held: it is declined, which is free since its client paid for it."""
        self.journal.advance(job, State.DECLINING, outcome=outcome)
        return True

    def _full(self, job: bytes, claims: int) -> bool:
        """Whether no more claims may be held than these."""
        full = claims >= self.policy.max_claims
        if full:
            self._note(job, Code.BUSY, f"{claims} claims, the most at once")
        return full

    def _ahead(self) -> int:
        """Claims that the enclave has yet to prove."""
        return len(self.journal.entries(*TO_PROVE))

    async def _intend_claim(self, record: JobRecord, worker: WorkerRecord, stop: asyncio.Event) -> bool:
        head = await self.chain.finalised()

        def barred() -> bool:
            if stop.is_set() or self._full(record.id, len(self.journal.entries(*HELD))):
                return True
            return self._obstacle(record, worker, head, self._ahead()) is not None

        if barred() or not await self._can_pay(record) or barred():  # others claim meanwhile
            self.journal.advance(record.id, State.SEEN)
            return False
        self.journal.advance(record.id, State.CLAIMING)
        return True

    async def _can_pay(self, record: JobRecord) -> bool:
        """Whether the account can put down the bond and pay for the end of the claim, and of those that are
        out or under way: a claim that cannot be ended loses its bond.
        """
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
        self._note(record.id, Code.POOR, f"{balance} plancks are free, {need} are needed")
        return False

    async def _decline(self, entry: Entry, record: JobRecord) -> bool:
        if record.claimed_by(self.chain.account):
            self.journal.advance(entry.job, State.SEEN)
            return True
        with self.company.away():
            async with self._declining.place():
                now = await self.chain.job(entry.job)  # it may have ended while others were declined
                if now is not None and now.is_open and now.is_for(self.chain.account):
                    sent = await self.chain.send(f"decline:{entry.job.hex()}", pallet.decline(entry.job))
                    if sent.error is not None:
                        log.warning("decline-refused", error=sent.error)
        return self._finish(entry.job, entry.outcome or "declined")

    async def _claim(self, entry: Entry, record: JobRecord, worker: WorkerRecord) -> bool:
        if self._obstacle(record, worker, await self.chain.finalised()) is not None:
            # decided long ago, by a process that ended; one that lands after all is found as ours
            self.journal.advance(entry.job, State.SEEN)
            return False
        call = pallet.claim(entry.job, self.policy.max_bond)
        sent = await self._send(f"claim:{entry.job.hex()}:{entry.attempt}", call, record.model)
        if sent.error is None:
            after = await self.chain.job(entry.job)
            if after is not None and after.claimed_by(self.chain.account):
                return self._claimed(entry, after)
            return self._lost(entry, after or record)
        log.info("claim-refused", error=sent.error)
        code = _CLAIM_CODES.get(sent.error, Code.CLAIM_REFUSED)
        self._note(entry.job, code, f"{sent.error} in block {sent.block}")
        if sent.error == "CannotPayForEnding":
            self._poor_at = await self.chain.balance()
        if sent.error == "OthersFirst":
            self._others_first[entry.job] = sent.block + OTHERS_FIRST_BLOCKS
        if sent.error in _FINAL_CLAIM_ERRORS:
            self.journal.advance(entry.job, State.SEEN)
            return self._leave(entry.job, f"refused:{sent.error}")
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
        if left <= LAST_BLOCKS * self.policy.block_seconds:
            self._note(entry.job, Code.TOO_LATE, f"the claim ends with block {record.claim.lapses_at}")
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
            self._note(entry.job, Code.ENCLAVE_FAILED, error.code)
            if error.code == "busy" or (error.code == "unknown-model" and await self._may_come_back(record)):
                return False
            return self._give_back(entry.job, f"failed:{error.code}")
        except EnclaveDown as error:
            log.error("enclave-lost", message=str(error))
            self._note(entry.job, Code.ENCLAVE_DOWN, "while it worked")
            if await self._may_come_back(record):
                return False
            return self._give_back(entry.job, "failed:enclave-down")
        now = asyncio.get_running_loop().time()
        took, self._free_at = now - max(started, self._free_at), now
        self.journal.proved(entry.job, result)
        self._learn(record.model, took, reply.get("seconds"))
        log.info("proved", proof_bytes=len(result.proof), seconds=reply.get("seconds"))
        return True

    async def _may_come_back(self, record: JobRecord) -> bool:
        """Whether an enclave that is away has its keys when it is back, with time left to work the claim."""
        if not self.policy.keeps_keys or record.claim is None:
            return False
        left = min(record.claim.lapses_at, record.deadline) - (await self.chain.finalised()).number
        return left > self.policy.blocks(self.expected_seconds(record.model), 0)

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

    async def _send(self, key: str, call: Call, with_others: bytes | None = None) -> Sent:
        """What came of an extrinsic, sent together with those of others if a model is named; meanwhile nobody
        waits for this job.
        """
        if with_others is not None:
            most = self.policy.block_seconds * COMPANY_SHARE
            await self.company.wait(self.expected_seconds(with_others), most)
        with self.company.away():
            return await self.chain.send(key, call)

    async def _complete(self, entry: Entry, record: JobRecord, worker: WorkerRecord) -> bool:
        result = entry.result
        assert result is not None
        assert record.claim is not None
        head = await self.chain.finalised()
        if worker.expires_at <= head.time_ms:
            self._note(entry.job, Code.EXPIRED, "a result waits")
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
        last = min(record.claim.lapses_at, record.deadline) - self.policy.margin_blocks
        hurries = head.number + COMPANY_BLOCKS >= last
        sent = await self._send(_claim_key("complete", record), call, None if hurries else record.model)
        if sent.error is not None:
            log.error("complete-refused", error=sent.error, block=sent.block)
            self._note(entry.job, Code.RESULT_REFUSED, f"{sent.error} in block {sent.block}")
            return self._give_back(entry.job, f"refused:{sent.error}")
        if sent.event("Jobs", "Accepted") is not None:
            return self._finish(entry.job, "accepted")
        for event, (told, code, outcome) in _UNPAID.items():
            if (found := sent.event("Jobs", event)) is not None:
                reason = found.fields.get("reason")
                log.error(told, reason=str(reason), block=sent.block)
                self._note(entry.job, code, f"{reason} in block {sent.block}")
                return self._finish(entry.job, outcome)
        return self._lost(entry, record)

    async def _release(self, entry: Entry, record: JobRecord) -> bool:
        sent = await self._send(_claim_key("release", record), pallet.release(entry.job))
        if sent.error is not None:
            log.warning("release-refused", error=sent.error)
            return self._lost(entry, record)
        return self._let_go(entry)

    def _let_go(self, entry: Entry) -> bool:
        """A claim of ours is back in the queue. What we shall not try again is declined as well: its client
        would wait for us until the deadline.
        """
        outcome = entry.outcome or HANDED_BACK
        if outcome == HANDED_BACK:
            return self._finish(entry.job, outcome)
        self.journal.advance(entry.job, State.DECLINING, outcome=outcome)
        return True

    async def _has_lapsed(self, record: JobRecord) -> bool:
        """Whether no call of ours can end this claim any more."""
        head = await self.chain.finalised()
        return record.claim is not None and head.number >= record.claim.lapses_at

    async def _lapse(self, entry: Entry, record: JobRecord) -> bool:
        """Our claim ran out. It is put back into the queue, so that it no longer counts as open; the bond is
        gone either way. After the deadline the client ends the job.
        """
        head = await self.chain.finalised()
        if record.claim is None or head.number <= record.claim.lapses_at or head.number > record.deadline:
            return False
        sent = await self._send(_claim_key("lapse", record), pallet.lapse(entry.job))
        if sent.error is not None:
            log.info("lapse-refused", error=sent.error)
        if entry.state not in (State.SEEN, State.DECLINING):
            return self._lost(entry, record)
        if sent.error is None:  # one that the journal did not know
            self._note(entry.job, Code.LAPSED)
            self.on_outcome("lapsed")
        return False

    def hand_back(self) -> list[Entry]:
        """On the way out: turn claims that have no proof yet into ones to be released. A proof that exists
        is kept for the restart. Gives those that are to be released.
        """
        for entry in self.journal.entries(State.CLAIMED, State.WORKING):
            self.journal.advance(entry.job, State.RELEASING, outcome=HANDED_BACK)
            self._note(entry.job, Code.STOPPING, "it was handed back")
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
        as what it was; else it lapsed, and the job is looked at again like any other.
        """
        account, job = self.chain.account, entry.job
        if entry.state is State.COMPLETING and account in record.rejected_by:
            return self._finish(job, "rejected")
        if entry.state is State.COMPLETING and account in record.declined_by:
            return self._finish(job, "no-verdict")
        if entry.state is State.RELEASING and account in record.released_by:
            return self._let_go(entry)
        self.journal.advance(job, State.SEEN)
        self._note(job, Code.LAPSED)
        self.on_outcome("lapsed")
        log.warning("claim-lost", job=job.hex())
        return False

    def _finish(self, job: bytes, outcome: str) -> bool:
        self.journal.advance(job, State.DONE, outcome=outcome)
        self._envelopes.pop(job, None)
        self._looked.pop(job, None)
        self._others_first.pop(job, None)
        self.on_outcome(outcome)
        log.info("job-done", job=job.hex(), outcome=outcome)
        return False

    # helpers --------------------------------------------------------------------------------------

    def _learn(self, model: bytes, seconds: float, stages: object) -> None:
        mean = self.expected_seconds(model)
        mean += (LONGER if seconds > mean else SHORTER) * (seconds - mean)
        self.journal.set_meta(f"seconds:{model.hex()}", repr(mean).encode(), lasting=False)
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


def _claim_key(what: str, record: JobRecord) -> str:
    """One key for one claim: what was sent under an earlier claim is never taken for this one's."""
    assert record.claim is not None
    return f"{what}:{record.id.hex()}:{record.claim.claimed_at}"
