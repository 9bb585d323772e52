"""A whole table through sessions, answers to a CSV or a Parquet file; killed and run again, it goes on and
pays once.

Beside the answers lies `<out>.session`: the session, the row that it began with, and of which model and
records the answers are; a run of others into the same file is refused. Answers are in the file before they
are vouched for; what was answered and not vouched for comes again from the worker and is not asked twice. A
Parquet file cannot be added to: until the last answer is there, they are in `<out>.rows.csv`.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofward.client.ids import hash32
from proofward.client.session import Session
from proofward.client.sessions import (
    Client,
    SessionOrder,
    close_session,
    connect_session,
    open_session,
    session_store,
)
from proofward.client.sessions import session as running
from proofward.errors import NotFound, Refused
from proofward.files import read_whole, sibling, write_whole
from proofward.protocol import strict_json
from proofward.protocol.hashes import sha256
from proofward.zkml import PublicArtifact

Floats = NDArray[np.float64]
_MAX_NOTE = 1 << 16
BLOCK_RECORDS = 512
"""Records that are quantised and queued at a time."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: rows answered of all, inferences a second, cost so far in the smallest unit."""

    done: int
    total: int
    rate: float
    cost: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did: its sessions, rows answered by this call, whether all is vouched for, seconds."""

    sessions: tuple[bytes, ...]
    rows: int
    resumed_at: int
    vouched: bool
    seconds: float
    cost: int


def run_table(
    client: Client,
    model: str | bytes,
    records: Floats,
    out: Path,
    *,
    order: SessionOrder,
    artifact: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> RunReport:
    """Answer every row of `records` [n, features] into `out`, and close the session. `tell` hears of a window
    that holds it up.

    Raises Refused (an `out` of another table, of another model, or of a run that goes on), SessionError,
    NotFound, DispatchError, ChainError.
    """
    with _alone(out):
        return _run(client, model, records, out, order, artifact, progress, tell)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """While another process answers into `out`, both would be in one session, and write each answer. Raises
    Refused, OSError.
    """
    lock = sibling(out, ".lock")
    held = _locked(lock, out)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(held)


def _locked(lock: Path, out: Path) -> int:
    held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock.exists() and os.path.samestat(os.fstat(held), lock.stat()):
            return held
    except BlockingIOError:
        os.close(held)
        raise Refused(
            f"another process writes its answers into {out}: wait for its end, or give another --out",
            code="out-in-use",
        ) from None
    os.close(held)  # who had it took the file away before this one was locked
    return _locked(lock, out)


def _run(
    client: Client,
    model: str | bytes,
    records: Floats,
    out: Path,
    order: SessionOrder,
    artifact: str | Path | None,
    progress: Callable[[Progress], None] | None,
    tell: Callable[[str], None] | None,
) -> RunReport:
    parquet = out.suffix.lower() == ".parquet"
    if parquet:
        _arrow()
    elif out.suffix.lower() not in (".csv", ""):
        raise Refused(f"{out} is neither a .csv nor a .parquet file; answers are written as one of them")
    beside = sibling(out, ".session")
    rows = sibling(out, ".rows.csv") if parquet else out
    of = _of(client, model, records)
    told = _told(beside)
    if told is not None and (out.exists() or rows.exists() or not told.get("done")):
        _require_same(told, of, out, beside)
    if parquet and out.exists():
        return _whole_parquet(out, rows, beside, len(records))
    done = _whole_rows(rows, beside)
    if done > len(records):
        raise Refused(f"{out} holds {done} answers, the input has {len(records)} records: give another file")
    name, first = _begin(client, of, len(records) - done, done, order, artifact, beside, told, tell)
    started, resumed = time.monotonic(), done
    if name is None:
        _to_parquet(rows, out, len(records), parquet=parquet)
        return RunReport((), 0, resumed, True, 0.0, 0)
    writer = _Writer(rows, first, done)
    session = connect_session(client, name, artifact=artifact, persist=writer.take)
    writer.public = session.public
    try:
        price = session.secrets.price
        begun = first + session.next_index
        for _ in _answered(session, records, begun):
            if progress is not None:
                seconds = max(time.monotonic() - started, 1e-9)
                progress(
                    Progress(
                        writer.rows,
                        len(records),
                        (writer.rows - resumed) / seconds,
                        (writer.rows - first) * price,
                    )
                )
        close_session(client, name)
        vouched = session.close()
    finally:
        session.close(0.0)
        writer.close()
    if vouched:
        _note(beside, {"session": name.hex(), "first": first, "done": True, **of})
        _to_parquet(rows, out, len(records), parquet=parquet)
    cost = (writer.rows - first) * price
    return RunReport((name,), writer.rows - resumed, resumed, vouched, time.monotonic() - started, cost)


def _answered(session: Session, records: Floats, begin: int) -> Iterator[int]:
    blocks = (records[at : at + BLOCK_RECORDS] for at in range(begin, len(records), BLOCK_RECORDS))
    for at, _ in session.run_blocks(blocks):
        yield at


def _of(client: Client, model: str | bytes, records: Floats) -> dict[str, str]:
    """What the answers of a run are of: the model's id, and SHA-256 of the table's shape and its float64."""
    known = isinstance(model, bytes) or model.startswith("0x")
    name = hash32(model, "model") if known else client.model(model).id
    values = np.ascontiguousarray(records, dtype="<f8")
    return {"model": name.hex(), "records": sha256(repr(values.shape).encode() + values.tobytes()).hex()}


def _told(beside: Path) -> dict[str, Any] | None:
    """What the run before noted, None where there was none. Raises Refused."""
    if not beside.exists():
        return None
    try:
        told = strict_json.loads(read_whole(beside, _MAX_NOTE), limit=_MAX_NOTE)
        bytes.fromhex(told["session"]), int(told["first"])
    except (ValueError, KeyError, TypeError):
        raise Refused(f"{beside} is damaged; give another --out, or restore it from a backup") from None
    return dict(told)


def _require_same(told: dict[str, Any], of: dict[str, str], out: Path, beside: Path) -> None:
    """Answers of something else are never handed out as this run's."""
    if missing := sorted(of.keys() - told.keys()):
        raise Refused(
            f"{beside} does not say of which {' and '.join(missing)} the answers in {out} are: an earlier "
            "version wrote it, and they may be of something else. Give another --out; `proofward session "
            f"close 0x{told['session']}` ends that run's session"
        )
    for what, kind in (("model", "another model"), ("records", "other records")):
        if told[what] != of[what]:
            raise Refused(
                f"{out} holds a run of {kind}: {what} {told[what]}, and this run's are {of[what]}. Give "
                f"another --out, or move {out} and {beside} away"
            )


