"""One seed's course of events, and what must hold of it.

`python -m tests.simulation 1 10000` runs ten thousand of them and prints the first that fails; the same seed
gives the same events again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from proofward.chain.pallets.jobs import Accepted
from tests.node.world import MODEL
from tests.simulation.actors import KINDS, Client, Hostile, Machine, Worker, World, answer
from tests.simulation.network import GRACE, Network

FUNDS = 10**14
JOBS = 5
#: Blocks with faults, and those after them within which everything has ended.
STORM, PEACE = 150, 420
#: Extrinsics that an honest worker may need for a job, and besides.
A_JOB, BESIDES = 8, 40


@dataclass
class Report:
    """What came of a seed. `wrong` says what did not hold."""

    seed: int
    hits: list[tuple[int, str, str, str]] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    bonds: list[str] = field(default_factory=list)
    blocks: int = 0
    extrinsics: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        faults = "; ".join(f"{block} {who} {kind} ({where})" for block, who, kind, where in self.hits)
        return f"seed {self.seed}: " + "; ".join(self.wrong) + f"\n  faults: {faults or 'none'}"


def run(seed: int, kinds: Sequence[str] = KINDS) -> Report:
    """Live through the storm and the peace after it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with tempfile.TemporaryDirectory(dir=_memory()) as folder:
            return asyncio.run(_live(seed, kinds, Path(folder)))
    finally:
        structlog.reset_defaults()


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


async def _live(seed: int, kinds: Sequence[str], folder: Path) -> Report:
    rng = random.Random(seed)
    network = Network(rng)
    world = World(rng, network, kinds)
    asyncio.get_running_loop().time = lambda: float(network.best)  # type: ignore[method-assign]
    workers = [Worker(world, f"worker {n}", folder / f"worker-{n}") for n in (1, 2)]
    hostile = Hostile(world, "hostile", folder / "hostile")
    recipients = [one.account for one in (*workers, hostile)]
    client = Client(world, "client", folder / "client", recipients, JOBS)
    actors: list[Machine] = [*workers, hostile, client]
    for one in actors:
        network.market.free[one.account] = FUNDS
    for _ in range(2 * GRACE):
        world.tick()
    tasks = [asyncio.ensure_future(one.live()) for one in (*workers, hostile, client)]
    report = Report(seed)
    total = network.market.total
    try:
        for number in range(STORM + PEACE):
            world.on = number < STORM
            for _ in range(rng.randrange(6, 24)):
                await asyncio.sleep(0)
            if world.on and rng.random() < 0.05:
                network.late = rng.randrange(4)
            world.tick()
            if network.market.total != total:
                report.wrong.append(f"money was made or lost in block {network.best}")
                break
            for task in tasks:
                if task.done():
                    task.result()
            if not world.on and _quiet(client, workers):
                break
        _judge(report, world, client, workers)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    report.hits, report.blocks = world.hits, network.best
    report.extrinsics = sum(network.included.values())
    return report


def _quiet(client: Client, workers: Sequence[Worker]) -> bool:
    jobs = client.world.network.market.jobs.values()
    ended = all(not record.is_open for record in jobs) and len(client.wanted) == client.count
    return ended and all(one.held() == one.pending() == 0 for one in workers) and client.pending() == 0


def _judge(report: Report, world: World, client: Client, workers: Sequence[Worker]) -> None:
    market, wrong = world.network.market, report.wrong
    report.ended = Counter(how for _, how, _ in market.ended)
    ends = Counter(job for _, _, job in market.ended)
    wrong += [f"job {job.hex()[:8]} ended {count} times" for job, count in ends.items() if count > 1]
    if not _quiet(client, workers):
        open_jobs = [job.hex()[:8] for job, record in market.jobs.items() if record.is_open]
        waiting = {one.name: (one.held(), one.pending()) for one in workers}
        wrong.append(f"no peace: open {open_jobs}, held and pending {waiting}, client {client.pending()}")
    by_account = {one.account: one for one in workers}
    for block, why, job, who, claim in market.cuts:
        if (worker := by_account.get(who)) is None:
            continue
        troubles = (*worker.troubles, *world.troubles)
        down = sum(max(0, min(to, block) - max(start, claim.claimed_at)) for start, to in troubles)
        report.bonds.append(why)
        if why == "second release" or 2 * down < min(MODEL.claim_blocks, claim.lapses_at - claim.claimed_at):
            wrong.append(f"{worker.name} lost the bond of {job.hex()[:8]} in block {block} by {why}")
    for block, who, name, error in world.network.known_to_fail:
        if (worker := by_account.get(who)) is not None:
            wrong.append(f"{worker.name} signed a {name} at block {block} that could only fail: {error}")
    for one in workers:
        if market.fees[one.account] > A_JOB * len(market.jobs) + BESIDES:
            wrong.append(f"{one.name} paid {market.fees[one.account]} fees for {len(market.jobs)} jobs")
    for job, record in market.jobs.items():
        if isinstance(record.status, Accepted) and record.status.output_commitment != answer(job):
            wrong.append(f"job {job.hex()[:8]} was accepted with another answer")
