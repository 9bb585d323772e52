"""What runs inside the enclave, all of it: nothing else can be imported there, and all of it is measured."""

from __future__ import annotations

import json
import os
import py_compile
import signal
import subprocess
import sys
import time
from importlib.metadata import PathDistribution, distribution, version
from pathlib import Path

import numpy as np
import pytest

from proofward.zkml import compile_model
from proofward_enclave import measure
from proofward_enclave.measure import CLOSURE, OURS
from proofward_node.enclave_link import enclave_command
from tests.enclave.test_real_lane import logistic
from tests.enclave.world import Host, Job, begin
from tests.test_rooms import PACKAGES, ROOT
from tests.zkml.onnx_models import GROTH16

# A `sitecustomize` module: Python imports it before it runs `-m proofward_enclave`.
GUARD = """
import atexit, json, os, sys
ALLOWED, LOG = json.loads(os.environ["ALLOWED"]), os.environ["LOG"]

class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in ALLOWED:
            with open(LOG, "a") as log:
                log.write(name + "\\n")
            return None
        raise ImportError(f"{name} is not in the enclave's closure")

sys.meta_path.insert(0, Guard())
"""
DEBIANS = "_sysconfigdata__x86_64-linux-gnu"
OUR_TOPS = ("proofward", "proofward_enclave", "proofward_prover")
# Python's own by-product of building its standard library; Debian's and python.org's have different names.
PYTHONS = (f"_sysconfigdata_{sys.abiflags}_{sys.platform}_{sys.implementation._multiarch}", DEBIANS)


def tops(name: str) -> set[str]:
    """The top-level modules that a distribution's wheel holds."""
    found = {file.parts[0] for file in distribution(name).files or () if file.suffix in (".py", ".so")}
    return {part.removesuffix(".py").partition(".")[0] for part in found if part != ".."}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every module that a real enclave process imports for a whole groth16 job, under the guard."""
    folder = tmp_path_factory.mktemp("closure")
    table = np.random.default_rng(1).normal(size=(40, 2))
    artifact = compile_model(logistic(), table, folder / "models" / "m", name="m", options=GROTH16)
    (folder / "sitecustomize.py").write_text(GUARD)
    allowed = [*OUR_TOPS, *PYTHONS, *sorted(set().union(*map(tops, CLOSURE)))]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)]),
        "ALLOWED": json.dumps(allowed),
        "LOG": str(folder / "imports"),
    }
    command = [sys.executable, "-m", "proofward_enclave", "--provider", "simulator"]
    command += ["--socket", str(folder / "s"), "--models", str(folder / "models")]
    process = subprocess.Popen(command, env=environment)
    try:
        while not (folder / "s").exists():
            assert process.poll() is None
            time.sleep(0.02)
        host = Host(folder / "s")
        host.call("load_model", path="m")
        key = begin(host)["hpke_key"]
        values = tuple(int(v) for v in artifact.public.quantize(table[:1])[0])
        job = Job(artifact.public, values=values, records=1)
        assert host.call("inspect", job=job.request(), envelope=job.seal(key))
        assert host.call("work", job=job.request(), envelope=job.seal(key), block=9)["proof"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
    return set((folder / "imports").read_text().split())


def test_a_whole_job_needs_nothing_outside_the_closure(imported: set[str]) -> None:
    needed = {name.partition(".")[0] for name in imported}
    assert not [name for name in CLOSURE if not needed & tops(name)], "listed, and not needed"


def test_every_module_of_ours_that_is_imported_is_measured(imported: set[str]) -> None:
    measured = {name for name, _ in [*measure._ours(), *measure.prover()]}
    for name in imported:
        if name.partition(".")[0] in OUR_TOPS:
            path = name.replace(".", "/")
            assert {f"{path}.py", f"{path}/__init__.py", f"{path}.abi3.so"} & measured, name


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder with a module whose byte code is another's, of its date and size: Python takes that."""
    module = tmp_path / "measured.py"
    module.write_text("def said(): return 'planted'\n")
    py_compile.compile(str(module))
    date = module.stat().st_mtime_ns
    module.write_text("def said(): return 'sources'\n")
    os.utime(module, ns=(date, date))
    (tmp_path / "plain.py").write_text("import measured\nprint(measured.said())\n")
    (tmp_path / "careful.py").write_text(
        "from proofward.processes import begin_from_sources\nbegin_from_sources()\n"
        "import sys, measured\nprint(measured.said(), *sys.argv[1:])\n"
    )
    return tmp_path


