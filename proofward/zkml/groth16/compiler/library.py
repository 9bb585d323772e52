"""The library that trained the model as a third opinion, beside ONNX Runtime's and the integers'."""

from __future__ import annotations

import numpy as np

from proofward.zkml.expected import Answered, Expected, compare
from proofward.zkml.groth16.compiler import float_model
from proofward.zkml.groth16.compiler.compared import compared
from proofward.zkml.groth16.compiler.onnx_frontend import Traced
from proofward.zkml.groth16.compiler.recompile import Lowered
from proofward.zkml.groth16.program import reference
from proofward.zkml.manifest import Compared
from proofward.zkml.report import Bounds


def against_library(
    expected: Expected, model: bytes, traced: Traced, lowered: Lowered, bounds: Bounds
) -> Compared:
    """The library's answers against both models'. Raises UnsupportedModel, AccuracyError, CompileError."""
    taken = expected.taken(lowered.quantiser, bounds)
    x = expected.x[taken]
    theirs = float_model.answers(model, traced, x)
    ours = reference.evaluate(lowered.program, lowered.quantiser.quantize(x)) / lowered.scale
    scores = compared(traced, theirs.scores, ours)
    shown = scores.shift_of == "probability" and np.array_equal(scores.float_, scores.float_shown)
    shares = shown or traced.squash is not None
    answered = Answered(scores, taken, labels=theirs.labels, classes=traced.labels, probabilities=shares)
    return compare(expected, answered, bounds)
