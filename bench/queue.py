"""How fast one worker works off a backlog, and what it costs: `python -m bench.queue`.

python -m bench.queue --jobs 100                       # on an embedded chain of its own
python -m bench.queue --chain ws://127.0.0.1:9944      # on a development chain that runs

Counted from the block of the first claim to that of the last verdict, by the blocks' own times: what else the
machine does slows the times down, and changes the counts and the processor's seconds little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.scene import Scene


def measure(scene: Scene, count: int, single: int) -> dict[str, float | str]:
    """The figures: latency of jobs that come alone, then a backlog from start to end."""
    alone, blocks = [], []
    calls = scene.metrics()["proofward_chain_calls"]
    for _ in range(single):
        (job,) = scene.submit(1)
        began, first = time.perf_counter(), job.block
        outcome = scene.client.wait(job)
        alone.append(time.perf_counter() - began)
        blocks.append((outcome.block or first) - first)
    time.sleep(2)  # the gauge is written once a block
    alone_calls = (scene.metrics()["proofward_chain_calls"] - calls) / single

    scene.stop_worker()
    scene.submit(count)
    head = scene.chain.finalised_head().number
    scene.start_worker()
    scene.until(lambda: scene.events("worker", "claimed")[single:], "the first claim", every=0.25)
    before = scene.processor_seconds()
    scene.until(lambda: scene.done() >= single + count, "the backlog to end", 900, every=0.25)
    used = {name: spent - before[name] for name, spent in scene.processor_seconds().items()}
    last = scene.chain.finalised_head().number
    time.sleep(2)
    return {
        "jobs": count,
        **backlog(scene, head, last, count),
        "calls_a_job_in_the_backlog": scene.metrics()["proofward_chain_calls"] / count,
        "calls_a_job_alone": alone_calls,
        "seconds_of_a_job_alone": statistics.median(alone),
        "blocks_of_a_job_alone": statistics.median(blocks),
        **{f"processor_ms_a_job_{name}": 1000 * spent / count for name, spent in sorted(used.items())},
        "load": " ".join(f"{one:.1f}" for one in os.getloadavg()),
    }


def backlog(scene: Scene, first: int, last: int, count: int) -> dict[str, float]:
    """What the blocks behind `first`, up to `last`, say of how a backlog of `count` was worked off."""
    made, seconds = Counter[str](), list[float]()
    for number in range(first + 1, last + 1):
        block = scene.chain.block(number)
        calls = [f"{one.call.pallet}.{one.call.name}" for one in block.extrinsics if one.signer and one.call]
        if not seconds and "Jobs.claim" not in calls:
            continue
        made.update(calls)
        seconds.append(scene.chain.timestamp(block.hash) / 1000)
        if made["Jobs.complete"] >= count:
            break
    return {
        "jobs_a_minute": 60 * count / (seconds[-1] - seconds[0]),
        "blocks_a_job": len(seconds) / count,
        "extrinsics_a_job": made.total() / count,
        **{f"{name}_a_job": each / count for name, each in sorted(made.items())},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100, help="size of the backlog")
    parser.add_argument("--single", type=int, default=5, help="jobs that are submitted alone")
    parser.add_argument("--chain", help="ws:// address of a development chain; default: an embedded one")
    parser.add_argument("--keep", type=Path, help="folder for logs and state; default: a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = given.keep or Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        with Scene(where, given.chain) as scene:
            figures = measure(scene, given.jobs, given.single)
    shown = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps(shown, indent=1))


if __name__ == "__main__":
    main()
