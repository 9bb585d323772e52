"""Thirty and more causes for which a worker does no work, each brought about and asked for: `worker why`
names it, and never names another as certain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from proofward.chain import Call
from proofward.chain.errors import ExtrinsicInvalid
from proofward.chain.pallets.jobs import Accepted, JobRecord, Refunded
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.sessions import Asked
from proofward.protocol import DEV_SETUP, Level
from proofward_node import diary, session_report, why
from proofward_node.choice import Choice
from proofward_node.diary import Diary
from proofward_node.jobs import Jobs
from proofward_node.journal import Journal, State
from proofward_node.ports import ChainDown, Head, Sent
from proofward_node.reasons import MEANING, SESSION_CODES, Code, Reason
from proofward_node.why import Finding, Known, Lost
from tests.node.session_world import SESSION, Ledger, keeper, step, vouched, window
from tests.node.session_world import record as session_record
from tests.node.world import (
    ACCOUNT,
    GENESIS,
    MODEL,
    OTHER,
    WORKER,
    FakeChain,
    FakeEnclave,
    World,
    claimed,
    job,
)


@dataclass
class Worker:
    """The worker's own jobs and diary over a chain of tables, on a clock of its own: a block is a second."""

    folder: Path
    world: World = field(default_factory=World)
    policy: Choice = field(default_factory=Choice)
    lost: list[Lost] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chain, self.enclave = FakeChain(self.world), FakeEnclave(self.world)
        self.stop = asyncio.Event()
        self.record: JobRecord = job()
        self.worker = WORKER
        self.start()

    def start(self) -> None:
        self.journal = Journal(self.folder / "journal.sqlite", GENESIS + ACCOUNT)
        self.diary = Diary(self.folder / "diary.sqlite", lambda: float(self.world.block))
        self.head: Head | None = None
        self.jobs = Jobs(self.chain, self.enclave, self.journal, self.policy)
        self.jobs.on_reason = lambda one, reason: self.diary.note(one, reason, self.head)
        self.jobs.serve({MODEL.id: MODEL})

    def end(self) -> None:
        self.diary.close()
        self.journal.close()

    def add(self, **changes: Any) -> JobRecord:
        self.record = self.world.add(job(submitted_at=self.world.block, **changes))
        return self.record

    def set(self, **changes: Any) -> None:
        self.world.jobs[self.record.id] = replace(self.world.jobs[self.record.id], **changes)

    def state(self, code: Code, detail: str = "") -> None:
        number = self.world.block
        self.diary.state(Reason(code, detail), Head(number, number.to_bytes(32, "big"), number * 1000))

    async def round(self) -> None:
        self.head = await self.chain.finalised()
        await self.jobs.discover()
        await self.jobs.run(self.head, self.worker, self.stop)
        self.state(Code.WAITING)

    def taken_by(self, other: bytes = OTHER, after: int = 3) -> None:
        """Another does it, some blocks later."""
        self.world.block += after
        claim = claimed(other, self.world.block, self.world.block + 60)
        self.set(status=claim)

    def refunded(self) -> None:
        self.world.block = self.record.deadline + 1
        self.set(status=Refunded(self.world.block))

    def ask(self) -> Finding:
        self.world.block += 1
        pages = diary.read(self.folder / "diary.sqlite", job=self.record.id)
        seen = why.with_gaps(pages.stretches, 0.0, float(self.world.block), running=True)
        return why.explain(
            Known(
                self.record.id, ACCOUNT, self.world.block, self.world.jobs.get(self.record.id),
                self.journal.get(self.record.id), pages.notes, seen, self.lost,
            )
        )  # fmt: skip


Cause = Callable[[Worker], Awaitable[None]]
CAUSES: list[tuple[Code, str, Cause]] = []


def cause(code: Code) -> Callable[[Cause], Cause]:
    """One line of the table: what is brought about, and what has to be said of it."""

    def add(bring: Cause) -> Cause:
        CAUSES.append((code, bring.__name__, bring))
        return bring

    return add


