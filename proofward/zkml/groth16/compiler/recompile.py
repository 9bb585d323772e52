"""ONNX to integer program: the part that an auditor repeats. No key, no randomness, no search."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from proofward.zkml.errors import UnsupportedModel
from proofward.zkml.groth16.compiler import network_program, tree_program
from proofward.zkml.groth16.compiler.onnx_frontend import Traced, trace
from proofward.zkml.groth16.plan import Plan
from proofward.zkml.groth16.program.program import Program
from proofward.zkml.quantiser import AffineQuantiser, ThresholdQuantiser


@dataclass(frozen=True)
class Lowered:
    """An integer program with the meaning of its ends.

    Args:
        scale: output steps per unit. max_deviation: bound on what rounding the leaves of trees changed (0:
            nothing).
    """

    program: Program
    quantiser: AffineQuantiser | ThresholdQuantiser
    scale: float
    max_deviation: float = 0.0


def lower_ensemble(traced: Traced, missing: Collection[int] = ()) -> Lowered:
    """A tree ensemble's program, which may lack values of the features `missing`; it needs no plan. Raises
    UnsupportedModel.
    """
    assert traced.ensemble is not None
    if missing and not traced.directed:
        raise UnsupportedModel(
            f"feature {min(missing)} lacks values in calibration, and skl2onnx leaves out where "
            "scikit-learn's trees send them; train with a SimpleImputer before the trees, or leave such "
            "records out"
        )
    features = int(np.prod(traced.input_shape))
    found = tree_program.lower(traced.ensemble, features, [i for i in missing if i < features])
    quantiser = ThresholdQuantiser(
        thresholds=found.thresholds,
        imputed=list(traced.imputed),
        missing=found.missing or None,
        integers=True if traced.integers else None,
        doubles=True if traced.doubles else None,
    )
    return Lowered(found.program, quantiser, found.scale, found.max_deviation)


def recompile(onnx: bytes, quantiser: AffineQuantiser | ThresholdQuantiser, plan: Plan | None) -> Lowered:
    """The program that a publisher must have compiled, from the ONNX file and the manifest's quantisation.

    Raises UnsupportedModel, CompileError.
    """
    traced = trace(onnx)
    if traced.network is None or plan is None or not isinstance(quantiser, AffineQuantiser):
        gaps = quantiser.missing if isinstance(quantiser, ThresholdQuantiser) else None
        return lower_ensemble(traced, [feature for feature, _ in gaps or []])
    found = network_program.lower(traced.network, quantiser, plan)
    quantiser = quantiser.model_copy(
        update={"imputed": list(traced.imputed), "integers": True if traced.integers else None}
    )
    return Lowered(found.program, quantiser, found.scale)
