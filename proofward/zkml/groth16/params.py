"""The groth16 lane's own fields in a manifest (`lane_params`), checked on reading."""

from __future__ import annotations

import json
from typing import Annotated, Final, Literal

from proofward_prover import Circuit
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, ValidationError

from proofward.zkml.errors import ArtifactError
from proofward.zkml.groth16.plan import Plan
from proofward.zkml.manifest import Manifest

Form = Literal["tree", "flat"]
"""How the records of a batch are committed to together (prover/IR.md): each for itself and a tree over them,
or all in one hash.
"""

_MAX_BITS: Final = 60
"""Of a value (prover/IR.md): the chain takes no contest about a manifest whose bounds need more."""


def _possible(bounds: tuple[int, int]) -> tuple[int, int]:
    low, high = bounds
    if low > high or (high - low).bit_length() > _MAX_BITS:
        raise ValueError("no circuit has outputs of such bounds")
    return bounds


_Bound = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
_Bounds = Annotated[tuple[_Bound, _Bound], AfterValidator(_possible)]


class LaneParams(BaseModel):
    """`lane_params` of a groth16 manifest.

    Args:
        output_bounds: static bounds of each output of one record; a client opens commitments with them.
        plan: a network's quantisation (a tree ensemble has none).
        rounding: bound on what rounding the leaves of trees changed (0: they are exact).
        commitment: the form of both commitments; absent: a tree.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)
    output_bounds: list[_Bounds] = Field(min_length=1, max_length=1024)
    plan: Plan | None = None
    rounding: float = 0.0
    commitment: Form | None = None


def lane_params(manifest: Manifest) -> LaneParams:
    """The manifest's lane_params. Raises ArtifactError."""
    try:
        found = LaneParams.model_validate_json(json.dumps(manifest.lane_params))
    except ValidationError as error:
        raise ArtifactError(
            f"the manifest's lane_params are not groth16's: {error.errors()[0]['msg']}"
        ) from error
    if manifest.lane_params.get("commitment", "tree") is None:
        raise ArtifactError("the manifest's form of commitment is null; leave it out, or name one")
    if len(found.output_bounds) != manifest.output.length:
        raise ArtifactError("the manifest's output_bounds do not match its output's length")
    return found


def input_bounds(manifest: Manifest) -> list[tuple[int, int]]:
    """(low, high) of each input of one record."""
    low, high = manifest.input.quantiser.bounds()
    return list(zip(low.tolist(), high.tolist(), strict=True))


def output_bounds(manifest: Manifest) -> list[tuple[int, int]]:
    """(low, high) of each output of one record."""
    return lane_params(manifest).output_bounds


def form(manifest: Manifest) -> Form:
    """How the model commits to a batch."""
    return lane_params(manifest).commitment or "tree"


def circuit_of(program: bytes, manifest: Manifest) -> Circuit:
    """The circuit of a program as the manifest describes it; its digest is the caller's to compare. Raises
    ProverError, ArtifactError.
    """
    return Circuit(program, manifest.batch, form(manifest))