def left_for(code: Code, policy: Choice | None = None, **changes: Any) -> None:
    """Jobs that are left for what they are, and then done by another."""

    async def bring(worker: Worker) -> None:
        if policy is not None:
            worker.jobs.policy = policy
        worker.add(recipients=(ACCOUNT, OTHER), **changes)
        await worker.round()
        worker.taken_by()
        await worker.round()

    CAUSES.append((code, f"left for {code}", bring))


left_for(Code.PRICE, Choice(min_price=11))
left_for(Code.BOND, Choice(max_bond=MODEL.terms.bond - 1))
left_for(Code.LEVEL, min_level=Level.HARDWARE)
left_for(Code.SETUP, allow_dev_setup=False)
left_for(Code.DEADLINE, deadline=20)
left_for(Code.SLOW, Choice(expected_seconds=100))


@cause(Code.NOT_NAMED)
async def not_named(worker: Worker) -> None:
    worker.add(recipients=(OTHER,))
    await worker.round()


@cause(Code.NOT_SERVED)
async def its_model_is_not_loaded(worker: Worker) -> None:
    worker.jobs.serve({}, {MODEL.id: Reason(Code.NOT_SERVED, "no loaded artefact is this model")})
    worker.add(recipients=(ACCOUNT, OTHER))
    await worker.round()
    worker.taken_by()
    await worker.round()


@cause(Code.TURN_LOST)
async def the_first_recipient_took_its_turn(worker: Worker) -> None:
    worker.add(recipients=(OTHER, ACCOUNT))
    worker.world.block -= 1
    await worker.round()
    worker.taken_by(after=0)
    await worker.round()


@cause(Code.TURN_LOST)
async def the_first_recipient_did_it_before_a_look(worker: Worker) -> None:
    worker.state(Code.NO_JOBS)
    worker.add(recipients=(OTHER, ACCOUNT))
    worker.world.block += 1
    worker.set(
        status=Accepted(
            OTHER, Level.SIMULATED, DEV_SETUP, b"o" * 32, b"p" * 32, b"s" * 32, worker.world.block
        )
    )
    worker.state(Code.NO_JOBS)


@cause(Code.BUSY)
async def the_claims_in_hand_leave_no_time(worker: Worker) -> None:
    worker.jobs.policy = Choice(max_claims=0)
    worker.add(recipients=(ACCOUNT, OTHER))
    await worker.round()
    worker.taken_by()
    await worker.round()


@cause(Code.CLAIMED_LATE)
async def anothers_claim_was_in_a_block_before_ours(worker: Worker) -> None:
    worker.add(recipients=(ACCOUNT, OTHER))
    send = worker.chain.send

    async def beaten(key: str, call: Call) -> Sent:
        worker.taken_by(after=0)
        return await send(key, call)

    worker.chain.send = beaten  # type: ignore[method-assign]
    await worker.round()
    await worker.round()


@cause(Code.POOR)
async def the_account_is_poor(worker: Worker) -> None:
    worker.world.balance = 5
    worker.add(recipients=(ACCOUNT, OTHER))
    await worker.round()
    worker.taken_by()
    await worker.round()


@cause(Code.POOR)
async def the_chain_calls_it_poor(worker: Worker) -> None:
    worker.world.poor = True
    worker.add(recipients=(ACCOUNT, OTHER))
    await worker.round()
    worker.taken_by()


@cause(Code.ENVELOPE)
async def the_client_sealed_something_else(worker: Worker) -> None:
    worker.enclave.refuse["inspect"] = "commitment-mismatch"
    worker.add()
    await worker.round()
    worker.refunded()


@cause(Code.KEYS_GONE)
async def the_enclave_was_restarted(worker: Worker) -> None:
    worker.enclave.has_keys = False
    worker.add()
    await worker.round()
    worker.refunded()


