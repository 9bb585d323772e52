"""A worker that takes nothing new: drained by its operator, or its circuit broken by lost claims."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proofward.amounts import UNIT
from proofward.chain.pallets.jobs import Queued
from proofward.chain.pallets.workers import WorkerRecord
from proofward_node import draining, holding
from proofward_node.chain_port import ChainPort
from proofward_node.config import NodeConfig, load
from proofward_node.draining import DrainRefused
from proofward_node.holding import Hold, Holding
from proofward_node.jobs import Jobs
from proofward_node.journal import Journal, State
from proofward_node.ports import ChainDown
from proofward_node.reasons import Code, Reason
from proofward_node.serving import Offer, Serving
from proofward_node.session_door import Live, SessionRefused
from proofward_node.session_journal import Vouched
from tests.node.session_world import SESSION, Ledger, keeper, step, vouched
from tests.node.session_world import record as session_record
from tests.node.world import (
    ACCOUNT,
    GENESIS,
    LOADED,
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


def _told() -> Any:
    async def abandon() -> None: ...

    return SimpleNamespace(closed=None, abandon=abandon), SimpleNamespace(paused=False)


async def _closed(held: Holding) -> Reason | None:
    jobs, serving = _told()
    await held.apply(jobs, serving)
    assert serving.paused is (jobs.closed is not None)
    closed: Reason | None = jobs.closed
    return closed


async def test_two_lost_claims_in_a_row_break_the_circuit_until_resume(
    journal: Journal, tmp_path: Path
) -> None:
    held = Holding(tmp_path / "hold.json", journal)
    for outcome in ("lapsed", "accepted", "rejected", "declined:keys-gone", "handed-back"):
        held.outcome(outcome)
        assert await _closed(held) is None, outcome
    held.outcome("lapsed")
    reason = await _closed(held)
    assert reason is not None
    assert reason.code is Code.BROKEN_CIRCUIT
    assert "2 bonds" in reason.detail
    again = Holding(tmp_path / "hold.json", journal)  # a restart, and even a job that ends well
    again.outcome("accepted")
    assert await _closed(again) is not None
    (tmp_path / "hold.json").unlink()
    assert await _closed(again) is None
    again.outcome("lapsed")
    assert await _closed(again) is None, "after resume it takes two again"


async def test_a_circuit_whose_file_cannot_be_written_is_broken_all_the_same(
    journal: Journal, tmp_path: Path
) -> None:
    held = Holding(tmp_path / "gone" / "hold.json", journal)
    held.outcome("lapsed")
    held.outcome("lapsed")
    assert await _closed(held) is not None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[" * 20_000, b'{"code": "no-jobs", "detail": "", "since": 0, "id": ""}', b"\xff\xfe"],
)
def test_a_hold_that_cannot_be_read_holds(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "hold.json").write_bytes(content)
    found = holding.read(tmp_path / "hold.json")
    assert found is not None
    assert found.code is Code.BROKEN_CIRCUIT


async def _round(world: World, journal: Journal, held: Holding) -> Jobs:
    jobs = Jobs(FakeChain(world), FakeEnclave(world), journal, on_outcome=held.outcome)
    jobs.serve({MODEL.id: MODEL})
    await held.apply(jobs, _told()[1])
    await jobs.discover()
    await jobs.run(await jobs.chain.finalised(), WORKER, asyncio.Event())
    return jobs


@pytest.mark.parametrize(
    ("code", "recipients", "calls"),
    [
        (Code.DRAINING, (ACCOUNT, OTHER), []),
        (Code.DRAINING, (ACCOUNT,), ["claim", "complete"]),
        (Code.STOPPING, (ACCOUNT,), []),
        (Code.BROKEN_CIRCUIT, (ACCOUNT,), []),
    ],
)
async def test_a_drain_does_only_what_nobody_else_may_do(
    code: Code, recipients: tuple[bytes, ...], calls: list[str], journal: Journal, tmp_path: Path
) -> None:
    world = World()
    world.add(job(recipients=recipients))
    holding.write(tmp_path / "hold.json", Hold(code))
    await _round(world, journal, Holding(tmp_path / "hold.json", journal))
    assert [call.name for call in world.applied] == calls


async def test_a_drain_that_cannot_wait_hands_back_what_has_no_proof_and_keeps_what_has(
    journal: Journal, tmp_path: Path
) -> None:
    world = World()
    begun, proved = (world.add(job(n, status=claimed(ACCOUNT, 9, 70))) for n in (1, 2))
    for record in (begun, proved):
        journal.see(record.id, MODEL.id)
        for state in (State.INSPECTED, State.CLAIMING, State.CLAIMED, State.WORKING):
            journal.advance(record.id, state)
    result = {"sealed_output": b"s", "output_commitment": b"o" * 32, "proof": b"p", "receipt_block": 9}
    from proofward_node.journal import Result

    journal.proved(proved.id, Result(**result, receipt_signature=b"r" * 64))  # type: ignore[arg-type]
    holding.write(tmp_path / "hold.json", Hold(Code.STOPPING))
    await _round(world, journal, Holding(tmp_path / "hold.json", journal))
    assert sorted(call.name for call in world.applied) == ["complete", "release"]
    assert isinstance(world.jobs[begun.id].status, Queued)


async def test_a_hold_between_choice_and_intent_is_obeyed(journal: Journal, tmp_path: Path) -> None:
    """`worker drain` says that it is safe once the daemon has seen the hold: nothing may slip past."""
    world = World()
    record = world.add(job(recipients=(ACCOUNT, OTHER)))
    jobs = Jobs(FakeChain(world), FakeEnclave(world), journal)
    jobs.serve({MODEL.id: MODEL})
    balance = jobs.chain.balance

    async def meanwhile() -> int:
        jobs.closed = Reason(Code.DRAINING)
        return await balance()

    jobs.chain.balance = meanwhile  # type: ignore[method-assign]
    await jobs.discover()
    await jobs.run(await jobs.chain.finalised(), WORKER, asyncio.Event())
    entry = journal.get(record.id)
    assert entry is not None
    assert entry.state is State.SEEN
    assert not world.applied


async def test_nothing_is_declared_as_served_while_held_and_all_again_after() -> None:
    world = World()
    chain = FakeChain(world)
    serving = Serving(chain, Offer(publishers=frozenset({MODEL.publisher}), max_bond=UNIT))
    await serving.refresh([LOADED])
    for paused in (False, True, True, False):
        serving.paused = paused
        await serving.declare(await chain.finalised())
        await serving.refresh([LOADED])
        assert bool(world.serving) is not paused
        assert serving.models, "its queue is still found"
    assert [call.name for call in world.applied] == ["serve", "unserve", "serve"]


async def test_a_retired_model_stays_declared_while_held_so_that_its_queue_is_found() -> None:
    world = World(models=[replace(MODEL, retired_at=5)], serving={MODEL.id: 0})
    serving = Serving(FakeChain(world), Offer(models=frozenset({MODEL.id}), max_bond=UNIT), paused=True)
    await serving.refresh([LOADED])
    await serving.declare(await FakeChain(world).finalised())
    assert world.serving


@pytest.fixture
def no_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers, at once: a real attempt takes ten seconds."""

    async def connect(port: ChainPort) -> None:
        raise ChainDown("nobody answers")

    monkeypatch.setattr(ChainPort, "connect", connect)


