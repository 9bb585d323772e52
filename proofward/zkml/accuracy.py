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
    regression) or, for several targets or labels, [n, length].
    """

    x: Floats
    y: NDArray[np.float64] | NDArray[np.int64]


def decide(decision: Decision, scores: Floats) -> NDArray[np.int64] | Floats:
    """Scores [n, length] (logits for sigmoid, softmax and multilabel) to class indices [n], to 0 or 1 a label
    [n, length], or to values: [n] for a regression of one target, [n, length] for several.
    """
    if decision == "sigmoid":
        return np.asarray(scores[:, 0] > 0, dtype=np.int64)
    if decision == "multilabel":
        return np.asarray(scores > 0, dtype=np.int64)
    if decision == "value":
        return np.asarray(scores[:, 0] if scores.shape[1] == 1 else scores, dtype=np.float64)
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
        target: Floats = np.asarray(y if y is not None else theirs, dtype=np.float64).reshape(n, -1)
        if target.shape != float_scores.shape:
            raise CompileError(
                f"the truth has {target.shape[1]} columns and the model {float_scores.shape[1]} targets; "
                "give one column a target, last and in the model's order"
            )
        return Accuracy(
            metric="r2", records=n, float=r2(target, float_scores), integer=r2(target, integer_scores)
        )
    if y is None:
        return Accuracy(metric="agreement", records=n, float=1.0, integer=float(np.mean(ours == theirs)))
    truth = np.asarray(y).reshape(theirs.shape)
    return Accuracy(
        metric="accuracy",
        records=n,
        float=float(np.mean(theirs == truth)),
        integer=float(np.mean(ours == truth)),
    )


def require(accuracy: Accuracy, bound: float) -> None:
    """Raise AccuracyError when the integers lose more than `bound` (0.005 is half a point) to the float
    model. Of a small set one record may go: less cannot be lost there.
    """
    if accuracy.loss > bound + 1e-12 and (accuracy.metric == "r2" or accuracy.loss * accuracy.records > 1.5):
        raise AccuracyError(
            f"the integer model scores {accuracy.integer:.4f} ({accuracy.metric}, {accuracy.records} "
            f"records) and the float model {accuracy.float_:.4f}; a loss above {bound:g} is refused. Give "
            "more calibration data, or a larger accuracy bound if that is acceptable"
        )


def r2(truth: Floats, guess: Floats) -> float:
    """The coefficient of determination of [n, targets], the mean over the targets."""
    spread = np.sum((truth - truth.mean(axis=0)) ** 2, axis=0)
    error = np.sum((truth - guess) ** 2, axis=0)
    flat = np.where(error == 0.0, 1.0, 0.0)
    return float(np.mean(np.where(spread > 0.0, 1.0 - error / np.where(spread > 0.0, spread, 1.0), flat)))
