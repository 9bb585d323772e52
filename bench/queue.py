"""How fast one worker works off a backlog, and what it asks of the chain: `python -m bench.queue`.

python -m bench.queue --jobs 100                       # on an embedded chain of its own
python -m bench.queue --chain ws://127.0.0.1:9944      # on a development chain that runs
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from bench.scene import Scene


def measure(scene: Scene, count: int, single: int) -> dict[str, float]:
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
    began = time.perf_counter()
    scene.until(lambda: scene.events("worker", "claimed")[single:], "the first claim")
    claimed, first = time.perf_counter(), scene.chain.finalised_head().number
    scene.until(lambda: scene.open_jobs() == 0, "the backlog to end", 900)
    ended, last = time.perf_counter(), scene.chain.finalised_head().number
    time.sleep(2)
    return {
        "jobs": count,
        "jobs_a_minute": 60 * count / (ended - claimed),
        "jobs_a_minute_with_the_start": 60 * count / (ended - began),
        "blocks_a_job": (last - first) / count,
        "calls_a_job_in_the_backlog": scene.metrics()["proofward_chain_calls"] / count,
        "calls_a_job_alone": alone_calls,
        "seconds_of_a_job_alone": statistics.median(alone),
        "blocks_of_a_job_alone": statistics.median(blocks),
        "blocks_before": head,
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
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}, indent=1))


if __name__ == "__main__":
    main()
