"""The report on a quantised model: what a clinician reads before trusting its integers, and its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from proofward.zkml.accuracy import decide, measure, r2
from proofward.zkml.errors import AccuracyError, CompileError
from proofward.zkml.manifest import Accuracy, Compared, Decision, Report

Floats = NDArray[np.float64]

MAX_DISAGREEMENT = 0.01
MAX_SHIFT = 0.1
MAX_REFUSED = 0.1
MIN_CALIBRATION, FEW_RECORDS = 20, 50
_Z = 1.959964  # 95 %
_RESAMPLES = 400
_WINDOW = 16
MAX_EACH = 64
_ORDERED, _GAIN = 20, 0.05  # records, and the gain of another order, below which it may be chance
_SHOWN = 5


def require_records(count: int) -> None:
    """Raise CompileError where so few calibration records are no base for the features' ranges."""
    if count < MIN_CALIBRATION:
        raise CompileError(
            f"{count} calibration records are too few to learn the features' ranges from; "
            f"give {MIN_CALIBRATION} at least, better some hundred"
        )


@dataclass(frozen=True)
class Bounds:
    """What a publisher accepts of the integers against the float model.

    Args:
        loss: of accuracy or r2. disagreement: share of decisions that differ. shift: the largest of any score
            (see :class:`~proofward.zkml.manifest.Report`). refused: share of records outside the range.
    """

    loss: float = 0.005
    disagreement: float = MAX_DISAGREEMENT
    shift: float = MAX_SHIFT
    refused: float = MAX_REFUSED


@dataclass(frozen=True)
class Scores:
    """Both models' answers to the same records.

    Args:
        decision: how the scores are read. float_, integer: [n, length], each read by `decide`.
        float_shown, integer_shown: the same where a shift is measured: probabilities, or scores.
        shift_of: what the shown numbers are.
    """

    decision: Decision
    float_: Floats
    integer: Floats
    float_shown: Floats
    integer_shown: Floats
    shift_of: Literal["probability", "score", "spread"]

    @property
    def shifts(self) -> Floats:
        """|integer - float| of each score, [n, length], in the unit of `shift_of`."""
        gap = np.abs(self.integer_shown - self.float_shown)
        if self.shift_of == "probability" or not len(gap):
            return gap
        spread = self.float_shown.std(axis=0) if self.shift_of == "spread" else self.float_shown.std()
        return np.asarray(gap / np.where(spread > 0, spread, 1.0))

    @property
    def flips(self) -> NDArray[np.bool_]:
        """Which decisions differ: [n], or [n, labels]."""
        if self.decision == "value":
            return np.zeros(len(self.float_), dtype=bool)
        return np.asarray(decide(self.decision, self.float_) != decide(self.decision, self.integer))

    @property
    def flip_rate(self) -> float:
        """The share of flips to expect on other records: every shift of a decision's lead seen here, held
        against the leads next to its own. A count of flips alone flatters whoever chose among many for
        having none.
        """
        if self.decision == "value" or not len(self.float_):
            return 0.0
        theirs, ours = self._leads(self.float_shown), self._leads(self.integer_shown)
        lead, shift = np.abs(theirs).reshape(-1), np.abs(ours - theirs).reshape(-1)
        order = np.argsort(lead, kind="stable")
        lead, shift = lead[order], shift[order]
        # Shifts of records with a like lead: they are larger where the scores are.
        offsets = range(-min(_WINDOW, len(lead) - 1), min(_WINDOW, len(lead) - 1) + 1)
        at = np.arange(len(lead))
        larger = [shift[np.clip(at + offset, 0, len(lead) - 1)] > lead for offset in offsets]
        return float(np.mean(larger)) / 2

    def _leads(self, shown: Floats) -> Floats:
        """How far each decision is from the other one: log odds of probabilities, else a difference of
        scores.
        """
        if self.shift_of == "probability":
            inside = np.clip(shown, 1e-9, 1 - 1e-9)
            shown = (
                np.log(inside / (1 - inside))
                if self.decision in ("sigmoid", "multilabel")
                else np.log(inside)
            )
        if self.decision in ("sigmoid", "multilabel"):
            return shown
        order = np.argsort(self.float_shown, axis=1, kind="stable")[:, -2:]
        pair = np.take_along_axis(shown, order, axis=1)
        return np.asarray(pair[:, 1] - pair[:, 0])


