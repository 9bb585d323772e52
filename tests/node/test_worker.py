"""What a worker takes, what it leaves, and how each job ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proofward.chain import Call
from proofward.chain.pallets.jobs import Accepted, JobRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward.protocol import Level, sha256
from proofward.protocol.enclave import EnclaveError
from proofward_node.choice import Choice
from proofward_node.enclave_link import EnclaveDown
from proofward_node.jobs import INSPECTIONS, LOOK, Jobs
from proofward_node.journal import HELD, Journal, State
from proofward_node.ports import ChainDown, Head, Sent
from proofward_node.steps import ENDING_RESERVE, OTHERS_FIRST_BLOCKS
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


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite", GENESIS + ACCOUNT)
    yield journal
    journal.close()


async def _jobs(world: World, journal: Journal, **changes: Any) -> Jobs:
    jobs = Jobs(FakeChain(world), changes.pop("enclave", FakeEnclave(world)), journal, **changes)
    jobs.serve({MODEL.id: MODEL})
    return jobs


async def _round(jobs: Jobs, worker: WorkerRecord = WORKER, stop: asyncio.Event | None = None) -> None:
    await jobs.discover()
    await jobs.run(await jobs.chain.finalised(), worker, stop or asyncio.Event())


def _numbered(number: int, **changes: Any) -> JobRecord:
    return job(id=sha256(number.to_bytes(4, "big")), **changes)


def _calls(world: World) -> list[str]:
    return [call.name for call in world.applied]


async def test_a_job_goes_from_the_queue_to_its_verdict(journal: Journal) -> None:
    world = World()
    record = world.add(job())
    outcomes: list[str] = []
    await _round(await _jobs(world, journal, on_outcome=outcomes.append))
    assert _calls(world) == ["claim", "complete"]
    assert isinstance(world.jobs[record.id].status, Accepted)
    assert outcomes == ["accepted"]


@pytest.mark.parametrize(
    ("fault", "changes"),
    [
        ("not-a-recipient", {"recipients": (OTHER,)}),
        ("level-too-low", {"min_level": Level.HARDWARE}),
        ("dev-setup-refused", {"allow_dev_setup": False}),
        ("rejected-before", {"rejected_by": (ACCOUNT,)}),
        ("released-before", {"released_by": (ACCOUNT,)}),
        ("deadline-too-near", {"deadline": 15}),
        ("price-too-low", {"price": 9}),
        ("another-is-first", {"recipients": (OTHER, ACCOUNT), "submitted_at": 12}),
        (
            "claimed-by-another",
            {"status": claimed(OTHER, 9, 70)},
        ),
    ],
)
async def test_no_bond_is_risked_on(fault: str, changes: dict[str, Any], journal: Journal) -> None:
    world = World()
    world.add(job(**changes))
    jobs = await _jobs(world, journal, policy=Choice(min_price=10))
    await _round(jobs)
    await _round(jobs)
    for_others = ("not-a-recipient", "rejected-before", "another-is-first", "claimed-by-another")
    assert _calls(world) == ([] if fault in for_others else ["decline"]), fault


@pytest.mark.parametrize(
    "code", ["malformed-envelope", "wrong-binding", "commitment-mismatch", "input-out-of-range", "oversize"]
)
async def test_an_envelope_that_does_not_open_is_declined(code: str, journal: Journal) -> None:
    """It stood among this worker's open jobs until its deadline, and its client waited as long."""
    world = World()
    record = world.add(job())
    jobs = await _jobs(world, journal, enclave=FakeEnclave(world, refuse={"inspect": code}))
    await _round(jobs)
    await _round(jobs)
    assert _calls(world) == ["decline"]
    entry = journal.get(record.id)
    assert entry is not None
    assert entry.outcome == f"refused:{code}"
    assert await jobs.chain.open_jobs(10) == []


async def test_a_busy_enclave_is_asked_again(journal: Journal) -> None:
    world = World()
    world.add(job())
    enclave = FakeEnclave(world, refuse={"inspect": "busy"})
    jobs = await _jobs(world, journal, enclave=enclave)
    await _round(jobs)
    assert _calls(world) == []
    enclave.refuse.clear()
    await _round(jobs)
    assert _calls(world) == ["claim", "complete"]


async def test_a_claim_that_cannot_be_worked_is_handed_back_and_declined(journal: Journal) -> None:
    world = World()
    record = world.add(job())
    jobs = await _jobs(world, journal, enclave=FakeEnclave(world, refuse={"work": "prover-failed"}))
    await _round(jobs)
    await _round(jobs)
    assert _calls(world) == ["claim", "release", "decline"]
    assert world.jobs[record.id].declined_by == (ACCOUNT,), "its client need not wait for us"


