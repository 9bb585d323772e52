"""Floats to the integers that a circuit takes, and back. Exact, total and refusing: never clamps.

Two kinds. *Affine*: q = rint((x - offset) * scale) per feature, half to even, in float64; low <= q <= high.
*Thresholds*: q = number of thresholds strictly below float32(x), so that x <= t[j] exactly when q <= j; this
is how tree ensembles see their input (ONNX `BRANCH_LEQ` compares in the input's precision, float32 but for
models whose input is float64), hence no accuracy is lost.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from proofward.zkml.errors import InputRangeError

MAX_FEATURES = 16_384
INTEGER_BOUND = 2**40
HALF_STEP = 0.5 + 1e-9
FLAG_SLACK = 1e-3  # what float32 records lose of a flag's two values

Floats = NDArray[np.float64]
Ranked = tuple[Annotated[int, Field(ge=0, lt=MAX_FEATURES)], Annotated[int, Field(ge=0, le=1 << 13)]]
Filled = tuple[Annotated[int, Field(ge=0, lt=MAX_FEATURES)], float]
Integers = NDArray[np.int64]


class Strict(BaseModel):
    """JSON of exactly these fields, without NaN and infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class AffineQuantiser(Strict):
    """Per-feature affine map. `scale` is steps per unit (> 0); `low` and `high` are inclusive integer
    bounds. `flags` are the features that take the values of their steps alone, nothing in between;
    `imputed` has (feature, value) pairs: the value that the model itself puts in a missing one's place.
    `integers`: the model's own input takes whole numbers alone.
    """

    kind: Literal["affine"] = "affine"
    scale: list[float] = Field(min_length=1, max_length=MAX_FEATURES)
    offset: list[float]
    low: list[int]
    high: list[int]
    flags: list[int] = Field(default_factory=list, max_length=MAX_FEATURES)
    imputed: list[Filled] = Field(default_factory=list, max_length=MAX_FEATURES)
    integers: Literal[True] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> AffineQuantiser:
        n = len(self.scale)
        if not (len(self.offset) == len(self.low) == len(self.high) == n):
            raise ValueError("scale, offset, low and high must have one entry per feature")
        if any(s <= 0 for s in self.scale):
            raise ValueError("scale must be positive")
        if any(
            not -INTEGER_BOUND <= lo <= hi <= INTEGER_BOUND
            for lo, hi in zip(self.low, self.high, strict=True)
        ):
            raise ValueError("low <= high must hold within +-2^40")
        if sorted(set(self.flags)) != self.flags or any(not 0 <= i < n for i in self.flags):
            raise ValueError("flags must be increasing numbers of features")
        return self

    @property
    def features(self) -> int:
        """Features of a record."""
        return len(self.scale)

    def bounds(self) -> tuple[Integers, Integers]:
        """Inclusive integer bounds, each of shape [features]."""
        return np.array(self.low, dtype=np.int64), np.array(self.high, dtype=np.int64)

    def quantize(self, x: Floats) -> Integers:
        """[n, features] floats to int64 of the same shape. Raises InputRangeError."""
        x = _rows(filled(x, self.imputed), self.features)
        _refuse_fractions(x, self.integers)
        with np.errstate(over="ignore"):
            exact = (x - np.array(self.offset)) * np.array(self.scale)
            steps = np.rint(exact)
        low, high = self.bounds()
        outside = (steps < low) | (steps > high)
        if outside.any():
            row, feature = (int(i) for i in np.argwhere(outside)[0])
            least = self.low[feature] / self.scale[feature] + self.offset[feature]
            most = self.high[feature] / self.scale[feature] + self.offset[feature]
            raise InputRangeError(
                f"record {row}, feature {feature} is outside the model's range [{least:g}, {most:g}]; "
                "check the units, or use a model calibrated for such records"
            )
        moved = np.abs(exact - steps) > self._tolerance()
        if moved.any():
            row, feature = (int(i) for i in np.argwhere(moved)[0])
            raise InputRangeError(
                f"record {row}, feature {feature} takes {self.allowed(feature)} alone, as in calibration; "
                "check the coding, or use a model calibrated for such records"
            )
        return np.asarray(steps, dtype=np.int64)

    def taken(self, x: Floats) -> NDArray[np.bool_]:
        """Which of the records [n, features] quantize() takes."""
        x = filled(x, self.imputed)
        with np.errstate(over="ignore", invalid="ignore"):
            exact = (x - np.array(self.offset)) * np.array(self.scale)
            steps = np.rint(exact)
            low, high = self.bounds()
            fits = (steps >= low) & (steps <= high) & (np.abs(exact - steps) <= self._tolerance())
            fits &= _whole(x, self.integers)
        return np.asarray(fits.all(axis=1))

    def allowed(self, feature: int) -> str:
        """The values that a flag takes, for a message."""
        values = range(self.low[feature], self.high[feature] + 1)
        return " or ".join(f"{q / self.scale[feature] + self.offset[feature]:g}" for q in values)

    def _tolerance(self) -> Floats:
        """How far from its step a value may lie, in steps: half a step, and a flag not at all."""
        limit = np.full(self.features, HALF_STEP)
        limit[self.flags] = FLAG_SLACK
        return limit

    def restore(self, q: Integers) -> Floats:
        """The centre of each step, as float64: what the integers stand for."""
        return np.asarray(q / np.array(self.scale) + np.array(self.offset), dtype=np.float64)


