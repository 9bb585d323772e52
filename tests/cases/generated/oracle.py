"""ONNX Runtime's own answer, read without any of the compiler's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from tests.cases.generated.case import Made

_TYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
    "tensor(int64)": np.int64, "tensor(int32)": np.int32,
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """Decisions, one a record, and the numbers behind them `[n, k]` where the model gives any."""

    decisions: list[Any]
    numbers: np.ndarray | None


def answer(made: Made, records: np.ndarray) -> Answer:
    """Run the model, one record at a time."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(made.onnx, options, providers=["CPUExecutionProvider"])
    outputs = session.get_outputs()
    label = next((i for i, o in enumerate(outputs) if o.type in _LABELS), None)
    others = [i for i, o in enumerate(outputs) if i != label and (made.output in (None, o.name))]
    decisions: list[Any] = []
    numbers: list[np.ndarray] = []
    for record in records:
        found = session.run(None, _feeds(session, record))
        row = None
        if others:
            row = _row(found[others[-1]])
            numbers.append(row)
        if made.reads == "label":
            assert label is not None
            named = np.asarray(found[label]).reshape(-1)[0]
            decisions.append(str(int(named) if isinstance(named, np.bool_) else named))
        elif made.reads == "labels":
            assert label is not None
            decisions.append(np.asarray(found[label]).reshape(-1).tolist())
        else:
            assert row is not None
            decisions.append(_READ[made.reads](row))
    return Answer(decisions, np.array(numbers) if numbers else None)


_LABELS = ("tensor(int64)", "tensor(int32)", "tensor(string)", "tensor(bool)")
_READ: dict[str, Any] = {
    "half": lambda row: str(int(row[-1] > 0.5)),
    "zero": lambda row: str(int(row[-1] > 0)),
    "halves": lambda row: (row > 0.5).astype(int).tolist(),
    "zeros": lambda row: (row > 0).astype(int).tolist(),
    "argmax": lambda row: str(int(np.argmax(row))),
    "values": lambda row: row.tolist(),
}


def _feeds(session: Any, record: np.ndarray) -> dict[str, np.ndarray]:
    feeds, at = {}, 0
    for one in session.get_inputs():
        shape = [1 if not isinstance(n, int) or i == 0 else n for i, n in enumerate(one.shape)]
        size = int(np.prod(shape))
        feeds[one.name] = record[at : at + size].reshape(shape).astype(_TYPES[one.type])
        at += size
    return feeds


def _row(found: Any) -> np.ndarray:
    if isinstance(found, list) and found and isinstance(found[0], dict):  # a ZipMap's row
        return np.array(list(found[0].values()), dtype=np.float64)
    return np.asarray(found, dtype=np.float64).reshape(-1)
