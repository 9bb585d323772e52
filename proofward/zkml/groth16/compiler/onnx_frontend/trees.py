"""`ai.onnx.ml` tree ensembles, with ONNX Runtime's comparison and aggregation semantics.

ONNX Runtime compares in its input's precision. Every branching mode is turned into `x > t`: `x < t` is
`not (x > the number before t)`, and equality is two comparisons. A missing value (NaN) goes where
`nodes_missing_value_tracks_true` says, else where a comparison with NaN leads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from proofward.zkml.groth16.compiler.ensemble import Ensemble, Labels, Leaf, Split, Tree
from proofward.zkml.groth16.compiler.forest import of_halves
from proofward.zkml.groth16.compiler.network import Steps
from proofward.zkml.groth16.compiler.onnx_frontend.node import Node, Value, operator

MAX_DEPTH = 64
MAX_NODES = 1 << 16


@operator("TreeEnsembleClassifier", domain="ai.onnx.ml")
def classifier(node: Node) -> Value:
    """Class scores, summed over the trees."""
    attributes = node.attributes
    labels: Labels = tuple(int(v) for v in attributes.get("classlabels_int64s", ())) or tuple(
        v.decode() for v in attributes.get("classlabels_strings", ())
    )
    leaves = _leaf_values(node, "class")
    transform = attributes.get("post_transform", b"NONE").decode()
    if transform not in ("NONE", "LOGISTIC", "SOFTMAX"):
        node.refuse(f"post_transform {transform} is not supported")
    base = [float(np.float32(v)) for v in attributes.get("base_values", ())]
    squash = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}.get(transform)
    if len(labels) == 2 and not base and transform != "SOFTMAX" and _opposite(leaves):
        seconds = {leaf: {0: values.get(1, 0.0)} for leaf, values in leaves.items()}
        return Ensemble(_trees(node, seconds), 1, (0.0,), 1, "sigmoid", labels, squash=squash)
    trees = _trees(node, leaves)
    scored = {output for values in leaves.values() for output in values}
    if len(labels) == 2 and len(scored) == 1:
        if len(base) > 1:
            node.refuse("it has two base_values for one score")
        trees = tuple(_renumber(tree) for tree in trees)
        positive = all(v >= 0 for values in leaves.values() for v in values.values())
        offset = tuple(base) or (0.0,)
        if transform == "NONE" and positive:
            return Ensemble(
                trees, 2, offset, 1, "argmax", labels, complement=True, halves=_halves(node, trees)
            )
        if transform == "SOFTMAX":
            node.refuse("post_transform SOFTMAX over one score is not supported")
        if transform == "LOGISTIC" and positive:
            node.refuse(
                "its leaves are all positive under LOGISTIC: ONNX Runtime takes its label at a raw score "
                "of 0.5 and "
                "its probability at 0, so they disagree; export the model with base_values, or give the "
                "scores only"
            )
        return Ensemble(trees, 1, offset, 1, "sigmoid", labels, squash=squash)
    if len(labels) == 2:
        node.refuse(
            "its leaves score both of two classes: ONNX Runtime then decides by the second score's sign "
            "and not by "
            "the larger one; export the model with one score"
        )
    if base and len(base) != len(labels):
        node.refuse(f"it has {len(base)} base_values for {len(labels)} classes")
    if not _scored_all(node, leaves, len(labels)):
        node.refuse(
            "a record may get no score at all for a class, and ONNX Runtime's label then passes over "
            "that class while "
            "its score of 0 may be the largest; export leaves that score every class"
        )
    decision = "softmax" if transform == "SOFTMAX" else "argmax"
    offsets = tuple(base) or (0.0,) * len(labels)
    return Ensemble(trees, len(labels), offsets, 1, decision, labels, squash=squash)


def _opposite(leaves: dict[tuple[int, int], dict[int, float]]) -> bool:
    """Whether each leaf scores the first of two classes as the negative of the second, as CatBoost writes it:
    the second's sign is then what the larger score says too.
    """
    scored = leaves.values()
    return any(len(values) == 2 for values in scored) and all(
        values.get(0, 0.0) == -values.get(1, 0.0) for values in scored
    )


def _halves(node: Node, trees: tuple[Tree, ...]) -> float:
    """Sums of float32 leaves are float64 where the input is."""
    steps = node.affine(0).steps
    return of_halves(trees) if steps is not None and steps.precision(0) == 32 else 0.0


def _scored_all(node: Node, leaves: dict[tuple[int, int], dict[int, float]], classes: int) -> bool:
    """Whether ONNX Runtime's label, which passes over classes without a score, is the class of the largest
    score.

    It is where each class is scored by every leaf of some tree, or where no weight is negative and some
    tree's leaves all have a positive one.
    """
    columns = (node.attributes[f"nodes_{name}"] for name in ("treeids", "nodeids", "modes"))
    trees: dict[int, list[dict[int, float]]] = {}
    for tree, number, mode in zip(*columns, strict=True):
        if mode == b"LEAF":
            trees.setdefault(int(tree), []).append(leaves.get((int(tree), int(number)), {}))
    if all(any(all(c in values for values in tree) for tree in trees.values()) for c in range(classes)):
        return True
    return all(v >= 0 for tree in trees.values() for values in tree for v in values.values()) and any(
        all(max(values.values(), default=0.0) > 0 for values in tree) for tree in trees.values()
    )


@operator("TreeEnsembleRegressor", domain="ai.onnx.ml")
def regressor(node: Node) -> Value:
    """Targets, summed or averaged over the trees."""
    attributes = node.attributes
    how = attributes.get("aggregate_function", b"SUM").decode()
    if how not in ("SUM", "AVERAGE"):
        node.refuse(f"aggregate_function {how} is not supported")
    transform = attributes.get("post_transform", b"NONE").decode()
    targets = int(attributes.get("n_targets", 1))
    if transform not in ("NONE", "LOGISTIC") or (transform == "LOGISTIC" and targets != 1):
        node.refuse(f"post_transform {transform} over {targets} targets is not supported")
    trees = _trees(node, _leaf_values(node, "target"))
    base = [float(np.float32(v)) for v in attributes.get("base_values", ())] or [0.0] * targets
    if len(base) != targets:
        node.refuse(f"it has {len(base)} base_values for {targets} targets")
    divisor = len(trees) if how == "AVERAGE" else 1
    if divisor > 1 and any(base):
        node.refuse("base_values beside an AVERAGE are not supported")
    # ONNX Runtime applies LOGISTIC to several targets only; one comes out as it was summed.
    return Ensemble(trees, targets, tuple(base), divisor, "value", None)


def _leaf_values(node: Node, kind: str) -> dict[tuple[int, int], dict[int, float]]:
    attributes = node.attributes
    if any(name.endswith("_as_tensor") for name in attributes):
        node.refuse("double precision ensembles are not supported; convert the model with float32 inputs")
    leaves: dict[tuple[int, int], dict[int, float]] = {}
    columns = (attributes[f"{kind}_{name}"] for name in ("treeids", "nodeids", "ids", "weights"))
    for tree, leaf, output, weight in zip(*columns, strict=True):
        values = leaves.setdefault((int(tree), int(leaf)), {})
        values[int(output)] = values.get(int(output), 0.0) + float(np.float32(weight))
    return leaves


def _trees(node: Node, leaves: dict[tuple[int, int], dict[int, float]]) -> tuple[Tree, ...]:
    value = node.affine(0)
    features = int(np.prod(node.network.input_shape))
    if node.network.bits < 32:
        node.refuse("it compares float16 inputs; export the model in float32")
    if node.network.blocks or value.steps is None:
        node.refuse("it must read the model's inputs, each scaled by itself or not at all")
    if any(not np.isfinite(step.operand).all() for step in value.steps.chain):
        node.refuse("the scaler before it divides by zero or is not finite")
    node.network.unfilled.update(value.steps.source[~value.steps.filled].tolist())
    names = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    table: dict[int, dict[int, tuple[Any, ...]]] = {}
    roots: dict[int, int] = {}
    columns = [node.attributes[f"nodes_{name}"] for name in names]
    tracks = node.attributes.get("nodes_missing_value_tracks_true") or [0] * len(columns[0])
    for tree, number, *rest in zip(*columns, tracks, strict=True):
        table.setdefault(int(tree), {})[int(number)] = tuple(rest)
        roots.setdefault(int(tree), int(number))
    if sum(len(nodes) for nodes in table.values()) > MAX_NODES:
        node.refuse(f"it has more than {MAX_NODES} nodes")
    kinds = {value.steps.precision(i) for i in range(value.size)}
    if len(kinds) != 1 or (kind := _KINDS.get(kinds.pop())) is None:
        node.refuse("its inputs have no one precision of float32 or float64")
    source = _Source(table, leaves, value.size, kind)
    built = [_build(node, source, tree, root, MAX_DEPTH, {}) for tree, root in roots.items()]
    if (
        not value.steps.chain
        and value.size == features
        and np.array_equal(value.steps.source, np.arange(features))
    ):
        return tuple(built)
    folded = _Folded(value.steps)
    return tuple(folded.tree(tree) for tree in built)


_KINDS: dict[int, type[np.floating[Any]]] = {32: np.float32, 64: np.float64}


class _Folded:
    """Thresholds behind a scaler or a cast as thresholds on the inputs themselves.

    A chain of roundings of one input is monotone, so that what it compares true for is all inputs up to one
    of them; that one is found by bisection over the numbers of the input's precision, hence exactly.
    """

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.known: dict[tuple[int, float], tuple[float | None, bool]] = {}

    def tree(self, tree: Tree) -> Tree:
        """The same tree over the model's inputs."""
        if isinstance(tree, Leaf):
            return tree
        key = (tree.feature, tree.threshold)
        if key not in self.known:
            self.known[key] = self._threshold(*key)
        threshold, rising = self.known[key]
        below, above = self.tree(tree.below), self.tree(tree.above)
        source, lost = int(self.steps.source[tree.feature]), above if tree.missing_above else below
        if threshold is None:
            always = below if rising else above
            return always if lost is always else Split(source, float("inf"), always, lost, missing_above=True)
        if not rising:
            below, above = above, below
        return Split(source, threshold, below, above, missing_above=lost is above)

    def _threshold(self, element: int, threshold: float) -> tuple[float | None, bool]:
        """(t, True) where `x <= t` is what compares true, (t, False) where `x > t` is; (None, always)."""
        numbers = _Numbers(self.steps.bits)

        def holds(ordinal: int) -> bool:
            return self.steps.run(element, numbers.at(ordinal)) <= threshold

        low, high = -numbers.most, numbers.most
        first, last = holds(low), holds(high)
        if first == last:
            return None, first
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if holds(middle) == first else (low, middle)
        return numbers.at(low), first