async def test_a_job_that_was_never_seen_queued_is_taken_over_when_its_claim_lapses(journal: Journal) -> None:
    world = World()
    world.add(job(recipients=(OTHER, ACCOUNT), status=claimed(OTHER, 1, 30)))
    jobs = await _jobs(world, journal)
    await _round(jobs)
    assert _calls(world) == []
    world.block += 40
    await _round(jobs)
    assert _calls(world) == ["claim", "complete"]


async def test_a_lapsed_claim_of_another_is_taken_over(journal: Journal) -> None:
    world = World()
    world.add(job(recipients=(OTHER, ACCOUNT)))
    jobs = await _jobs(world, journal)
    await jobs.discover()
    record = next(iter(world.jobs.values()))
    world.jobs[record.id] = replace(record, status=claimed(OTHER, world.block, world.block + 20))
    await _round(jobs)
    assert _calls(world) == []
    world.block += 25
    await _round(jobs)
    assert _calls(world) == ["claim", "complete"]


async def test_a_rejected_proof_is_not_tried_again(journal: Journal) -> None:
    world = World(reject_proofs=True)
    world.add(job())
    jobs = await _jobs(world, journal)
    await _round(jobs)
    await _round(jobs)
    assert _calls(world) == ["claim", "complete"]


async def test_a_claim_unknown_to_the_journal_is_recognised_as_ours(journal: Journal) -> None:
    world = World()
    world.add(job(status=claimed(ACCOUNT, 9, 70)))
    jobs = await _jobs(world, journal)
    await jobs.adopt()
    await _round(jobs)
    assert _calls(world) == ["complete"]


async def test_a_claim_unknown_to_the_journal_goes_back_when_its_keys_are_gone(journal: Journal) -> None:
    world = World()
    world.add(job(status=claimed(ACCOUNT, 9, 70)))
    jobs = await _jobs(world, journal, enclave=FakeEnclave(world, has_keys=False))
    await jobs.adopt()
    await _round(jobs)
    assert _calls(world) == ["release", "decline"]


async def test_a_claim_unknown_to_the_journal_goes_back_when_its_enclave_is_gone(journal: Journal) -> None:
    """Its keys went with the enclave, and each block of waiting costs a part of the bond."""
    world = World()
    record = world.add(job(status=claimed(ACCOUNT, 9, 70)))
    enclave = FakeEnclave(world)

    async def gone(*_: Any) -> dict[str, Any]:
        raise EnclaveDown("nobody answers")

    enclave.call = gone  # type: ignore[method-assign, assignment]
    jobs = await _jobs(world, journal, enclave=enclave)
    await jobs.adopt()
    assert jobs.bound, "the daemon goes on with it though the enclave is down"
    await _round(jobs)
    assert _calls(world) == ["release", "decline"]
    assert world.jobs[record.id].declined_by == (ACCOUNT,)
    assert not jobs.bound


async def test_a_claim_that_was_adopted_by_an_earlier_process_is_known_as_ours(journal: Journal) -> None:
    world = World()
    record = world.add(job(status=claimed(ACCOUNT, 9, 70)))
    journal.see(record.id, MODEL.id)
    jobs = await _jobs(world, journal)
    await jobs.adopt()
    assert jobs.bound
    await _round(jobs)
    assert _calls(world) == ["complete"]
    assert not jobs.bound


async def test_a_lapsed_claim_of_ours_is_lapsed_and_not_released(journal: Journal) -> None:
    world = World(block=80)
    record = world.add(job(status=claimed(ACCOUNT, 9, 70)))
    jobs = await _jobs(world, journal)
    for state in (State.INSPECTED, State.CLAIMING, State.CLAIMED, State.WORKING, State.RELEASING):
        journal.see(record.id, MODEL.id)
        journal.advance(record.id, state)
    await _round(jobs)
    assert _calls(world) == ["lapse"]
    await _round(jobs)
    assert _calls(world) == ["lapse", "claim", "complete"]


async def test_several_jobs_are_claimed_before_the_first_is_proved(journal: Journal) -> None:
    world = World()
    for number in range(5):
        world.add(job(number))
    jobs = await _jobs(world, journal)
    send = jobs.chain.send

    async def takes_a_while(key: str, call: Call) -> Sent:
        await asyncio.sleep(0)
        return await send(key, call)

    jobs.chain.send = takes_a_while  # type: ignore[method-assign]
    await _round(jobs)
    assert _calls(world)[:5] == ["claim"] * 5
    assert sorted(_calls(world)[5:]) == ["complete"] * 5


