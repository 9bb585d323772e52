"""From a sentence to integers: what it says of a model's quantised values, and in words what is proved.

Where a threshold lies between two integers, the integer on its true side is taken: what is proved implies the
sentence, never the other way round. The manifest has the scale, the bounds and the names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Literal

import numpy as np

from proofward.statements.errors import StatementError
from proofward.statements.program import Claim, Shape
from proofward.statements.sentence import ClassIs, Sentence, Within
from proofward.zkml.groth16.params import input_bounds, output_bounds
from proofward.zkml.manifest import Manifest
from proofward.zkml.quantiser import AffineQuantiser

Subject = Literal["output", "input"]
Bounds = list[tuple[int, int]]

_PRECISION = 60
_LOGITS = ("sigmoid", "multilabel")
"""Decisions whose scores are logits of one probability each."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A sentence about records of a model: the circuit's shape, the claim, and `words` for what is proved."""

    shape: Shape
    claim: Claim
    words: str


@dataclass(frozen=True, slots=True)
class _Range:
    """One value within `low..high`, integers as the model has them; None is open."""

    index: int
    low: int | None
    high: int | None
    words: str


def bounds_of(manifest: Manifest, subject: Subject) -> Bounds:
    """Inclusive bounds of a record's committed values. Raises StatementError, ArtifactError."""
    if manifest.lane != "groth16":
        raise StatementError(
            f"the model {manifest.name!r} is proved in the {manifest.lane} lane, whose commitments a "
            "statement does not open; compile it for the groth16 lane",
            code="other-lane",
        )
    return output_bounds(manifest) if subject == "output" else input_bounds(manifest)


def meaning(
    sentence: Sentence, manifest: Manifest, subject: Subject, records: int, together: bool
) -> Meaning:
    """What a sentence says of `records` records. Raises StatementError where the model has no such name, no
    record could make it true, or it does not say of how many it is.
    """
    bounds = bounds_of(manifest, subject)
    shape = Shape.of(bounds, records, together)
    base = min(low for low, _ in bounds) if subject == "output" else 0
    least, most, among = _counted(sentence, records)
    if len(bounds) > 1 and most < sum(among):
        # Of several values the prover chooses one, and a worse choice makes a true record count as false.
        raise StatementError(
            f"{sentence.text!r} says of how many records at most it is true, which is proved of records of "
            "one value alone; say of how many the contrary is true (`at least K: class is one of ...`)",
            code="bad-sentence",
        )
    decision = 0
    if isinstance(sentence.predicate, ClassIs):
        ranges, decision = _classes(sentence.predicate, manifest, subject)
    else:
        ranges = [_range(sentence.predicate, manifest, subject)]
    mask = [0] * len(bounds)
    for one in ranges:
        mask[one.index] = 1
    first = ranges[0]
    # On inputs every value is counted from its own bottom: features share no scale.
    offsets = [low - base if subject == "output" else 0 for low, _ in bounds]
    bottom = bounds[first.index][0] - offsets[first.index]
    top = (1 << shape.span) - 1
    low = 0 if first.low is None else max(0, first.low - bottom)
    high = top if first.high is None else min(top, first.high - bottom)
    own = bounds[first.index]
    impossible = (first.low is not None and first.low > own[1]) or (
        first.high is not None and first.high < own[0]
    )
    if impossible or low > high:
        raise StatementError(
            f"no record of this model can make {sentence.text!r} true: the value lies within "
            f"{own[0]} and {own[1]} steps, the sentence asks for {first.words}",
            code="never-true",
        )
    several = len(bounds) > 1
    claim = Claim(
        low, high, least, most, among, decision,
        tuple(mask) if several else (1,), tuple(offsets) if several else (0,),
    )  # fmt: skip
    words = " or ".join(one.words for one in ranges)
    return Meaning(shape, claim, _quantified(words, least, most, among))


