"""Verifiable inference as a library that knows no chain: compile, commit, infer, prove, verify."""

from proofward.zkml.accuracy import Evaluation
from proofward.zkml.artifact import Artifact, Decided, PublicArtifact, load_artifact, load_public
from proofward.zkml.compile import compile_model, dry_run
from proofward.zkml.errors import (
    AccuracyError,
    ArtifactError,
    CompileError,
    ContractError,
    InputRangeError,
    LaneUnavailable,
    ProvingError,
    UnsupportedModel,
    ZkmlError,
)
from proofward.zkml.lanes import Proof, available_lanes
from proofward.zkml.manifest import Manifest
from proofward.zkml.options import CompileOptions

__all__ = [
    "AccuracyError",
    "Artifact",
    "ArtifactError",
    "CompileError",
    "CompileOptions",
    "ContractError",
    "Decided",
    "Evaluation",
    "InputRangeError",
    "LaneUnavailable",
    "Manifest",
    "Proof",
    "ProvingError",
    "PublicArtifact",
    "UnsupportedModel",
    "ZkmlError",
    "available_lanes",
    "compile_model",
    "dry_run",
    "load_artifact",
    "load_public",
]
