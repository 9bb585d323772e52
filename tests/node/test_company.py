"""What is ready leaves together with what is on its way, and never waits for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proofward_node import company
from proofward_node.company import MOST, SECONDS, Company, Lots

QUICK = 0.001


class Departures:
    """Jobs in one company; `left` has those that left on each turn of the loop."""

    def __init__(self) -> None:
        self.company = Company()
        self.left: list[set[int]] = [set()]

    async def one(self, number: int, ready: Awaitable[object], proof: float = QUICK) -> None:
        with self.company.on_the_way():
            await ready
            await self.company.wait(proof)
            self.left[-1].add(number)

    async def turn(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        self.left.append(set())


def gate() -> tuple[asyncio.Future[None], Callable[[], None]]:
    future = asyncio.get_running_loop().create_future()
    return future, lambda: future.set_result(None)


async def test_one_that_is_alone_leaves_at_once() -> None:
    jobs = Departures()
    await asyncio.wait_for(jobs.one(1, asyncio.sleep(0), SECONDS), 1)
    assert jobs.left == [{1}]


async def test_those_that_come_leave_with_the_last_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(company, "SECONDS", 60.0)
    jobs = Departures()
    gates = [gate() for _ in range(3)]
    tasks = [asyncio.create_task(jobs.one(number, ready, 60.0)) for number, (ready, _) in enumerate(gates)]
    for _, open_it in gates:
        await jobs.turn()
        open_it()
    await jobs.turn()
    assert jobs.left[:4] == [set(), set(), set(), {0, 1, 2}]
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("how", ["it ends", "it waits for its own", "it is given up"])
async def test_one_that_will_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(company, "SECONDS", 60.0)
    jobs = Departures()
    ready, open_it = gate()

    async def other() -> None:
        with jobs.company.on_the_way():
            await ready
            if how == "it waits for its own":
                with jobs.company.away():
                    await asyncio.Event().wait()
            if how == "it is given up":
                await asyncio.Event().wait()

    gone = asyncio.create_task(other())
    await jobs.turn()
    first = asyncio.create_task(jobs.one(1, asyncio.sleep(0), 60.0))
    await jobs.turn()
    assert not first.done()
    open_it()
    await jobs.turn()
    if how == "it is given up":
        gone.cancel()
        await jobs.turn()
    assert first.done()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)


async def test_enough_of_them_wait_for_no_more() -> None:
    jobs = Departures()
    with jobs.company.on_the_way():
        waiting = [asyncio.create_task(jobs.one(number, asyncio.sleep(0), SECONDS)) for number in range(MOST)]
        await asyncio.wait_for(asyncio.gather(*waiting), 1)
    assert len(jobs.left[0]) == MOST


async def test_one_waits_no_longer_than_some_proofs_take_and_then_takes_the_others_along() -> None:
    jobs = Departures()
    with jobs.company.on_the_way():  # it never comes
        first = asyncio.create_task(jobs.one(1, asyncio.sleep(0), QUICK))
        second = asyncio.create_task(jobs.one(2, asyncio.sleep(0), SECONDS))
        await asyncio.wait_for(asyncio.gather(first, second), SECONDS / 2)


async def test_where_a_proof_takes_longer_than_a_wait_may_nobody_waits() -> None:
    jobs = Departures()
    with jobs.company.on_the_way():
        await asyncio.wait_for(jobs.one(1, asyncio.sleep(0), SECONDS + 1), 1)


async def test_the_next_lot_leaves_when_all_of_the_one_before_are_back() -> None:
    """Each one behind another would be a block for each, on a chain that builds one when something waits."""
    lots, left, back = Lots(3), list[int](), asyncio.Event()

    async def go(number: int) -> None:
        async with lots.place():
            left.append(number)
            await back.wait()

    tasks = [asyncio.create_task(go(number)) for number in range(8)]
    for size in (3, 6, 8):
        for _ in range(10):
            await asyncio.sleep(0)
        assert left == list(range(size))
        back.set()
        await asyncio.sleep(0)
        back.clear()
    tasks[-1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with lots.place():
        left.append(8)
    assert left == list(range(9)), "who gives up gives its place back"
