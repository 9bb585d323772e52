"""Verifiable inference as a library that knows no chain: compile, commit, infer, prove, verify."""

from .accuracy import Evaluation
from .artifact import Artifact, PublicArtifact, load_artifact, load_public
from .compile import compile_model
from .errors import (
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
from .lanes import Check, Proof, available_lanes
from .manifest import Manifest

__all__ = [
    "AccuracyError",
    "Artifact",
    "ArtifactError",
    "Check",
    "CompileError",
    "ContractError",
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
    "load_artifact",
    "load_public",
]