def _begin(
    client: Client,
    of: dict[str, str],
    left: int,
    done: int,
    order: SessionOrder,
    artifact: str | Path | None,
    beside: Path,
    told: dict[str, Any] | None,
    tell: Callable[[str], None] | None,
) -> tuple[bytes | None, int]:
    """The session to use, and the row that is its record 0."""
    if told is not None:
        name = bytes.fromhex(told["session"])
        if told.get("done") and not left:
            return None, done
        if not told.get("done"):
            try:
                session_store(client).load(name)
                running(client, name)
                return name, int(told["first"])
            except NotFound:
                pass  # it ended: what was answered is in the file, the rest is asked in a new one
    if not left:
        return None, done
    model = bytes.fromhex(of["model"])
    name = open_session(client, model, replace(order, records=max(left, 1)), artifact, tell).id
    _note(beside, {"session": name.hex(), "first": done, **of})
    return name, done


def _note(beside: Path, told: dict[str, object]) -> None:
    """What the next run of the same goes by; it is never found half written."""
    write_whole(beside, json.dumps(told).encode(), mode=0o666)


def _whole_rows(out: Path, beside: Path) -> int:
    """How many answers the file holds; a last one that was cut off is taken away."""
    if not out.exists():
        return 0
    if not beside.exists():
        raise Refused(
            f"{out} exists and is of no run that can be gone on with; give another name, or remove it"
        )
    data = out.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) != len(data):
        os.truncate(out, len(whole))
    return max(0, whole.count(b"\n") - 1)


