"""What an operator's module sees of one ONNX node, and the table it registers itself in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from scipy import sparse

from proofward.zkml.groth16.compiler import curves
from proofward.zkml.groth16.compiler.ensemble import Ensemble
from proofward.zkml.groth16.compiler.network import Affine, Network
from proofward.zkml.groth16.errors import UnsupportedOperator


@dataclass(frozen=True)
class Squashed:
    """A tensor after the model's last, monotone function; the logit under it is what gets proven.

    Args:
        decision: how a client reads the logit. squash: the function, where ONNX Runtime's numbers have it.
        complement: it is `1 - p`. scores: the tensor that has the numbers, where the output has labels
        only.
        pair: of its k logits the tensor has 2 k numbers, all `1 - p` and then all `p`.
    """

    decision: str
    logit: Affine
    squash: str | None = None
    complement: bool = False
    scores: str | None = None
    pair: bool = False

    def expanded(self) -> Affine:
        """A logit for each number of the tensor, where the squash is a sigmoid."""
        if self.pair:
            return _twice(self.logit, 0.0)
        return self.logit.scaled(-1.0) if self.complement else self.logit


def _twice(value: Affine, lift: float) -> Affine:
    """`lift - x` and then `x`, of all elements."""
    one = sparse.eye_array(value.size)
    bias = np.concatenate([np.full(value.size, lift), np.zeros(value.size)])
    return value.mapped(sparse.csr_array(sparse.vstack([-one, one])), bias, (1, 2 * value.size))


@dataclass(frozen=True)
class Labels:
    """The class that a classifier decides for, as its label output gives it: the scores are what gets
    proven.

    Args:
        index: it is the class's number, and not its name. names: of all classes, where it was looked up.
    """

    of: Squashed | Ensemble
    index: bool = False
    names: tuple[int | str, ...] | None = None

    def looked_up(self, names: np.ndarray) -> Labels:
        """The name that stands at the class's number."""
        if not self.index:
            return self
        told = (name.decode() if isinstance(name, bytes) else name for name in names.reshape(-1).tolist())
        return Labels(self.of, names=tuple(told))


@dataclass(frozen=True)
class Chosen:
    """Which class a tree decides for: an ensemble that scores 1 for it, and 0 for the others."""

    of: Ensemble


@dataclass(frozen=True)
class Total:
    """The sum of a record's sigmoids or exponentials, which shares are divided by."""

    of: Squashed


Value = Affine | Squashed | Ensemble | Labels | Chosen | Total | np.ndarray | None


@dataclass
class Node:
    """One ONNX node with its values.

    Args:
        op: operator name. domain: `""` or `ai.onnx.ml`.
        name: the node's name, or its first output where it has none.
        attributes: decoded attributes.
        inputs: the values it reads (`None` for an omitted optional one).
        outputs: number of outputs that somebody named.
        opset: version of its domain.
        network: where new ReLU blocks go. names: the tensors that it reads.
    """

    op: str
    domain: str
    name: str
    attributes: dict[str, Any]
    inputs: list[Value]
    outputs: int
    opset: int
    network: Network
    names: tuple[str, ...] = ()

    def refuse(self, reason: str) -> NoReturn:
        """Raise UnsupportedOperator naming this node."""
        raise UnsupportedOperator(self.op, self.name, reason)

    def affine(self, position: int) -> Affine:
        """The input at `position`, which must be a tensor that depends on the model's input linearly."""
        value = self.inputs[position] if position < len(self.inputs) else None
        if isinstance(value, Affine):
            return value
        if isinstance(value, Squashed):
            return self._unsquashed(value)
        if isinstance(value, (Labels, Chosen, Total)):
            self.refuse("it computes with a classifier's label or sum, which is supported at the output only")
        if isinstance(value, Ensemble) and value.squash is None:
            return self._scored(value)
        if isinstance(value, Ensemble):
            self.refuse("it reads probabilities of a tree ensemble, which are supported at the output only")
        self.refuse(f"input {position} must depend on the model's input")

    def _unsquashed(self, value: Squashed) -> Affine:
        """The function that stood to be the model's last, as a tensor to compute with."""
        if value.squash is None and value.decision == "argmax":
            return value.logit
        name = {"sigmoid": "Sigmoid", "erf": "Erf"}.get(value.squash or "")
        if name is None or value.decision not in ("sigmoid", "multilabel", "erf"):
            self.refuse(f"it reads the result of a {value.decision}, which is supported at the output only")
        if self.network.forest:
            self.refuse("it reads probabilities of a tree ensemble, which are supported at the output only")
        found = self.network.curve(
            self.names[0] if self.names else self.name, value.logit, curves.lines(name)
        )
        if value.pair:
            return _twice(found, 1.0)
        return found.scaled(-1.0, 1.0) if value.complement else found

    def _scored(self, value: Ensemble) -> Affine:
        """A tree ensemble's scores as a tensor to compute with."""
        if self.network.blocks:
            self.refuse("it computes with both tree scores and activations")
        found = self.network.scored(value)
        return found.scaled(-1.0, 1.0) if value.negated else found

    def spatial(self, position: int) -> Affine:
        """The input at `position`, which must be `[batch, channel, ...]` with the batch first."""
        value = self.affine(position)
        if len(value.shape) < 3 or value.shape[0] != 1:
            self.refuse(
                f"it needs a batch axis of one record, a channel axis and spatial ones, not {value.shape}"
            )
        return value

    def constant(self, position: int) -> np.ndarray:
        """The input at `position`, which must be a constant."""
        value = self.inputs[position] if position < len(self.inputs) else None
        if not isinstance(value, np.ndarray):
            self.refuse(f"input {position} must be a constant")
        return value

    def optional(self, position: int) -> np.ndarray | None:
        """The constant at `position`, or None where it is omitted."""
        if position >= len(self.inputs) or self.inputs[position] is None:
            return None
        return self.constant(position)


Handler = Callable[[Node], Value | tuple[Value, ...]]
HANDLERS: dict[tuple[str, str], Handler] = {}


def operator(*names: str, domain: str = "") -> Callable[[Handler], Handler]:
    """Register a handler for the operators named."""

    def register(handler: Handler) -> Handler:
        for name in names:
            HANDLERS[(domain, name)] = handler
        return handler

    return register
