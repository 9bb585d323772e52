"""Input ranges from calibration data: what a client may send, and the step it is sent in.

Each feature gets a range somewhat wider than what was seen (`MARGIN` of the spread on either side; a
feature that was never negative stays non-negative), cut into 2**bits - 1 steps. A feature that took two
values only is a flag and gets those two. Features of a signal or an image (records of more than one axis)
share one range for each channel.
"""

from __future__ import annotations

import numpy as np

from proofward.zkml.groth16.compiler.network import FloatArray
from proofward.zkml.quantiser import AffineQuantiser

MARGIN = 0.5
MARGIN_SHARED = 0.05


def affine_quantiser(
    calibration: FloatArray,
    input_shape: tuple[int, ...],
    bits: int,
    imputed: tuple[tuple[int, float], ...] = (),
) -> AffineQuantiser:
    """A quantiser of `bits` bits a feature for calibration records float64 `[n, features]`."""
    features = calibration.shape[1]
    shared = len(input_shape) > 1
    groups = np.arange(features) // int(np.prod(input_shape[1:])) if shared else np.arange(features)
    low, high = np.full(groups.max() + 1, np.inf), np.full(groups.max() + 1, -np.inf)
    np.minimum.at(low, groups, calibration.min(axis=0))
    np.maximum.at(high, groups, calibration.max(axis=0))
    flags = _flags(calibration) if not shared else np.zeros(len(low), dtype=bool)
    spread = np.where(high > low, high - low, np.maximum(np.abs(high), 1.0))
    margin = np.where(flags, 0.0, spread * (MARGIN_SHARED if shared else MARGIN))
    bottom = np.where((low >= 0) & ~flags, np.maximum(low - margin, 0.0), low - margin)
    top = np.where((high <= 0) & (low < 0) & ~flags, np.minimum(high + margin, 0.0), high + margin)
    steps = np.where(flags, 1, (1 << bits) - 1)
    scale = steps / (top - bottom)
    return AffineQuantiser(
        scale=scale[groups].tolist(),
        offset=bottom[groups].tolist(),
        low=[0] * features,
        high=steps[groups].tolist(),
        imputed=list(imputed),
        flags=[] if shared else np.flatnonzero(flags).tolist(),
    )


def _flags(calibration: FloatArray) -> np.ndarray:
    """Features with exactly two values."""
    low, high = calibration.min(axis=0), calibration.max(axis=0)
    return np.asarray((high > low) & np.all((calibration == low) | (calibration == high), axis=0))


def accepted(quantiser: AffineQuantiser, x: FloatArray) -> np.ndarray:
    """Which of the records `[n, features]` the quantiser takes."""
    return quantiser.taken(x)