def _arrow() -> Any:
    """Raises Refused where pyarrow is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise Refused(
            "answers in a .parquet file need pyarrow: pip install 'proofward[parquet]', or name a .csv file"
        ) from None
    return pyarrow


def _to_parquet(rows: Path, out: Path, count: int, *, parquet: bool) -> None:
    """All `count` answers as one Parquet file, whole or not at all; what they were written to before goes
    then. Raises Refused, with that as it was, where an answer would be missing.
    """
    if not parquet or not rows.exists():
        return
    arrow = _arrow()
    import pandas as pd

    # a class may be called None or NA: what is written is a word, never a missing value
    table = pd.read_csv(
        rows, float_precision="round_trip", dtype={"decision": str}, keep_default_na=False, na_filter=False
    )
    data = io.BytesIO()
    arrow.parquet.write_table(arrow.Table.from_pandas(table, preserve_index=False), data)
    kept = arrow.parquet.read_table(io.BytesIO(data.getvalue()), columns=["row", "decision"])
    if kept["row"].to_pylist() != list(range(count)) or kept["decision"].null_count:
        raise Refused(
            f"{rows} does not hold the {count} answers, one a row; {out} is not written, and {rows} is kept"
        )
    write_whole(out, data.getvalue(), mode=0o666)
    rows.unlink()


def _whole_parquet(out: Path, rows: Path, beside: Path, records: int) -> RunReport:
    """A run that came to its end already. Raises Refused for a file of none, or of other records."""
    if not beside.exists():
        raise Refused(f"{out} exists and is of no run; give another name, or remove it")
    arrow = _arrow()
    try:
        done = arrow.parquet.read_metadata(out).num_rows
    except (OSError, arrow.ArrowException) as error:
        raise Refused(
            f"{out} is no Parquet file, or damaged ({error}); restore it, give another name, or remove it "
            f"and {beside} to have all asked, and paid, again"
        ) from error
    if done != records:
        raise Refused(f"{out} holds {done} answers, the input has {records} records: give another file")
    rows.unlink(missing_ok=True)  # killed between the file and this
    return RunReport((), 0, done, True, 0.0, 0)


class _Writer:
    """Appends answers: `row,decision,` and the outputs' values. An answer that is there already is left."""

    def __init__(self, out: Path, first: int, rows: int) -> None:
        self.public: PublicArtifact | None = None
        self.rows = rows
        self._first = first
        self._file = out.open("a", encoding="utf-8", newline="")
        self._early: list[tuple[int, NDArray[np.int64]]] = []

    def take(self, first: int, outputs: NDArray[np.int64]) -> None:
        """Called before these answers are vouched for."""
        if self.public is None:  # heard while connecting
            self._early.append((first, outputs))
            return
        early, self._early = self._early, []
        for at, some in (*early, (first, outputs)):
            self._write(self.public, self._first + at, some)

    def _write(self, public: PublicArtifact, row: int, outputs: NDArray[np.int64]) -> None:
        known = max(0, self.rows - row)
        if known >= len(outputs):
            return
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        if self.rows == 0 and self._file.tell() == 0:
            lines.writerow(["row", "decision", *public.output_names])
        values, decided = public.dequantize(outputs), public.decide(outputs)
        for at in range(known, len(outputs)):
            lines.writerow([row + at, decided[at], *(repr(float(value)) for value in values[at])])
        self._file.write(text.getvalue())
        self._file.flush()
        self.rows = row + len(outputs)

    def close(self) -> None:
        """Flush what is left."""
        if self.public is not None and self._early:
            early, self._early = self._early, []
            for at, some in early:
                self._write(self.public, self._first + at, some)
        self._file.close()