def probabilities(decision: Decision, scores: Floats) -> Floats:
    """Logits to probabilities, [n, length]."""
    if decision in ("sigmoid", "multilabel"):
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(scores, -700, 700))))
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def report(
    scores: Scores, truth: NDArray[np.float64] | NDArray[np.int64] | None, *, given: int, held_out: bool
) -> Accuracy:
    """Accuracy with its whole report, on the records that the range took; `given` counts the refused too.

    Raises CompileError where the truth's columns fit the outputs in another order only.
    """
    accuracy = measure(scores.decision, scores.float_, scores.integer, truth)
    each = None if truth is None else _each(scores, np.asarray(truth, dtype=np.float64))
    n, binary = accuracy.records, scores.decision in ("sigmoid", "multilabel") or scores.float_.shape[1] == 2
    flips = scores.flips
    shifts = scores.shifts
    kinds: dict[str, int | float] = {}
    if scores.decision != "value":
        kinds = {"agreement": 1.0 - float(flips.mean()), "flips": int(flips.sum())}
        if binary:
            theirs = np.asarray(decide(scores.decision, scores.float_))
            kinds["false_negatives"] = int((flips & (theirs == 1)).sum())
            kinds["false_positives"] = int((flips & (theirs == 0)).sum())
    made = Report(
        given=given,
        refused=given - n,
        held_out=held_out,
        float_interval=_interval(accuracy, accuracy.float_, scores.float_, truth),
        integer_interval=_interval(accuracy, accuracy.integer, scores.integer, truth),
        largest_shift=float(shifts.max(initial=0.0)),
        mean_shift=float(shifts.mean()),
        shift_of=scores.shift_of,
        each=None if each is None else each[:MAX_EACH],
        warnings=_warnings(accuracy, truth, held_out) + _warnings_of_each(scores, each, truth),
        **kinds,  # type: ignore[arg-type]
    )
    return accuracy.model_copy(update={"report": made})


def require(accuracy: Accuracy, bounds: Bounds) -> None:
    """Raise AccuracyError where disagreement, shift or the share of refused records pass their bounds. Of a
    small set one decision may flip: less cannot be asked there.
    """
    made = accuracy.report
    if made is None:
        return
    if made.refused > bounds.refused * made.given:
        raise AccuracyError(
            f"{made.refused} of {made.given} records of the report lie outside the calibrated range; "
            "calibrate on records like those"
        )
    decided = (
        accuracy.records if made.flips is None else round(made.flips / max(1e-12, 1 - (made.agreement or 0)))
    )
    if made.flips is not None and made.flips > max(1.0, bounds.disagreement * decided):
        raise AccuracyError(
            f"{made.flips} of {accuracy.records} records are decided otherwise than by the float model; a "
            f"disagreement above {bounds.disagreement:g} is refused. Give more calibration data, or a larger "
            "--max-disagreement if that is acceptable"
        )
    if made.largest_shift > bounds.shift + 1e-12:
        raise AccuracyError(
            f"a {_SHIFTED[made.shift_of]} moves by {made.largest_shift:.3g} against the float model; a "
            "shift above "
            f"{bounds.shift:g} is refused. Give more calibration data, or a larger --max-shift if that "
            "is acceptable"
        )


_SHIFTED = {
    "probability": "probability",
    "score": "score (in standard deviations of the scores)",
    "spread": "value (in standard deviations of the answers)",
}


