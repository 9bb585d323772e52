"""A site's update: each record's part clipped and rounded, their sum committed to and proved to be short."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import proofward_prover
from numpy.typing import NDArray
from proofward_prover import ProverError

from proofward_federation.errors import FederationError
from proofward_federation.study import Study

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
COUNT_SHARE: Final = 0.25
"""Of the clip's length, what a record's being there may take: the sum's last parameter counts records."""


@dataclass(frozen=True, slots=True, repr=False)
class Update:
    """`values` in units; `records` is how many they are of; `blinding` opens `commitment` with them."""

    values: tuple[int, ...] = field(repr=False)
    records: int
    blinding: bytes = field(repr=False)
    commitment: bytes

    @classmethod
    def of(cls, values: Sequence[int], records: int) -> Update:
        """Commit under a fresh blinding."""
        blinding = proofward_prover.blinding_new()
        return cls(tuple(values), records, blinding, proofward_prover.vector_commit(values, blinding))


def clip(parts: Floats, study: Study) -> Integers:
    """Rows of at most `study.clip` units' length, rounded towards zero, so that no row grows.

    `parts`: (records, dimension), one row a record, in ones. Raises FederationError for what is no number.
    """
    if parts.ndim != 2 or parts.shape[1] != study.dimension or not np.isfinite(parts).all():
        raise FederationError("a record's part is not a row of finite numbers", code="bad-update")
    lengths = np.linalg.norm(parts, axis=1, keepdims=True)
    most = study.clip / study.units
    shrunk = parts * np.minimum(1.0, most / np.maximum(lengths, most * 1e-12))
    rows: Integers = np.trunc(shrunk * study.units).astype(np.int64)
    # the product of floats may exceed the bound by an ulp: then the row loses a unit where it is longest
    for row in rows:
        while int(np.dot(row.astype(object), row.astype(object))) > study.clip**2:
            place = int(np.argmax(np.abs(row)))
            row[place] -= np.sign(row[place])
    return rows


def count_parts(features: Floats, names: Sequence[str]) -> Floats:
    """Each record's part of a study of counts: 1 in its own cell, 0 in all others.

    `features`: (records, cells); `names`: the records', for the refusal. Raises FederationError(bad-records)
    for anything else: clipping would make nothing of it.
    """
    cases = np.isin(features, (0.0, 1.0)).all(axis=1) & (features.sum(axis=1) == 1)
    if not cases.all():
        raise FederationError(
            f"record {names[int(np.argmin(cases))]} is not 1 in one cell and 0 in the others",
            code="bad-records",
        )
    return features


def logistic_parts(features: Floats, target: Floats, weights: Floats, study: Study) -> Floats:
    """Each record's gradient of the logistic loss, clipped beside its count.

    `features`: (records, columns); `target`: 0 or 1; `weights`: columns, then the intercept.
    Gives (records, columns + 2): gradient, and the count's share.
    """
    most = study.clip / study.units
    count = COUNT_SHARE * most
    room = math.sqrt(most**2 - count**2)
    inputs = with_intercept(standard(features, study))
    errors = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30))) - target
    gradients = errors[:, None] * inputs
    lengths = np.maximum(np.linalg.norm(gradients, axis=1, keepdims=True), 1e-12)
    gradients *= np.minimum(1.0, room / lengths)
    rows: Floats = np.hstack([gradients, np.full((len(features), 1), count)])
    return rows


def standard(features: Floats, study: Study) -> Floats:
    """Features less their centre, over their scale, within four scales of it. Raises FederationError."""
    if features.ndim != 2 or features.shape[1] != len(study.columns) or not np.isfinite(features).all():
        raise FederationError("a record is a row of finite numbers, one a column", code="bad-records")
    centres, scales = (np.asarray(values, np.float64) / 1000 for values in (study.centres, study.scales))
    scaled: Floats = np.clip((features - centres) / scales, -4, 4)
    return scaled


