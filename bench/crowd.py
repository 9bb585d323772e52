"""What a job costs in reads when the chain is full of other people's entries: `python -m bench.crowd`.

Then the worker is buried under junk of its own: jobs that name it and do not open. It is to do what an honest
client seals to it meanwhile, and to get rid of the junk.

Exits 1 if a job needs more requests on the full chain than on the empty one, or if junk hides a job or stays.

python -m bench.crowd                          # 100,000 ended jobs, 10,000 models, 10,000 open, 4,000 junk
python -m bench.crowd --ended 1000 --models 100 --open 100 --junk 600
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.counted import Counted
from bench.scene import PUBLISHER, Scene
from proofward.amounts import UNIT
from proofward.chain import Call, SubstrateClient, dev_keypair
from proofward.chain.pallets import attestation
from proofward.protocol.hashes import sha256

ENTRIES, BYTES = 3_000, 1_500_000
"""Of one extrinsic that writes them: within a block's weight and length."""


QUIET = 0.5
"""Seconds without a word of the worker's before it hears of the next block: one that hears of a block while
it reads the one before reads once for both, and how often that happens depends on the machine."""


@dataclass(frozen=True)
class Crowd:
    """How many entries of others there are; `junk` are open jobs that name the measured worker as well."""

    ended: int
    models: int
    open: int
    junk: int = 0


def entries(
    chain: SubstrateClient, crowd: Crowd, ended: bytes, waiting: bytes
) -> Iterator[tuple[bytes, bytes]]:
    """Storage entries of other people, in the form of a job that ended, of one that waits and of its model.

    The waiting ones are of the same model and stand before it in the queue: nothing is nearer to a job.
    """
    runtime = chain.runtime
    read = chain.query_raw
    job = chain.query("Jobs", "Jobs", waiting)
    model, client, worker = job["model"], job["client"], job["recipients"][0]

    def someone(kind: str, number: int) -> bytes:
        return sha256(f"{kind} {number}".encode())

    def entry(pallet: str, item: str, *keys: bytes, like: tuple[bytes, ...]) -> tuple[bytes, bytes]:
        value = read(pallet, item, *like)
        if value is None:
            raise LookupError(f"{pallet}.{item} has no entry to copy")
        return runtime.storage_key(pallet, item, *keys), value

    if crowd.ended:
        of_ended = entry("Jobs", "Jobs", ended, like=(ended,))[1]
    for number in range(crowd.ended):
        value = of_ended.replace(client, someone("client", number)).replace(worker, someone("worker", number))
        yield runtime.storage_key("Jobs", "Jobs", someone("ended", number)), value

    record = entry("Models", "Models", model, like=(model,))[1]
    key, weight = (entry("Models", item, model, like=(model,))[1] for item in ("Keys", "VerdictWeights"))
    publisher = bytes(dev_keypair(PUBLISHER).public_key)
    for number in range(crowd.models):
        name, owner = someone("model", number), someone("publisher", number)
        yield runtime.storage_key("Models", "Models", name), record.replace(publisher, owner)
        yield runtime.storage_key("Models", "Keys", name), key
        yield runtime.storage_key("Models", "VerdictWeights", name), weight
        yield (
            runtime.storage_key("Workers", "Served", name, someone("worker", number)),
            UNIT.to_bytes(16, "little"),
        )

    of_waiting = entry("Jobs", "Jobs", waiting, like=(waiting,))[1]
    sealed = entry("Jobs", "Sealed", waiting, like=(waiting,))[1]
    kind = "junk" if crowd.junk else "open"
    names = [someone(kind, number) for number in range(crowd.junk or crowd.open)]

    def link(before: bytes | None, behind: bytes | None) -> bytes:
        return b"".join(b"\0" if name is None else b"\1" + name for name in (before, behind))

    for number, name in enumerate(names):
        other = someone("worker", number)
        # junk has another recipient besides, who never says no: nobody holds money for its end
        named = b"\x08" + worker + other if crowd.junk else b"\x04" + other
        value = of_waiting.replace(client, someone("client", number)).replace(b"\x04" + worker, named)
        yield runtime.storage_key("Jobs", "Jobs", name), value
        yield runtime.storage_key("Jobs", "Sealed", name), sealed
        for recipient in [other, *([worker] if crowd.junk else [])]:
            yield runtime.storage_key("Jobs", "JobsOf", recipient, name), b""
        yield runtime.storage_key("Jobs", "OpenJobs", someone("client", number)), (1).to_bytes(4, "little")
        behind = names[number + 1] if number + 1 < len(names) else waiting
        yield runtime.storage_key("Jobs", "Links", name), link(names[number - 1] if number else None, behind)
    if names:
        yield runtime.storage_key("Jobs", "Links", waiting), link(names[-1], None)
        length = (len(names) + 1).to_bytes(4, "little")
        yield runtime.storage_key("Jobs", "Queues", model), link(names[0], waiting) + length