@cause(Code.WORKED_BEFORE)
async def the_enclave_has_worked_it_before(worker: Worker) -> None:
    worker.add(recipients=(ACCOUNT, OTHER))
    call = worker.enclave.call

    async def worked(method: str, params: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        found = await call(method, params, timeout_seconds)
        return found | {"block": 3} if method == "inspect" else found

    worker.enclave.call = worked  # type: ignore[method-assign]
    await worker.round()
    worker.taken_by()


@cause(Code.ENCLAVE_FAILED)
async def the_prover_failed(worker: Worker) -> None:
    worker.enclave.refuse["work"] = "prover-failed"
    worker.add(recipients=(ACCOUNT, OTHER))
    await worker.round()
    worker.taken_by()
    await worker.round()


@cause(Code.ENCLAVE_FAILED)
async def the_model_was_quarantined(worker: Worker) -> None:
    worker.enclave.refuse["work"] = "model-quarantined"
    worker.add()
    await worker.round()
    await worker.round()


@cause(Code.EXTRINSIC_LOST)
async def the_claim_never_came_into_a_block(worker: Worker) -> None:
    worker.add(recipients=(ACCOUNT, OTHER))

    async def dead(key: str, call: Call) -> Sent:
        worker.world.block += 64
        raise ChainDown("its era is over") from ExtrinsicInvalid("its era is over", code="expired")

    worker.chain.send = dead  # type: ignore[method-assign]
    worker.head = await worker.chain.finalised()
    await worker.jobs.discover()
    await worker.jobs.start(worker.head, worker.worker, worker.stop)
    await asyncio.wait(worker.jobs._driving.values())
    worker.jobs._reap()
    worker.taken_by()


@cause(Code.EXTRINSIC_LOST)
async def a_killed_process_left_a_claim_that_died(worker: Worker) -> None:
    worker.add(recipients=(ACCOUNT, OTHER))
    worker.state(Code.NO_JOBS)
    worker.lost.append(Lost(f"claim:{worker.record.id.hex()}:1", "its era is over"))
    worker.taken_by()
    worker.state(Code.NO_JOBS)


@cause(Code.RESULT_REFUSED)
async def the_chain_refused_the_result(worker: Worker) -> None:
    worker.add(recipients=(ACCOUNT, OTHER))
    send = worker.chain.send

    async def refused(key: str, call: Call) -> Sent:
        return Sent(worker.world.block, "BadReceipt") if call.name == "complete" else await send(key, call)

    worker.chain.send = refused  # type: ignore[method-assign]
    await worker.round()
    worker.taken_by()
    await worker.round()


@cause(Code.TOO_LATE)
async def no_time_was_left_under_the_claim(worker: Worker) -> None:
    record = worker.add(recipients=(ACCOUNT, OTHER), deadline=13)
    worker.journal.see(record.id, MODEL.id)
    for state in (State.INSPECTED, State.CLAIMING, State.CLAIMED, State.WORKING):
        worker.journal.advance(record.id, state)
    worker.set(status=claimed(ACCOUNT, worker.world.block, worker.world.block + 50))
    await worker.round()
    worker.taken_by()


@cause(Code.LAPSED)
async def the_claim_ran_out(worker: Worker) -> None:
    record = worker.add(recipients=(ACCOUNT, OTHER))
    worker.journal.see(record.id, MODEL.id)
    for state in (State.INSPECTED, State.CLAIMING, State.CLAIMED, State.WORKING):
        worker.journal.advance(record.id, state)
    worker.set(status=claimed(ACCOUNT, worker.world.block, worker.world.block + 4))
    worker.world.block += 10
    await worker.round()
    worker.taken_by()
    await worker.round()


@cause(Code.LAPSED)
async def the_claim_has_run_out_and_nobody_took_it_back_yet(worker: Worker) -> None:
    worker.add(status=claimed(ACCOUNT, worker.world.block, worker.world.block + 4))
    worker.world.block += 10


@cause(Code.REJECTED)
async def the_contract_called_the_proof_false(worker: Worker) -> None:
    worker.world.reject_proofs = True
    worker.add(recipients=(ACCOUNT, OTHER))
    await worker.round()
    worker.taken_by()


@cause(Code.FAULTY_PROOF)
async def the_proof_was_none(worker: Worker) -> None:
    worker.world.no_verdict = "FaultyProof"
    worker.add(recipients=(ACCOUNT, OTHER))
    await worker.round()


@cause(Code.NO_VERDICT)
async def the_chain_came_to_no_verdict(worker: Worker) -> None:
    worker.world.no_verdict = "NoVerdict"
    worker.add(recipients=(ACCOUNT, OTHER))
    await worker.round()


@cause(Code.STOPPING)
async def it_was_handed_back_on_the_way_out(worker: Worker) -> None:
    record = worker.add(recipients=(ACCOUNT, OTHER))
    worker.journal.see(record.id, MODEL.id)
    for state in (State.INSPECTED, State.CLAIMING, State.CLAIMED):
        worker.journal.advance(record.id, state)
    worker.set(status=claimed(ACCOUNT, worker.world.block, worker.world.block + 50))
    worker.stop.set()
    worker.jobs.hand_back()
    await worker.round()
    worker.taken_by()


@cause(Code.OTHERS_FIRST)
async def it_was_let_go_once_and_others_come_first(worker: Worker) -> None:
    worker.world.others_first = True
    worker.add(recipients=(ACCOUNT, OTHER))
    await worker.round()


@cause(Code.REFUNDED)
async def the_client_took_it_back_before_its_turn(worker: Worker) -> None:
    worker.state(Code.NO_JOBS)
    worker.add(recipients=(OTHER, ACCOUNT))
    worker.world.block += 1
    worker.set(status=Refunded(worker.world.block))
    worker.world.block += 9
    worker.state(Code.NO_JOBS)


@cause(Code.EXPIRED)
async def the_registration_would_end_before_the_claim(worker: Worker) -> None:
    worker.worker = replace(WORKER, expires_at=(worker.world.block + 10) * 1000)
    worker.add(recipients=(ACCOUNT, OTHER))
    await worker.round()
    worker.taken_by()
    await worker.round()


@cause(Code.EXPIRED)
async def the_registration_had_expired(worker: Worker) -> None:
    worker.worker = replace(WORKER, expires_at=1)
    worker.add(recipients=(ACCOUNT, OTHER))
    await worker.round()
    worker.taken_by()


@cause(Code.ACCEPTED)
async def it_was_done(worker: Worker) -> None:
    worker.add()
    await worker.round()


@cause(Code.UNDER_WAY)
async def it_is_in_hand(worker: Worker) -> None:
    worker.enclave.refuse["work"] = "busy"
    worker.add()
    await worker.round()


def barred_by(code: Code) -> None:
    """What keeps a worker from every job, from before one came until another had done it."""

    async def bring(worker: Worker) -> None:
        worker.state(Code.NO_JOBS)
        worker.state(code)
        worker.world.block += 5
        worker.add(recipients=(ACCOUNT, OTHER))
        worker.state(code)
        worker.taken_by(after=5)
        worker.world.block += 5
        worker.state(code)
        worker.state(Code.NO_JOBS)

    CAUSES.append((code, f"barred by {code}", bring))


for code in (
    Code.TCB, Code.MEASUREMENT, Code.REGISTRATION, Code.ENCLAVE_DOWN, Code.CHAIN_AWAY, Code.CHAIN_STALLED,
    Code.NO_MODELS,
):  # fmt: skip
    barred_by(code)


def closed_by(code: Code) -> None:
    async def bring(worker: Worker) -> None:
        worker.jobs.closed = Reason(code, "by the operator")
        worker.add(recipients=(ACCOUNT, OTHER))
        await worker.round()
        worker.taken_by()
        await worker.round()

    CAUSES.append((code, f"closed by {code}", bring))


closed_by(Code.DRAINING)
closed_by(Code.BROKEN_CIRCUIT)
closed_by(Code.CHAIN_STALLED)


@cause(Code.NOT_RUNNING)
async def the_daemon_did_not_run(worker: Worker) -> None:
    worker.state(Code.NO_JOBS)
    worker.end()
    worker.world.block += 70
    worker.add(recipients=(ACCOUNT, OTHER))
    worker.taken_by(after=70)
    worker.world.block += 70
    worker.start()
    worker.state(Code.NO_JOBS)


@cause(Code.UNKNOWN)
async def the_diary_was_lost(worker: Worker) -> None:
    worker.add(recipients=(ACCOUNT, OTHER))
    worker.taken_by(after=20)


@cause(Code.UNKNOWN)
async def it_was_down_for_a_part_of_the_time_only(worker: Worker) -> None:
    worker.state(Code.NO_JOBS)
    worker.add(recipients=(ACCOUNT, OTHER))
    worker.world.block += 10
    worker.state(Code.ENCLAVE_DOWN)
    worker.taken_by(after=20)
    worker.state(Code.ENCLAVE_DOWN)


@cause(Code.UNKNOWN)
async def it_was_declined_and_the_files_are_gone(worker: Worker) -> None:
    worker.add(recipients=(ACCOUNT, OTHER), declined_by=(ACCOUNT,))


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Callable[[str], Worker]]:
    made: list[Worker] = []

    def make(name: str) -> Worker:
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        made.append(Worker(folder))
        return made[-1]

    yield make
    for worker in made:
        worker.end()