def check_truth(
    decision: Decision,
    length: int,
    labels: tuple[int | str, ...] | None,
    truth: NDArray[np.float64] | NDArray[np.int64],
) -> None:
    """Raise CompileError where the truth is none of the model's classes."""
    if decision == "value":
        return
    classes = 2 if decision in ("sigmoid", "multilabel") else length
    table = np.asarray(truth, dtype=np.float64)
    if not np.isin(table, np.arange(classes)).all():
        named = ", ".join(map(str, labels)) if labels else f"0 to {classes - 1}"
        raise CompileError(
            f"the truth of a held-out record is none of the model's classes ({named}); is the last "
            "column the truth?"
        )


def lines(accuracy: Accuracy, names: Sequence[str] | None = None) -> list[str]:
    """The report for a screen; `names` are the outputs'."""
    made = accuracy.report
    name = accuracy.metric
    if made is None:
        return [
            f"accuracy {name}: float {accuracy.float_:.4f}, integers {accuracy.integer:.4f} on "
            f"{accuracy.records} records"
        ]
    given = "held-out records" if made.held_out else "records kept back from calibration, without truth"
    shown = [
        f"records  {made.given} {given}, {made.refused} refused (outside the calibrated range)",
        f"{name:8} float {accuracy.float_:.4f} [{made.float_interval[0]:.4f}, "
        f"{made.float_interval[1]:.4f}], "
        f"integers {accuracy.integer:.4f} [{made.integer_interval[0]:.4f}, {made.integer_interval[1]:.4f}] "
        "(95 % intervals)",
    ]
    shown += [
        f"  {names[at] if names else f'output {at + 1}'}: float {one:.4f}, integers {other:.4f}"
        for at, (one, other) in enumerate(made.each or [])
    ]
    if made.searched is not None:
        by = "the same" if made.chosen is None else f"{made.chosen} others"
        told = (
            f"split    integers searched with {made.searched} records, chosen by {by}, reported on the rest"
        )
        shown.insert(0, told)
    if made.agreement is not None:
        kinds = (
            f", {made.false_negatives} false negatives and {made.false_positives} false positives"
            if made.false_negatives is not None
            else ""
        )
        shown.append(
            f"against the float model: agreement {made.agreement:.4f}, {made.flips} decisions flipped{kinds}"
        )
    shown.append(
        f"shift    largest {made.largest_shift:.4g}, mean {made.mean_shift:.4g} of a "
        f"{_SHIFTED[made.shift_of]}"
    )
    return shown + [f"warning  {line}" for line in made.warnings]


def compared_line(compared: Compared | None) -> str:
    """Whether the training library's own predictions were compared, for a screen."""
    if compared is None:
        return "library  not compared: give the training library's own predictions by --expected"
    methods = ", ".join(compared.methods)
    return (
        f"library  {compared.records} records ({compared.refused} out of range) of its {methods} compared: "
        f"ONNX Runtime's are the same, the circuit decides {compared.flips} otherwise and moves a number by "
        f"{compared.largest_shift:.4g}; SHA-256 {compared.digest}"
    )


def _warnings(
    accuracy: Accuracy, truth: NDArray[np.float64] | NDArray[np.int64] | None, held_out: bool
) -> list[str]:
    found = []
    if not held_out:
        found.append("no held-out records with the truth were given: accuracy is not known, only agreement")
    if accuracy.records < FEW_RECORDS:
        found.append(f"the report rests on {accuracy.records} records; its figures mean little")
    if accuracy.metric == "r2" and truth is not None and accuracy.float_ < 0:
        found.append(
            f"the float model's r2 is {accuracy.float_:.3f}, worse than its mean: are truth and columns "
            "the right ones?"
        )
    if accuracy.metric == "accuracy" and truth is not None and np.asarray(truth).ndim == 1:
        _, counts = np.unique(np.asarray(truth), return_counts=True)
        majority = float(counts.max()) / len(truth)
        if accuracy.float_ < majority:
            found.append(
                f"the float model's accuracy {accuracy.float_:.3f} is below the largest class's share "
                f"{majority:.3f}: "
                "are truth and columns the right ones?"
            )
    return found