class ThresholdQuantiser(Strict):
    """Per-feature ranks among strictly increasing thresholds. Any finite float is in range.

    `missing` has (feature, rank) pairs: the rank of a missing value (NaN) where the trees have a direction
    for it; one more than there are thresholds where they send it now this way and now that. `integers`: the
    model's own input takes whole numbers alone. `doubles`: it is float64, and x is not rounded to float32.
    """

    kind: Literal["thresholds"] = "thresholds"
    thresholds: list[list[float]] = Field(min_length=1, max_length=MAX_FEATURES)
    imputed: list[Filled] = Field(default_factory=list, max_length=MAX_FEATURES)
    missing: list[Ranked] | None = Field(default=None, min_length=1, max_length=MAX_FEATURES)
    integers: Literal[True] | None = None
    doubles: Literal[True] | None = None

    @model_validator(mode="after")
    def _increasing(self) -> ThresholdQuantiser:
        if any(a >= b for row in self.thresholds for a, b in pairwise(row)):
            raise ValueError("thresholds must be strictly increasing")
        for feature, rank in self.missing or []:
            if feature >= len(self.thresholds) or rank > len(self.thresholds[feature]) + 1:
                raise ValueError("missing must name features, and ranks that they have")
        if len({feature for feature, _ in self.missing or []}) != len(self.missing or []):
            raise ValueError("missing names a feature twice")
        return self

    @property
    def features(self) -> int:
        """Features of a record."""
        return len(self.thresholds)

    def bounds(self) -> tuple[Integers, Integers]:
        """Inclusive integer bounds, each of shape [features]."""
        high = np.array([len(row) for row in self.thresholds], dtype=np.int64)
        for feature, rank in self.missing or []:
            high[feature] = max(high[feature], rank)
        return np.zeros_like(high), high

    def quantize(self, x: Floats) -> Integers:
        """[n, features] floats to int64 ranks of that shape. Raises InputRangeError on NaN or infinity."""
        table = np.array(filled(x, self.imputed), dtype=np.float64, ndmin=2)
        gaps = self._gaps(table)
        single = _rows(np.where(gaps, 0.0, table), self.features)
        _refuse_fractions(single, self.integers)
        single = _rows(self._rounded(single), self.features)
        ranks = [
            np.searchsorted(np.array(row, dtype=np.float64), single[:, i], side="left")
            for i, row in enumerate(self.thresholds)
        ]
        found = np.stack(ranks, axis=1).astype(np.int64)
        for feature, rank in self.missing or []:
            found[gaps[:, feature], feature] = rank
        return found

    def taken(self, x: Floats) -> NDArray[np.bool_]:
        """Which of the records [n, features] quantize() takes."""
        table = filled(x, self.imputed)
        table = np.where(self._gaps(table), 0.0, table)
        fits = np.isfinite(self._rounded(table)) & _whole(table, self.integers)
        return np.asarray(fits.all(axis=1))

    def _rounded(self, table: Floats) -> Floats:
        """The values in the precision of the model's input."""
        if self.doubles:
            return table
        with np.errstate(over="ignore"):
            return np.asarray(table.astype(np.float32).astype(np.float64))

    def _gaps(self, table: Floats) -> NDArray[np.bool_]:
        """Missing values that have a rank, [n, features]."""
        gaps = np.zeros(table.shape, dtype=bool)
        known = [feature for feature, _ in self.missing or [] if table.ndim == 2 and feature < table.shape[1]]
        gaps[:, known] = np.isnan(table[:, known])
        return gaps