async def test_each_of_the_causes_is_named_and_none_is_named_wrong(
    workers: Callable[[str], Worker],
) -> None:
    assert len(CAUSES) >= 30
    wrong, named = [], 0
    for number, (code, name, bring) in enumerate(CAUSES):
        worker = workers(f"{number} {name}")
        await bring(worker)
        found = worker.ask()
        named += found.code is code
        if found.code is not code and found.certain:
            wrong.append(f"{name}: {found.code} ({found.detail}), not {code}")
        assert (found.code is Code.UNKNOWN) is not found.certain
        assert found.began or worker.journal.get(worker.record.id) is None, name
    assert not wrong, "\n".join(wrong)
    assert named >= len(CAUSES) - 1


async def test_a_report_names_the_stretches_without_work_and_the_silence_between(
    workers: Callable[[str], Worker],
) -> None:
    worker = workers("stretches")
    for code, blocks in ((Code.NO_JOBS, 10), (Code.ENCLAVE_DOWN, 20), (Code.WORKING, 30)):
        worker.state(code)
        worker.world.block += blocks
        worker.state(code)
    worker.end()
    worker.world.block += 500
    worker.start()
    worker.state(Code.NO_JOBS)
    seen = diary.read(worker.folder / "diary.sqlite").stretches
    found = why.stretches(seen, 0.0, float(worker.world.block), running=True)
    codes = [one.code for one in found]
    assert codes == [Code.NO_JOBS, Code.ENCLAVE_DOWN, Code.NOT_RUNNING, Code.NO_JOBS]
    assert found[2].ended - found[2].began == 500
    soon = float(worker.world.block + 20)
    ended = {answers: why.stretches(seen, 0.0, soon, answers)[-1].code for answers in (True, None, False)}
    assert ended == {True: Code.NO_JOBS, None: Code.NO_JOBS, False: Code.NOT_RUNNING}