async def test_no_more_jobs_are_claimed_than_can_be_proved_before_they_lapse(journal: Journal) -> None:
    world = World()
    for number in range(9):
        world.add(job(number))
    policy = Choice(expected_seconds=10.0, margin_blocks=4)  # of claims of 60 blocks of one second
    enclave = FakeEnclave(world, refuse={"work": "busy"})
    jobs = await _jobs(world, journal, policy=policy, enclave=enclave)
    await jobs.discover()
    await jobs.start(await jobs.chain.finalised(), WORKER, asyncio.Event())
    await jobs.drain(30)
    assert len(journal.entries(*HELD)) == 4  # 10 s and 15 s for each ahead: 59 blocks for the fourth


async def test_a_stopping_worker_claims_nothing(journal: Journal) -> None:
    world = World()
    world.add(job())
    stop = asyncio.Event()
    stop.set()
    await _round(await _jobs(world, journal), stop=stop)
    assert _calls(world) == []


async def test_a_worker_cut_off_while_working_hands_back_and_its_successor_takes_it_again(
    journal: Journal,
) -> None:
    world = World()
    record = world.add(job())
    jobs = await _jobs(world, journal)
    for state in (State.INSPECTED, State.CLAIMING, State.CLAIMED, State.WORKING):
        journal.see(record.id, MODEL.id)
        journal.advance(record.id, state)
    world.jobs[record.id] = replace(record, status=claimed(ACCOUNT, 9, 70))
    assert jobs.hand_back() is not None
    await _round(jobs)
    assert _calls(world) == ["release"]
    jobs.reopen()
    await _round(jobs)
    assert _calls(world) == ["release", "claim", "complete"]


async def test_a_silent_chain_leaves_the_journal_where_it_was(journal: Journal) -> None:
    world = World()
    record = world.add(job())
    jobs = await _jobs(world, journal)
    await jobs.discover()
    head = await jobs.chain.finalised()
    world.down = True
    with pytest.raises(ChainDown):
        await jobs.run(head, WORKER, asyncio.Event())
    entry = journal.get(record.id)
    assert entry is not None
    assert entry.state is State.SEEN


async def test_a_job_that_must_wait_does_not_hold_up_the_others(journal: Journal) -> None:
    world = World()
    first, second = world.add(job(1)), world.add(job(2))
    enclave = FakeEnclave(world, busy_with={first.id})
    jobs = await _jobs(world, journal, enclave=enclave)
    await _round(jobs)
    assert [call.args["job"] for call in world.applied] == [second.id, second.id]


async def test_a_job_sealed_to_keys_that_are_gone_is_declined(journal: Journal) -> None:
    """Or to an epoch that never was: declining is free."""
    world, outcomes = World(), list[str]()
    world.add(job())
    enclave = FakeEnclave(world, has_keys=False)
    jobs = await _jobs(world, journal, enclave=enclave, on_outcome=outcomes.append)
    await _round(jobs)
    await _round(jobs)
    assert _calls(world) == ["decline"]
    assert outcomes == ["declined:keys-gone"]


async def test_a_restart_between_intent_and_decline_declines(journal: Journal) -> None:
    world = World()
    record = world.add(job())
    journal.see(record.id, record.model)
    journal.advance(record.id, State.DECLINING, outcome="keys-gone")
    await _round(await _jobs(world, journal))
    assert _calls(world) == ["decline"]


@pytest.mark.parametrize(("event", "outcome"), [("NoVerdict", "no-verdict"), ("FaultyProof", "faulty-proof")])
async def test_a_job_without_a_verdict_is_over_for_this_worker(
    journal: Journal, event: str, outcome: str
) -> None:
    world, outcomes = World(no_verdict=event), list[str]()
    world.add(job())
    jobs = await _jobs(world, journal, on_outcome=outcomes.append)
    await _round(jobs)
    await _round(jobs)
    assert _calls(world) == ["claim", "complete"]
    assert outcomes == [outcome]


async def test_attack_bond_a_model_that_asks_for_more_than_the_operator_puts_down(journal: Journal) -> None:
    world = World()
    world.add(job())
    jobs = await _jobs(world, journal, policy=Choice(max_bond=MODEL.terms.bond - 1))
    await _round(jobs)
    await _round(jobs)
    assert _calls(world) == ["decline"]


