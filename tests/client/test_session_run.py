"""A table's answers: whole, as they were given, and of this run's model and records alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from proofward.client import session_run
from proofward.client.session_run import run_table
from proofward.client.sessions import SessionOrder
from proofward.errors import Refused

WORDS = ["None", "NA", "null", "sick", "nan", "N/A", "", " NULL", "#N/A", 'a "b", c']
MODEL, OTHER = "0x" + "11" * 32, "0x" + "22" * 32
RECORDS = np.array([[1.0, 2.0], [3.0, 4.0]])


class Public:
    output_names = ("p",)

    def dequantize(self, outputs: Any) -> Any:
        return outputs / 7

    def decide(self, outputs: Any) -> list[str]:
        return [WORDS[int(one)] for one in outputs[:, 0]]


def answered(rows: Path, count: int) -> None:
    writer = session_run._Writer(rows, 0, 0)
    writer.public = Public()  # type: ignore[assignment]
    writer.take(0, np.arange(count, dtype=np.int64).reshape(-1, 1))
    writer.close()


def run(out: Path, model: str = MODEL, records: Any = RECORDS) -> session_run.RunReport:
    """Nothing that is refused asks a chain."""
    return run_table(None, model, records, out, order=SessionOrder())  # type: ignore[arg-type]


def told(out: Path, **more: Any) -> None:
    of = session_run._of(None, MODEL, RECORDS)  # type: ignore[arg-type]
    out.with_name(out.name + ".session").write_text(
        json.dumps({"session": "33" * 32, "first": 0, "done": True, **of, **more})
    )


def test_a_class_called_none_is_a_word_in_parquet(tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "out.parquet"
    answered(rows, len(WORDS))
    session_run._to_parquet(rows, out, len(WORDS), parquet=True)
    table = pq.read_table(out)
    assert table["decision"].to_pylist() == WORDS
    assert table["p"].to_pylist() == [one / 7 for one in range(len(WORDS))]
    assert not rows.exists()


def test_answers_are_kept_where_the_parquet_file_would_lack_one(tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "out.parquet"
    answered(rows, 3)
    with pytest.raises(Refused, match="does not hold the 4 answers"):
        session_run._to_parquet(rows, out, 4, parquet=True)
    assert rows.exists()
    assert not out.exists()


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "killed.parquet"])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model": OTHER}, "a run of another model"),
        ({"records": RECORDS + 1}, "a run of other records"),
        ({"records": RECORDS.reshape(1, 4)}, "a run of other records"),
    ],
)
@pytest.mark.parametrize("done", [True, False])
def test_another_table_or_model_is_not_answered_with_the_old_answers(
    name: str, change: dict[str, Any], match: str, done: bool, tmp_path: Path
) -> None:
    out = tmp_path / name
    answered(out.with_name(out.name + ".rows.csv") if name.startswith("killed") else out, 2)
    if name == "out.parquet":
        pq.write_table(pa.table({"row": [0, 1], "decision": ["sick", "well"], "p": [0.9, 0.1]}), out)
    told(out, done=done)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(Refused, match=match):
        run(out, **change)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    if done:
        assert (run(out).sessions, run(out).rows) == ((), 0)


@pytest.mark.parametrize("missing", ["model", "records"])
def test_a_session_file_that_does_not_say_what_it_is_of_is_refused(missing: str, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    answered(out, 2)
    told(out)
    beside = out.with_name("out.csv.session")
    beside.write_text(json.dumps({k: v for k, v in json.loads(beside.read_text()).items() if k != missing}))
    with pytest.raises(Refused, match=f"does not say of which {missing}"):
        run(out)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "[" * 5_000),
        *(
            '{"session": 5, "first": 0}',
            '{"session": "zz", "first": 0}',
            '{"session": "00", "first": Infinity}',
        ),
    ],
)
def test_a_damaged_session_file_is_refused(text: str, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    answered(out, 2)
    out.with_name("out.csv.session").write_text(text)
    with pytest.raises(Refused, match="is damaged"):
        run(out)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"garbage, no parquet", b"PAR1" + bytes(40) + b"PAR1"])
def test_a_damaged_parquet_file_is_refused(data: bytes, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    out.write_bytes(data)
    told(out)
    with pytest.raises(Refused, match="no Parquet file, or damaged"):
        run(out)


def test_two_runs_at_once_do_not_share_a_file_and_a_session(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with session_run._alone(out), pytest.raises(Refused, match="another process") as refused:
        run(out)
    assert refused.value.code == "out-in-use"
    answered(out, len(RECORDS))
    told(out)
    assert run(out).resumed_at == len(RECORDS)
