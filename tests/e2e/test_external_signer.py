"""A worker whose key is another program's: it registers, works, serves sessions, and never has the key."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proofward.amounts import UNIT
from proofward.chain import accounts
from proofward.chain.pallets import balances, workers
from proofward.chain.signer import SignerUnreachable
from proofward.cli import app
from proofward.client.sessions import SessionOrder
from proofward.devnet.chains import Devnet
from proofward.zkml import load_artifact
from tests.canary import Canary, in_files, in_memory, is_in_memory
from tests.e2e.session_scene import Scene, scene
from tests.e2e.test_sessions import RECORDS
from tests.evidence import tiny

FUNDS = 200 * UNIT


@contextmanager
def signer(chain: Devnet, seed: bytes, folder: Path, socket: Path) -> Iterator[Path]:
    """`proofward signer serve` with a key of that seed, as it is by default; gives its log."""
    key, log = folder / "worker.key", folder / "signer.log"
    key.write_text(f"0x{seed.hex()}\n")
    key.chmod(0o600)
    command = [sys.executable, "-m", "proofward.cli", "signer", "serve", "--chain", chain.url]
    command += ["--socket", str(socket), "--key-file", str(key)]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink)
    try:
        end = time.monotonic() + 300
        while not _answers(socket):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield log
    finally:
        process.terminate()
        process.wait(60)


def _answers(socket: Path) -> bool:
    """A socket has its name before anybody listens."""
    try:
        return bool(accounts.named(f"unix:{socket}"))
    except SignerUnreachable:
        return False


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, Path, Canary]]:
    folder, seed = tmp_path_factory.mktemp("signed"), secrets.token_bytes(32)
    paged, single = (
        load_artifact(shutil.copytree(tiny(tmp_path_factory, batch).path, folder / "models" / name))
        for batch, name in ((16, "paged"), (1, "single"))
    )
    with Devnet() as chain, tempfile.TemporaryDirectory(dir="/tmp") as sockets:
        socket = Path(sockets) / "signer.sock"
        with signer(chain, seed, folder, socket) as log:
            with chain.connect() as rpc:
                account = accounts.named(f"unix:{socket}")
                rpc.submit(balances.transfer(account, FUNDS), accounts.dev_keypair("//Alice"))
            with scene(chain, paged, folder, key=f"unix:{socket}", others=[single]) as found:
                yield found, log, Canary.of_bytes(seed)


def test_a_worker_does_all_of_its_work_with_a_key_that_it_does_not_have(
    stage: tuple[Scene, Path, Canary],
) -> None:
    scene, log, seed = stage
    scene.until(lambda: len(workers.serving(scene.rpc, scene.account)) == 2)
    job = scene.client.submit(scene.model, RECORDS[:1], recipients=[scene.account])
    assert scene.client.wait(job, timeout=300).state == "accepted", scene.worker.log_tail()
    with scene.client.session(scene.model, order=SessionOrder(sample=0.5, window_blocks=100)) as session:
        assert len(session.infer_many(RECORDS[:60])) == 60
    scene.finished(session.id, 60)
    assert scene.events("Settled", session.id)[0]["paid"] == 60

    told = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert {line["event"] for line in told} == {"signed"}, log.read_text()
    assert in_memory(seed, scene.worker.node_pid) + in_files(seed, scene.worker.folder) == []
    assert is_in_memory(seed, os.getpid()), "the search finds it where it is"


def test_whoever_has_the_workers_machine_cannot_take_the_stake(
    stage: tuple[Scene, Path, Canary], tmp_path: Path
) -> None:
    scene, log, _ = stage
    # the thief's own journal, beside the daemon's, which is in use
    config, text = tmp_path / "worker.toml", (scene.worker.folder / "worker.toml").read_text()
    config.write_text(text.replace(str(scene.worker.folder / "data"), str(tmp_path / "data")))
    made = CliRunner().invoke(app, ["worker", "retire", "--config", str(config)])
    assert made.exit_code != 0
    assert "not on the list" in made.output
    record = workers.get(scene.rpc, scene.account)
    assert record is not None
    assert record.retired_at is None
    assert '"workers.retire' in log.read_text()
