"""A made case through the compiler, without keys, and its answers beside ONNX Runtime's."""

from __future__ import annotations

from typing import Any

import numpy as np

from proofward.zkml import CompileOptions, ZkmlError
from proofward.zkml.accuracy import decide
from proofward.zkml.accuracy import require as require_accuracy
from proofward.zkml.compile import choose_lane, compile_request, plainly
from proofward.zkml.ends import single
from proofward.zkml.groth16.compiler import float_model
from proofward.zkml.groth16.compiler.library import against_library
from proofward.zkml.groth16.compiler.measured import Measured, quantised
from proofward.zkml.groth16.program import reference
from proofward.zkml.report import Bounds, require
from tests.cases.generated.case import Case, Made
from tests.cases.generated.oracle import Answer, answer
from tests.cases.result import Result, refusal

#: What a quantised model's numbers may move by: of a probability, or of the answers' standard deviation. The
#: compiler keeps to 0.1 on the publisher's records; these are others.
MOVES, FLIPS, LEAD = 0.15, 0.05, 0.1
EXACTLY, TIE = 1e-4, 1e-5


def run(case: Case) -> Result:
    """Compile as a publisher would, infer the asked records, compare. No exception of a library passes."""
    made = case.make()
    try:
        found = _compiled(made)
    except ZkmlError as error:
        return refusal(case.name, error.message)
    except Exception as error:  # noqa: BLE001 - what gets here is what the runner is looking for
        return Result(case.name, "traceback", f"{type(error).__name__}: {str(error)[:150]}")
    if isinstance(found, str):
        return refusal(case.name, found)
    return _compared(case.name, made, found)


def _compiled(made: Made) -> Measured | str:
    onnx = single(made.onnx, made.output).onnx
    options = CompileOptions(task=made.task)
    lane, why = choose_lane(onnx, options)
    if lane.name != "groth16":
        return f"{why}; the {lane.name} lane takes it"
    request = compile_request(onnx, made.calibration, options=options)
    with plainly(lane):
        found = quantised(request)
    if made.library is not None:
        against_library(
            made.library, onnx, found.traced, found.lowered, Bounds(disagreement=FLIPS, shift=MOVES)
        )
    require_accuracy(found.accuracy, options.bounds.loss)
    require(found.accuracy, options.bounds)
    return found


def _compared(name: str, made: Made, found: Measured) -> Result:
    quantiser, traced = found.lowered.quantiser, found.traced
    taken = quantiser.taken(made.records)
    records = made.records[taken]
    if len(records) < len(made.records) / 4:
        return Result(name, "wrong", f"only {len(records)} of {len(made.records)} records are taken")
    try:
        theirs = answer(made, records)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no common base
        return Result(name, "wrong", f"ONNX Runtime gives no answer here: {str(error)[:100]}")
    logits = reference.evaluate(found.lowered.program, quantiser.quantize(records)) / found.lowered.scale
    decided = decide(traced.decision, logits)
    if traced.decision == "value":
        ours: list[Any] = np.asarray(decided).reshape(len(records), -1).tolist()
    elif traced.decision == "multilabel":
        ours = decided.tolist()
    else:
        ours = [str(traced.labels[int(i)] if traced.labels else int(i)) for i in decided]
    return _verdict(name, made, found, ours, theirs, logits)


def _verdict(
    name: str, made: Made, found: Measured, ours: list[Any], theirs: Answer, logits: np.ndarray
) -> Result:
    if made.reads == "values":
        mine, yours = np.array(ours, dtype=np.float64), np.array(theirs.decisions, dtype=np.float64)
        if mine.shape != yours.shape:
            return Result(name, "wrong", f"shape {mine.shape} for {yours.shape}")
        gap = np.abs(mine - yours).max(initial=0.0)
        reach = (
            EXACTLY * max(1.0, np.abs(yours).max()) if made.exact else MOVES * max(1e-9,
            float(yours.std(axis=0).max()))
        )  # fmt: skip
        return Result(name, "right" if gap <= reach else "wrong", f"off by {gap:.3g} of {reach:.3g} allowed")
    differ = [i for i, (a, b) in enumerate(zip(ours, theirs.decisions, strict=True)) if a != b]
    if (
        made.exact and not made.ties
    ):  # of a tie the exact sums decide, and ONNX Runtime's float32 ones may tip it
        differ = [i for i in differ if _lead(made, theirs, i) > TIE]
    allowed = 0 if made.exact else max(1, int(FLIPS * len(ours)))
    moved = _moved(found, theirs, logits)
    limit = EXACTLY if made.exact else MOVES
    sure = [i for i in differ if _lead(made, theirs, i) > LEAD]
    if len(differ) > allowed or moved > limit or sure:
        first = f", record {differ[0]}: {ours[differ[0]]} for {theirs.decisions[differ[0]]}" if differ else ""
        return Result(
            name, "wrong", f"{len(differ)} of {len(ours)} differ{first}; numbers move by {moved:.3g}"
        )
    return Result(name, "right", f"{len(ours)} records, {len(differ)} differ, numbers move by {moved:.3g}")


def _moved(found: Measured, theirs: Answer, logits: np.ndarray) -> float:
    """How far the numbers lie apart, as the model gives them; 0 where it gives labels alone."""
    numbers, traced = theirs.numbers, found.traced
    if numbers is None or not len(numbers):
        return 0.0
    ours = float_model.squashed(traced, logits)
    if traced.squash == "sigmoid" and traced.decision in ("sigmoid", "multilabel"):
        ours = ours + 0.5
    if numbers.shape[1] == 2 * ours.shape[1]:  # all 1 - p, then all p
        numbers = numbers[:, ours.shape[1] :]
    if numbers.shape != ours.shape:
        return 0.0 if traced.decision == "argmax" else float("inf")
    spread = 1.0 if traced.squash else max(1.0, float(np.abs(numbers).max()))
    return float(np.abs(numbers - ours).max(initial=0.0)) / spread


def _lead(made: Made, theirs: Answer, record: int) -> float:
    """How far ONNX Runtime's decision is from the other one, in its own numbers; 0 where it gives labels
    alone.
    """
    if theirs.numbers is None:
        return 0.0
    row = theirs.numbers[record]
    if made.reads in ("half", "halves", "zero", "zeros"):
        return float(np.abs(row - (0.5 if made.reads.startswith("half") else 0.0)).min())
    row = np.sort(row)
    return float(row[-1] - row[-2]) if len(row) > 1 else 0.0
