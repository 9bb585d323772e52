"""Several tree ensembles and what is computed of their scores, as one ensemble."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from proofward.zkml.groth16.compiler.ensemble import Ensemble, Leaf, Split, Tree
from proofward.zkml.groth16.compiler.network import Affine, FloatArray

TIE = 2.0**-24
"""Of a share: what float32 leaves that add up to a half may lack, or have too much."""


def combined(forest: Sequence[Ensemble], affine: Affine, features: int) -> Ensemble | None:
    """The ensemble whose scores are `affine` of the scores of `forest`, whose wires stand behind the
    `features` inputs; None where it reads inputs as well.
    """
    rows = affine.rows.toarray()
    if np.any(rows[:, :features]):
        return None
    rows = np.pad(rows, [(0, 0), (0, features + sum(one.outputs for one in forest) - rows.shape[1])])
    base, trees, at = affine.bias.copy(), [], features
    for one in forest:
        matrix = rows[:, at : at + one.outputs] / one.divisor
        at += one.outputs
        if one.complement:  # [1 - s, s] of the score that its trees have
            base += matrix[:, 0] * one.divisor
            matrix = matrix[:, 1:] - matrix[:, :1]
        base += matrix @ np.array(one.base)
        trees += [_mapped(tree, matrix) for tree in one.trees]
    pair = len(base) == 2 and abs(base.sum() - 1.0) < 1e-9 and _opposite(trees)
    if pair:
        score = tuple(_second(tree) for tree in trees)
        halves = 0.0 if _exact(score) else -TIE  # of equal numbers the first is the largest
        return Ensemble(score, 2, (float(base[1]),), 1, "argmax", None, complement=True, halves=halves)
    return Ensemble(tuple(trees), len(base), tuple(base.tolist()), 1, "value", None)


def of_halves(trees: Sequence[Tree]) -> float:
    """What a share's sum is moved by so that one of a half is decided as ONNX Runtime's float32 sum of it is:
    five leaves of float32(0.1) are a half there, and a little more in exact numbers. That sum depends on the
    leaves' order but where all are votes of one weight; else a half is the first class's, as in training.
    """
    if len(trees) == 1 or _exact(trees):
        return 0.0
    weight = max(value for tree in trees for leaf in _leaves(tree) for value in leaf.values.values())
    votes = np.cumsum(np.full(len(trees) // 2, weight, dtype=np.float32), dtype=np.float32)
    return TIE if len(trees) % 2 == 0 and votes[-1] > 0.5 else -TIE


def _exact(trees: Sequence[Tree]) -> bool:
    """Whether float32 sums of the leaves up to 1 lose nothing."""
    values = (value for tree in trees for leaf in _leaves(tree) for value in leaf.values.values())
    return all(float(value / TIE).is_integer() for value in values)


def least(ensemble: Ensemble) -> list[float]:
    """A bound below each score: that of every tree's least leaf."""
    found = np.array(ensemble.base)
    for tree in ensemble.trees:
        leaves = [[leaf.values.get(i, 0.0) for i in range(len(found))] for leaf in _leaves(tree)]
        found = found + np.min(leaves, axis=0)
    return [float(value) / ensemble.divisor for value in found]


def _mapped(tree: Tree, matrix: FloatArray) -> Tree:
    """The tree with `matrix @ leaf` for each leaf's values."""
    if isinstance(tree, Leaf):
        given = np.zeros(matrix.shape[1])
        for output, value in tree.values.items():
            given[output] = value
        found = matrix @ given
        return Leaf({i: float(v) for i, v in enumerate(found) if v})
    return Split(
        tree.feature,
        tree.threshold,
        _mapped(tree.below, matrix),
        _mapped(tree.above, matrix),
        tree.missing_above,
    )


def _opposite(trees: Sequence[Tree]) -> bool:
    """Whether each leaf's first score is minus its second: the shares of two classes."""
    leaves = [leaf for tree in trees for leaf in _leaves(tree)]
    return all(abs(leaf.values.get(0, 0.0) + leaf.values.get(1, 0.0)) < 1e-12 for leaf in leaves)


def _second(tree: Tree) -> Tree:
    if isinstance(tree, Leaf):
        return Leaf({0: tree.values.get(1, 0.0)})
    return Split(tree.feature, tree.threshold, _second(tree.below), _second(tree.above), tree.missing_above)


def _leaves(tree: Tree) -> list[Leaf]:
    return [tree] if isinstance(tree, Leaf) else [*_leaves(tree.below), *_leaves(tree.above)]