async def test_attack_bond_a_claim_that_could_not_be_ended_is_not_made(journal: Journal) -> None:
    world = World(balance=ENDING_RESERVE)
    world.add(job())
    jobs = await _jobs(world, journal)
    await _round(jobs)
    assert _calls(world) == []
    world.balance += MODEL.terms.bond
    await _round(jobs)
    assert _calls(world) == ["claim", "complete"]


async def test_a_claim_refused_for_poverty_waits_until_the_account_is_funded(journal: Journal) -> None:
    world = World(poor=True)
    world.add(job())
    jobs = await _jobs(world, journal)
    await _round(jobs)
    await _round(jobs)
    assert _calls(world) == ["claim"]
    world.poor, world.balance = False, 2 * world.balance
    await _round(jobs)
    assert _calls(world) == ["claim", "claim", "complete"]


async def test_attack_flood_jobs_of_others_are_never_read(journal: Journal) -> None:
    """Attack gen: junk for others, however much, costs this worker nothing."""
    world = World()
    for number in range(2, 200):
        world.add(job(number, recipients=(OTHER,)))
    world.add(job(1))
    jobs = await _jobs(world, journal)
    read: list[bytes] = []
    fetch = jobs.chain.job

    async def counted(key: bytes) -> Any:
        read.append(key)
        return await fetch(key)

    jobs.chain.job = counted  # type: ignore[method-assign, assignment]
    await _round(jobs)
    assert _calls(world) == ["claim", "complete"]
    assert len(set(read)) == 1


async def test_more_open_jobs_than_a_look_takes_in_are_seen_in_turns(journal: Journal) -> None:
    """However many are junk that this worker cannot get rid of, each job is seen after a turn."""
    world = World()
    junk = [world.add(_numbered(number, status=claimed(OTHER, 9, 400))) for number in range(2 * LOOK + 7)]
    last = max(record.id for record in junk)
    honest = world.add(job(id=last[:-1] + b"\xff" if last[-1] < 255 else b"\xff" * 32))
    jobs = await _jobs(world, journal)
    for _ in range(2):
        await jobs.discover()
        assert journal.get(honest.id) is None
    await jobs.discover()
    assert journal.get(honest.id) is not None, "it was hidden"
    await jobs.discover()  # and anew from the beginning
    for _ in range(3):
        await jobs.run(await jobs.chain.finalised(), WORKER, asyncio.Event())
    assert isinstance(world.jobs[honest.id].status, Accepted)


async def test_of_a_long_backlog_a_part_is_read_at_each_block_and_all_of_it_in_turns(
    journal: Journal,
) -> None:
    """Else whoever fills the backlog has the node read all of it at each block."""
    world = World()
    ids = {world.add(_numbered(number, price=5)).id for number in range(3 * LOOK)}
    jobs = await _jobs(world, journal, policy=Choice(max_claims=0))
    for _ in range(3):
        await jobs.discover()
    reads: list[set[bytes]] = []
    read = jobs.chain.jobs

    async def counted(wanted: Sequence[bytes]) -> dict[bytes, JobRecord]:
        reads.append(set(wanted))
        return await read(wanted)

    jobs.chain.jobs = counted  # type: ignore[method-assign,assignment]
    head, stop = await jobs.chain.finalised(), asyncio.Event()
    stop.set()  # nothing is begun: every job waits
    for _ in range(3):
        await jobs.start(head, WORKER, stop)
    assert [len(read) for read in reads] == [LOOK] * 3
    assert set().union(*reads) == ids
    new = world.add(_numbered(3 * LOOK, price=5)).id
    journal.see(new, MODEL.id)
    await jobs.start(head, WORKER, stop)
    assert new in reads[-1], "what is new waits for no turn"