def takes_missing(quantiser: AffineQuantiser | ThresholdQuantiser) -> bool:
    """Whether any feature's value may be missing (NaN)."""
    return bool(quantiser.imputed) or (isinstance(quantiser, ThresholdQuantiser) and bool(quantiser.missing))


Quantiser = Annotated[AffineQuantiser | ThresholdQuantiser, Field(discriminator="kind")]


def check_range(quantiser: AffineQuantiser | ThresholdQuantiser, q: Integers) -> None:
    """Raise InputRangeError unless every integer of q [n, features] lies within the quantiser's bounds."""
    if q.ndim != 2 or q.shape[1] != quantiser.features:
        raise InputRangeError(f"expected integers [records, {quantiser.features}], got {list(q.shape)}")
    low, high = quantiser.bounds()
    outside = (q < low) | (q > high)
    if outside.any():
        row, feature = (int(i) for i in np.argwhere(outside)[0])
        raise InputRangeError(f"record {row}, feature {feature} is outside [{low[feature]}, {high[feature]}]")


def filled(x: Floats, imputed: list[Filled]) -> Floats:
    """Records with each missing value (NaN) of the features named replaced by the model's own."""
    if not imputed:
        return x
    table = np.array(x, dtype=np.float64, ndmin=2)
    for feature, value in imputed:
        if feature < table.shape[1]:
            table[np.isnan(table[:, feature]), feature] = value
    return table


def _whole(x: Floats, integers: bool | None) -> NDArray[np.bool_]:
    """Which values a model of integers takes, [n, features]; float64 holds them up to 2**53."""
    if not integers:
        return np.ones(x.shape, dtype=bool)
    return np.asarray((x == np.rint(x)) & (np.abs(x) <= 2.0**53))


def _refuse_fractions(x: Floats, integers: bool | None) -> None:
    odd = np.argwhere(~_whole(x, integers))
    if len(odd):
        row, feature = (int(i) for i in odd[0])
        raise InputRangeError(
            f"record {row}, feature {feature} is no whole number, and the model's own input takes no other; "
            "check the columns' order, or export the model with a float input"
        )


def _rows(x: Floats, features: int) -> Floats:
    try:
        rows = np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputRangeError("the input is not a table of numbers") from error
    if rows.ndim == 1:
        rows = rows[None, :]
    rows = rows.reshape(rows.shape[0], -1)
    if rows.shape[1] != features:
        raise InputRangeError(f"expected {features} features per record, got {rows.shape[1]}")
    if not np.isfinite(rows).all():
        row, feature = (int(i) for i in np.argwhere(~np.isfinite(rows))[0])
        raise InputRangeError(f"record {row}, feature {feature} is missing or not finite; fill it in first")
    return rows
