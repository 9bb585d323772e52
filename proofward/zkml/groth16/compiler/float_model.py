"""The float model itself, run by ONNX Runtime: what the integers are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime

from proofward.zkml.errors import CompileError, UnsupportedModel
from proofward.zkml.groth16.compiler.network import FloatArray
from proofward.zkml.groth16.compiler.onnx_frontend import Traced

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
_CHUNK = 256


@dataclass(frozen=True)
class Answers:
    """What ONNX Runtime says of `n` records.

    Args:
        scores: float64 `[n, length]`, the proven output: see :func:`scores`.
        labels: the model's own labels as text, `[n]`, or of several labels `[n * length]`, where it gives any
        beside or instead of scores.
    """

    scores: FloatArray
    labels: list[str] | None


def scores(model: bytes, traced: Traced, x: FloatArray) -> FloatArray:
    """The proven output, float64 `[n, length]`, for records `[n, features]`; probabilities where the
    model has them.

    Of sigmoids' `1 - p` and `p` only p is returned. Probabilities of a sigmoid come as `p - 1/2`, so that
    their sign is the decision. Raises UnsupportedModel, CompileError where ONNX Runtime does not run the
    model.
    """
    return answers(model, traced, x).scores


def answers(model: bytes, traced: Traced, x: FloatArray) -> Answers:
    """Scores and labels of records `[n, features]`. Raises UnsupportedModel, CompileError."""
    session = _session(model, traced.output_name)
    given = session.get_inputs()[0]
    size = 1 if isinstance(given.shape[0], int) and given.shape[0] > 0 else _CHUNK
    if isinstance(given.shape[0], int) and given.shape[0] > 1:
        raise CompileError(
            f"the model's batch axis is fixed to {given.shape[0]}; export it with a batch of 1 or a free one"
        )
    records = x.reshape(len(x), *traced.input_shape).astype(_TYPES[given.type])
    label = _label_output(session, traced.output_name)
    wanted = [traced.output_name] + ([label] if label else [])
    try:
        parts, labels = _run(session, wanted, given.name, records, size)
        if size > 1 and len(records) > 1:
            alone, _ = _run(session, wanted, given.name, records[-1:], 1)
            if not np.allclose(alone[0].reshape(-1), parts[-1][-1], rtol=1e-3, atol=1e-5, equal_nan=True):
                raise _NotBatched
    except _NotBatched:
        parts, labels = _run(session, wanted, given.name, records, 1)
    table = np.concatenate(parts).reshape(len(x), -1)
    if not np.isfinite(table).all():
        raise CompileError(
            f"the model's output {traced.output_name!r} is not finite on some records; check the data's units"
        )
    if traced.decision in ("sigmoid", "multilabel"):
        table = table[:, -traced.length :]
    if traced.squash == "sigmoid" and traced.decision in ("sigmoid", "multilabel"):
        table = table - 0.5
    each = traced.length if traced.decision == "multilabel" else 1
    fits = len(labels) == len(x) * each
    if label and not fits and traced.decision != "value":
        raise UnsupportedModel(
            f"the output {label!r} gives {len(labels) // len(x)} labels a record, and the scores are read as "
            f"deciding {each}; export one model a label, or the scores as its only output"
        )
    return Answers(table, labels if label and fits else None)


class _NotBatched(Exception):
    """The graph reads its batch axis as part of a record: it is run with one record at a time."""


def _run(
    session: onnxruntime.InferenceSession, wanted: list[str], name: str, records: np.ndarray, size: int
) -> tuple[list[FloatArray], list[str]]:
    parts: list[FloatArray] = []
    labels: list[str] = []
    for start in range(0, len(records), size):
        batch = records[start : start + size]
        try:
            found = session.run(wanted, {name: batch})
        except Exception as error:
            if size > 1:
                raise _NotBatched from error
            raise UnsupportedModel(f"ONNX Runtime does not run the model: {_first_line(error)}") from error
        scores = _array(found[0])
        if size > 1 and (scores.ndim == 0 or len(scores) != len(batch)):
            raise _NotBatched
        parts.append(scores.reshape(len(batch), -1))
        if len(wanted) > 1:
            named = np.asarray(found[1]).reshape(-1)
            labels += [str(one) for one in (named.astype(int) if named.dtype == bool else named).tolist()]
    return parts, labels


def squashed(traced: Traced, logits: FloatArray) -> FloatArray:
    """Logits `[n, length]` in the space of :func:`scores`."""
    if traced.squash in ("sigmoid", "sigmoidl1"):
        shares = np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -700, 700))))
        if traced.squash == "sigmoidl1":
            return np.asarray(shares / shares.sum(axis=1, keepdims=True))
        return shares - 0.5 if traced.decision in ("sigmoid", "multilabel") else shares
    if traced.squash == "l1":
        total = np.abs(logits).sum(axis=1, keepdims=True)
        return np.asarray(logits / np.where(total > 0, total, 1.0))
    if traced.squash in ("softmax", "logsoftmax"):
        shifted = logits - logits.max(axis=1, keepdims=True)
        powers = np.exp(shifted)
        total = powers.sum(axis=1, keepdims=True)
        return np.asarray(powers / total if traced.squash == "softmax" else shifted - np.log(total))
    return logits


def _session(model: bytes, output: str) -> onnxruntime.InferenceSession:
    """A session that gives `output` too, where it is a tensor inside the graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        proto = onnx.load_model_from_string(model)
        if output not in {value.name for value in proto.graph.output}:
            proto.graph.output.append(onnx.ValueInfoProto(name=output))
            model = proto.SerializeToString()
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        told = _first_line(error)
        hint = "; export it with a float32 input" if "tensor(double)" in told else ""
        raise UnsupportedModel(f"ONNX Runtime does not load the model: {told}{hint}") from error


def _label_output(session: onnxruntime.InferenceSession, scores_output: str) -> str | None:
    """The output that holds the model's own labels, one a record."""
    for output in session.get_outputs():
        if output.name != scores_output and output.type in (
            "tensor(int64)",
            "tensor(int32)",
            "tensor(string)",
            "tensor(bool)",
        ):
            return str(output.name)
    return None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _array(output: object) -> FloatArray:
    if isinstance(output, list) and output and isinstance(output[0], dict):  # a ZipMap's rows
        return np.array([list(row.values()) for row in output], dtype=np.float64)
    return np.asarray(output, dtype=np.float64)
