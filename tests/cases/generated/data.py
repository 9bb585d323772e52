"""Records that mean nothing: signs, counts and measurements, with a truth that a small model can learn."""

from __future__ import annotations

import numpy as np

FEATURES = 4


def table(n: int = 160, features: int = FEATURES, seed: int = 0) -> np.ndarray:
    """Float64 `[n, features]`: an age, a count, a ratio, the rest measurements; all are float32 numbers."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, features))
    x[:, 0] = rng.integers(20, 90, n)
    if features > 1:
        x[:, 1] = rng.poisson(3.0, n)
    return x.astype(np.float32).astype(np.float64)


def scaled(x: np.ndarray) -> np.ndarray:
    """The same with comparable columns, for models that do not scale by themselves."""
    return ((x - [55.0, 3.0, *[0.0] * (x.shape[1] - 2)]) / [20.0, 1.7, *[1.0] * (x.shape[1] - 2)]).astype(
        np.float32
    ).astype(np.float64)  # fmt: skip


def score(x: np.ndarray) -> np.ndarray:
    """What the truth depends on, `[n]`."""
    return np.asarray((x[:, 0] - 55.0) / 20.0 - 0.4 * (x[:, 1] - 3.0) + np.where(x[:, 2] > 0, x[:, 3], -0.5))


def binary(x: np.ndarray) -> np.ndarray:
    """0 or 1."""
    return np.asarray((score(x) > 0).astype(np.int64))


def classes(x: np.ndarray) -> np.ndarray:
    """0, 1 or 2."""
    return np.asarray(np.digitize(score(x), [-0.7, 0.6]).astype(np.int64))


def targets(x: np.ndarray) -> np.ndarray:
    """Two targets."""
    return np.stack([score(x), x[:, 2] - 0.5 * x[:, 1]], axis=1)


def labels(x: np.ndarray) -> np.ndarray:
    """Two labels that may hold together."""
    return (targets(x) > 0).astype(np.int64)


def with_gaps(x: np.ndarray, every: int = 7) -> np.ndarray:
    """The same with missing values."""
    gappy = x.copy()
    for column in range(x.shape[1]):
        gappy[column :: every + column, column] = np.nan
    return gappy


def probing(x: np.ndarray, seed: int = 9) -> np.ndarray:
    """Records for trees, which take any number: ordinary ones, integers, far ones and both zeros."""
    rng = np.random.default_rng(seed)
    far = x[:20] * rng.choice([-1e30, -1e3, -1e-30, -0.0, 0.0, 1e-40, 1e3, 1e30], (20, x.shape[1]))
    return np.concatenate([x, np.rint(x[:20]), far]).astype(np.float32).astype(np.float64)
