"""What was loaded is what is used."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from proofward.zkml import ArtifactError, load_artifact
from proofward.zkml.memory import SealedMemory, read_sealed
from tests.ezkl_world import SALT_A, SALT_B, world


def test_sealed_memory_is_read_once_and_never_written(tmp_path: Path) -> None:
    memory = SealedMemory("name", [b"one ", b"two"])
    assert Path(memory.path).read_bytes() == b"one two"
    for change in (lambda fd: os.write(fd, b"x"), lambda fd: os.ftruncate(fd, 1)):
        with pytest.raises(PermissionError):
            change(memory.descriptor)
    (tmp_path / "file").write_bytes(b"one two")
    assert read_sealed(tmp_path / "file", memory.sha256).sha256 == memory.sha256
    with pytest.raises(ArtifactError, match="does not match"):
        read_sealed(tmp_path / "file", "00" * 32)
    with pytest.raises(ArtifactError, match="cannot read"):
        read_sealed(tmp_path / "none", memory.sha256)


def test_a_folder_that_changes_after_loading_changes_no_ezkl_proof(tmp_path: Path) -> None:
    w = world()
    shutil.copytree(w.artifact.path, tmp_path / "m")
    artifact = load_artifact(tmp_path / "m")
    artifact.warm()
    shutil.rmtree(tmp_path / "m")
    try:
        made = artifact.prove(artifact.public.quantize(w.x[:1]), SALT_A, SALT_B)
        assert artifact.public.verify(made.input_commitment, made.output_commitment, made.proof)
    finally:
        artifact.close()
    with pytest.raises(ArtifactError):
        _ = artifact.onnx
