"""The wheels in fresh environments and an empty folder: no checkout, no Node.js, nothing undeclared."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import BytesParser
from importlib.metadata import files
from pathlib import Path

import numpy as np
import pytest

from proofward.chain import SubstrateClient
from proofward.chain.pallets import workers as registry
from proofward.devnet.chains import Devnet
from proofward.extras import EXTRAS
from proofward.zkml import available_lanes
from tests.package.venvs import ROOT, SOURCES, Venv
from tests.zkml.onnx_models import Graph

SECONDS = 300.0
EXAMPLES = ROOT / "examples"
CONFIG = """
[chain]
url = "{url}"
[worker]
dev_account = "//Bob"
data_dir = "{folder}/data"
publishers = ["//Alice"]
[enclave]
provider = "simulator"
spawn = true
socket = "{folder}/s"
models = "{folder}/models"
[http]
port = 0
"""
IMPORTS = """
import importlib, json, pkgutil, proofward
missing = {}
for module in pkgutil.walk_packages(proofward.__path__, "proofward."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            missing[module.name] = error.name
print(json.dumps([proofward.__file__, missing]))
"""

FIND = "import importlib.util, sys; print([one for one in sys.argv[1:] if importlib.util.find_spec(one)])"

pytestmark = pytest.mark.skipif("groth16" not in available_lanes(), reason="the prover needs rustup")

SNIPPET = """
import proofward
from proofward import AsyncClient, Client, Job, JobTimeout, Policy, ProofwardError, Verdict

def diagnose(record: list[float]) -> Verdict:
    client = Client("ws://127.0.0.1:9944", signer="//Alice", development=True)
    job: Job = client.submit("mlp", record, artifact="public")
    try:
        client.wait(job, timeout=60.0)
    except JobTimeout as error:
        text: str = error.message
    outputs: list[str] = client.open(job).names
    return client.verify(job, policy=Policy(development=True))

async def submitted(record: list[float]) -> Job:
    client = await AsyncClient.connect("ws://127.0.0.1:9944", development=True)
    return await client.submit("mlp", record, deadline=90)

version: str = proofward.__version__
"""
MISTYPED = {
    "argument": ('signer="//Alice"', 'signr="//Alice"', "call-arg"),
    "name": ("import AsyncClient", "import AsyncKlient", "attr-defined"),
    "result": ("job: Job", "job: Verdict", "assignment"),
    "option": ('artifact="public"', 'artefact="public"', "call-arg"),
    "coroutine": ("deadline=90", 'deadline="90"', "arg-type"),
    "method": ("client.wait(", "client.await_(", "attr-defined"),
}
WALK = """
import importlib, json, pkgutil, sys
import proofward.cli
missing = {}
for name in sys.argv[1:]:
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, name + "."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ImportError as error:
                missing[module.name] = error.name
print(json.dumps(missing))
"""


def good(done: subprocess.CompletedProcess[str]) -> str:
    """The standard output of a command that went well."""
    assert done.returncode == 0, f"{done.args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_wheel_holds_the_package_whole_and_nothing_else(wheels: dict[str, Path]) -> None:
    for name, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            package = name.replace("-", "_")
            assert {one.split("/")[0] for one in names} == {package, f"{package}-0.1.0.dist-info"}
            (file,) = (one for one in names if one.endswith("/METADATA"))
            metadata = BytesParser().parsebytes(archive.read(file))
        assert metadata["License-Expression"] == "Apache-2.0"
        assert f"{package}-0.1.0.dist-info/licenses/LICENSE" in names
        assert metadata["Requires-Python"] == "<3.12,>=3.11"
        assert metadata["Summary"]
        for requirement in metadata.get_all("Requires-Dist") or []:
            if not requirement.startswith("proofward") and 'extra == "dev"' not in requirement:
                bound = "<" in requirement or ("==" in requirement and "extra" in requirement)
                assert bound, f"{name} asks for {requirement} without an upper bound"
    prover = {str(file) for file in files("proofward-prover") or ()}
    assert "proofward_prover-0.1.0.dist-info/licenses/LICENSE" in prover
    with zipfile.ZipFile(wheels["proofward"]) as archive:
        names = archive.namelist()
    assert {"proofward/py.typed", "proofward/zkml/contracts/Groth16Verifier.json"} <= set(names)


def test_what_is_not_declared_is_not_there(client: Venv, publisher: Venv) -> None:
    for venv, extras in ((client, {"publish", "web3"}), (publisher, {"ezkl", "web3"})):
        file, missing = json.loads(good(venv.run("python", "-c", IMPORTS)))
        assert str(venv.path) in file
        assert str(ROOT) not in file
        assert {EXTRAS[name.partition(".")[0]] for name in missing.values()} == extras
        absent = ("proofward_node", "proofward_enclave", "aiohttp", "pytest", "sklearn", "web3")
        assert good(venv.run("python", "-c", FIND, *absent)) == "[]\n"


def test_a_users_type_checker_sees_our_types(client: Venv) -> None:
    texts = {"right": SNIPPET}
    for fault, (right, wrong, _) in MISTYPED.items():
        assert SNIPPET.count(right) == 1
        texts[fault] = SNIPPET.replace(right, wrong)
    for name, text in texts.items():
        (client.folder / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", client.python]
    command += ["--cache-dir", str(client.folder / "cache"), "--config-file", "", *(f"{n}.py" for n in texts)]
    told = subprocess.run(
        command, cwd=client.folder, env=client.environment, capture_output=True, text=True, check=False
    )
    assert "right.py:" not in told.stdout, told.stdout + told.stderr
    for fault, (_, _, code) in MISTYPED.items():
        lines = [line for line in told.stdout.splitlines() if line.startswith(f"{fault}.py:")]
        assert any(f"[{code}]" in line for line in lines), (fault, told.stdout + told.stderr)


def test_each_distribution_imports_with_what_it_declares(everything: Venv) -> None:
    packages = [name.replace("-", "_") for name in SOURCES if name not in ("proofward", "proofward-demo")]
    missing = json.loads(good(everything.run("python", "-c", WALK, *packages)))
    assert missing == {
        "proofward_enclave.providers.dstack": "dstack_sdk",
        "proofward_federation.engine": "flwr",
        "proofward_node.console": "textual",
    }
    verbs = good(everything.run("proofward", "--help"))
    for verb in ("worker", "explorer", "gateway", "federation"):
        assert f" {verb} " in verbs


def test_a_missing_extra_is_named_in_one_line(client: Venv) -> None:
    (client.folder / "m.onnx").write_bytes(b"no model")
    (client.folder / "c.csv").write_text("1,2,3\n")
    done = client.run("proofward", "compile", "m.onnx", "--calibration", "c.csv", "--out", "o", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "missing-extra"
    assert done.stderr == (
        "error: this needs the package onnx, which is not installed: pip install 'proofward[publish]'\n"
    )


def test_version_help_and_doctor(client: Venv) -> None:
    assert good(client.run("proofward", "--version")) == "proofward 0.1.0\n"
    assert "devnet" in good(client.run("proofward", "--help"))
    report = json.loads(good(client.run("proofward", "doctor", "--json")))
    assert report["ok"]
    absent = {one["name"] for one in report["findings"] if not one["ok"]}
    assert {"extra ezkl", "extra publish", "extra web3"} <= absent
    devnet = client.run("proofward", "devnet")
    assert devnet.stderr.startswith("error: ")
    assert "checkout" in devnet.stderr
    assert not {"node", "chain spec", "npm devnet"} & {one["name"] for one in report["findings"]}


@dataclass(frozen=True)
class Model:
    onnx: Path
    artifact: Path
    record: Path


@pytest.fixture(scope="module")
def model(publisher: Venv) -> Model:
    """A model that the publisher's wheel has compiled, and a record."""
    graph = Graph((3,), seed=3)
    graph.node("Gemm", graph.weights(4, 3), graph.weights(4), transB=1)
    graph.node("Relu")
    graph.node("Gemm", graph.weights(1, 4), graph.weights(1), transB=1)
    folder = publisher.folder
    (folder / "tiny.onnx").write_bytes(graph.model())
    np.savetxt(folder / "train.csv", graph.records(64), delimiter=",")
    (folder / "record.csv").write_text("0.25,-0.5,0.75\n")
    compiled = ("--calibration", "train.csv", "--out", "tiny.proofward", "--task", "regression")
    good(publisher.run("proofward", "compile", "tiny.onnx", *compiled))
    return Model(folder / "tiny.onnx", folder / "tiny.proofward", folder / "record.csv")


def test_prove_and_verify_with_files_alone(client: Venv, model: Model) -> None:
    record = ("--input", str(model.record))
    good(client.run("proofward", "prove", str(model.artifact), *record, "--out", "proof.json"))
    public = ("--artifact", str(model.artifact / "public"), "--dev", "--json")
    found = json.loads(client.run("proofward", "verify", "proof.json", *public).stdout)
    assert {one["name"] for one in found["checks"] if one["ok"] is False} == set()
    assert {"proof", "setup"} <= {one["name"] for one in found["checks"] if one["ok"]}


@contextmanager
def served(worker: Venv, url: str, model: Model) -> Iterator[None]:
    """An installed worker that is registered and holds the model."""
    models = worker.folder / "models"
    shutil.copytree(model.artifact, models / "tiny")
    config = worker.folder / "worker.toml"
    config.write_text(CONFIG.format(url=url, folder=worker.folder))
    log = worker.folder / "node.log"
    with log.open("wb") as sink:
        command = [str(worker.path / "bin" / "proofward"), "worker", "run", "--config", str(config)]
        daemon = subprocess.Popen(
            command, cwd=worker.folder, env=worker.environment, stdout=sink, stderr=sink
        )
    try:
        with SubstrateClient.connect(url) as chain:
            allow = ("worker", "allow", "--config", str(config), "--signer", "//Alice", "--chain", url)
            end = time.monotonic() + SECONDS
            while not (worker.folder / "s").exists():
                assert daemon.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
            good(worker.run("proofward", *allow))
            while not list(registry.all(chain)):
                assert daemon.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
        yield
    finally:
        daemon.terminate()
        daemon.wait(60)


def test_a_job_from_publishing_to_a_verdict(
    client: Venv, publisher: Venv, worker: Venv, model: Model, tmp_path: Path
) -> None:
    """Each by their own wheel: the publisher, the operator, the hospital, the auditor."""
    with Devnet() as chain:
        at = ("--chain", chain.url)
        published = publisher.run("proofward", "model", "publish", str(model.artifact), *at, "--json")
        name = json.loads(good(published))["model"]
        assert json.loads(published.stdout)["published"]
        asked = (chain.url, str(model.onnx), "train.csv", "regression")
        again = good(publisher.run("python", EXAMPLES / "publish.py", *asked))
        assert again.splitlines()[-1] == f"model {name}"
        with served(worker, chain.url, model):
            public_half = ("--artifact", str(model.artifact / "public"), "--dev")
            submitted = ("--input", str(model.record), *public_half, *at, "--json")
            job = json.loads(good(client.run("proofward", "job", "submit", "tiny", *submitted)))["job"]
            watched = good(client.run("proofward", "job", "watch", job, *at, "--timeout", "200", "--json"))
            hospital = (chain.url, "tiny", str(model.record), str(model.artifact / "public"))
            told = good(client.run("python", EXAMPLES / "hospital.py", *hospital)).splitlines()
            assert any(line.startswith("record 0: ") for line in told)
            assert told[-1].startswith("accepted")
        assert json.loads(watched)["state"] == "accepted"
        opened = json.loads(good(client.run("proofward", "job", "open", job, *at, "--json")))
        assert len(opened["decisions"]) == 1
        whole = client.run("proofward", "verify", job, *public_half, *at, "--export", "job.bundle", "--json")
        assert refused(whole.stdout) == set(), whole.stdout
        offline = client.run("proofward", "verify", "job.bundle", "--dev", "--json")
        assert refused(offline.stdout) == {"chain", "measurement allowed"}, offline.stdout
        audit = ("model", "audit", str(model.onnx), "--artifact", str(model.artifact / "public"))
        audited = publisher.run("proofward", *audit, "--model", "tiny", *at, "--json")
        checks = {one["name"]: one["ok"] for one in json.loads(audited.stdout)["checks"]}
        assert [name for name, ok in checks.items() if ok is False] == [], audited.stdout
        assert checks["recomputed fields"], audited.stdout
        assert checks["published model"], audited.stdout


def refused(output: str) -> set[str]:
    """The checks that were refused or not made."""
    checks = json.loads(output)["checks"]
    assert len(checks) > 3
    return {one["name"] for one in checks if not one["ok"] and one["required"]}
