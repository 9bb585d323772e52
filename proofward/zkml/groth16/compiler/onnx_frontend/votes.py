"""Votes: what AdaBoost and hard voting make of their members' labels. A tree's own label is a function of its
leaf, hence a vote is a tree too, and the sum of votes an ensemble.
"""

from __future__ import annotations

import numpy as np

from proofward.zkml.groth16.compiler.ensemble import Ensemble, Leaf, Split, Tree
from proofward.zkml.groth16.compiler.forest import combined, least
from proofward.zkml.groth16.compiler.network import Affine, Network
from proofward.zkml.groth16.compiler.onnx_frontend.node import (
    Chosen,
    Labels,
    Node,
    Squashed,
    Total,
    Value,
    operator,
)

_ROUNDING = 1e-4
"""What float32 weights leave of a sum of logits that is zero."""


@operator("Equal")
def equal(node: Node) -> Value:
    """Which class a tree decides for, as one truth value a class; or whether a sum of powers is zero."""
    for one, other in ((0, 1), (1, 0)):
        value, constant = node.inputs[one], node.inputs[other]
        if not isinstance(constant, np.ndarray):
            continue
        if isinstance(value, Total) and np.all(constant == 0) and _one_at_least(value.of, node.network):
            return np.array([[False]])
        if isinstance(value, Labels) and isinstance(value.of, Ensemble):
            return Chosen(_vote(node, value, constant.reshape(-1)))
    node.refuse("it is supported between one tree's label and the numbers of all classes only")


@operator("Where")
def where(node: Node) -> Value:
    """One constant for the class that a tree decides for, another for all others."""
    chosen = node.inputs[0]
    if not isinstance(chosen, Chosen):
        node.refuse("it is supported over one tree's vote only")
    yes, no = node.constant(1).astype(np.float64), node.constant(2).astype(np.float64)
    if np.unique(yes).size != 1 or np.unique(no).size != 1:
        node.refuse("it chooses between tensors; only between two numbers is it supported")
    return counted(node, chosen, float(yes.flat[0]), float(no.flat[0]))


def counted(node: Node, chosen: Chosen, yes: float = 1.0, no: float = 0.0) -> Affine:
    """A vote as numbers, `[1, classes]`."""
    return node.network.scored(chosen.of).scaled(yes - no, no)


def _vote(node: Node, label: Labels, classes: np.ndarray) -> Ensemble:
    """The ensemble with 1 for the class that `label` is, and 0 for the others."""
    voter = label.of
    assert isinstance(voter, Ensemble)
    names = range(voter.outputs) if label.index else voter.labels
    if classes.tolist() != list(names or ()):
        node.refuse("it compares a label with other numbers than those of all classes in their order")
    if len(voter.trees) != 1 or voter.squash is not None:
        node.refuse("the label that it reads is not one tree's; only single trees vote")
    none = (0.0,) * voter.outputs
    return Ensemble((_voting(voter, voter.trees[0]),), voter.outputs, none, 1, "argmax", None)


def _voting(voter: Ensemble, tree: Tree) -> Tree:
    if isinstance(tree, Leaf):
        return Leaf({_decided(voter, tree): 1.0})
    below, above = _voting(voter, tree.below), _voting(voter, tree.above)
    return Split(tree.feature, tree.threshold, below, above, tree.missing_above)


def _decided(voter: Ensemble, leaf: Leaf) -> int:
    """The first of the largest scores, in float32 as ONNX Runtime has them."""
    given = [leaf.values.get(i, 0.0) for i in range(len(voter.base))]
    scores = (np.array(given, np.float32) + np.array(voter.base, np.float32)) / np.float32(voter.divisor)
    if voter.complement:
        scores = np.array([np.float32(1.0) - scores[0], scores[0]])
    return int(scores.argmax())


def _one_at_least(powers: Squashed, network: Network) -> bool:
    """Whether a sum of exponentials is 1 at least: it is where the logits' own sum is never below zero."""
    if powers.decision != "exp" or not network.forest:
        return False
    ones = type(powers.logit.rows)(np.ones((1, powers.logit.size)))
    total = combined(
        network.forest, powers.logit.mapped(ones, np.zeros(1), (1, 1)), int(np.prod(network.input_shape))
    )
    return total is not None and least(total)[0] >= -_ROUNDING
