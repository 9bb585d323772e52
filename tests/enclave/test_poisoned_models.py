"""Attacks f_panic and b_publisher: a publisher ships files of its own making, with the hashes that they have.

The enclave refuses each when it loads the model, with a code that is not its own fault, and goes on.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from proofward.zkml import Artifact, compile_model, load_artifact, load_public
from tests.enclave import world
from tests.enclave.test_real_lane import logistic
from tests.enclave.world import Host, Refused
from tests.zkml.onnx_models import GROTH16

HEADER = 4 + 4 + 32 + 640
"""Bytes of a proving key before its points: magic, version, circuit, verifying key."""


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    records = np.random.default_rng(1).normal(size=(40, 2))
    folder = tmp_path_factory.mktemp("honest") / "m"
    return compile_model(logistic(), records, folder, name="m", options=GROTH16)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Path]]:
    models = tmp_path_factory.mktemp("p") / "models"
    models.mkdir()
    with world.enclave(models, load=load_artifact) as (host, _):
        yield host, models


def published(honest: Artifact, folder: Path, changes: dict[str, bytes]) -> None:
    """The honest artefact with other files, and a manifest that is canonical and true of them."""
    shutil.copytree(honest.path, folder)
    files = dict(honest.manifest.files)
    for name, data in changes.items():
        (folder / name).chmod(0o600)
        (folder / name).write_bytes(data)
        files[name] = hashlib.sha256(data).hexdigest()
    update: dict[str, object] = {"files": files}
    if "public/vk.bin" in changes:
        update["vk_hash"] = files["public/vk.bin"]
    (folder / "public" / "manifest.json").write_bytes(honest.manifest.model_copy(update=update).canonical())
    assert load_public(folder).manifest.files == files


def exchanged(key: bytes, at: int, other: int) -> bytes:
    """One valid point in place of another."""
    return key[:at] + key[other : other + 64] + key[at + 64 :]


#: What the publisher makes of a proving key.
KEYS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda key: b"",
    "a header alone": lambda key: key[:HEADER],
    "cut": lambda key: key[:-1],
    "with a tail": lambda key: key + bytes(64),
    "of the old format, which had widths to lie about": lambda key: key[:4] + b"\x01\0\0\0" + key[8:],
    "of another circuit": lambda key: key[:8] + bytes(32) + key[40:],
    "points that are none": lambda key: key[:HEADER] + b"\xff" * (len(key) - HEADER),
    "points at infinity": lambda key: key[:HEADER] + bytes(len(key) - HEADER),
    "b_publisher: one point of A exchanged": lambda key: exchanged(key, HEADER + 192, HEADER + 256),
    "b_publisher: one power of tau exchanged": lambda key: exchanged(key, len(key) - 320, HEADER),
}


def refused(served: tuple[Host, Path], honest: Artifact, changes: dict[str, bytes]) -> str:
    """The code with which the enclave refuses to load it; it answers afterwards, and has not loaded it."""
    host, models = served
    folder = models / f"m{len(list(models.iterdir()))}"
    published(honest, folder, changes)
    with pytest.raises(Refused) as caught:
        host.call("load_model", path=folder.name)
    assert host.call("status")["models"] == []
    return caught.value.code


def test_what_is_refused_below_is_loaded_when_nothing_was_changed(honest: Artifact, tmp_path: Path) -> None:
    published(honest, tmp_path / "m", {})
    again = load_artifact(tmp_path / "m")
    again.warm()
    again.close()


@pytest.mark.parametrize("fault", KEYS)
def test_f_panic_and_b_publisher_a_poisoned_key_is_refused_when_it_is_loaded(
    fault: str, served: tuple[Host, Path], honest: Artifact
) -> None:
    key = (honest.path / "private" / "pk.bin").read_bytes()
    code = refused(served, honest, {"private/pk.bin": KEYS[fault](key)})
    assert code in ("bad-artifact", "malformed-key", "key-mismatch"), fault


def test_f_panic_a_program_of_the_publishers_making_is_refused_when_it_is_loaded(
    served: tuple[Host, Path], honest: Artifact
) -> None:
    program = (honest.path / "private" / "program.bin").read_bytes()
    # The first input's upper bound, as wide as an integer can be; a count of nodes beyond the bytes; garbage.
    wide = program.replace((7).to_bytes(8, "little"), (2**62).to_bytes(8, "little"))
    for changed in (b"", program[:-1], program[:6] + b"\xff" * 4 + program[10:], bytes(1000), wide + b"\0"):
        code = refused(served, honest, {"private/program.bin": changed})
        assert code not in ("internal", "abandoned"), changed[:20]
