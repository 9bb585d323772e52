"""What a made case is: an ONNX file, the records its publisher has, and how ONNX Runtime's answer is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from proofward.zkml.expected import Expected
from proofward.zkml.manifest import Task

#: How a decision is read where the model gives no label: `half` and `halves` are probabilities, `zero` and
#: `zeros`
#: logits of labels, `argmax` one number a class, `values` a regression, `labels` one label of 0 or 1 each.
Reads = Literal["label", "labels", "half", "halves", "zero", "zeros", "argmax", "values"]


@dataclass(frozen=True)
class Made:
    """One model.

    Args:
        onnx: the file. calibration, records: float64 `[n, features]`; what is asked for is `records`.
        reads: how ONNX Runtime's answer is read. task: what the publisher answers to the compiler's question.
        exact: no quantisation stands between the two answers, hence none of it is forgiven.
        output: the publisher's choice among several outputs.
        ties: of equal scores too the label is ONNX Runtime's.
        library: what the library that was trained says of some records, where its answers are ONNX Runtime's.
    """

    onnx: bytes
    calibration: np.ndarray
    records: np.ndarray
    reads: Reads
    task: Task | None = None
    exact: bool = False
    output: str | None = None
    ties: bool = False
    library: Expected | None = None


@dataclass(frozen=True)
class Case:
    """A named recipe."""

    name: str
    make: Callable[[], Made]


def all_cases() -> list[Case]:
    """Every recipe; names are unique."""
    from tests.cases.generated import boosted, graphs, precision, scikit

    cases = [*scikit.cases(), *boosted.cases(), *graphs.cases(), *precision.cases()]
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), sorted({name for name in names if names.count(name) > 1})
    return cases
