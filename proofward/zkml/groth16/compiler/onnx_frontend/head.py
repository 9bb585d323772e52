"""What may stand at the output: monotone functions whose decision the logits already hold."""

from __future__ import annotations

from dataclasses import replace

from proofward.zkml.groth16.compiler.onnx_frontend.ensemble import Ensemble
from proofward.zkml.groth16.compiler.onnx_frontend.node import Node, Squashed, Value, operator


@operator("Sigmoid")
def sigmoid(node: Node) -> Value:
    """The logit is proven: the class is 1 where it is positive."""
    value = node.affine(0)
    return Squashed("sigmoid" if value.size == 1 else "multilabel", value, "sigmoid")


@operator("Softmax", "LogSoftmax")
def softmax(node: Node) -> Value:
    """The logits are proven: the class is the largest."""
    value = node.affine(0)
    default = -1 if node.opset >= 13 else 1
    axis = int(node.attributes.get("axis", default)) % len(value.shape)
    if value.shape[axis] != value.size or value.size < 2:
        node.refuse(f"it must run over all classes of one record, not over axis {axis} of {value.shape}")
    return Squashed("softmax", value, node.op.lower())


@operator("ZipMap", domain="ai.onnx.ml")
def zip_map(node: Node) -> Value:
    """A dictionary around the scores."""
    if not isinstance(node.inputs[0], (Squashed, Ensemble)):
        return node.affine(0)
    return node.inputs[0]


@operator("Normalizer", domain="ai.onnx.ml")
def normalizer(node: Node) -> Value:
    """The L1 norm that some exporters put after class scores keeps their order."""
    value = node.inputs[0]
    if isinstance(value, Squashed) and node.attributes.get("norm", b"MAX") == b"L1":
        # Of what sums to 1 the norm is 1; of separate sigmoids it makes shares, in the same order.
        if value.decision == "argmax":
            return replace(value, squash=f"{value.squash or ''}l1")
        return value
    node.refuse("it is supported as the L1 norm after a classifier's scores only")
