"""A hospital's records as CSV, Parquet or FHIR: the same records, or a refusal that names what is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proofward.errors import ProofwardError
from proofward.tables.errors import TableError
from proofward.tables.parquet import MAX_VALUES, parquet_table
from proofward_federation.errors import FederationError
from proofward_federation.folder import read_site, read_table_of
from tests.federation.world import folder_of

pyarrow = pytest.importorskip("pyarrow", reason="extra `parquet` brings pyarrow")
parquet = pytest.importorskip("pyarrow.parquet", reason="extra `parquet` brings pyarrow")
pytest.importorskip("fhir", reason="extra `fhir` brings fhir.resources")

ROWS: dict[str, list[Any]] = {
    "record": [1, 2, 3],
    "age": [50.0, 61.5, 70.0],
    "chol": [200, 240, 180],
    "num": [0, 1, 1],
}
CODES = {"age": ("30525-0", "a"), "chol": ("2093-3", "mg/dL"), "num": ("75492-9", "1")}


def _observation(patient: str | None, column: str, value: float) -> dict[str, Any]:
    code, unit = CODES[column]
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
    }
    return found if patient is None else {**found, "subject": {"reference": f"Patient/{patient}"}}


def _bundle(**changes: Any) -> dict[str, Any]:
    entries = [
        {"resource": _observation(str(record), column, ROWS[column][at])}
        for at, record in enumerate(ROWS["record"])
        for column in CODES
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries, **changes}


def _csv(folder: Path) -> None:
    lines = [",".join(ROWS), *(",".join(map(str, row)) for row in zip(*ROWS.values(), strict=True))]
    (folder / "records.csv").write_text("\n".join(lines) + "\n")


def _parquet(folder: Path, **changes: Any) -> None:
    parquet.write_table(pyarrow.table({**ROWS, **changes}), folder / "records.parquet")


def test_the_same_records_come_from_each_kind_of_file(tmp_path: Path) -> None:
    read = {}
    for kind, write in (
        ("csv", _csv),
        ("parquet", _parquet),
        ("json", lambda at: (at / "records.json").write_text(json.dumps(_bundle()))),
    ):
        (tmp_path / kind).mkdir()
        write(tmp_path / kind)
        read[kind] = read_table_of(tmp_path / kind)
    columns = ("age", "chol", "num")
    wanted = read["csv"].features(columns, read["csv"].names)
    assert read["csv"].names == read["parquet"].names == ("1", "2", "3")
    assert np.array_equal(read["parquet"].features(columns, ("1", "2", "3")), wanted)
    codes = tuple("{} [{}]".format(*CODES[column]) for column in columns)
    assert read["json"].names == ("Patient/1", "Patient/2", "Patient/3")
    assert np.array_equal(read["json"].features(codes, read["json"].names), wanted)


def test_a_site_s_folder_takes_parquet_as_it_takes_csv(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 0)
    before = read_site(folder)._records
    rows = {"record": [int(name) for name in before.names], **before.columns}
    parquet.write_table(pyarrow.table(rows), folder / "records.parquet")
    with pytest.raises(FederationError, match=r"records.csv and records.parquet"):
        read_site(folder)  # nobody guesses which one is meant
    (folder / "records.csv").unlink()
    after = read_site(folder)._records
    assert after.names == before.names
    assert all(np.array_equal(after.columns[name], before.columns[name]) for name in before.columns)


def test_results_in_another_unit_are_another_column(tmp_path: Path) -> None:
    other = json.dumps(_bundle()).replace("mg/dL", "mmol/L")
    (tmp_path / "records.json").write_text(other)
    records = read_table_of(tmp_path)
    for asked in ("2093-3 [mg/dL]", "2093-3"):
        with pytest.raises(FederationError, match=r"there is 2093-3 \[mmol/L\]"):
            records.features((asked,), records.names)
    (tmp_path / "records.json").unlink()
    (tmp_path / "records.csv").write_text("record,chol [mmol/L],num\n1,5.2,0\n2,6.1,1\n")
    assert list(read_table_of(tmp_path).columns) == ["chol [mmol/L]", "num"]


WRONG: dict[str, Callable[[Path], Any]] = {
    "no table": lambda at: None,
    "no column of numbers of patients": lambda at: _parquet(at, record=["a", "b", "c"]),
    "one patient twice": lambda at: _parquet(at, record=[1, 1, 2]),
    "half a patient": lambda at: _parquet(at, record=[1.5, 2, 3]),
    "truth values": lambda at: _parquet(at, num=[True, False, True]),
    "a nested column": lambda at: _parquet(at, num=[[0], [1], [1]]),
    "an integer that float64 would round": lambda at: _parquet(at, chol=[(1 << 53) + 1, 2, 3]),
    "an infinite value": lambda at: _parquet(at, age=[float("inf"), 1.0, 2.0]),
    "no records": lambda at: parquet.write_table(
        pyarrow.table({"record": pyarrow.array([], "int64")}), at / "records.parquet"
    ),
    "a name twice": lambda at: parquet.write_table(
        pyarrow.Table.from_arrays([pyarrow.array([1])] * 2, names=["record", "record"]),
        at / "records.parquet",
    ),
    "a file cut off": lambda at: (at / "records.parquet").write_bytes(b"PAR1" + bytes(40)),
    "a result of nobody": lambda at: (at / "records.json").write_text(
        json.dumps(_bundle(entry=[{"resource": _observation(None, "age", 50)}]))
    ),
    "a bundle that goes on": lambda at: (at / "records.json").write_text(
        json.dumps(_bundle(link=[{"relation": "next", "url": "x"}]))
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_records_are_refused(fault: str, tmp_path: Path) -> None:
    WRONG[fault](tmp_path)
    with pytest.raises(ProofwardError):
        read_table_of(tmp_path)


def test_a_small_file_that_says_it_is_large_is_not_unpacked(tmp_path: Path) -> None:
    many = pyarrow.table({f"c{at}": pyarrow.array(np.zeros(MAX_VALUES // 64 + 1)) for at in range(64)})
    parquet.write_table(many, tmp_path / "bomb.parquet")
    data = (tmp_path / "bomb.parquet").read_bytes()
    assert len(data) < 1 << 20
    with pytest.raises(TableError, match="split it"):
        parquet_table(data, "bomb")


ROWS_SAID = 300_000


def _forged(rows: int, claimed: dict[str, int]) -> bytes:
    """A file of one column of so many records, whose footer claims other numbers of them (Thrift's compact
    protocol: an i64 is a zigzag varint). The keys are the places: `values` of the column's chunk, `total` of
    the file, `group` of its row group.
    """
    made = io.BytesIO()
    same = pyarrow.array([1.0]).take(pyarrow.array(np.zeros(rows, np.int64)))
    parquet.write_table(pyarrow.table({"record": same}), made, store_schema=False, write_statistics=False)
    data = made.getvalue()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    footer, real = data[start:-8], b"\x16" + _varint(rows)
    parts = footer.split(real)
    places = ("total", "values", "group")
    assert len(parts) == 1 + len(places)
    footer = parts[0] + b"".join(
        b"\x16" + _varint(claimed.get(place, rows)) + part
        for place, part in zip(places, parts[1:], strict=True)
    )
    return data[:start] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def _varint(number: int) -> bytes:
    number, out = number << 1, bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


@pytest.mark.parametrize("lies", [("total",), ("group",)])
def test_a_footer_that_contradicts_itself_is_refused_before_anything_is_unpacked(
    lies: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parquet_table(_forged(ROWS_SAID, {}), "honest").values.shape == (ROWS_SAID, 1)
    for name in ("read", "iter_batches"):
        monkeypatch.setattr(parquet.ParquetFile, name, None)
    with pytest.raises(TableError, match="says"):
        parquet_table(_forged(ROWS_SAID, dict.fromkeys(lies, 10)), "forged")


@pytest.mark.parametrize("lies", [("total", "group"), ("values",), ("group", "values", "total")])
def test_no_more_is_unpacked_than_a_footer_announces(
    lies: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked: list[int] = []
    whole = parquet.ParquetFile.iter_batches

    def batches(file: Any, batch_size: int) -> Iterator[Any]:
        for batch in whole(file, batch_size=batch_size):
            unpacked.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", batches)
    forged = _forged(ROWS_SAID, dict.fromkeys(lies, 10))
    said = ROWS_SAID if lies == ("values",) else 10
    if len(lies) == 3:  # a footer that agrees with itself: ten records, whatever else is in the file
        assert len(parquet_table(forged, "short").values) == 10
    else:
        with pytest.raises(TableError, match="says"):
            parquet_table(forged, "forged")
    assert sum(unpacked) <= said + 1


def test_a_name_that_is_no_utf8_is_a_refusal() -> None:
    made = io.BytesIO()
    parquet.write_table(pyarrow.table({"record": [1, 2]}), made, store_schema=False)
    with pytest.raises(TableError, match="no Parquet file"):
        parquet_table(made.getvalue().replace(b"record", b"rec\xff\xfed"), "f")