async def test_a_job_that_is_looked_into_is_not_one_that_was_left(workers: Callable[[str], Worker]) -> None:
    worker = workers("looked-into")
    worker.add()
    head = await worker.chain.finalised()
    await worker.jobs.discover()
    assert worker.jobs.looked_into == 0
    await worker.jobs.start(head, worker.worker, worker.stop)
    assert worker.jobs.looked_into == 1
    await worker.jobs.drain(10)
    assert worker.jobs.looked_into == 0


def test_a_diary_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "diary.sqlite").mkdir()
    book = Diary(tmp_path / "diary.sqlite")
    book.note(b"j" * 32, Reason(Code.PRICE), None)
    book.state(Reason(Code.NO_JOBS), None)
    assert diary.read(tmp_path / "diary.sqlite") == diary.Pages()


def test_the_same_reason_block_after_block_is_one_line(tmp_path: Path) -> None:
    book = Diary(tmp_path / "diary.sqlite")
    for number in range(100):
        book.note(b"j" * 32, Reason(Code.BUSY, f"{number} ahead"), Head(number, bytes(32), 0))
    assert len(diary.read(tmp_path / "diary.sqlite").notes) == 1


@dataclass
class SessionWorker:
    """`Sessions` with a diary over a chain of tables, and what `worker why` then says of one session."""

    folder: Path
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self.diary = Diary(self.folder / "diary.sqlite", lambda: float(self.ledger.height))
        self.ledger.records[SESSION] = session_record()
        self.ledger.floors[MODEL.id] = 1
        self.keeper = keeper(self.ledger, self.folder, on_reason=self.diary.note)

    async def step(self, blocks: int = 1, *, model: ModelRecord = MODEL) -> None:
        await step(self.keeper, self.ledger, served=(model,), blocks=blocks)

    async def ask(self) -> dict[str, Any]:
        notes = diary.read(self.folder / "diary.sqlite").notes
        assert {note.reason.code for note in notes} <= SESSION_CODES
        journal, now = self.folder / "sessions.sqlite", float(self.ledger.height)
        found = await session_report.seen(self.ledger, journal, notes, 0.0)  # type: ignore[arg-type]
        late = await session_report.seen(self.ledger, journal, notes, now + 1)  # type: ignore[arg-type]
        lasting = [one for one in found if "ends_at" in one or "model" in one]
        assert list(late) == lasting, "what lasts is told though it began before, what is over is not"
        for one in found:
            assert session_report.line(one)
        (told,) = [one for one in found if one["code"] != "session-runs"] or found
        return told


