"""Tree ensembles to integer programs, exactly.

A client hands in, per feature, the rank of its float32 value among the thresholds that the trees use; a
Thermometer turns the rank into one bit a threshold. A tree then is a cascade of Muxes from its leaves to its
root (a Mux between two constants is free, so a tree of depth d with one score pays for its upper d - 1
levels), or, where a leaf touches several scores, one indicator for each leaf; whichever is cheaper. Leaf
values are float32 and become integers without loss.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from proofward.zkml.groth16.compiler.ensemble import Ensemble, Leaf, Split, Tree
from proofward.zkml.groth16.errors import UnsupportedOperator
from proofward.zkml.groth16.program.program import MAX_RANK, Builder, Input, Mux, Program, Thermometer, linear

VALUE_BITS = 52


@dataclass(frozen=True)
class TreeProgram:
    """The lowered ensemble.

    Args:
        program: the integer program over ranks.
        thresholds: per feature, the increasing float32 thresholds whose ranks it reads.
        scale: steps per unit of the output integers.
        max_deviation: bound on |integer / scale - exact sum of leaves|, 0 where nothing was rounded.
        missing: (feature, rank) of a missing value, of the features that may lack one.
    """

    program: Program
    thresholds: list[list[float]]
    scale: float
    max_deviation: float
    missing: list[tuple[int, int]] = field(default_factory=list)


def lower(ensemble: Ensemble, features: int, missing: Collection[int] = ()) -> TreeProgram:
    """Lower an ensemble that may lack values of the features `missing`.

    Raises UnsupportedOperator where one feature has too many thresholds.
    """
    used: list[set[float]] = [set() for _ in range(features)]
    ways: dict[int, set[bool]] = {feature: set() for feature in sorted(missing)}
    trees = list(ensemble.trees)
    for tree in trees:
        _collect(tree, used, ways)
    thresholds = [sorted(value for value in values if np.isfinite(value)) for values in used]
    ranks = np.array([len(row) for row in thresholds], dtype=np.int64)
    ranked: dict[int, int] = {}
    for feature, way in ways.items():
        # All one way: a missing value is a smallest or a largest one. Both ways: it has a rank of its own.
        own = len(way) > 1 or np.inf in used[feature]
        ranked[feature] = len(thresholds[feature]) + own if own or True in way else 0
        ranks[feature] += own
    apart = {feature for feature in ways if ranked[feature] > len(thresholds[feature])}
    trees = [_directed(tree, apart) for tree in trees]
    fraction, rounded = _fraction(ensemble)
    builder = Builder()
    builder.add(Input(np.zeros(features, dtype=np.int64), ranks))
    bits: dict[tuple[int, float], int] = {}
    for feature, row in enumerate(thresholds):
        if ranks[feature] > MAX_RANK:
            raise UnsupportedOperator(
                "TreeEnsemble", "", f"feature {feature} has {len(row)} thresholds (over {MAX_RANK})"
            )
        if ranks[feature]:
            wires = builder.add(Thermometer(feature, int(ranks[feature]), "thresholds")).tolist()
            bits.update(
                {(feature, threshold): wire for threshold, wire in zip([*row, np.inf], wires, strict=False)}
            )
    lowering = _Lowering(builder, bits, fraction)
    scores: list[tuple[int, dict[int, int]]] = [(lowering.integer(base), {}) for base in ensemble.base]
    outputs = [sorted(_outputs(tree)) for tree in trees]
    cheap = [
        len(o) * _inner(tree) <= max(0, _splits(tree) - 1) for tree, o in zip(trees, outputs, strict=True)
    ]
    lowering.cascade([(t, o) for t, o, c in zip(trees, outputs, cheap, strict=True) if c], scores)
    lowering.indicators([t for t, c in zip(trees, cheap, strict=True) if not c], scores)
    if ensemble.complement:
        bias, terms = scores[0]
        bias += lowering.integer(ensemble.halves * ensemble.divisor)
        one = lowering.integer(1.0) * ensemble.divisor
        scores = [(one - bias, {wire: -c for wire, c in terms.items()}), (bias, terms)]
    program = builder.finish(builder.add(linear(scores, "scores")))
    deviation = (len(trees) + 1) * 2.0 ** -(fraction + 1) / ensemble.divisor if rounded else 0.0
    deviation += abs(ensemble.halves)
    return TreeProgram(
        program, thresholds, float(2.0**fraction * ensemble.divisor), deviation, sorted(ranked.items())
    )


def _directed(tree: Tree, apart: set[int]) -> Tree:
    """The tree with a missing value's own rank, which is above every threshold, sent where each split wants
    it; of other features' splits that only a missing value tells apart, the branch that numbers take.
    """
    if isinstance(tree, Leaf):
        return tree
    below, above = _directed(tree.below, apart), _directed(tree.above, apart)
    if tree.threshold == np.inf and tree.feature not in apart:
        return below
    split = replace(tree, below=below, above=above)
    if tree.feature in apart and not tree.missing_above:
        return Split(tree.feature, float("inf"), split, below, True)
    return split


class _Lowering:
    def __init__(self, builder: Builder, bits: dict[tuple[int, float], int], fraction: int) -> None:
        self.builder, self.bits, self.fraction = builder, bits, fraction

    def integer(self, value: float) -> int:
        """A leaf value in steps of 2**-fraction, half to even."""
        return round(Fraction(value) * Fraction(2) ** self.fraction)

    def cascade(self, trees: list[tuple[Tree, list[int]]], scores: list[tuple[int, dict[int, int]]]) -> None:
        """All trees at once, one Mux node per height: each subtree's value for each score it touches."""
        jobs = [(tree, output) for tree, outputs in trees for output in outputs]
        constants: dict[int, int] = {}
        for tree, output in jobs:
            for leaf in _leaves(tree):
                constants.setdefault(self.integer(leaf.values.get(output, 0.0)), 0)
        if not constants:
            return
        wires = self.builder.add(linear([(value, {}) for value in sorted(constants)], "leaves"))
        constants = dict(zip(sorted(constants), wires.tolist(), strict=True))
        done: dict[tuple[int, int], int] = {}
        height = 0
        pending = {(id(node), output): (node, output) for tree, output in jobs for node in _nodes(tree)}
        for key, (node, output) in list(pending.items()):
            if isinstance(node, Leaf):
                done[key] = constants[self.integer(node.values.get(output, 0.0))]
                del pending[key]
        while pending:
            ready = [
                (key, node, output)
                for key, (node, output) in pending.items()
                if isinstance(node, Split)
                and (id(node.below), output) in done
                and (id(node.above), output) in done
            ]
            height += 1
            columns = np.array(
                [
                    [
                        self.bits[node.feature, node.threshold],
                        done[id(node.above), output],
                        done[id(node.below), output],
                    ]
                    for _, node, output in ready
                ],
                dtype=np.int64,
            )
            made = self.builder.add(
                Mux(columns[:, 0], columns[:, 1], columns[:, 2], f"trees, height {height}")
            )
            for (key, _, _), wire in zip(ready, made.tolist(), strict=True):
                done[key] = wire
                del pending[key]
        for tree, output in jobs:
            row = scores[output][1]
            wire = done[id(tree), output]
            row[wire] = row.get(wire, 0) + 1

    def indicators(self, trees: list[Tree], scores: list[tuple[int, dict[int, int]]]) -> None:
        """All trees at once, one Mux node per depth: 1 on the path that the input takes, 0 elsewhere."""
        if not trees:
            return
        zero = int(self.builder.add(linear([(0, {})], "paths"))[0])
        # A path's indicator is a sum of wires; only the branch above its threshold is multiplied out.
        level: list[tuple[Tree, tuple[int, dict[int, int]]]] = [(tree, (1, {})) for tree in trees]
        depth = 0
        while level:
            depth += 1
            for node, (bias, terms) in level:
                if isinstance(node, Leaf):
                    self._add_leaf(node, bias, terms, scores)
            splits = [(node, path) for node, path in level if isinstance(node, Split)]
            if not splits:
                return
            bit = [self.bits[node.feature, node.threshold] for node, _ in splits]
            inner = [i for i, (_, (_, terms)) in enumerate(splits) if terms]
            above: list[tuple[int, dict[int, int]]] = [(0, {wire: 1}) for wire in bit]
            if inner:
                paths = self.builder.add(linear([splits[i][1] for i in inner], "paths"))
                made = self.builder.add(
                    Mux(
                        np.array([bit[i] for i in inner], dtype=np.int64),
                        paths,
                        np.full(len(inner), zero, dtype=np.int64),
                        f"trees, depth {depth}",
                    )
                )
                for i, wire in zip(inner, made.tolist(), strict=True):
                    above[i] = (0, {wire: 1})
            level = []
            for (node, (bias, terms)), (_, taken) in zip(splits, above, strict=True):
                rest = dict(terms)
                for wire, coefficient in taken.items():
                    rest[wire] = rest.get(wire, 0) - coefficient
                level += [(node.above, (0, taken)), (node.below, (bias, rest))]

    def _add_leaf(
        self, leaf: Leaf, bias: int, terms: dict[int, int], scores: list[tuple[int, dict[int, int]]]
    ) -> None:
        for output, value in leaf.values.items():
            steps = self.integer(value)
            start, row = scores[output]
            for wire, coefficient in terms.items():
                row[wire] = row.get(wire, 0) + steps * coefficient
            scores[output] = (start + steps * bias, row)


