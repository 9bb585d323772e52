"""Records that nobody measured, all over what a quantiser takes: what the calibration data does not show."""

from __future__ import annotations

import numpy as np

from proofward.zkml.groth16.compiler.network import FloatArray
from proofward.zkml.quantiser import AffineQuantiser, ThresholdQuantiser

_GAPS = 0.1
_LARGEST = float(np.finfo(np.float32).max)
_BESIDE = 1e-12  # of a threshold: less than a step of float32, more than one of float64


def drawn(
    quantiser: AffineQuantiser | ThresholdQuantiser, count: int, random: np.random.Generator
) -> FloatArray:
    """Float64 `[count, features]` drawn evenly over the range that the quantiser takes; of trees, evenly over
    the ranks.
    """
    if isinstance(quantiser, AffineQuantiser):
        return _over_the_range(quantiser, count, random)
    columns = [_between(np.array(row), count, random) for row in quantiser.thresholds]
    return _taken(quantiser, np.stack(columns, axis=1).astype(np.float32).astype(np.float64), random)


def _between(thresholds: FloatArray, count: int, random: np.random.Generator) -> FloatArray:
    """Numbers between two thresholds, below the first or above the last."""
    if not len(thresholds):
        return random.normal(size=count)
    span = 0.1 * (thresholds[-1] - thresholds[0]) + 1e-3
    ends = np.clip([thresholds[0] - span, *thresholds, thresholds[-1] + span], -_LARGEST, _LARGEST)
    at = random.integers(0, len(thresholds) + 1, count)
    return np.asarray(ends[at] + (ends[at + 1] - ends[at]) * random.random(count))


def beside_thresholds(quantiser: ThresholdQuantiser, count: int, random: np.random.Generator) -> FloatArray:
    """Float64 `[count, features]` on thresholds and next to them, where a comparison in another precision
    than the model's goes wrong.
    """
    columns = []
    for row in quantiser.thresholds:
        at = random.choice(np.array(row or [0.0]), count)
        single = at.astype(np.float32)
        kinds = [
            at, at * (1 + _BESIDE), at * (1 - _BESIDE),
            np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf)),
        ]  # fmt: skip
        columns.append(np.choose(random.integers(0, len(kinds), count), kinds).astype(np.float64))
    table = np.stack(columns, axis=1)
    return _taken(quantiser, np.clip(table, -_LARGEST, _LARGEST), random)


def _over_the_range(quantiser: AffineQuantiser, count: int, random: np.random.Generator) -> FloatArray:
    shape = (count, quantiser.features)
    low, high = (quantiser.restore(bound[None])[0] for bound in quantiser.bounds())
    x = random.uniform(low, high, shape)
    flags = quantiser.flags
    x[:, flags] = np.where(random.random(shape)[:, flags] < 0.5, low[flags], high[flags])
    x = np.clip(np.rint(x), np.ceil(low), np.floor(high)) if quantiser.integers else x
    return _with_gaps(x, [feature for feature, _ in quantiser.imputed], random)


def _taken(quantiser: ThresholdQuantiser, table: FloatArray, random: np.random.Generator) -> FloatArray:
    """Whole numbers and gaps where the quantiser has them."""
    table = np.rint(table) if quantiser.integers else table
    gaps = [*(quantiser.missing or []), *quantiser.imputed]
    return _with_gaps(table, [feature for feature, _ in gaps], random)


def _with_gaps(table: FloatArray, features: list[int], random: np.random.Generator) -> FloatArray:
    gaps = random.random((len(table), len(features))) < _GAPS
    table[:, features] = np.where(gaps, np.nan, table[:, features])
    return table
