"""Records from files: numbers or a refusal that names the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from proofward.tables import TableError, read_table, split_truth


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("a,b\n1,2\n", [[1, 2]]),
        ("\ufeff1,2\n\n3,4", [[1, 2], [3, 4]]),
        ("[1, 2.5]", [[1, 2.5]]),
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
    ],
)
def test_tables(tmp_path: Path, text: str, rows: list[list[float]]) -> None:
    path = tmp_path / "t"
    path.write_text(text, encoding="utf-8")
    assert np.array_equal(read_table(path), np.array(rows, dtype=float))


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("empty", ""),
        ("header-only", "a,b\n"),
        ("ragged", "1,2\n3\n"),
        ("word", "1,2\n3,x\n"),
        ("object", '[{"a": 1}]'),
        ("cut", "[[1, 2"),
        ("binary", "\udcff"),
    ],
)
def test_refusals(tmp_path: Path, fault: str, text: str) -> None:
    path = tmp_path / "t"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(TableError):
        read_table(path)


def test_the_truth_is_the_last_column() -> None:
    x, y = split_truth(np.array([[1.0, 2.0, 3.0]]))
    assert x.tolist() == [[1.0, 2.0]]
    assert y.tolist() == [3.0]