class _Numbers:
    """The finite floating-point numbers of a precision in order: 0 is zero, 1 the least positive one."""

    def __init__(self, bits: int) -> None:
        self.kind: type[Any] = np.float32 if bits == 32 else np.float64
        self.integer: type[Any] = np.uint32 if bits == 32 else np.uint64
        self.sign = 1 << (bits - 1)
        self.most = int(np.finfo(self.kind).max.view(self.integer))

    def at(self, ordinal: int) -> float:
        """The number, as float64."""
        bits = self.integer(ordinal if ordinal >= 0 else self.sign - ordinal)
        return float(bits.view(self.kind))


@dataclass
class _Source:
    """An operator's tables: nodes by tree and number, leaves, how many inputs, what it compares in, and how
    many more nodes may be made of them.
    """

    nodes: dict[int, dict[int, tuple[Any, ...]]]
    leaves: dict[tuple[int, int], dict[int, float]]
    features: int
    kind: type[np.floating[Any]]
    room: int = MAX_NODES


_Ranges = dict[int, tuple[float, float]]
"""What the splits above leave of a feature: low < x <= high."""


def _build(node: Node, source: _Source, tree: int, number: int, depth: int, ranges: _Ranges) -> Tree:
    nodes, features = source.nodes[tree], source.features
    source.room -= 1
    if depth == 0 or number not in nodes:
        node.refuse(f"tree {tree} is deeper than {MAX_DEPTH} or names a node that does not exist")
    if source.room < 0:
        node.refuse(f"its equality branches make more than {MAX_NODES} nodes; one-hot encode the categories")
    feature, threshold, mode, true, false, track = nodes[number]
    if mode == b"LEAF":
        return Leaf(source.leaves.get((tree, number), {}))
    if not 0 <= feature < features or not threshold > -np.inf:
        node.refuse(f"tree {tree} reads feature {feature} of {features} at threshold {threshold}")
    exact = float(np.float32(threshold))
    before = float(np.nextafter(source.kind(exact), source.kind(-np.inf)))
    # A comparison with NaN is false, but for "unequal".
    missing_yes = bool(track) or mode == b"BRANCH_NEQ"
    low, high = ranges.get(feature, (-np.inf, np.inf))

    def grown(child: int, least: float = low, most: float = high) -> Tree:
        within = {**ranges, feature: (max(low, least), min(high, most))}
        return _build(node, source, tree, int(child), depth - 1, within)

    def split(at: float, below: int, above: int, missing_above: bool) -> Tree:
        return Split(feature, at, grown(below, most=at), grown(above, least=at), missing_above)

    def equal(same: int, other: int, missing_same: bool) -> Tree:
        """The same where x is the threshold: of chains of categories each part keeps its own alone."""
        if not low < exact <= high and not missing_same:
            return grown(other)
        inner = Split(feature, before, grown(other, most=before), grown(same, before, exact), missing_same)
        return Split(feature, exact, inner, grown(other, least=exact), not missing_same)

    match mode:
        case b"BRANCH_LEQ":
            return split(exact, true, false, not missing_yes)
        case b"BRANCH_GT":
            return split(exact, false, true, missing_yes)
        case b"BRANCH_LT":
            return split(before, true, false, not missing_yes)
        case b"BRANCH_GTE":
            return split(before, false, true, missing_yes)
        case b"BRANCH_EQ":
            return equal(true, false, missing_yes)
        case b"BRANCH_NEQ":
            return equal(false, true, not missing_yes)
    node.refuse(f"branching mode {mode!r} is not supported")


def _renumber(tree: Tree) -> Tree:
    if isinstance(tree, Leaf):
        return Leaf({0: sum(tree.values.values())})
    return replace(tree, below=_renumber(tree.below), above=_renumber(tree.above))
