"""An artefact of an earlier run is taken for what is asked now, or refused by what differs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proofward.publisher.asked import digest
from proofward.publisher.build import artifact
from proofward.zkml import CompileError, CompileOptions
from proofward.zkml.artifact import Artifact
from tests.zkml.onnx_models import Graph

OPTIONS = CompileOptions(task="regression")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`m.onnx` of two features, and calibration under its header and under the columns in another order."""
    graph = Graph((2,))
    graph.node("Gemm", graph.weights(2, 1))
    folder = tmp_path_factory.mktemp("reuse")
    (folder / "m.onnx").write_bytes(graph.model())
    rows = "".join(f"{a:.6f},{b:.6f}\n" for a, b in np.random.default_rng(5).normal(size=(60, 2)))
    for name, head in (("right", "age,bp"), ("wrong", "bp,age")):
        (folder / f"{name}.csv").write_text(f"{head}\n{rows}")
    (folder / "held.csv").write_text("age,bp,risk\n" + "0.1,0.2,0.3\n0.2,0.1,0.2\n")
    _made(folder, "wrong")
    return folder


def _made(
    folder: Path, table: str | None, options: CompileOptions = OPTIONS, held: Path | None = None, **more: Any
) -> Artifact:
    calibration = None if table is None else folder / f"{table}.csv"
    return artifact(folder / "m.onnx", calibration, held, options=options, **more)


def test_the_same_command_finds_its_artefact(folder: Path) -> None:
    names = ["bp", "age"]
    for made in (_made(folder, "wrong"), _made(folder, None), _made(folder, None, CompileOptions())):
        assert made.manifest.input.features is not None
        assert [feature.name for feature in made.manifest.input.features] == names


@pytest.mark.parametrize(
    ("table", "change", "more", "says"),
    [
        ("right", {}, {}, "another calibration"),
        ("wrong", {"task": "binary"}, {}, "another task"),
        (None, {"task": "binary"}, {}, "another task"),
        ("wrong", {"max_shift": 0.05}, {}, "another max_shift"),
        ("wrong", {"record_openings": False}, {}, "another record_openings"),
        (None, {"record_openings": False}, {}, "another record_openings"),
        ("wrong", {}, {"name": "other"}, "another name"),
        ("wrong", {}, {"held": "held.csv"}, "another evaluation"),
        ("wrong", {"batch": 2}, {}, "another model or batch"),
    ],
)
def test_a_stale_artefact_is_not_taken(
    table: str | None, change: dict[str, Any], more: dict[str, Any], says: str, folder: Path
) -> None:
    """Calibration mended, the same command: every table with a header would exchange its columns."""
    if "held" in more:
        more = more | {"held": folder / more["held"]}
    with pytest.raises(CompileError, match=f"{says}; give another --out, or remove it"):
        _made(folder, table, replace(OPTIONS, **change), **more)


def test_an_artefact_that_does_not_say_is_not_taken_for_a_table(folder: Path) -> None:
    asked = folder / "m.proofward" / "asked.json"
    kept = asked.read_bytes()
    for content in (b"", b"[]", b"{}"):
        asked.write_bytes(content)
        assert _made(folder, None, CompileOptions()).manifest.name == "m"
        with pytest.raises(CompileError, match=r"another .*calibration"):
            _made(folder, "wrong")
    asked.write_bytes(kept)


def test_what_is_read_once_is_left_to_its_reader_and_a_device_has_an_end() -> None:
    """`--calibration <(zcat train.csv.gz)`: hashed before it is read, it held no records."""
    end, other = os.pipe()
    os.write(other, b"age,bp\n")
    os.close(other)
    pipe = Path(f"/dev/fd/{end}")
    assert digest(pipe) != digest(pipe) != digest(Path("/dev/zero"))
    assert os.read(end, 64) == b"age,bp\n"
    os.close(end)