SessionCause = Callable[[SessionWorker], Awaitable[None]]
SESSION_CAUSES: list[tuple[Code, SessionCause]] = []


def session_cause(code: Code) -> Callable[[SessionCause], SessionCause]:
    def add(bring: SessionCause) -> SessionCause:
        SESSION_CAUSES.append((code, bring))
        return bring

    return add


@session_cause(Code.SESSION_RUNS)
async def it_runs(worker: SessionWorker) -> None:
    await worker.step()


@session_cause(Code.SESSION_SETTLED)
async def its_client_closed_it_and_it_was_paid(worker: SessionWorker) -> None:
    await worker.step()
    worker.ledger.end("Settled", paid=8, refunded=0)
    await worker.step()


@session_cause(Code.SESSION_WAIVED)
async def the_enclave_started_anew(worker: SessionWorker) -> None:
    worker.keeper.journal.save(vouched())
    await worker.step()
    worker.keeper.holds.clear()
    await worker.step(3)


@session_cause(Code.SESSION_FAILED)
async def a_window_was_missed_and_a_stranger_ended_it(worker: SessionWorker) -> None:
    await worker.step()
    worker.ledger.end("Failed", number=0, bond=7, refunded=0)
    await worker.step()


@session_cause(Code.SESSION_FAILED)
async def a_window_was_missed_and_nobody_ended_it_yet(worker: SessionWorker) -> None:
    worker.ledger.refuse["finish"] = "Busy"
    late = replace(window(12), asked=(Asked(1, 0, False),))
    worker.ledger.windows[SESSION, 0] = late
    worker.ledger.records[SESSION] = session_record(next=1)
    worker.ledger.block(5)


