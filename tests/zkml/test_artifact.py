"""Artifacts, manifests and quantisers: what is read is what was written, or it is refused."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofward.zkml import (
    AccuracyError,
    ArtifactError,
    CompileError,
    CompileOptions,
    InputRangeError,
    Manifest,
    UnsupportedModel,
    compile_model,
    load_artifact,
    load_public,
)
from proofward.zkml.accuracy import measure, require
from proofward.zkml.artifact import fresh_directory
from proofward.zkml.manifest import Accuracy
from proofward.zkml.quantiser import AffineQuantiser, ThresholdQuantiser, check_range
from tests.ezkl_world import mlp, records, world

EZKL = CompileOptions(lane="ezkl")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    out = tmp_path / "artifact"
    shutil.copytree(world().artifact.path, out)
    return out


def test_public_half_stands_alone(copy: Path, tmp_path: Path) -> None:
    shutil.move(copy / "public", tmp_path / "alone")
    public = load_public(tmp_path / "alone")
    assert public.manifest_hash == world().artifact.public.manifest_hash
    assert not any(name.startswith("private/") for name in public.files)


@pytest.mark.parametrize(
    "name",
    ["public/vk.bin", "public/basis.bin", "public/settings.json", "private/pk.bin", "private/model.onnx"],
)
def test_any_changed_file_is_refused(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match="does not match"):
        load_artifact(copy)


def test_files_that_are_not_plain_files_are_refused(copy: Path) -> None:
    vk = copy / "public" / "vk.bin"
    kept = copy / "kept"
    vk.rename(kept)
    with pytest.raises(ArtifactError, match="cannot read"):
        load_public(copy)
    vk.symlink_to(kept)
    with pytest.raises(ArtifactError, match="cannot read"):
        load_public(copy)
    vk.unlink()
    os.mkfifo(vk)
    with pytest.raises(ArtifactError, match="regular file"):
        load_public(copy)


def _output(decision: str, length: int, labels: list[str] | None) -> dict[str, object]:
    return {"decision": decision, "length": length, "scale": 1.0} | ({"labels": labels} if labels else {})


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        ("path leaves the directory", {"files": {"public/../../etc": "0" * 64, "public/vk.bin": "0" * 64}}),
        ("absolute path", {"files": {"/etc/passwd": "0" * 64, "public/vk.bin": "0" * 64}}),
        ("a name of two lines", {"files": {"public/x\n": "0" * 64, "public/vk.bin": "0" * 64}}),
        ("a digest of two lines", {"files": {"public/vk.bin": "0" * 64 + "\n"}}),
        ("no verifying key", {"files": {}}),
        ("unknown field", {"surprise": 1}),
        ("unknown lane", {"lane": "plonk"}),
        ("digest too short", {"vk_hash": "00"}),
        ("batch too large", {"batch": 33}),
        ("infinite scale", {"output": {"length": 1, "scale": 1e999, "decision": "sigmoid"}}),
        ("a class without a label", {"output": _output("argmax", 3, ["well", "sick"])}),
        ("two classes of one label", {"output": _output("sigmoid", 1, ["sick", "sick"])}),
        ("a label that ends a line of the answers", {"output": _output("sigmoid", 1, ["well\n", "sick"])}),
        ("a label that a spreadsheet runs", {"output": _output("sigmoid", 1, ["well", "-2+cmd|' /C x'!A0"])}),
        ("two outputs of one name", {"output": {**_output("value", 2, None), "names": ["risk", "risk"]}}),
        ("other format", {"format": "proofward/artifact/v3"}),
        ("a manifest without names", {"format": "proofward/artifact/v1"}),
    ],
)
def test_bad_manifests_are_refused(fault: str, change: dict[str, object]) -> None:
    fields = json.loads(world().artifact.manifest.canonical())
    data = json.dumps({**fields, **change}, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(ArtifactError):
        Manifest.parse(data)


def test_manifest_is_canonical_and_nothing_else_is_read() -> None:
    data = world().artifact.manifest.canonical()
    assert Manifest.parse(data).canonical() == data
    with pytest.raises(ArtifactError, match="canonical"):
        Manifest.parse(json.dumps(json.loads(data)).encode())
    with pytest.raises(ArtifactError, match="limit"):
        Manifest.parse(b" " * (2 << 20))


def _write_half(out: Path) -> None:
    with fresh_directory(out) as staging:
        (staging / "public" / "half").write_bytes(b"x")
        raise OSError("disk full")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(OSError, match="full"):
        _write_half(out)
    assert list(tmp_path.iterdir()) == []
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(ArtifactError, match="exists already"), fresh_directory(out):
        pass
    assert [path.name for path in out.iterdir()] == ["mine"]


finite = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(finite, st.floats(1e-3, 1e3), finite), min_size=1, max_size=6))
def test_affine_quantiser_is_within_half_a_step_or_refuses(
    features: list[tuple[float, float, float]],
) -> None:
    x, scale, offset = (np.array(column) for column in zip(*features, strict=True))
    quantiser = AffineQuantiser(
        scale=scale.tolist(), offset=offset.tolist(), low=[-(2**20)] * len(x), high=[2**20] * len(x)
    )
    try:
        q = quantiser.quantize(x[None])
    except InputRangeError:
        assert (np.abs(np.rint((x - offset) * scale)) > 2**20).any()
        return
    check_range(quantiser, q)
    assert (np.abs(q - (x - offset) * scale) <= 0.5 + 1e-6).all()


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=8, unique=True),
    st.floats(-200, 200, width=32),
)
def test_ranks_decide_every_threshold_exactly(thresholds: list[float], x: float) -> None:
    row = sorted({float(np.float32(t)) for t in thresholds})
    quantiser = ThresholdQuantiser(thresholds=[row])
    rank = int(quantiser.quantize(np.array([[x]]))[0, 0])
    for j, threshold in enumerate(row):
        assert (np.float32(x) <= np.float32(threshold)) == (rank <= j)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_range_errors_name_the_feature_not_the_value(value: float) -> None:
    quantiser = AffineQuantiser(scale=[1.0, 1.0], offset=[0.0, 0.0], low=[0, 0], high=[10, 10])
    with pytest.raises(InputRangeError, match="feature 1") as caught:
        quantiser.quantize(np.array([[3.25, value]]))
    assert caught.value.code == "input-out-of-range"
    assert "3.25" not in caught.value.message
    assert "1e+300" not in caught.value.message


def test_accuracy_bound() -> None:
    truth = np.array([0, 1] * 100)
    good = np.where(truth, 1.0, -1.0)[:, None]
    worse = good.copy()
    worse[:2] *= -1
    accuracy = measure("sigmoid", good, worse, truth)
    assert (accuracy.float_, accuracy.integer) == (1.0, 0.99)
    require(accuracy, 0.01)
    with pytest.raises(AccuracyError, match=r"0\.9900"):
        require(accuracy, 0.005)
    assert measure("sigmoid", good, worse, None).metric == "agreement"
    assert measure("value", good, good, None) == Accuracy(metric="r2", records=200, float=1.0, integer=1.0)


def test_refusals_before_any_work(tmp_path: Path) -> None:
    x = records()
    with pytest.raises(CompileError, match="finite"):
        compile_model(mlp(), np.full((3, 5), np.nan), tmp_path / "a", name="n", options=EZKL)
    with pytest.raises(UnsupportedModel, match="one record at a time"):
        compile_model(mlp(), x, tmp_path / "a", name="n", options=replace(EZKL, batch=2))
    with pytest.raises(UnsupportedModel, match="not a valid ONNX"):
        compile_model(b"junk", x, tmp_path / "a", name="n", options=EZKL)
    with pytest.raises(CompileError, match="attested"):
        compile_model(mlp(), x, tmp_path / "a", name="n", options=replace(EZKL, setup="attested"))
    with pytest.raises(CompileError, match="features"):
        compile_model(mlp(), x[:, :4], tmp_path / "a", name="n", options=EZKL)
    assert list(tmp_path.iterdir()) == []