def fill(chain: SubstrateClient, crowd: Crowd, ended: bytes, waiting: bytes) -> int:
    """Write them by sudo; gives their bytes. Nothing else may be in the queue but `waiting`."""
    written, batch, size = 0, [], 0
    everything = [*entries(chain, crowd, ended, waiting)]

    def send(items: list[tuple[bytes, bytes]]) -> None:
        call = Call("System", "set_storage", {"items": items})
        chain.submit(attestation.sudo(call), dev_keypair("//Alice"))

    for item in everything:
        batch.append(item)
        size += len(item[0]) + len(item[1])
        if len(batch) >= ENTRIES or size >= BYTES or item is everything[-1]:
            send(batch)
            written += size
            print(f"crowd: {written / 1e6:.0f} MB written", file=sys.stderr)
            batch, size = [], 0
    return written


class CountedScene(Scene):
    """The scene, with the worker's and the client's words to the chain counted."""

    block_time_ms = 10_000  # blocks of extrinsics only, while a job is on its way

    def start_chain(self) -> None:
        """Start the chain, and the two proxies before it."""
        super().start_chain()
        self.of_worker = self._stack.enter_context(Counted(self.url, QUIET))
        self.of_client = self._stack.enter_context(Counted(self.url))
        self.worker_url, self.client_url = self.of_worker.url, self.of_client.url


def buried(scene: CountedScene, junk: int) -> dict[str, object]:
    """How long a job takes among junk that names the worker, and the junk to go; what the junk has it read.
    Raises TimeoutError.
    """
    scene.stop_worker()
    (waiting,) = scene.submit(1)
    fill(scene.chain, Crowd(0, 0, 0, junk), b"", waiting.id)
    scene.of_worker.quiet = 0.0  # it is not counted by the block here
    began, before = time.monotonic(), scene.of_worker.reads()[0]
    scene.start_worker()
    scene.client.wait(waiting)
    done = time.monotonic() - began
    scene.until(lambda: scene.open_jobs() == 0, "the junk to be declined", 3600.0, every=1.0)
    return {
        "junk": junk,
        "job_seconds": round(done, 1),
        "rid_of_it_seconds": round(time.monotonic() - began, 1),
        "requests_for_each": round((scene.of_worker.reads()[0] - before) / junk, 2),
    }


NAMES = ("client_requests", "client_bytes", "worker_requests", "worker_bytes")


def reads(scene: CountedScene, count: int) -> dict[str, float]:
    """What a job takes, the median of `count` one after another: the worker from the job's submission to its
    verdict, the client for the submission and one look (how often a client looks is a matter of time).
    """
    found: dict[str, list[int]] = {name: [] for name in NAMES}

    def note(who: str, before: tuple[int, int], after: tuple[int, int]) -> None:
        for name, old, new in zip((f"{who}_requests", f"{who}_bytes"), before, after, strict=True):
            found[name].append(new - old)

    for _ in range(count):
        client, worker = scene.of_client.reads(), scene.of_worker.reads()
        (job,) = scene.submit(1)
        scene.client.show(job)
        note("client", client, scene.of_client.reads())
        scene.client.wait(job)
        scene.of_worker.settle()
        note("worker", worker, scene.of_worker.reads())
    return {name: statistics.median_low(values) for name, values in found.items()}


def measure(scene: CountedScene, crowd: Crowd, count: int) -> dict[str, object]:
    """The figures on the small chain and on the crowded one."""
    reads(scene, 2)  # what is read once in a process's life
    small = reads(scene, count)
    (ended,) = scene.submit(1)
    scene.client.wait(ended)
    scene.stop_worker()
    (waiting,) = scene.submit(1)
    written = fill(scene.chain, crowd, ended.id, waiting.id)
    scene.start_worker()
    scene.client.wait(waiting)
    reads(scene, 2)
    crowded = reads(scene, count)
    same = all(small[name] == crowded[name] for name in ("client_requests", "worker_requests"))
    return {
        "crowd": vars(crowd),
        "megabytes": written / 1e6,
        "small": small,
        "crowded": crowded,
        "same_number_of_requests": same,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ended", type=int, default=100_000, help="ended jobs of others")
    parser.add_argument("--models", type=int, default=10_000, help="models of others")
    parser.add_argument("--open", type=int, default=10_000, help="open jobs of others, in the same queue")
    parser.add_argument("--junk", type=int, default=4_000, help="open jobs that name the worker and are none")
    parser.add_argument("--jobs", type=int, default=10, help="own jobs that are measured, each time")
    parser.add_argument("--keep", type=Path, help="folder for logs and state; default: a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = given.keep or Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        with CountedScene(where) as scene:
            found = measure(scene, Crowd(given.ended, given.models, given.open), given.jobs)
            found["buried"] = buried(scene, given.junk)
            print(json.dumps(found, indent=1))
            sys.exit(0 if found["same_number_of_requests"] else 1)


if __name__ == "__main__":
    main()