@session_cause(Code.SESSION_UNVOUCHED)
async def its_client_was_silent(worker: SessionWorker) -> None:
    worker.keeper._ahead.found(session_record(), 8, 8)
    await worker.step(110)


@session_cause(Code.SESSION_UNVOUCHED)
async def its_client_was_silent_and_it_is_over(worker: SessionWorker) -> None:
    await its_client_was_silent(worker)
    await worker.step(30)
    assert not worker.ledger.records


@session_cause(Code.SESSION_ESCROW)
async def its_escrow_is_out(worker: SessionWorker) -> None:
    worker.ledger.records[SESSION] = session_record(owed=1000)
    await worker.step()


@session_cause(Code.SESSION_OFFER)
async def the_publisher_asks_for_more_than_is_offered(worker: SessionWorker) -> None:
    worker.ledger.floors[MODEL.id] = 5
    await worker.step()


@session_cause(Code.SESSION_OFFER)
async def the_model_is_not_for_sessions(worker: SessionWorker) -> None:
    worker.ledger.floors.clear()
    await worker.step()


@session_cause(Code.SESSION_OFFER)
async def the_model_was_retired(worker: SessionWorker) -> None:
    await worker.step(model=replace(MODEL, retired_at=5))


@session_cause(Code.SESSION_OFFER)
async def the_account_cannot_pay_for_the_bonds(worker: SessionWorker) -> None:
    worker.ledger.refuse["offer"] = "FundsUnavailable"
    await worker.step()


@session_cause(Code.SESSION_CALL)
async def the_registration_was_refused_so_its_checkpoint_is(worker: SessionWorker) -> None:
    worker.ledger.refuse["checkpoint"] = "WorkerInactive"
    worker.keeper.journal.save(vouched())
    await worker.step(3)


@session_cause(Code.SESSION_REFUSED)
async def its_model_is_another_than_the_loaded_one(worker: SessionWorker) -> None:
    await worker.step()
    for code in ("wrong-binding", "unknown-epoch") * 50:
        worker.keeper.refused(SESSION, code)
    assert len(diary.read(worker.folder / "diary.sqlite").notes) == 2


@session_cause(Code.SESSION_REFUSED)
async def the_enclave_has_as_many_sessions_as_it_takes(worker: SessionWorker) -> None:
    await worker.step()
    worker.keeper.refused(SESSION, "too-many-sessions")
    worker.keeper.refused(b"x" * 32, "too-many-sessions")  # whose it is nobody knows


@session_cause(Code.SESSION_IDLE)
async def nobody_came_for_it(worker: SessionWorker) -> None:
    await worker.step()
    worker.ledger.block(700)
    await worker.step(30)


@session_cause(Code.SESSION_DRAINED)
async def the_worker_was_drained(worker: SessionWorker) -> None:
    await worker.step()
    worker.keeper.closing = True
    await worker.step(30)
    assert not worker.ledger.records


@session_cause(Code.SESSION_UNSEEN)
async def it_ended_while_nobody_looked_and_the_block_is_gone(worker: SessionWorker) -> None:
    await worker.step()
    worker.ledger.end("Failed", number=0, bond=7, refunded=0)
    worker.ledger.block(300)
    worker.ledger.kept = 200
    await worker.step()


async def test_each_cause_of_a_sessions_end_is_named_and_none_is_named_wrong(tmp_path: Path) -> None:
    assert len(SESSION_CAUSES) >= 10
    for code, bring in SESSION_CAUSES:
        folder = tmp_path / bring.__name__
        folder.mkdir()
        worker = SessionWorker(folder)
        await bring(worker)
        found = await worker.ask()
        assert (found["code"], found["certain"]) == (code, code is not Code.SESSION_UNSEEN), bring.__name__
        worker.diary.close()
        worker.keeper.journal.close()


def test_every_code_has_its_words() -> None:
    assert set(MEANING) == set(Code)
