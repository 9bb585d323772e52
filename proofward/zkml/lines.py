"""An answer as people read it: one line a record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def answer_lines(names: list[str], decisions: Sequence[object], values: NDArray[np.float64]) -> list[str]:
    """One line a record: its decision, and every output with its name."""
    return [
        f"record {number}: {_decided(decision, names)}  "
        f"({', '.join(f'{name} {value:.6g}' for name, value in zip(names, row, strict=True))})"
        for number, (decision, row) in enumerate(zip(decisions, values.tolist(), strict=True))
    ]


def _decided(decision: object, names: list[str]) -> str:
    """A decision in words; of several, each with its name."""
    if not isinstance(decision, list):
        return f"{decision:.6g}" if isinstance(decision, float) else str(decision)
    shown = (f"{one:.6g}" if isinstance(one, float) else str(one) for one in decision)
    return ", ".join(f"{name} = {one}" for name, one in zip(names, shown, strict=True))
