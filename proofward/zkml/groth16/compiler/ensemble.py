"""A tree ensemble as the compiler sees it, taken out of the parallel arrays of `ai.onnx.ml`."""

from __future__ import annotations

from dataclasses import dataclass

Labels = tuple[int | str, ...]


@dataclass(frozen=True)
class Leaf:
    """A leaf's contribution to each output it touches (exact float32 values)."""

    values: dict[int, float]


@dataclass(frozen=True)
class Split:
    """`x[feature] > threshold` chooses `above`, else (`<=`) `below`; threshold is a float32 value.

    A missing value (NaN) chooses `above` where `missing_above`, else `below`. An infinite threshold is above
    every number: only a missing value can choose `above` there.
    """

    feature: int
    threshold: float
    below: Split | Leaf
    above: Split | Leaf
    missing_above: bool = False


Tree = Split | Leaf


@dataclass(frozen=True)
class Ensemble:
    """Trees whose leaves are summed.

    Args:
        trees: the roots.
        outputs: number of scores.
        base: a constant added to each score.
        divisor: the sums are divided by this (1, or the number of trees where they are averaged).
        decision: how a client reads the scores.
        labels: class labels where the model has them.
        complement: the score of class 1 alone is known; class 0 has `1 - score`.
        halves: what is added to that score, less than a float32 step, so that one of a half is decided as
            ONNX Runtime decides it.
        negated: it stands for `1 - score` of its one score, until the two are joined.
        squash: what the model applies to the sums: `sigmoid`, `softmax` or nothing.
        scores: the tensor that has the numbers, where the output has labels only.
    """

    trees: tuple[Tree, ...]
    outputs: int
    base: tuple[float, ...]
    divisor: int
    decision: str
    labels: Labels | None
    complement: bool = False
    halves: float = 0.0
    negated: bool = False
    squash: str | None = None
    scores: str | None = None