def _said(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_byte_code_that_was_put_beside_a_measured_source_is_not_run(planted: Path) -> None:
    assert _said(planted, sys.executable, "-m", "plain") == "planted"
    begins = enclave_command(planted / "s", "simulator", planted)
    begins = begins[: begins.index("proofward_enclave")]
    assert _said(planted, *begins, "plain") == "sources"
    assert _said(planted, sys.executable, "-m", "careful", "one", "-B") == "sources one -B"


#: What starts a Python of itself, and runs nothing that a measurement covers.
UNMEASURED = {
    "demo/proofward_demo/federated.py": "the command line",
    "demo/proofward_demo/processes.py": "the command line",
    "proofward/cli/doctor.py": "tells where Python is",
    "proofward/light/transport.py": "a client's light node",
    "proofward/processes.py": "the rule itself",
    "proofward/zkml/ezkl/process.py": "a lane that no measurement covers",
}


def test_whatever_is_measured_is_started_from_its_sources() -> None:
    modules = [path for folder in PACKAGES.values() for path in (ROOT / folder).glob("proofward*/**/*.py")]
    found = {str(path.relative_to(ROOT)) for path in modules if "sys.executable" in path.read_text()}
    assert found == set(UNMEASURED)


@pytest.mark.parametrize(
    "main",
    [
        "enclave_runtime/proofward_enclave/__main__.py",
        "gateway/proofward_gateway/__main__.py",
        "federation/proofward_federation/service.py",
    ],
)
def test_a_measured_process_that_was_started_by_hand_starts_over_from_its_sources(main: str) -> None:
    _, guarded = (ROOT / main).read_text().split('if __name__ == "__main__":\n')
    assert guarded.startswith("    begin_from_sources()\n")


def test_lists_of_the_closure_are_one() -> None:
    pinned = dict(
        line.split("==")
        for line in (ROOT / "enclave_runtime" / "requirements.lock").read_text().splitlines()
        if not line.startswith("#")
    )
    assert tuple(pinned) == CLOSURE
    assert pinned == {name: version(name) for name in CLOSURE}
    whole = (ROOT / "requirements.lock").read_text().lower().replace("_", "-").splitlines()
    assert not [
        name for name in CLOSURE if not any(line.startswith(f"{name}=={pinned[name]}") for line in whole)
    ]
    text = (ROOT / "docs" / "enclave.md").read_text()
    assert not [name for name in [*CLOSURE, *OURS] if f"`{name}`" not in text]


def test_one_byte_of_a_distribution_changes_the_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "thing-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1\n")
    (info / "RECORD").write_text("thing.py,,\nthing-1.dist-info/RECORD,,\n../../bin/thing,,\nthing.pyc,,\n")
    (tmp_path / "thing.py").write_text("one")

    def digest() -> bytes:
        monkeypatch.setattr(measure, "CLOSURE", ("thing",))
        monkeypatch.setattr(measure, "distribution", lambda name: PathDistribution(info))
        return measure.code_digest.__wrapped__()

    first = digest()
    (info / "RECORD").write_text((info / "RECORD").read_text() + "thing-1.dist-info/INSTALLER,,\n")
    assert digest() == first
    (tmp_path / "thing.py").write_text("two")
    assert digest() != first
