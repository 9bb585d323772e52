"""Kill the worker at every step and any few of them: after the restart nothing is done twice, no proof is
lost, no claim is left behind.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from proofward.chain.pallets.jobs import Accepted
from proofward_node.jobs import Jobs
from proofward_node.journal import State
from tests.node.world import MODEL, WORKER, Death, FakeChain, FakeEnclave, Fuse, World, fused_journal, job


async def _one_life(path: Path, world: World, enclave: FakeEnclave, rounds: int) -> None:
    journal = fused_journal(path, world)
    try:
        chain = FakeChain(world)
        jobs = Jobs(chain, enclave, journal)
        chain.reconcile()
        jobs.reopen()
        await jobs.adopt()
        jobs.serve({MODEL.id: MODEL})
        for _ in range(rounds):
            await jobs.discover()
            await jobs.run(await chain.finalised(), WORKER, asyncio.Event())
    finally:
        journal.close()


def _live(world: World, lives: list[int], enclaves_survive: list[bool]) -> dict[str, int]:
    """Live through the deaths, then once in peace; returns the journal's counts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        enclave = FakeEnclave(world)
        for steps, survives in zip(lives, enclaves_survive, strict=True):
            world.fuse = Fuse(steps)
            try:
                asyncio.run(_one_life(path, world, enclave, 6))
            except Death:
                enclave = FakeEnclave(world, has_keys=enclave.has_keys and survives)
        world.fuse = Fuse()
        asyncio.run(_one_life(path, world, enclave, 6))
        journal = fused_journal(path, world)
        try:
            return journal.counts()
        finally:
            journal.close()


def _count(world: World, name: str) -> int:
    return sum(call.name == name for call in world.applied)


def _check(world: World) -> None:
    """What must hold after any deaths."""
    assert all(record.claim is None for record in world.jobs.values()), "a bond was left behind"
    completes = [
        (call.args["job"], call.args["receipt_block"]) for call in world.applied if call.name == "complete"
    ]
    assert len(completes) == len(set(completes)) <= len(world.jobs), "a result was posted twice"
    assert not world.recomputed, "a proof that was on the disk was computed again"


def _steps_of_a_life() -> int:
    world = World(fuse=Fuse(10**6))
    world.add(job())
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_one_life(Path(folder) / "j.sqlite", world, FakeEnclave(world), 2))
    assert world.fuse.left is not None
    return 10**6 - world.fuse.left


def test_killed_once_at_each_step_in_turn() -> None:
    steps = _steps_of_a_life()
    assert steps > 20
    for step in range(steps):
        for survives in (True, False):
            world = World()
            record = world.add(job())
            counts = _live(world, [step], [survives])
            _check(world)
            accepted = isinstance(world.jobs[record.id].status, Accepted)
            assert _count(world, "complete") == int(accepted)
            if survives or world.stored:
                assert accepted, f"killed at step {step}: the job was not finished"
            assert not set(counts) - {
                "done:accepted",
                "done:declined:keys-gone",
                "done:failed:unknown-epoch",
                "seen",
            }, counts


@settings(max_examples=60)
@given(st.data())
def test_killed_again_and_again(data: st.DataObject) -> None:
    lives = data.draw(st.lists(st.integers(0, 60), max_size=5))
    survive = data.draw(st.lists(st.booleans(), min_size=len(lives), max_size=len(lives)))
    world = World(reject_proofs=data.draw(st.booleans()))
    for number in range(data.draw(st.integers(1, 3))):
        world.add(job(number))
    counts = _live(world, lives, survive)
    _check(world)
    assert sum(counts.values()) <= len(world.jobs)


def test_the_states_in_which_a_bond_is_out_are_looked_at_first() -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World()
        first, second = world.add(job(1)), world.add(job(2))
        journal = fused_journal(Path(folder) / "j.sqlite", world)
        for record in (first, second):
            journal.see(record.id, record.model)
        for state in (State.INSPECTED, State.CLAIMING):
            journal.advance(second.id, state)
        held = Jobs(FakeChain(world), FakeEnclave(world), journal).held()
        assert held is not None
        assert held.job == second.id
        journal.close()
