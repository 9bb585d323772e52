"""The refusal that names an operator."""

from __future__ import annotations

from proofward.zkml.errors import UnsupportedModel


class UnsupportedOperator(UnsupportedModel):
    """The groth16 lane has no gadget for one operator of a model.

    Args:
        op: the ONNX operator. node: its name in the graph. reason: what about it is not supported.
    """

    code = "unsupported-operator"

    def __init__(self, op: str, node: str, reason: str) -> None:
        super().__init__(f"operator {op} (node {node!r}) is not supported by the groth16 lane: {reason}")
        self.op, self.node, self.reason = op, node, reason
