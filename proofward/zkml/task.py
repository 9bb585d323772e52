"""What a model is asked: inferred from its outputs and the truth where that is certain, asked for where
not.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from proofward.zkml.errors import CompileError, UnsupportedModel
from proofward.zkml.manifest import Decision, Task

_FITS: dict[str, tuple[Task, ...]] = {
    "sigmoid": ("binary",),
    "multilabel": ("multilabel",),
    "softmax": ("multiclass",),
    "argmax": ("multiclass",),
}
"""Which tasks fit a decision that stands in the graph; the first is taken where the publisher says nothing.
"""
_RAW: dict[Task, Decision] = {
    "binary": "sigmoid",
    "multiclass": "argmax",
    "multilabel": "multilabel",
    "regression": "value",
    "multi-target": "value",
}


def resolve(
    wanted: Task | None,
    decision: Decision,
    kind: Literal["decided", "regression", "raw"],
    length: int,
    truth: NDArray[np.float64] | NDArray[np.int64] | None,
) -> tuple[Task, Decision]:
    """The task, and how its scores are read.

    Args:
        decision: what the graph's end says. kind: `decided` where the graph has a classifier's end,
            `regression` where a regressor's operator made the values, `raw` where numbers come out as they
            are. length: number of outputs. truth: [n], or [n, columns], where held-out records have it.

    Raises CompileError, with the question to answer by --task.
    """
    if kind == "decided":
        fits = _FITS[decision]
        if decision in ("softmax", "argmax") and length == 2:
            fits = ("binary", "multiclass")
        return _of(wanted, fits, f"the model ends in a {decision} over {length} outputs"), decision
    several: Task = "regression" if length == 1 else "multi-target"
    if kind == "regression":
        return _of(wanted, (several,), "the model's last operator is a regressor"), "value"
    fits = ("regression", "binary") if length == 1 else ("multiclass", "multi-target", "multilabel")
    if length == 2:
        fits = (*fits, "binary")
    task = wanted or _certain(length, truth)
    if task is None:
        raise CompileError(_question(length, fits), code="task-needed")
    task = _of(task, fits, f"the model gives {length} raw output{'s' if length > 1 else ''}")
    return task, "argmax" if task == "binary" and length == 2 else _RAW[task]


def check_logits(output: str, kind: str, decision: Decision, scores: NDArray[np.float64]) -> None:
    """What a publisher calls logits must not be probabilities, of which none is below zero. Raises
    UnsupportedModel.
    """
    read = kind == "raw" and decision in ("sigmoid", "multilabel")
    if read and float(scores.min()) >= 0.0 and float(scores.max()) <= 1.0:
        raise UnsupportedModel(
            f"the output {output!r} lies between 0 and 1 on the calibration data, like a probability: as a "
            "logit it would decide for one class alone. Export it with a Sigmoid at its end, or prove the "
            "value (--task regression)"
        )


def _certain(length: int, truth: NDArray[np.float64] | NDArray[np.int64] | None) -> Task | None:
    """The only task that the truth fits, or None."""
    if truth is None:
        return None
    table = np.asarray(truth, dtype=np.float64).reshape(len(truth), -1)
    flags = bool(np.isin(table, (0.0, 1.0)).all())
    if length == 1:
        # Two values may be classes in another coding (-1 and 1, 1 and 2), or a regression's.
        return None if flags or len(np.unique(table)) <= 2 else "regression"
    if table.shape[1] == 1:
        return "multiclass" if bool(np.isin(table, np.arange(length)).all()) else None
    if table.shape[1] != length or (flags and bool((table.sum(axis=1) == 1).all())):
        return None
    return "multilabel" if flags else "multi-target"


def _of(wanted: Task | None, fits: tuple[Task, ...], why: str) -> Task:
    if wanted is None:
        return fits[0]
    if wanted not in fits:
        raise CompileError(f"--task {wanted} does not fit: {why}; use {' or '.join(fits)}", code="usage")
    return wanted


def _question(length: int, fits: tuple[Task, ...]) -> str:
    if length == 1:
        return (
            "the model gives one number without a Sigmoid: is it a value (--task regression) or the "
            "logit of a "
            "class, positive from 0 on (--task binary)?"
        )
    return (
        f"the model gives {length} numbers without a Softmax or Sigmoid: are they scores of one class each "
        "(--task multiclass), values of several targets (--task multi-target), or logits of labels that "
        "may hold "
        f"together (--task multilabel)? It takes: {', '.join(fits)}"
    )
