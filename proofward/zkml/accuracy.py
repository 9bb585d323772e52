"""Decisions from outputs, and the accuracy of an integer model beside the float's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofward.zkml.errors import AccuracyError, CompileError
from proofward.zkml.manifest import Accuracy, Decision

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """Held-out records: x of shape [n, features], y of shape [n] (class indices, or targets of a
    regression)."""

    x: Floats
    y: NDArray[np.float64] | NDArray[np.int64]


def decide(decision: Decision, scores: Floats) -> NDArray[np.int64] | Floats:
    """Scores [n, length] (logits for sigmoid and softmax) to class indices [n], or values [n] for a
    regression."""
    if decision == "sigmoid":
        return np.asarray(scores[:, 0] > 0, dtype=np.int64)
    if decision == "value":
        return np.asarray(scores[:, 0], dtype=np.float64)
    return np.asarray(np.argmax(scores, axis=1), dtype=np.int64)


def measure(
    decision: Decision,
    float_scores: Floats,
    integer_scores: Floats,
    y: NDArray[np.float64] | NDArray[np.int64] | None,
) -> Accuracy:
    """Compare both models on the same records: with the truth y, or with the float model when y is None."""
    ours, theirs = decide(decision, integer_scores), decide(decision, float_scores)
    n = len(ours)
    if n == 0 or len(theirs) != n or (y is not None and len(y) != n):
        raise CompileError("evaluation needs at least one record and one label for each")
    if decision == "value":
        target: Floats = np.asarray(y if y is not None else theirs, dtype=np.float64).reshape(-1)
        return Accuracy(
            metric="r2",
            records=n,
            float=_r2(target, float_scores[:, 0]),
            integer=_r2(target, integer_scores[:, 0]),
        )
    if y is None:
        return Accuracy(metric="agreement", records=n, float=1.0, integer=float(np.mean(ours == theirs)))
    truth = np.asarray(y).reshape(-1)
    return Accuracy(
        metric="accuracy",
        records=n,
        float=float(np.mean(theirs == truth)),
        integer=float(np.mean(ours == truth)),
    )


def require(accuracy: Accuracy, bound: float) -> None:
    """Raise AccuracyError when the integers lose more than `bound` (0.005 is half a point) to the float
    model."""
    if accuracy.loss > bound + 1e-12:
        raise AccuracyError(
            f"the integer model scores {accuracy.integer:.4f} ({accuracy.metric}, {accuracy.records} "
            f"records) and the float model {accuracy.float_:.4f}; a loss above {bound:g} is refused. Give "
            "more calibration data, or a larger accuracy bound if that is acceptable"
        )


def _r2(truth: Floats, guess: Floats) -> float:
    spread = float(np.sum((truth - truth.mean()) ** 2))
    error = float(np.sum((truth - guess) ** 2))
    if spread == 0.0:
        return 1.0 if error == 0.0 else 0.0
    return 1.0 - error / spread
