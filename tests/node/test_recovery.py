"""A real worker on a real chain, killed with SIGKILL while it holds a claim: the next process finishes the
same claim.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from proofward.amounts import UNIT
from proofward.chain import Outbox, dev_keypair
from proofward.chain.pallets import attestation, workers
from proofward.chain.pallets.models import Terms
from proofward.cli import app
from proofward.client import Client
from proofward.devnet.chains import Devnet
from proofward.publisher.publish import publish
from proofward.zkml import Artifact
from tests.evidence import RECORD

SECONDS = 300.0
WORKER = bytes(dev_keypair("//Bob").public_key)
CONFIG = """
[chain]
url = "{url}"
[worker]
dev_account = "//Bob"
data_dir = "{folder}/data"
publishers = ["//Alice"]
[enclave]
provider = "simulator"
spawn = false
socket = "{socket}"
models = "{models}"
[http]
port = 0
"""


@dataclass
class Process:
    """A process of ours and its log of JSON lines."""

    popen: subprocess.Popen[bytes]
    log: Path

    def events(self, name: str) -> list[dict[str, object]]:
        lines = self.log.read_text().splitlines()
        return [
            entry
            for entry in map(json.loads, filter(lambda line: line.startswith("{"), lines))
            if entry["event"] == name
        ]

    def kill(self) -> None:
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


@contextmanager
def _process(log: Path, *command: str) -> Iterator[Process]:
    with log.open("wb") as sink:
        popen = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=sink, stderr=sink, start_new_session=True
        )
    process = Process(popen, log)
    try:
        yield process
    finally:
        if popen.poll() is None:
            process.kill()


def _until(condition: Callable[[], object], process: Process) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert process.popen.poll() is None, process.log.read_text()[-2000:]
        assert time.monotonic() < end, process.log.read_text()[-2000:]
        time.sleep(0.02)


def _verb(name: str, *options: str, code: int = 0) -> dict[str, Any]:
    """A verb's JSON; what it prints beside that is for people."""
    done = CliRunner().invoke(app, ["worker", name, *options, "--json"])
    assert done.exit_code == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _a_day_of_the_operator(config: Path, url: str, client: Client, job: bytes) -> None:
    """The commands against the real parts: asked why, judged, drained, and resumed."""
    own, report = ("--config", str(config)), config.with_name("report.json")
    said = _verb("why", f"0x{job.hex()}", *own, "--out", str(report))
    (finding,) = said["report"]["findings"]
    assert (finding["code"], finding["certain"], said["report"]["not_read"]) == ("accepted", True, [])
    block = client.chain.block_hash(finding["block"])
    assert finding["block_hash"] == f"0x{block.hex()}"
    assert _verb("why", "--check", str(report), "--chain", url)["worker"] == f"0x{WORKER.hex()}"
    report.write_text(report.read_text().replace('"accepted"', '"lapsed"'))
    assert _verb("why", "--check", str(report), "--chain", url, code=1)["error"]["code"] == "bad-signature"
    judged = _verb("tcb", *own, code=7)
    assert (judged["verdict"], judged["sets"]["chain"]["status"]) == ("incomplete", "UpToDate")
    assert _verb("drain", *own, "--timeout", "5m")["safe"]
    assert workers.serving(client.chain, WORKER) == {}, "clients still seal to keys that may end"
    assert _verb("resume", *own)["ended"]["code"] == "draining"


@pytest.mark.parametrize("moment", ["claimed", "proved"])
def test_killed_with_a_claim_in_hand(
    moment: str, artifact: Artifact, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sockets = tmp_path_factory.mktemp("s")
    socket, models = sockets / "e", artifact.path.parent
    enclave = _process(
        tmp_path / "enclave.log",
        "proofward_enclave",
        "--socket",
        str(socket),
        "--provider",
        "simulator",
        "--models",
        str(models),
    )
    with (
        Devnet() as chain,
        enclave as enclave_process,
        Client(chain.url, "//Charlie", development=True, state=tmp_path / "state") as client,
    ):
        _until(socket.exists, enclave_process)
        config = tmp_path / "worker.toml"
        config.write_text(CONFIG.format(url=chain.url, folder=tmp_path, socket=socket, models=models))
        own = ("--config", str(config))
        _verb("allow", *own, "--chain", chain.url)
        assert attestation.measurements(client.chain)
        outbox = Outbox(tmp_path / "publisher.sqlite", client.chain)
        terms = Terms(UNIT, 0, 10**11, 600)  # no claim lapses, however slow this machine is
        first = publish(client.chain, outbox, dev_keypair("//Alice"), artifact.public, terms=terms)
        again = publish(client.chain, outbox, dev_keypair("//Alice"), artifact.public, terms=terms)
        assert (first.published, again.published) == (True, False)

        run = ("proofward.cli", "worker", "run", *own)
        with _process(tmp_path / "node-1.log", *run) as node:
            _until(lambda: workers.serving(client.chain, WORKER), node)
            job = client.submit(
                first.model, RECORD, artifact=artifact.path, deadline=600, verify_workers=True
            )
            _until(lambda: node.events(moment), node)
            node.kill()
        with _process(tmp_path / "node-2.log", *run) as node:
            outcome = client.wait(job, timeout=SECONDS)
            _until(lambda: node.events("http-listening"), node)  # the first process may have handed it in
            if moment == "claimed":
                _a_day_of_the_operator(config, chain.url, client, job.id)
                (port,) = {event["port"] for event in node.events("http-listening")}
                with urlopen(f"http://127.0.0.1:{port}/status.json", timeout=60) as reply:
                    shown = json.load(reply)
                assert (shown["chain"], shown["outcomes"][0]["outcome"]) == ("answers", "accepted")
            node.popen.terminate()
            assert node.popen.wait(60) == 0
        _verb("retire", *own)
        left = workers.get(client.chain, WORKER)
        assert left is not None
        assert left.retired_at is not None
        assert workers.serving(client.chain, WORKER) == {}
        early = _verb("withdraw", *own, code=1)
        assert "the stake is free from block" in early["error"]["message"]
        assert outcome.state == "accepted"
        assert outcome.record.attempts == 1, "it was claimed twice"
        assert len(client.open(job).decisions) == 1
        assert client.verify(job).word == "accepted (simulated, setup: dev)"
        works = [
            entry
            for entry in enclave_process.events("request")
            if entry["method"] == "work" and entry["code"] == "ok"
        ]
        if moment == "proved":
            assert len(works) == 1, "a proof that was on the disk was computed again"
