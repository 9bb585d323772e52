"""ONNX models traced into the compiler's two forms: a :class:`Network` of affine maps and ReLUs, or a tree
ensemble.
"""

from proofward.zkml.groth16.compiler.onnx_frontend.trace import Traced, trace

__all__ = ["Traced", "trace"]
