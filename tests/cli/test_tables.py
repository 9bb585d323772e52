"""Records from files: numbers or a refusal that names the line."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from proofward.tables import Table, TableError, arrange, read_table, split_truth
from proofward.zkml.manifest import Feature


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
    assert np.array_equal(read_table(path).values, np.array(rows, dtype=float))


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("empty", ""),
        ("header-only", "a,b\n"),
        ("ragged", "1,2\n3\n"),
        ("word", "1,2\n3,x\n"),
        ("objects-differ", '[{"a": 1}, {"b": 1}]'),
        ("key-twice", '[{"a": 1, "a": 2}]'),
        ("open-quote", '1,"2\n3,4\n'),
        ("column-numbers", "0,1,2\n5,6,7\n"),
        ("name-twice", "a,a\n1,2\n"),
        ("word-in-the-first-line", "1,x\n1,2\n"),
        ("comparator-in-the-first-line", "1,<5\n1,2\n"),
        ("comma-of-thousands-or-decimals", "1;1,234\n2;2,345\n"),
        ("commas-and-points", "1,5;2.5\n1,5;2.5\n"),
        ("underscore", "1_0,2\n3,4\n"),
        ("workbook", "PK\x03\x04"),
        ("cut", "[[1, 2"),
        ("binary", "\udcff"),
    ],
)
def test_refusals(tmp_path: Path, fault: str, text: str) -> None:
    path = tmp_path / "t"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(TableError):
        read_table(path)


@pytest.mark.parametrize(
    ("width", "first"),
    [(4, "withdrawn,,,"), (4, ",,withdrawn,"), (3, "refused,,"), (2, "withdrawn,"), (2, ",x")],
)
def test_a_record_of_a_word_and_blanks_is_no_header(tmp_path: Path, width: int, first: str) -> None:
    """A model without names would answer for one record fewer, and for the others a line too high."""
    path = tmp_path / "t"
    path.write_text(f"{first}\n" + f"{','.join('1' * width)}\n" * 2)
    with pytest.raises(TableError, match="a header, or a record without values"):
        arrange(read_table(path), None, width)


@pytest.mark.parametrize("word", ["ND", "n.d.", "unk", "Unknown", "N.A.", "not done", "NaT", "<NA>", "*"])
def test_a_missing_value_in_the_first_line_is_a_record(tmp_path: Path, word: str) -> None:
    path = tmp_path / "t"
    path.write_text(f"{word}\n63\n41\n")
    assert arrange(read_table(path), None, 1, allow_missing=True)[:, 0].tolist()[1:] == [63.0, 41.0]
    with pytest.raises(TableError, match="line 1, column 1: the value is missing"):
        arrange(read_table(path), None, 1)


def test_an_index_s_header_and_a_delimiter_too_many_stay_headers(tmp_path: Path) -> None:
    path = tmp_path / "t"
    for text in (",bp,age\n7,145,63\n", "bp,age,\n145,63,7\n"):
        path.write_text(text)
        assert arrange(read_table(path), NAMED, 2, ignore_extra=True).tolist() == [[63.0, 145.0]]


def test_the_truth_is_the_last_column() -> None:
    x, y = split_truth(Table("t", np.array([[1.0, 2.0, 3.0]]), (1,)), None, 2)
    assert x.values.tolist() == [[1.0, 2.0]]
    assert y.values.tolist() == [[3.0]]


def test_the_truth_is_what_is_no_feature(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("sick,b,a\n1,2,3\n")
    x, y = split_truth(read_table(path), ["a", "b"], 2)
    assert (x.names, y.values.tolist()) == (("b", "a"), [[1.0]])


NAMED = [Feature(name="age", unit="a"), Feature(name="bp", unit="mm[Hg]")]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("in order", "age,bp\n63,145\n"),
        ("other order", "bp,age\n145,63\n"),
        ("units row", "bp,age\nmmHg,years\n145,63\n"),
        ("units in the names", "age [years];bp [mmHg]\n63;145\n"),
        ("sep line", "sep=;\nage;bp\n63;145\n"),
        ("objects", '[{"bp": 145, "age": 63}]'),
        ("no header", "63,145\n"),
        ("bom and quotes", '\ufeff"age","bp"\n"63","145"\n'),
    ],
)
def test_columns_are_matched_by_name(tmp_path: Path, form: str, text: str) -> None:
    path = tmp_path / "t"
    path.write_text(text, encoding="utf-8")
    assert arrange(read_table(path), NAMED, 2).tolist() == [[63.0, 145.0]]


def test_excels_encodings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t"
    for encoding in ("utf-16", "cp1252"):
        path.write_text("age;größe\n63;1,8\n", encoding=encoding)
        table = read_table(path)
        assert (table.names, table.values.tolist()) == (("age", "größe"), [[63.0, 1.8]])
        assert table.notes


@pytest.mark.parametrize(
    ("fault", "text", "says"),
    [
        ("missing column", "age,cholesterol\n63,145\n", "lacks bp"),
        ("extra column", "age,bp,id\n63,145,7\n", "--ignore-extra-columns"),
        ("other unit", "age [years],bp [mg/dL]\n63,19\n", "mm"),
        ("missing value", "age,bp\n63,\n", r"line 2, column 2 \(bp\)"),
        ("unknown under a name", "age,bp\n63,5%\n", r"line 2, column 2 \(bp\).*percentage"),
        ("too few without a header", "63\n", "1 columns"),
    ],
)
def test_tables_of_another_model_are_refused(tmp_path: Path, fault: str, text: str, says: str) -> None:
    path = tmp_path / "t"
    path.write_text(text)
    with pytest.raises(TableError, match=says):
        arrange(read_table(path), NAMED, 2)


def test_extra_columns_are_left_out_on_request_and_named(tmp_path: Path) -> None:
    path = tmp_path / "t"
    notes: list[str] = []
    path.write_text("id,bp,age\n7,145,63\n")
    assert arrange(read_table(path), NAMED, 2, ignore_extra=True, note=notes.append).tolist() == [[63, 145]]
    assert "id" in notes[0]


def test_readers_side_by_side_leave_warnings_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 2_000)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as readers:
        tables = list(readers.map(lambda _: read_table(path), range(32)))
    assert all(len(table.values) == 2_000 for table in tables)
    assert list(warnings.filters) == before, "an error that stays makes any later warning one"
