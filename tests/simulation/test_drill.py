"""The operator's drill: 200 jobs are queued, and the measurement of both workers is replaced, one after the
other. No bond is lost, no job expires, and none is refunded.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from pathlib import Path

import structlog

from proofward.chain.pallets import jobs as pallet
from proofward.chain.pallets.jobs import Accepted
from proofward.protocol import Level, RecipientKey, sha256
from proofward_node import holding
from proofward_node.choice import only_ours
from proofward_node.holding import Hold
from proofward_node.journal import HELD
from proofward_node.reasons import Code
from tests.node.world import MODEL
from tests.simulation.actors import Worker, World, _sealed
from tests.simulation.market import BOND, PRICE
from tests.simulation.network import Network

QUEUED, LATER = 200, 20
OLD, NEW = b"q", b"q, of the new image"
CLIENT = sha256(b"client")


class Drill:
    """Two workers on a chain without faults, and an operator."""

    def __init__(self, folder: Path) -> None:
        self.network = Network(random.Random(1))
        self.world = World(random.Random(1), self.network, ())
        self.workers = [Worker(self.world, f"worker {n}", folder / f"worker-{n}") for n in (1, 2)]
        self.tasks: dict[Worker, asyncio.Task[None]] = {}
        self.count = 0
        for one in self.workers:
            self.network.market.free[one.account] = 200 * BOND
        self.network.market.free[CLIENT] = 1000 * PRICE

    def start(self, worker: Worker) -> None:
        self.tasks[worker] = asyncio.ensure_future(worker.live())

    async def stop(self, worker: Worker) -> None:
        self.tasks[worker].cancel()
        await asyncio.gather(self.tasks.pop(worker), return_exceptions=True)

    async def blocks(self, most: int, done: object) -> None:
        assert callable(done)
        for _ in range(most):
            for _ in range(12):
                await asyncio.sleep(0)
            self.world.tick()
            for task in self.tasks.values():
                if task.done():
                    task.result()
            if done():
                return
        raise AssertionError(f"not within {most} blocks")

    def submit(self, recipients: list[Worker]) -> bytes:
        market = self.network.market
        nonce = b"%d" % self.count
        self.count += 1
        job = sha256(CLIENT + nonce)
        records = [market.workers[one.account] for one in recipients]
        keys = [RecipientKey(one.account, one.epoch, one.hpke_key) for one in records]
        call = pallet.submit(
            model=MODEL.id, nonce=nonce, sealed=_sealed(self.world, job, CLIENT, keys),
            input_commitment=b"c" * 32, recipients=[one.account for one in recipients], price=PRICE,
            deadline=self.network.final + 2000, min_level=Level.SIMULATED, allow_dev_setup=True,
        )  # fmt: skip
        error, _ = market.include(CLIENT, call, self.network.final)
        assert error is None
        return job

    def serves(self, worker: Worker) -> bool:
        return (worker.account, MODEL.id) in self.network.market.serving

    def safe(self, worker: Worker) -> bool:
        """As `worker drain` finds it, from the worker's files and the chain."""
        market = self.network.market
        journal = worker.journal
        hold = holding.read(worker.hold)
        assert hold is not None
        if journal is None or not holding.taken_note_of(journal.get_meta("hold_seen"), hold):
            return False
        left = [one for one in market.jobs.values() if one.is_open and only_ours(one, worker.account)]
        held = len(journal.entries(*HELD))
        return not (left or held or worker.pending() or market.workers[worker.account].open_claims)

    async def replace(self, worker: Worker) -> None:
        """Drain, stop, replace the image and with it every key, start, resume."""
        holding.write(worker.hold, Hold(Code.DRAINING))
        await self.blocks(900, lambda: self.safe(worker))
        assert not self.serves(worker)
        await self.stop(worker)
        worker.enclave.die()
        worker.enclave.quote = NEW
        self.start(worker)
        await self.blocks(60, lambda: self._measured(worker) == sha256(NEW))
        worker.hold.unlink()
        await self.blocks(60, lambda: self.serves(worker))

    def _measured(self, worker: Worker) -> bytes:
        return self.network.market.workers[worker.account].measurement


async def _drill(folder: Path) -> tuple[Counter[str], list[str], Counter[bytes]]:
    drill = Drill(folder)
    # what a proof takes is learnt in blocks, as the enclave takes them
    asyncio.get_running_loop().time = lambda: float(drill.network.best)  # type: ignore[method-assign]
    first, second = drill.workers
    for _ in range(20):
        drill.world.tick()
    for one in drill.workers:
        drill.start(one)
    await drill.blocks(100, lambda: all(map(drill.serves, drill.workers)))
    for number in range(QUEUED):
        drill.submit(
            [[first, second], [second, first], [first], [second]][
                number % 10 if number % 10 < 4 else number % 2
            ]
        )
    drill.network.market.allowed = (OLD, NEW)
    await drill.replace(first)
    for _ in range(LATER):
        drill.submit([first, second])
    await drill.replace(second)
    market = drill.network.market
    market.allowed = (NEW,)
    await drill.blocks(900, lambda: not any(job.is_open for job in market.jobs.values()))
    for one in drill.workers:
        await drill.stop(one)
    by = Counter(job.status.worker for job in market.jobs.values() if isinstance(job.status, Accepted))
    return Counter(how for _, how, _ in market.ended), [why for _, why, *_ in market.cuts], by


def test_two_hundred_queued_jobs_survive_the_replacement_of_the_measurement(tmp_path: Path) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        ended, cuts, by = asyncio.run(_drill(tmp_path))
    finally:
        structlog.reset_defaults()
    assert ended == {"Accepted": QUEUED + LATER}
    assert not cuts, "a bond was lost or cut"
    assert min(by.values()) > LATER, "one of the two did hardly anything"
