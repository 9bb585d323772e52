"""Both models' answers side by side, in the space where a shift means something to a reader."""

from __future__ import annotations

import numpy as np

from proofward.zkml.groth16.compiler import float_model
from proofward.zkml.groth16.compiler.network import FloatArray
from proofward.zkml.groth16.compiler.onnx_frontend import Traced
from proofward.zkml.report import Scores, probabilities


def compared(traced: Traced, theirs: FloatArray, logits: FloatArray) -> Scores:
    """ONNX Runtime's scores `[n, length]` beside our logits."""
    decision = traced.decision
    ours = float_model.squashed(traced, logits)
    if traced.squash is not None:
        lift = 0.5 if traced.squash == "sigmoid" and decision in ("sigmoid", "multilabel") else 0.0
        shown = (
            (np.exp(theirs), np.exp(ours)) if traced.squash == "logsoftmax" else (theirs + lift, ours + lift)
        )
        return Scores(decision, theirs, logits, shown[0], shown[1], "probability")
    if decision == "value":
        return Scores(decision, theirs, logits, theirs, logits, "spread")
    if traced.ensemble is not None:
        shares = bool(((theirs >= -1e-6) & (theirs <= 1 + 1e-6)).all())
        return Scores(decision, theirs, logits, theirs, ours, "probability" if shares else "score")
    if (
        decision == "argmax"
        and bool((theirs >= -1e-6).all())
        and np.allclose(theirs.sum(axis=1), 1.0, atol=1e-4)
    ):
        return Scores(decision, theirs, logits, theirs, ours, "probability")
    return Scores(
        decision,
        theirs,
        logits,
        probabilities(decision, theirs),
        probabilities(decision, logits),
        "probability",
    )
