"""What quantisation decided: everything an auditor needs, beside the ONNX file, to compile the same circuit
again.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LayerPlan(BaseModel):
    """One ReLU block.

    Args:
        bits: k, the bits of the magnitude before the ReLU; each wire costs about k + 2 constraints.
        activation: bits of the value after it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    bits: int = Field(ge=2, le=30)
    activation: int = Field(ge=1, le=24)


class Plan(BaseModel):
    """A network's quantisation. The input's integers are the manifest's quantiser; a tree ensemble needs no
    plan.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    layers: tuple[LayerPlan, ...] = Field(max_length=4096)
    output: int = Field(default=14, ge=4, le=24)
