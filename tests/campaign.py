"""Faults by seed on real processes, the chain among them, amid a stream of jobs: `python -m tests.campaign`.

One embedded chain that keeps its data, one enclave, one worker, one client. Every few seconds one of them is
killed, or stopped for a while; the worker's disk is full; or its files are lost, or older ones take their
place. At the end what finalised blocks say of every job is counted: each has one end, no bond was lost for
less than half a claim's absence, nothing stays held, and every accepted answer opens and verifies.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.scene import SAMPLES, Scene
from proofward.chain import ChainError
from proofward.chain.pallets import jobs
from proofward.chain.pallets.jobs import Accepted
from proofward.client import Job
from proofward.errors import ProofwardError

STREAM_SECONDS: Final = 1.0
"""From one job to the next."""
PAUSE_SECONDS: Final = (1.0, 4.0)
REST_SECONDS: Final = (2.0, 6.0)
BACK_SECONDS: Final = 120.0
DEADLINE: Final = 900
"""Blocks: more than any time without the only worker."""
FULL_BYTES: Final = 4096
"""The largest file that a process on a full disk may write."""
_ENDS: Final = ("Accepted", "Refunded")
_COUNTED: Final = (
    *_ENDS,
    "Claimed",
    "Released",
    "Lapsed",
    "Rejected",
    "NoVerdict",
    "FaultyProof",
    "Declined",
)


@dataclass
class Campaign:
    """A scene, what was done to it, and in which blocks the worker could not work."""

    scene: Scene
    dice: random.Random
    submitted: list[Job] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    absent: list[tuple[int, int]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    # the stream -----------------------------------------------------------------------------------

    def stream(self) -> None:
        """One job after the other, until it is stopped. A submission that fails is counted."""
        while not self.stop.wait(STREAM_SECONDS):
            record = np.asarray(self.scene.records[len(self.submitted) % SAMPLES])
            try:
                self.submitted.append(
                    self.scene.client.submit(
                        self.scene.model, record, artifact=self.scene.artifact.path, deadline=DEADLINE
                    )
                )
            except ProofwardError as error:
                self.refused[error.code] += 1

    # faults ---------------------------------------------------------------------------------------

    @property
    def faults(self) -> dict[str, Callable[[], None]]:
        """What may befall a process, by name."""
        return {
            "worker killed": self.worker_killed,
            "enclave killed": self.enclave_killed,
            "chain killed": self.chain_killed,
            "worker and enclave killed": self.both_killed,
            "worker stopped": lambda: self.paused("worker"),
            "enclave stopped": lambda: self.paused("enclave"),
            "chain stopped": lambda: self.paused("chain"),
            "disk full": self.disk_full,
            "files of before": self.files_of_before,
            "journal lost": lambda: self.file_lost("journal"),
            "outbox lost": lambda: self.file_lost("outbox"),
        }

    def worker_killed(self) -> None:
        """SIGKILL; a new process after a while."""
        self.scene.kill("worker")
        self.sleep(*PAUSE_SECONDS)
        self.scene.start_worker()

    def enclave_killed(self) -> None:
        """SIGKILL: its keys are gone with it."""
        self.scene.kill("enclave")
        self.sleep(*PAUSE_SECONDS)
        self.scene.start_enclave()

    def both_killed(self) -> None:
        """As by the machine's loss of power."""
        self.scene.kill("worker")
        self.scene.kill("enclave")
        self.sleep(*PAUSE_SECONDS)
        self.scene.start_enclave()
        self.scene.start_worker()

    def chain_killed(self) -> None:
        """SIGKILL, and the same chain again from its data."""
        chain = self.scene.devnet
        assert chain is not None
        os.kill(chain.pid, signal.SIGKILL)
        chain.wait()
        self.sleep(0, 1)
        chain.stop()
        self.scene.start_chain()

    def paused(self, name: str) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        pid = self._pid(name)
        os.kill(pid, signal.SIGSTOP)
        self.sleep(*PAUSE_SECONDS)
        os.kill(pid, signal.SIGCONT)

    def disk_full(self) -> None:
        """For a while the worker can write nothing of any size."""
        pid = self._pid("worker")
        soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL_BYTES, hard))
        self.sleep(*PAUSE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))

    def files_of_before(self) -> None:
        """The worker goes on with what its files were a while ago, as from a backup."""
        data, kept = self.scene.folder / "data", self.scene.folder / "backup"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        for file in data.glob("*.sqlite"):
            with (
                contextlib.closing(sqlite3.connect(file)) as now,
                contextlib.closing(sqlite3.connect(kept / file.name)) as copy,
            ):
                now.backup(copy)
        self.sleep(3, 6)
        self.scene.kill("worker")
        for file in kept.glob("*.sqlite"):
            self._remove(data / file.name)
            shutil.copy(file, data / file.name)
        self.scene.start_worker()

    def file_lost(self, name: str) -> None:
        """One of the worker's files is gone when it starts again."""
        self.scene.kill("worker")
        self._remove(self.scene.folder / "data" / f"{name}.sqlite")
        self.scene.start_worker()

    @staticmethod
    def _remove(file: Path) -> None:
        for each in file.parent.glob(f"{file.name}*"):
            each.unlink()

    def _pid(self, name: str) -> int:
        if name == "chain":
            assert self.scene.devnet is not None
            return self.scene.devnet.pid
        return self.scene.processes[name].pid

    def sleep(self, least: float, most: float) -> None:
        """For a time that the seed says."""
        time.sleep(self.dice.uniform(least, most))

    # one after the other --------------------------------------------------------------------------

    def fault(self) -> dict[str, Any]:
        """One fault, and the time until the worker is healthy again. Raises TimeoutError."""
        name = self.dice.choice(sorted(self.faults))
        first, began = self._height(), time.monotonic()
        self.faults[name]()
        self.scene.until(self._healthy, f"the worker's health after {name!r}", BACK_SECONDS)
        self.absent.append((first, self._height()))
        return {"fault": name, "back_seconds": round(time.monotonic() - began, 1), "block": first}

    def _healthy(self) -> bool:
        """Whether the worker says that it can work; who ended by itself is started, as a service would be."""
        if "worker" in self.scene.processes and self.scene.processes["worker"].poll() is not None:
            self.scene.processes.pop("worker")
            self.scene.start_worker()
        try:
            now = self.scene.metrics()
            return all(now[f"proofward_{name}"] for name in ("chain_up", "enclave_up", "registered"))
        except (OSError, KeyError, IndexError, ValueError):
            return False

    def _height(self) -> int:
        with contextlib.suppress(ChainError):
            return self.scene.chain.finalised_head().number
        return self.absent[-1][1] if self.absent else 0

    # what came of it ------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until every job has its end; what nobody can do any more is called back, as a client would."""
        for job in self.submitted:
            self.scene.client.wait(job, timeout=900)
        self.scene.until(lambda: self.scene.open_jobs() == 0, "the worker's queue to be empty", 900)

    def count(self) -> dict[str, Any]:
        """What finalised blocks say, and what is wrong with it."""
        chain, wrong = self.scene.chain, []
        told: Counter[str] = Counter()
        ends: Counter[bytes] = Counter()
        claims: dict[bytes, tuple[int, int]] = {}
        lapsed_excused = 0
        for number in range(1, chain.finalised_head().number + 1):
            for event in chain.events(chain.block_hash(number)):
                if event.pallet != "Jobs" or event.name not in _COUNTED:
                    continue
                told[event.name] += 1
                job = bytes(event.fields["job"])
                if event.name in _ENDS:
                    ends[job] += 1
                elif event.name == "Claimed":
                    claims[job] = (number, int(event.fields["lapses_at"]))
                elif event.name == "Lapsed":
                    if self._excused(*claims[job]):
                        lapsed_excused += 1
                    else:
                        wrong.append(f"the bond for {job.hex()} was lost by block {number}")
        wrong += [f"{job.id.hex()} has {ends[job.id]} ends" for job in self.submitted if ends[job.id] != 1]
        wrong += [f"{name} {told[name]} times" for name in ("Rejected", "FaultyProof") if told[name]]
        wrong += self._unopened()
        for who, account, why in (
            ("the client", self.scene.client.account, "Escrow"),
            ("the worker", self.scene.account, "Bond"),
        ):
            held = chain.query("Balances", "Holds", account) or []
            if money := sum(int(one["amount"]) for one in held if one["id"] == {"Jobs": why}):
                wrong.append(f"{money} plancks of {who} are held still, as {why}")
        return {
            "submitted": len(self.submitted),
            "submissions_refused": dict(self.refused),
            "events": dict(told),
            "lapsed_in_absence": lapsed_excused,
            "wrong": wrong,
        }

    def _excused(self, claimed: int, lapses: int) -> bool:
        gone = sum(max(0, min(last, lapses) - max(first, claimed)) for first, last in self.absent)
        return 2 * gone >= lapses - claimed

    def _unopened(self) -> list[str]:
        """Accepted answers that do not open, or do not verify."""
        wrong = []
        client = self.scene.client
        for job in self.submitted:
            record = jobs.get(client.chain, job.id)
            if record is None or not isinstance(record.status, Accepted):
                continue
            try:
                client.open(job, artifact=self.scene.artifact.path)
                verdict = client.verify(job)
            except ProofwardError as error:
                wrong.append(f"{job.id.hex()} is accepted, and {error.code}: {error.message}")
            else:
                if not verdict.accepted:
                    wrong.append(f"{job.id.hex()} is accepted, and its evidence is not")
        return wrong