async def test_attack_flood_a_worker_buried_in_junk_works_and_gets_rid_of_it(journal: Journal) -> None:
    """Attack flood: junk that names the worker itself is declined, while what others seal to it is done."""
    world = World()
    junk = {world.add(_numbered(number)).id for number in range(3 * INSPECTIONS)}
    honest = world.add(job(id=b"\xff" * 32))
    enclave = FakeEnclave(world)
    call = enclave.call

    async def opens(method: str, params: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        if params["job"]["job"] in junk:
            raise EnclaveError("no envelope", code="malformed-envelope")
        return await call(method, params, timeout_seconds)

    enclave.call = opens  # type: ignore[method-assign]
    jobs = await _jobs(world, journal, enclave=enclave)
    for _ in range(4):
        await _round(jobs)
    assert isinstance(world.jobs[honest.id].status, Accepted)
    assert await jobs.chain.open_jobs(10) == []


async def test_a_worker_with_its_hands_full_looks_into_an_envelope_once(journal: Journal) -> None:
    world = World(block=10)
    for number in range(6):
        world.add(job(number, deadline=10_000))
    enclave = FakeEnclave(world, refuse={"work": "busy"})
    call, looks = enclave.call, list[bytes]()

    async def counted(method: str, params: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        if method == "inspect":
            looks.append(params["job"]["job"])
        return await call(method, params, timeout_seconds)

    enclave.call = counted  # type: ignore[method-assign]
    jobs = await _jobs(world, journal, enclave=enclave, policy=Choice(max_claims=2))
    for _ in range(4):
        await _round(jobs)
    assert _calls(world) == ["claim", "claim"]
    assert sorted(looks) == sorted(world.jobs), "a job that waits for its turn costs the enclave nothing"


@pytest.mark.parametrize("pace", [1, 6], ids=["a second a block", "six"])
async def test_no_claim_is_taken_that_outlives_the_registration(journal: Journal, pace: int) -> None:
    """Its result would wait for a renewal that may be refused, and the bond would be lost."""
    world = World()
    world.add(job(deadline=10_000))
    jobs = await _jobs(world, journal, policy=Choice(expected_seconds=5.0, margin_blocks=10))
    finalised = jobs.chain.finalised

    async def of_this_pace() -> Head:
        head = await finalised()
        return replace(head, time_ms=head.number * pace * 1000)

    jobs.chain.finalised = of_this_pace  # type: ignore[method-assign]
    for left in (1, 14):  # of 15 blocks that the work takes
        now = await of_this_pace()
        await _round(jobs, replace(WORKER, expires_at=now.time_ms + left * pace * 1000))
    assert _calls(world) == []
    now = await of_this_pace()
    await _round(jobs, replace(WORKER, expires_at=now.time_ms + 30 * pace * 1000))
    assert _calls(world) == ["claim", "complete"]


async def test_who_let_go_of_a_job_does_not_pay_at_every_block_for_asking_again(journal: Journal) -> None:
    world = World(others_first=True)
    world.add(job())
    jobs = await _jobs(world, journal)
    for _ in range(3):
        await _round(jobs)
    assert _calls(world) == ["claim"]
    world.others_first, world.block = False, world.block + OTHERS_FIRST_BLOCKS
    await _round(jobs)
    assert _calls(world) == ["claim", "claim", "complete"]


@pytest.mark.parametrize("known", [True, False], ids=["in hand", "found on the chain"])
async def test_a_claim_waits_for_an_enclave_that_keeps_its_keys(journal: Journal, known: bool) -> None:
    """It comes back with them; but there must be time left to work the claim then."""
    world = World()
    record = world.add(job(status=claimed(ACCOUNT, 9, 70)) if not known else job())
    enclave = FakeEnclave(world)
    call, away = enclave.call, ["the enclave is killed"]

    async def killed(method: str, params: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        if away and (method == "work" or not known):
            raise EnclaveDown("nobody answers")
        return await call(method, params, timeout_seconds)

    enclave.call = killed  # type: ignore[method-assign]
    jobs = await _jobs(world, journal, enclave=enclave, policy=Choice(keeps_keys=True))
    await jobs.adopt()
    await _round(jobs)
    await _round(jobs)
    assert "release" not in _calls(world)
    away.clear()
    enclave.refuse["work"] = "unknown-model"  # it is back, and was not given its models yet
    await _round(jobs)
    assert "release" not in _calls(world)
    enclave.refuse.clear()
    await _round(jobs)
    assert _calls(world)[-1] == "complete"
    assert isinstance(world.jobs[record.id].status, Accepted)


async def test_a_claim_goes_back_when_its_enclave_stays_away_too_long(journal: Journal) -> None:
    world = World()
    world.add(job(status=claimed(ACCOUNT, 9, 70)))
    enclave = FakeEnclave(world)

    async def gone(*_: Any) -> dict[str, Any]:
        raise EnclaveDown("nobody answers")

    enclave.call = gone  # type: ignore[method-assign, assignment]
    jobs = await _jobs(world, journal, enclave=enclave, policy=Choice(keeps_keys=True))
    await jobs.adopt()
    await _round(jobs)
    assert _calls(world) == []
    world.block = 60
    await _round(jobs)
    assert _calls(world) == ["release", "decline"]