def _config(folder: Path) -> NodeConfig:
    (folder / "data").mkdir(exist_ok=True)
    path = folder / "worker.toml"
    path.write_text(
        '[chain]\nurl = "ws://127.0.0.1:1"\n[worker]\ndev_account = "//Alice"\ndata_dir = "data"\n'
        '[enclave]\nprovider = "simulator"\nmodels = "models"\n[http]\nenabled = false\n'
    )
    return load(path)


@pytest.mark.usefixtures("no_chain")
def test_a_drain_that_does_not_end_in_time_stays_and_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, said = _config(tmp_path), list[str]()
    monkeypatch.setattr(draining, "LOOK_SECONDS", 0.01)
    with pytest.raises(DrainRefused, match="the chain does not answer") as caught:
        draining.drain(config, now=False, seconds=0.0, progress=said.append)
    assert caught.value.code == "timeout"
    assert len(said) == 1
    ended = draining.resume(config)
    assert ended is not None
    assert ended.code is Code.DRAINING
    assert draining.resume(config) is None


@pytest.mark.usefixtures("no_chain")
def test_a_drain_of_a_broken_circuit_keeps_its_reason(tmp_path: Path) -> None:
    config = _config(tmp_path)
    holding.write(config.hold, Hold(Code.BROKEN_CIRCUIT, "2 bonds lost in a row"))
    with pytest.raises(DrainRefused):
        draining.drain(config, now=True, seconds=0.0, progress=lambda text: None)
    found = holding.read(config.hold)
    assert found is not None
    assert "2 bonds lost in a row" in found.detail


async def test_a_drain_ends_sessions_and_pays_what_was_vouched_for(tmp_path: Path) -> None:
    """Its client is asked to vouch once more, it is closed and settled, and nobody else comes in."""
    ledger = Ledger(records={SESSION: session_record()}, floors={MODEL.id: 1})
    worker = keeper(ledger, tmp_path)
    asked = list[str]()

    async def call(method: str, _: dict[str, Any]) -> dict[str, Any]:
        asked.append(method)
        if len(asked) == 1:
            told = {name: getattr(vouched(), name) for name in Vouched.__slots__ if name != "session"}
            worker._vouched(ledger.records[SESSION], told)
        return {"frames": []}

    async def close(**_: Any) -> None:
        worker.left(live)

    socket, link = SimpleNamespace(close=close), SimpleNamespace(call=call)
    live = Live(session_record(), socket, link, 1, 1000, ledger.height)  # type: ignore[arg-type]
    await step(worker, ledger)
    worker.entered(live)
    await step(worker, ledger)
    assert [one.name for one in ledger.sent] == []
    worker.closing = True
    await step(worker, ledger, served=(MODEL,), blocks=3)
    assert asked[0] == "session_checkpoint"
    assert [one.name for one in ledger.sent[:2]] == ["close", "checkpoint"]
    with pytest.raises(SessionRefused) as refused:
        await worker.admit(SESSION)
    assert refused.value.code == "draining"
    due = ledger.windows[SESSION, 0].due
    standing = await _standing_of(ledger, tmp_path)
    assert not standing.safe
    assert str(standing).endswith(f", 1 sessions, the last window due at block {due}")
    await step(worker, ledger, blocks=due - ledger.height + 5)
    names = [one.name for one in ledger.sent if one.name != "draw"]
    assert names == ["close", "checkpoint", "finish", "settle"]
    assert not ledger.records
    assert (await _standing_of(ledger, tmp_path)).safe
    worker.journal.close()


async def _standing_of(ledger: Ledger, folder: Path) -> draining.Standing:
    """What `worker drain` reads of a worker whose claims are those of its sessions alone."""

    async def worker() -> WorkerRecord:
        return replace(WORKER, open_claims=len(ledger.records))

    port = SimpleNamespace(connected=True, worker=worker, ask=ledger.ask, account=ACCOUNT)
    hold = Hold(Code.STOPPING)
    return await draining._standing(_config(folder), port, hold)  # type: ignore[arg-type]
