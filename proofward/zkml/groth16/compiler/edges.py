"""Records on the edge between two decisions: where a shift of the scores flips one, and where calibration has
few, for a model is surer of the records it was trained on than of others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from proofward.zkml.groth16.compiler.network import FloatArray

COUNT = 64
_DRAWS, _HALVINGS = 40, 14

Decide = Callable[[FloatArray], NDArray[np.int64] | FloatArray]


def edges(records: FloatArray, fixed: list[int], decide: Decide) -> FloatArray:
    """Up to COUNT records, each between two of `records` [n, features] that are decided otherwise, where one
    decision ends; the features `fixed` keep the value of the first. Empty where there are none.
    """
    decided = np.asarray(decide(records)).reshape(len(records), -1)
    first, second = np.random.default_rng(0).integers(0, len(records), (2, _DRAWS * COUNT))
    start, end = np.array(records[first]), np.array(records[second])
    end[:, fixed] = start[:, fixed]
    other = (decided[first] != np.asarray(decide(end)).reshape(len(end), -1)).any(axis=1)
    chosen = np.flatnonzero(other)[:COUNT]
    start, end, own = start[chosen], end[chosen], decided[first[chosen]]
    if not len(chosen):
        return np.asarray(start)
    low, high = np.zeros((len(start), 1)), np.ones((len(start), 1))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        found = np.asarray(decide(start * (1 - middle) + end * middle)).reshape(len(start), -1)
        same = (found == own).all(axis=1, keepdims=True)
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return np.asarray(start * (1 - high) + end * high)