def place(manifest: Manifest, subject: Subject, values: Sequence[Sequence[int]]) -> list[list[int]]:
    """A record's integers counted from the bottom of their ranges, as the circuit takes them."""
    lows = [low for low, _ in bounds_of(manifest, subject)]
    return [[int(v) - low for v, low in zip(record, lows, strict=True)] for record in values]


def _counted(sentence: Sentence, records: int) -> tuple[int, int, tuple[int, ...]]:
    if records == 1:
        if sentence.quantified and (sentence.least, sentence.record) not in ((1, None), (None, None), (1, 0)):
            raise StatementError(f"{sentence.text!r} counts records, and there is one", code="bad-sentence")
        return 1, 1, (1,)
    if not sentence.quantified:
        raise StatementError(
            f"there are {records} records: write `any:`, `all:`, `at least K:`, `at most K:`, `exactly K:` "
            "or `record I:` before the sentence",
            code="bad-sentence",
        )
    if sentence.record is not None:
        if sentence.record >= records:
            raise StatementError(
                f"there is no record {sentence.record}: they are 0 to {records - 1}", code="bad-sentence"
            )
        return 1, records, tuple(int(i == sentence.record) for i in range(records))
    least = records if sentence.least is None else sentence.least
    most = records if sentence.most is None else sentence.most
    if least > records or most > records:
        raise StatementError(f"{sentence.text!r} counts more than the {records} records", code="bad-sentence")
    return least, most, (1,) * records


def _quantified(words: str, least: int, most: int, among: tuple[int, ...]) -> str:
    if len(among) == 1:
        return words
    if sum(among) == 1:
        return f"record {among.index(1)}: {words}"
    many = (
        f"at least {least}"
        if most == len(among)
        else f"exactly {least}"
        if least == most
        else (f"{least} to {most}")
    )
    return f"{many} of {len(among)} records: {words}"


def _classes(asked: ClassIs, manifest: Manifest, subject: Subject) -> tuple[list[_Range], int]:
    output = manifest.output
    if subject == "input" or output.decision in ("value", "multilabel"):
        raise StatementError(
            "`class is` is for outputs of a model that decides between classes; compare a value by its name",
            code="bad-sentence",
        )
    count = 2 if output.decision == "sigmoid" else output.length
    labels = output.labels or [str(i) for i in range(count)]
    indices = []
    for label in asked.labels:
        if label not in labels:
            raise StatementError(
                f"the model has no class {label!r}; it has {', '.join(labels[:16])}", code="no-such-name"
            )
        indices.append(labels.index(label))
    if output.decision == "sigmoid":
        if len(set(indices)) > 1:
            raise StatementError("the class is always one of both", code="bad-sentence")
        positive = indices[0] == 1
        words = f"the class is {labels[indices[0]]} (score {'above' if positive else 'at most'} 0)"
        return [_Range(0, 1 if positive else None, None if positive else 0, words)], 0
    return [_Range(i, None, None, f"the class is {labels[i]}") for i in sorted(set(indices))], 1


def _range(asked: Within, manifest: Manifest, subject: Subject) -> _Range:
    return _input_range(asked, manifest) if subject == "input" else _output_range(asked, manifest)


def _output_range(asked: Within, manifest: Manifest) -> _Range:
    output = manifest.output
    names = output.names or [f"output {i}" for i in range(output.length)]
    index = _index(asked.name, names, "output")
    logit = output.decision in _LOGITS and not asked.raw
    if output.decision == "softmax" and not asked.raw:
        raise StatementError(
            f"a probability among several classes is no single score: write logit({asked.name}) for the "
            "score itself, or `class is`",
            code="bad-sentence",
        )
    scale = Decimal(output.scale)
    with localcontext() as context:
        context.prec = _PRECISION
        low = None if asked.low is None else _steps(_score(asked.low, logit), scale, ROUND_CEILING)
        high = None if asked.high is None else _steps(_score(asked.high, logit), scale, ROUND_FLOOR)
        name = asked.name if not asked.raw else f"logit({asked.name})"
        words = _words(name, low, high, lambda q: _told(q, scale, logit))
    return _Range(index, low, high, words)


