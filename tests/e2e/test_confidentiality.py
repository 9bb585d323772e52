"""The host never sees plaintext: a canary in a job is hunted for everywhere but in client and enclave."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from proofward.amounts import UNIT
from proofward.chain import SubstrateClient, accounts
from proofward.chain.outbox import Outbox
from proofward.chain.pallets import attestation, workers
from proofward.chain.pallets.models import Terms
from proofward.client import Client
from proofward.devnet.chains import LocalChain
from proofward.publisher.publish import publish
from proofward.zkml import CompileOptions, available_lanes, compile_model
from proofward.zkml.hiding import hides
from proofward.zkml.manifest import LaneName
from proofward_demo.processes import Worker
from proofward_enclave.measure import simulated_measurement
from tests.canary import Canary, in_files, in_memory, in_text, is_in_memory
from tests.nodes import KINDS

FEATURES = 32


def _model() -> bytes:
    """A 32-4-1 MLP with made-up weights: what it says does not matter here, what it is asked does."""
    random = np.random.default_rng(3)
    shapes = {"w0": (FEATURES, 4), "b0": (4,), "w1": (4, 1), "b1": (1,)}
    weights = {name: random.normal(0, 0.02, shape).astype(np.float32) for name, shape in shapes.items()}
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w0", "b0"], ["h"], name="hidden"),
            helper.make_node("Relu", ["h"], ["a"], name="relu"),
            helper.make_node("Gemm", ["a", "w1", "b1"], ["y"], name="out"),
        ],
        "canary",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(onnx.ModelProto.SerializeToString(model, deterministic=True))


@pytest.fixture(scope="module", params=KINDS)
def chain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalChain]:
    data = tmp_path_factory.mktemp("chain")
    with request.param(data) as node:
        yield node


@pytest.mark.parametrize("lane", [lane for lane in available_lanes() if hides(lane)])
def test_canary_is_nowhere_on_the_host(
    lane: LaneName, chain: LocalChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))  # temporary files of worker and enclave
    tempfile.tempdir = None
    calibration = np.random.default_rng(5).uniform(0, 255, (64, FEATURES))
    calibration[:2] = [[0.0] * FEATURES, [255.0] * FEATURES]
    compile_model(
        _model(),
        calibration,
        tmp_path / "models" / lane,
        name=f"canary-{lane}",
        options=CompileOptions(lane=lane, accuracy_bound=0.05, task="regression"),
    )
    secret = secrets.token_bytes(FEATURES)
    record = np.frombuffer(secret, dtype=np.uint8).astype(np.float64)

    client = Client(
        chain.url, "//Charlie", development=True, artifacts=[tmp_path / "models"], state=tmp_path / "client"
    )
    with client, chain.connect() as rpc, tempfile.TemporaryDirectory(dir="/tmp") as sockets:
        rpc.submit(
            attestation.sudo(attestation.allow_measurement(simulated_measurement(), "test")),
            accounts.dev_keypair("//Alice"),
        )
        worker = Worker(
            "w", "//Dave", tmp_path / "worker", Path(sockets), chain.url, tmp_path / "models", "//Bob"
        )
        worker.start()
        try:
            public = client.artifacts.add(tmp_path / "models" / lane)
            outbox = Outbox(tmp_path / "outbox.sqlite", rpc)
            model = publish(
                rpc, outbox, accounts.dev_keypair("//Bob"), public, terms=Terms(UNIT, 0, 10**11, 60)
            ).model
            account = bytes(accounts.dev_keypair("//Dave").public_key)
            _serves(rpc, account, model, worker)
            job = client.submit(model, record, recipients=[account])
            assert client.wait(job, timeout=300).state == "accepted", worker.log_tail()
            assert client.open(job).outputs.shape == (1, 1)

            quantised = [int(value) for value in public.quantize(record[None, :])[0]]
            secrets_file = client.store.load(job.id)
            canaries = {
                "input bytes": Canary.of_bytes(secret),
                "input integers": Canary.of_integers(quantised),
                "input floats": Canary.of_bytes(record.astype("<f8").tobytes()),
                "input salt": Canary.of_bytes(bytes.fromhex(secrets_file.input_salt)),
                "reply key": Canary.of_bytes(bytes.fromhex(secrets_file.reply_secret)),
            }
            metrics = _metrics(worker)
            canary = Canary.together(**canaries)
            hits = in_files(canary, tmp_path / "worker", scratch, tmp_path / "outbox.sqlite")
            hits += in_memory(canary, worker.node_pid) + in_memory(canary, chain.pid)
            hits += in_files(canary, chain.data) if chain.data else []
            hits += in_text(canary, metrics=metrics)
            assert hits == []
            # the same search finds each where it may be
            assert [name for name, one in canaries.items() if is_in_memory(one, os.getpid())] == [*canaries]
            assert in_files(canaries["reply key"], tmp_path / "client")
        finally:
            worker.stop()
            tempfile.tempdir = None


def _serves(rpc: SubstrateClient, account: bytes, model: bytes, worker: Worker) -> None:
    """Wait until the chain says so: it does a block or two behind the registration."""
    end = time.monotonic() + 300
    while workers.serves(rpc, account, model) is None:
        assert worker.running, worker.log_tail()
        assert time.monotonic() < end, worker.log_tail()
        time.sleep(0.1)


def _metrics(worker: Worker) -> bytes:
    port = worker.events("http-listening")[0]["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as reply:
        return bytes(reply.read())
