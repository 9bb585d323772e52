"""The files of docker/: what they must say, whatever engine reads them; and the reader of images."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import base58
import pytest
import yaml
from nacl.signing import SigningKey

from docker.app_compose import document
from docker.image import read
from proofward_enclave.measure import OURS
from tests.docker.engine import KNOWN

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker"
COMPOSES = {
    name: yaml.safe_load((FOLDER / name).read_text())
    for name in ("compose.yaml", "operator.yaml", "dstack.yaml")
}
OURS_OF = [
    (file, name, service)
    for file, compose in COMPOSES.items()
    for name, service in compose["services"].items()
    if "docker.io" not in service["image"]
]
DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("file", "name", "service"), OURS_OF, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_service_of_ours_has_no_more_than_it_needs(file: str, name: str, service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "ipc", "devices"} & set(service)
    if name.startswith("enclave"):
        assert service["network_mode"] == "none"
    if file == "compose.yaml":
        assert set(service) <= KNOWN
        # published to this machine only: accounts with published keys are behind it
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_an_operators_images_must_be_named() -> None:
    for name, service in COMPOSES["operator.yaml"]["services"].items():
        assert re.match(r"\$\{[A-Z]+:\?name@sha256:", service["image"]), name


def test_a_node_that_is_asked_by_its_name_answers() -> None:
    """With a closed list of origins Substrate answers to localhost alone: HTTP 403 under another name."""
    for name, compose in COMPOSES.items():
        for service in compose["services"].values():
            words = service.get("command", [])
            if "--rpc-external" in words:
                assert words[words.index("--rpc-cors") + 1] == "all", name
                assert not [port for port in service.get("ports", []) if port.startswith("9944")]


def test_volumes_that_are_mounted_are_declared() -> None:
    for compose in COMPOSES.values():
        named = {
            entry.split(":")[0]
            for service in compose["services"].values()
            for entry in service.get("volumes", [])
            if not entry.startswith((".", "/"))
        }
        assert named == set(compose["volumes"])


def test_files_that_are_mounted_are_there() -> None:
    for name, service in COMPOSES["compose.yaml"]["services"].items():
        for entry in service.get("volumes", []):
            source = entry.split(":")[0]
            if source.startswith(("./", "../")) and not source.startswith("../build/"):
                assert (FOLDER / source).exists(), (name, source)


def test_a_validator_is_one_of_four_and_boots_from_alice() -> None:
    services = COMPOSES["compose.yaml"]["services"]
    validators = [name for name, one in services.items() if "--validator" in one.get("command", [])]
    assert validators == ["alice", "bob", "charlie", "dave"]
    for name in validators:
        assert f"--{name}" in services[name]["command"]
    key = services["alice"]["command"][services["alice"]["command"].index("--node-key") + 1]
    public = bytes(SigningKey(bytes.fromhex(key)).verify_key)
    # libp2p's peer id: the identity multihash of an Ed25519 key in protobuf
    peer = base58.b58encode(b"\x00\x24\x08\x01\x12\x20" + public).decode()
    for name in (*validators[1:], "rpc"):
        assert f"/dns/alice/tcp/30333/p2p/{peer}" in services[name]["command"]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.Dockerfile")), ids=lambda path: path.stem)
def test_a_dockerfile_takes_its_base_as_an_argument_and_ends_without_rights(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert (
        lines[:2] == ["ARG BASE=docker.io/library/debian:12-slim", "FROM ${BASE} AS build"]
        or path.stem == "demo"
    )
    assert {line for line in lines if line.startswith("FROM")} <= {
        "FROM ${BASE} AS build",
        "FROM scratch",
        "FROM ${BASE}",
    }
    assert [line for line in lines if line.startswith("USER")][-1] == "USER 10001:10001"
    assert lines.index("USER 10001:10001") > max(i for i, line in enumerate(lines) if line.startswith("FROM"))
    assert not [
        line for line in lines if re.match(r"ADD|.*curl|.*wget|.*https?://(?!snapshot\.debian\.org)", line)
    ]


def test_the_enclaves_root_keeps_what_is_measured() -> None:
    from docker.rootfs import ENCLAVES

    assert {one.split("/")[0] for one in OURS} == set(ENCLAVES) - {"py.typed"}


@pytest.mark.parametrize("base", ["docker.io/library/debian:12-slim", "debian", "debian:12@sha1:00"])
def test_a_base_without_its_digest_is_refused(base: str) -> None:
    done = subprocess.run(
        [FOLDER / "build.sh", "chain"], env={"PATH": "/usr/bin:/bin", "BASE": base, "ENGINE": "buildah"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "sha256" in done.stderr) == (2, True)


def test_an_app_compose_pins_both_images() -> None:
    enclave, worker = f"r.example/enclave@sha256:{DIGEST}", f"r.example/worker@sha256:{DIGEST}"
    told = json.loads(document(enclave, worker))
    compose = yaml.safe_load(told["docker_compose_file"])
    assert [one["image"] for one in compose["services"].values()] == [enclave, worker]
    assert not told["allowed_envs"]
    assert "${" not in told["docker_compose_file"]
    for wrong in (
        ("r/e:latest", worker),
        (enclave, "r/w"),
        (f"{enclave}0", worker),
        (f"$(x){enclave}", worker),
    ):
        done = subprocess.run(
            [sys.executable, FOLDER / "app_compose.py", *wrong], capture_output=True, check=False
        )
        assert done.returncode == 1


def archive(path: Path, *layers: dict[str, bytes | None], damage: bool = False) -> Path:
    """An OCI archive of these layers; None is a whiteout."""
    blobs: dict[str, bytes] = {}

    def keep(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        return f"sha256:{digest}"

    def tar(files: dict[str, bytes]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as file:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
        return out.getvalue()

    written = [keep(tar({name: content or b"" for name, content in layer.items()})) for layer in layers]
    config = keep(json.dumps({"config": {"User": "10001:10001"}}).encode())
    manifest = keep(
        json.dumps({"config": {"digest": config}, "layers": [{"digest": d} for d in written]}).encode()
    )
    if damage:
        blobs[written[-1][7:]] += bytes(512)
    index = json.dumps({"manifests": [{"digest": manifest}]}).encode()
    path.write_bytes(
        tar({"index.json": index, **{f"blobs/sha256/{name}": blob for name, blob in blobs.items()}})
    )
    return path


def test_layers_lie_over_each_other(tmp_path: Path) -> None:
    image = read(
        archive(
            tmp_path / "a.tar",
            {"a/one": b"1", "a/two": b"2", "b/three": b"3"},
            {"a/.wh.two": None, "a/one": b"new", "b/.wh..wh..opq": None, "b/four": b"4"},
        )
    )
    assert {path: one.content for path, one in image.files.items()} == {"a/one": b"new", "b/four": b"4"}


def test_a_blob_that_was_changed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not what its name says"):
        read(archive(tmp_path / "a.tar", {"a": b"1"}, damage=True))


def test_one_byte_of_one_file_changes_the_measurement(tmp_path: Path) -> None:
    first = read(archive(tmp_path / "a.tar", {"a": b"1"})).measurement()
    assert read(archive(tmp_path / "b.tar", {"a": b"2"})).measurement() != first
    assert read(archive(tmp_path / "c.tar", {"a": b"1"})).measurement() == first
