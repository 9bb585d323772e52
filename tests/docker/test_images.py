"""The built images: what is in them, that they are built the same twice, and how they start."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from docker.image import sbom
from proofward_enclave.measure import CLOSURE, OURS, simulated_measurement
from tests.docker.conftest import IMAGES, ROOT, Opened

NAMES = ("chain", "enclave", "worker", "explorer", "demo")
#: Without a shell, and with nothing to put one in.
BARE = ("chain", "enclave", "worker", "explorer")
SHELLS = re.compile(r"(^|/)(sh|bash|dash|ash|busybox|apt|apt-get|dpkg|pip3?|curl|wget|perl|env|coreutils)$")


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_of_an_account_without_rights(opened: Opened, name: str) -> None:
    image, _ = opened(name)
    assert image.config["User"] == "10001:10001"
    assert image.config["Entrypoint"][0].startswith("/usr/")
    if name in BARE:
        assert not [path for path in image.files if SHELLS.search(path)]
        special = stat.S_ISUID | stat.S_ISGID
        assert not [one.path for one in image.files.values() if one.mode & special]
        writable = [one.path for one in image.files.values() if one.mode & 0o002 and one.kind != "link"]
        assert writable == ["tmp"]
        owned = {one.path for one in image.files.values() if one.owner != (0, 0)}
        assert owned <= {"run/proofward", "var/lib/proofward", "var/lib/proofward-chain", "models"}


def test_the_enclave_holds_its_closure_and_no_more(opened: Opened) -> None:
    image, _ = opened("enclave")
    packages = "usr/local/lib/python3.11/dist-packages/"
    found = {
        re.sub(r"[-_.]+", "-", path.removeprefix(packages).split("-")[0]).lower()
        for path in image.files
        if path.endswith(".dist-info/METADATA")
    }
    assert found == {*CLOSURE, "proofward", "proofward-enclave", "proofward-prover"}
    ours = {path for path in image.files if path.startswith(f"{packages}proofward/") and path.endswith(".py")}
    tops = {path.removeprefix(f"{packages}proofward/").split("/")[0] for path in ours}
    assert tops == {one.split("/")[0] for one in OURS}
    programs = [path for path in image.files if path.startswith(("usr/bin/", "bin/", "usr/sbin/", "sbin/"))]
    assert programs == ["usr/bin/python3.11"]


def test_the_enclave_measures_as_the_checkout_does(opened: Opened, tmp_path: Path) -> None:
    _, root = opened("enclave")
    program = "from proofward_enclave.measure import simulated_measurement as s; print(s().hex())"
    command = ["chroot", "--userspec=10001:10001", str(root), "/usr/bin/python3.11", "-IB", "-c", program]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == simulated_measurement().hex()


@pytest.mark.parametrize(
    ("name", "words", "said", "code"),
    [
        ("chain", ["--version"], "proofward-chain ", 0),
        ("enclave", ["--provider", "simulator", "--models", "/gone"], "bad-path", 2),
        ("enclave", ["--provider", "tsm", "--models", "/models"], "cannot-start", 2),
        ("worker", ["--version"], "proofward", 0),
        ("worker", ["worker", "run", "--config", "/gone.toml"], "/gone.toml", 2),
        ("explorer", ["explorer", "--chain", "ws://127.0.0.1:1", "--index", "/tmp/x"], "127.0.0.1:1", 3),
        ("demo", ["demo", "--help"], "Run one sealed job after another", 0),
    ],
)
def test_an_entry_point_starts(opened: Opened, name: str, words: list[str], said: str, code: int) -> None:
    image, root = opened(name)
    (root / "proc").mkdir(exist_ok=True)
    script = 'mount -t proc proc "$0/proc" && exec chroot --userspec=10001:10001 "$0" "$@"'
    command = ["unshare", "--mount", "--pid", "--fork", "bash", "-c", script, str(root)]
    environment = dict(one.split("=", 1) for one in image.config.get("Env", []))
    environment["PATH"] = os.environ["PATH"]
    done = subprocess.run(
        [*command, *image.config["Entrypoint"], *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert said in done.stdout + done.stderr
    assert done.returncode == code, done.stderr


def test_the_same_sources_make_the_same_image(opened: Opened) -> None:
    """Built again from the base on, without a layer kept: every byte of the archive's image is the same."""
    first, _ = opened("enclave")
    told = subprocess.run(
        ["docker/build.sh", "enclave"],
        cwd=ROOT,
        env={**os.environ, "FRESH": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert json.loads(told.partition(": ")[2])["digest"] == first.digest


@pytest.mark.parametrize("name", NAMES)
def test_the_bill_of_materials_is_valid_and_whole(opened: Opened, name: str) -> None:
    image, _ = opened(name)
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (IMAGES / f"{name}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document == sbom(image, name, int(os.environ["SOURCE_DATE_EPOCH"]))
    told = {one["name"] for one in document["components"]}
    listed = ROOT / "build" / "docker" / f"{name}.txt"
    if listed.exists():
        wanted = {
            re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in listed.read_text().splitlines()
        }
        assert wanted <= told
    else:
        assert "/usr/local/bin/proofward-chain" in told