def _fraction(ensemble: Ensemble) -> tuple[int, bool]:
    """Fraction bits that hold every leaf exactly, or as many as fit; and whether any leaf is rounded."""
    values = [v for tree in ensemble.trees for leaf in _leaves(tree) for v in leaf.values.values()]
    values += list(ensemble.base)
    if not np.isfinite(values).all():
        raise UnsupportedOperator("TreeEnsemble", "", "a leaf holds no finite number")
    exact = max((Fraction(v).denominator.bit_length() - 1 for v in values), default=0)
    reach = (
        sum(
            max((abs(v) for leaf in _leaves(tree) for v in leaf.values.values()), default=0.0)
            for tree in ensemble.trees
        )
        + max(map(abs, ensemble.base), default=0.0)
        + float(ensemble.divisor)
    )
    room = VALUE_BITS - int(np.ceil(np.log2(reach)))
    if room < 0:
        raise UnsupportedOperator(
            "TreeEnsemble", "", f"its leaves add up to more than 2^{VALUE_BITS}; train it on smaller targets"
        )
    return (exact, False) if exact <= room else (max(0, room), True)


def _nodes(tree: Tree) -> list[Tree]:
    stack, found = [tree], []
    while stack:
        node = stack.pop()
        found.append(node)
        if isinstance(node, Split):
            stack += [node.below, node.above]
    return found


def _leaves(tree: Tree) -> list[Leaf]:
    return [node for node in _nodes(tree) if isinstance(node, Leaf)]


def _splits(tree: Tree) -> int:
    return sum(isinstance(node, Split) for node in _nodes(tree))


def _inner(tree: Tree) -> int:
    """Splits that have a split below them: the ones a cascade pays for."""
    return sum(
        isinstance(node, Split) and (isinstance(node.below, Split) or isinstance(node.above, Split))
        for node in _nodes(tree)
    )


def _outputs(tree: Tree) -> set[int]:
    return {output for leaf in _leaves(tree) for output in leaf.values}


def _collect(tree: Tree, used: list[set[float]], ways: dict[int, set[bool]]) -> None:
    """The thresholds of each feature, and where missing values of the features in `ways` go."""
    for node in _nodes(tree):
        if isinstance(node, Split):
            used[node.feature].add(node.threshold)
            if node.feature in ways:
                ways[node.feature].add(node.missing_above)