def with_intercept(inputs: Floats) -> Floats:
    """A last column of ones."""
    wider: Floats = np.hstack([inputs, np.ones((len(inputs), 1))])
    return wider


def logistic_step(weights: Floats, values: Sequence[int], study: Study) -> Floats:
    """The weights after one sum: a step against the mean gradient, by `study.rate` thousandths."""
    total = np.asarray(values, np.float64) / study.units
    records = max(1.0, total[-1] / (COUNT_SHARE * study.clip / study.units))
    after: Floats = weights - study.rate / 1000 * total[:-1] / records
    return after


def counts(study: Study, values: Sequence[int], records: int) -> bool:
    """Whether an update counts so many records, which is what the published sum counts under its noise.

    Clipping rounds towards zero: a record's share may lack one unit, and another for a float's last bit.
    """
    if study.kind == "logistic":
        share = int(COUNT_SHARE * study.clip)
        return (share - 2) * records <= values[-1] <= share * records
    return all(value >= 0 for value in values) and sum(values) <= study.units * records


def bound(study: Study, records: int) -> int:
    """The most that a sum of so many records' parts can have as squared length, in squared units."""
    return (study.clip * records) ** 2


def prove_short(update: Update, study: Study, most: int, context: bytes) -> bytes:
    """A proof that the update is as short as that of `most` records, which shows nothing else of it.

    Raises FederationError(over-bound) when it is not.
    """
    rest = bound(study, most) - sum(value * value for value in update.values)
    if rest < 0:
        raise FederationError(
            f"the update is longer than that of {most} records can be: nothing is sent", code="over-bound"
        )
    return proofward_prover.vector_norm_prove(
        update.values, update.blinding, bound(study, most), four_squares(rest), context
    )


def is_short(commitment: bytes, study: Study, most: int, context: bytes, proof: bytes) -> bool:
    """Whether the proof holds; bytes that are none do not."""
    try:
        return proofward_prover.vector_norm_verify(
            commitment, study.dimension, bound(study, most), context, proof
        )
    except ProverError:
        return False


def four_squares(number: int) -> tuple[int, int, int, int]:
    """Four integers whose squares sum to `number` (0 or more). Rabin and Shallit 1986, by chance."""
    if number < 1 << 16:
        return _small_squares(number)
    shift = 0
    while number % 4 == 0:
        number, shift = number // 4, shift + 1
    while True:
        a, b = (secrets.randbelow(math.isqrt(number) + 1) for _ in range(2))
        rest = number - a * a - b * b
        if rest < 0:
            continue
        found = _two_squares(rest)
        if found is not None:
            return (a << shift, b << shift, found[0] << shift, found[1] << shift)


def _small_squares(number: int) -> tuple[int, int, int, int]:
    for a in range(math.isqrt(number), -1, -1):
        for b in range(math.isqrt(number - a * a), -1, -1):
            found = _two_by_search(number - a * a - b * b)
            if found is not None:
                return (a, b, *found)
    raise AssertionError("Lagrange")


def _two_by_search(number: int) -> tuple[int, int] | None:
    for c in range(math.isqrt(number), -1, -1):
        d = math.isqrt(number - c * c)
        if c * c + d * d == number:
            return (c, d)
        if d > c:
            return None
    return None


def _two_squares(number: int) -> tuple[int, int] | None:
    """For a number that seems to be a prime of the form 4k + 1; a composite one that passes gives None."""
    if number < 1 << 12:
        return _two_by_search(number)
    if number % 4 != 1 or any(pow(base, number - 1, number) != 1 for base in (2, 3, 5)):
        return None
    for base in range(2, 200):
        root = pow(base, (number - 1) // 4, number)
        if root * root % number == number - 1:
            break
    else:
        return None
    a, b, most = number, root, math.isqrt(number)
    while b > most:
        a, b = b, a % b
    c = math.isqrt(number - b * b)
    return (b, c) if b * b + c * c == number else None