def _input_range(asked: Within, manifest: Manifest) -> _Range:
    """An affine feature's integer stands for every float that rounds to it: the whole step must lie inside.
    A ranked feature's stands for what lies above one threshold and not above the next.
    """
    if asked.raw:
        raise StatementError("an input has no logit; compare it by its name", code="bad-sentence")
    given = manifest.input
    count = given.quantiser.features
    names = [f.name for f in given.features or []] or [f"feature {i}" for i in range(count)]
    index = _index(asked.name, names, "input")
    quantiser = given.quantiser
    if any(feature == index for feature, _ in quantiser.imputed or []):
        raise StatementError(
            f"{asked.name} may be missing, and the model puts a value of its own there: it is not compared",
            code="bad-sentence",
        )
    if isinstance(quantiser, AffineQuantiser):
        scale, offset = Decimal(quantiser.scale[index]), Decimal(quantiser.offset[index])
        half = Decimal(0) if index in quantiser.flags else Decimal("0.5")
        with localcontext() as context:
            context.prec = _PRECISION
            low = None if asked.low is None else _whole((asked.low - offset) * scale + half, ROUND_CEILING)
            high = None if asked.high is None else _whole((asked.high - offset) * scale - half, ROUND_FLOOR)
            words = _words(asked.name, low, high, lambda q: f"{float(q / scale + offset):.9g} +- half a step")
        return _Range(index, low, high, words)
    thresholds = np.asarray(quantiser.thresholds[index], dtype=np.float64)
    ranks = [rank for feature, rank in quantiser.missing or [] if feature == index]
    if ranks:
        raise StatementError(
            f"{asked.name} may be missing, and a missing value has a rank too: no statement compares it",
            code="bad-sentence",
        )
    low = high = None
    if asked.low is not None:
        # Rank q says x > thresholds[q - 1].
        above = np.flatnonzero(thresholds >= float(asked.low))
        if not len(above):
            raise StatementError(
                f"the model has no threshold at or above {asked.low}: it cannot tell", code="never-true"
            )
        low = int(above[0]) + 1
    if asked.high is not None:
        below = np.flatnonzero(thresholds <= float(asked.high))
        if not len(below):
            raise StatementError(
                f"the model has no threshold at or below {asked.high}: it cannot tell", code="never-true"
            )
        high = int(below[-1])
    parts = [] if low is None else [f"{asked.name} > {thresholds[low - 1]:.9g} (rank {low} or more)"]
    parts += [] if high is None else [f"{asked.name} <= {thresholds[high]:.9g} (rank {high} or less)"]
    return _Range(index, low, high, " and ".join(parts))


def _index(name: str, names: list[str], what: str) -> int:
    if names.count(name) != 1:
        raise StatementError(
            f"the model has no {what} {name!r}; it has {', '.join(names[:16])}", code="no-such-name"
        )
    return names.index(name)


def _score(number: Decimal, logit: bool) -> Decimal:
    if not logit:
        return number
    if not 0 < number < 1:
        raise StatementError(
            f"{number} is no probability between 0 and 1; write logit(NAME) for the score itself",
            code="bad-sentence",
        )
    return (number / (1 - number)).ln()


def _steps(number: Decimal, scale: Decimal, rounding: str) -> int:
    return _whole(number * scale, rounding)


def _whole(number: Decimal, rounding: str) -> int:
    return int(number.to_integral_value(rounding=rounding))


def _told(q: int, scale: Decimal, logit: bool) -> str:
    score = Decimal(q) / scale
    if not logit:
        return f"{float(score):.9g}"
    return f"{float(1 / (1 + (-score).exp())):.9g}"


def _words(name: str, low: int | None, high: int | None, told: object) -> str:
    assert callable(told)
    parts = [] if low is None else [f"{name} >= {told(low)} (integer {low} or more)"]
    parts += [] if high is None else [f"{name} <= {told(high)} (integer {high} or less)"]
    return " and ".join(parts)
