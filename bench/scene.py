"""A chain, an enclave, a worker and a client as processes of their own, for measurements and campaigns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from proofward.amounts import UNIT
from proofward.chain import Outbox, SubstrateClient, dev_keypair
from proofward.chain.pallets import jobs, workers
from proofward.chain.pallets.models import Terms
from proofward.client import Client, Job
from proofward.devnet.chains import Devnet
from proofward.publisher.publish import publish
from proofward.zkml import CompileOptions, Evaluation, compile_model
from proofward_demo.data import train

WORKER, PUBLISHER, HOSPITAL = "//Bob", "//Alice", "//Charlie"
SAMPLES = 16
"""Held-out records that are taken in turn; some later ones are outside what the model was calibrated for."""
CONFIG = """
[chain]
url = "{url}"
retry_seconds = 0.5
[worker]
dev_account = "{account}"
data_dir = "{data}"
publishers = ["{publisher}"]
expected_seconds = 0.2
[enclave]
provider = "simulator"
spawn = false
socket = "{socket}"
models = "{models}"
[http]
port = 0
"""


class Scene:
    """One worker on the embedded chain, with the demo's MLP published and served.

    Args:
        url: a chain that runs elsewhere, with development accounts; else an embedded one is started.
    """

    block_time_ms = 1_000

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder = folder
        self.sockets = Path(tempfile.mkdtemp(prefix="pw-"))
        self.account = bytes(dev_keypair(WORKER).public_key)
        self._stack = ExitStack()
        self._given = url
        self.devnet: Devnet | None = None
        self.worker_url = self.client_url = ""
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._stack.callback(self._stop)
        self.start_chain()
        self.worker_url, self.client_url = self.worker_url or self.url, self.client_url or self.url
        model = train()[0]
        self.artifact = compile_model(
            model.onnx, model.calibration, self.folder / "models" / "mlp", name="mlp",
            evaluation=Evaluation(model.records, model.truth), options=CompileOptions(lane="groth16"),
        )  # fmt: skip
        self.records = model.records
        self.chain = self._stack.enter_context(SubstrateClient.connect(self.url))
        self.client = self._client()
        config = self.folder / "worker.toml"
        config.write_text(CONFIG.format(
            url=self.worker_url, account=WORKER, publisher=PUBLISHER, data=self.folder / "data",
            socket=self.sockets / "e", models=self.folder / "models",
        ))  # fmt: skip
        self.start_enclave()
        self._cli("worker", "allow", "--config", str(config), "--chain", self.url)
        self.start_worker()
        outbox = Outbox(self.folder / "publisher.sqlite", self.chain)
        terms = Terms(UNIT, 0, 10**11, 200)
        self.model = publish(
            self.chain, outbox, dev_keypair(PUBLISHER), self.artifact.public, terms=terms
        ).model
        outbox.close()
        self.until(lambda: self.model in workers.serving(self.chain, self.account), "the worker to serve")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # processes ------------------------------------------------------------------------------------

    def start_chain(self) -> None:
        """Start the embedded chain, or go on with its data where it was left."""
        if self._given is not None:
            self.url = self._given
            return
        port = 0 if self.devnet is None else self.devnet.port
        self.devnet = Devnet(self.folder / "chain", port=port, block_time_ms=self.block_time_ms).start()
        self.devnet.port = int(self.devnet.url.rsplit(":", 1)[1])
        self.url = self.devnet.url

    def start_enclave(self) -> None:
        """A new enclave, with new keys."""
        socket = self.sockets / "e"
        socket.unlink(missing_ok=True)
        self._spawn(
            "enclave", "proofward_enclave", "--socket", str(socket), "--provider", "simulator",
            "--models", str(self.folder / "models"),
        )  # fmt: skip
        self.until(socket.exists, "the enclave to listen")

    def start_worker(self) -> None:
        """A worker's daemon on the data folder that is there."""
        self._spawn("worker", "proofward.cli", "worker", "run", "--config", str(self.folder / "worker.toml"))

    def stop_worker(self) -> None:
        """SIGTERM, and wait."""
        self.processes["worker"].terminate()
        self.processes.pop("worker").wait(60)

    def kill(self, name: str) -> None:
        """SIGKILL to a process and its children."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _spawn(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def _cli(self, *command: str) -> None:
        run = [sys.executable, "-m", "proofward.cli", *command]
        subprocess.run(run, check=True, capture_output=True, timeout=300)

    def _client(self) -> Client:
        client = Client(self.client_url, HOSPITAL, development=True, state=self.folder / "client")
        return self._stack.enter_context(client)

    def _stop(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        if self.devnet is not None:
            self.devnet.stop()

    # work -----------------------------------------------------------------------------------------

    def submit(self, count: int, deadline: int = 600) -> list[Job]:
        """Put `count` jobs into the queue."""
        records = [np.asarray(self.records[number % SAMPLES]) for number in range(count)]
        found = self.client.submit_many(self.model, records, artifact=self.artifact.path, deadline=deadline)
        for one in found:
            if isinstance(one, Exception):
                raise one
        return [one for one in found if isinstance(one, Job)]

    def open_jobs(self) -> int:
        """Jobs that the worker still has to do."""
        return len(jobs.open_for(self.chain, self.account, 4096))

    def metrics(self) -> dict[str, float]:
        """The worker's metrics by name, of those without labels."""
        port = self.events("worker", "http-listening")[-1]["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
            lines = [line.split() for line in reply.read().decode().splitlines()]
        return {line[0]: float(line[1]) for line in lines if len(line) == 2 and "{" not in line[0]}

    def events(self, name: str, event: str) -> list[dict[str, object]]:
        """Lines of a process's log."""
        lines = (self.folder / f"{name}.log").read_text().splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [entry for entry in entries if entry.get("event") == event]

    def done(self) -> int:
        """Jobs that workers saw to their end."""
        return (self.folder / "worker.log").read_bytes().count(b'"event": "job-done"')

    def processor_seconds(self) -> dict[str, float]:
        """What each process and its threads have used so far, in user and system time."""
        processes = {name: process.pid for name, process in self.processes.items()}
        if self.devnet is not None:
            processes["chain"] = self.devnet.pid
        return {name: _processor_seconds(pid) for name, pid in processes.items()}

    def until(
        self, condition: Callable[[], object], what: str, seconds: float = 300.0, every: float = 0.05
    ) -> None:
        """Wait for a condition, looking `every` so many seconds. Raises TimeoutError with what it was."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds:g} s for {what}; see the logs in {self.folder}")
            time.sleep(every)


def _processor_seconds(pid: int) -> float:
    """By proc(5): fields 14 and 15 of stat, behind the name in parentheses."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
