"""Weights beside an ONNX file: from its own folder alone, and no more than a model may have."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from proofward.zkml.errors import CompileError, UnsupportedModel
from proofward.zkml.external import MAX_ONNX_BYTES, refuse_external, whole


def outside(**said: object) -> TensorProto:
    """Four floats in a file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in said.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def model(*tensors: TensorProto) -> onnx.ModelProto:
    return helper.make_model(helper.make_graph([], "g", [], [], initializer=list(tensors)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(bytes(16))
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "w.data").write_bytes(bytes(range(16)))
    return inside


def taken(folder: Path, *tensors: TensorProto) -> bytes:
    (folder / "m.onnx").write_bytes(model(*tensors).SerializeToString())
    return whole(folder / "m.onnx")[0]


def symbolic(name: Path) -> None:
    name.symlink_to(name.parent.parent / "secret")


def hard(name: Path) -> None:
    name.hardlink_to(name.parent.parent / "secret")


def endless(name: Path) -> None:
    name.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [symbolic, hard, endless, os.mkfifo], ids=lambda one: one.__name__)
@pytest.mark.parametrize("said", [{}, {"length": 16}], ids=["all", "part"])
def test_weights_that_are_no_file_of_the_folder_s_are_refused(
    folder: Path, make: Callable[[Path], None], said: dict[str, int]
) -> None:
    make(folder / "link")
    with pytest.raises(CompileError, match="cannot be taken in"):
        taken(folder, outside(location="link", **said))


@pytest.mark.parametrize("place", ["../secret", "up/secret", "{}/secret", "none", ""])
def test_weights_out_of_the_folder_are_refused(folder: Path, place: str) -> None:
    (folder / "up").symlink_to("..")
    with pytest.raises(CompileError, match="cannot be taken in"):
        taken(folder, outside(location=place.format(folder.parent)))


def test_a_file_of_holes_is_refused_before_it_is_read(folder: Path) -> None:
    """Attack: a file of a terabyte, that has no block on the disk, was read until the memory was gone."""
    with (folder / "w.data").open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(CompileError, match=f"more than {MAX_ONNX_BYTES} bytes"):
        taken(folder, outside(location="w.data"))
    with pytest.raises(CompileError, match=f"more than {MAX_ONNX_BYTES} bytes"):
        taken(folder, outside(location="w.data", length=1 << 39))


def test_one_file_is_not_taken_in_more_often_than_there_is_room(folder: Path) -> None:
    with (folder / "w.data").open("ab") as file:
        file.truncate(MAX_ONNX_BYTES // 4)
    with pytest.raises(CompileError, match=f"more than {MAX_ONNX_BYTES} bytes"):
        taken(folder, *[outside(location="w.data")] * 4)


@pytest.mark.parametrize("said", [{"length": 17}, {"offset": 17}, {"offset": -1}, {"length": -1}])
def test_a_part_that_the_file_has_not_is_refused(folder: Path, said: dict[str, int]) -> None:
    with pytest.raises(CompileError, match="cannot be taken in"):
        taken(folder, outside(location="w.data", **said))


def test_parts_of_a_file_are_taken_in(folder: Path) -> None:
    found = onnx.load_model_from_string(taken(folder, outside(location="w.data", offset=4, length=8)))
    assert found.graph.initializer[0].raw_data == bytes(range(4, 12))


def test_weights_of_a_function_are_seen(folder: Path) -> None:
    """Fault: a local function's constants, and sparse weights, were looked at by nobody."""
    found = model()
    constant = helper.make_node("Constant", [], ["w"], value=outside(location="w.data"))
    found.functions.append(
        helper.make_function("d", "f", [], ["w"], [constant], [helper.make_opsetid("", 20)])
    )
    sparse = model()
    sparse.graph.sparse_initializer.add(values=outside(location="w.data"), dims=[9])
    for one in (found, sparse):
        with pytest.raises(UnsupportedModel, match="beside it"):
            refuse_external(one.SerializeToString())
        (folder / "m.onnx").write_bytes(one.SerializeToString())
        data, taken_in = whole(folder / "m.onnx")
        assert taken_in
        refuse_external(data)