def _each(scores: Scores, truth: Floats) -> list[tuple[float, float]] | None:
    """(float, integers) of each target's r2 or each label's accuracy; None for one output, and for classes.

    Raises CompileError where another order of the truth's columns fits clearly better.
    """
    length = scores.float_.shape[1]
    if scores.decision not in ("value", "multilabel") or length < 2:
        return None
    target = truth.reshape(len(truth), -1)
    if length <= MAX_EACH:
        _check_order(_fits(scores.decision, scores.float_, target), len(target))
    floats, integers = (
        [_fits(scores.decision, one[:, [i]], target[:, [i]])[0, 0] for i in range(length)]
        for one in (scores.float_, scores.integer)
    )
    return [(float(a), float(b)) for a, b in zip(floats, integers, strict=True)]


def _fits(decision: Decision, scores: Floats, target: Floats) -> Floats:
    """How well each output (row) fits each column of the truth: r2, or the share of labels that are right."""
    if decision == "value":
        columns = range(target.shape[1])
        return np.array(
            [[r2(target[:, [j]], scores[:, [i]]) for j in columns] for i in range(scores.shape[1])]
        )
    ours = np.asarray(decide(decision, scores), dtype=np.float64)
    return np.asarray((ours.T @ target + (1 - ours).T @ (1 - target)) / len(target))


def _check_order(fits: Floats, records: int) -> None:
    """Another order that fits better by more than chance would have it is the right one."""
    from scipy.optimize import linear_sum_assignment

    bounded = np.clip(fits, -1.0, 1.0)
    rows, columns = linear_sum_assignment(bounded, maximize=True)
    gain = float(bounded[rows, columns].mean() - bounded.diagonal().mean())
    if records >= _ORDERED and gain > max(_GAIN, 1 / np.sqrt(records)):
        order = ", ".join(str(column + 1) for column in columns)
        raise CompileError(
            "the truth's columns seem to be in another order than the model's outputs: these fit its columns "
            f"{order} better, by {gain:.2f} on average; give the truth in the outputs' order"
        )


def _warnings_of_each(
    scores: Scores,
    each: list[tuple[float, float]] | None,
    truth: NDArray[np.float64] | NDArray[np.int64] | None,
) -> list[str]:
    """Targets worse than their mean and labels below their own majority, which a mean over all hides."""
    if each is None or truth is None:
        return []
    floats = np.array([one for one, _ in each])
    if scores.decision == "value":
        least, what = np.zeros(len(floats)), "targets whose r2 is worse than their mean"
    else:
        share = np.asarray(truth, dtype=np.float64).reshape(len(truth), -1).mean(axis=0)
        least, what = np.maximum(share, 1 - share), "labels less often right than their more frequent value"
    odd = np.flatnonzero(floats < least - 1e-12)
    if not len(odd):
        return []
    shown = ", ".join(f"{i + 1} ({floats[i]:.3f})" for i in odd[:_SHOWN])
    more = f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
    return [f"{what}, of the float model: {shown}{more}: are truth and columns the right ones?"]


def _interval(
    accuracy: Accuracy, value: float, scores: Floats, truth: NDArray[np.float64] | NDArray[np.int64] | None
) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927); of r2 the percentiles of a bootstrap over records."""
    n = accuracy.records
    if accuracy.metric != "r2":
        centre = (value + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * float(np.sqrt(value * (1 - value) / n + _Z**2 / (4 * n**2)))
        return max(0.0, centre - half), min(1.0, centre + half)
    if truth is None:
        return value, value
    target = np.asarray(truth, dtype=np.float64).reshape(n, -1)
    draws = np.random.default_rng(0).integers(0, n, (_RESAMPLES, n))
    found = sorted(r2(target[draw], scores[draw]) for draw in draws)
    return found[int(0.025 * _RESAMPLES)], found[int(0.975 * _RESAMPLES) - 1]