def main() -> int:
    """The exit code: 1 when something went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for logs and state; default: a temporary one")
    given = parser.parse_args()
    phases, minutes = list[tuple[str, float]](), dict[str, float]()

    def begin(phase: str) -> None:
        phases.append((phase, time.monotonic()))

    begin("preparation")
    with tempfile.TemporaryDirectory() as folder:
        where = given.keep or Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        with Scene(where) as scene:
            campaign = Campaign(scene, random.Random(given.seed))
            stream = threading.Thread(target=campaign.stream, daemon=True)
            stream.start()
            begin("faults")
            done: Counter[str] = Counter()
            worst = 0.0
            for number in range(given.faults):
                campaign.sleep(*REST_SECONDS)
                found = campaign.fault()
                done[found["fault"]] += 1
                worst = max(worst, found["back_seconds"])
                print(json.dumps({"number": number + 1, **found}), flush=True)
            campaign.stop.set()
            stream.join(120)
            begin("settling")
            campaign.settle()
            begin("counting")
            result = campaign.count()
    begin("end")
    for (phase, since), (_, until) in pairwise(phases):
        minutes[phase] = round((until - since) / 60, 1)
    minutes["all"] = round((phases[-1][1] - phases[0][1]) / 60, 1)
    print(
        json.dumps(
            {"faults": dict(done), "worst_back_seconds": worst, "minutes": minutes, **result}, indent=1
        )
    )
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
