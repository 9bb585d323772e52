"""What a proving lane is, and the registry of lanes. A lane is imported only when it is asked for, so that a
machine without the Rust prover still has ezkl, and the reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from proofward.check import Check
from proofward.zkml.errors import LaneUnavailable
from proofward.zkml.expected import Expected
from proofward.zkml.manifest import (
    LANE_NAMES,
    Accuracy,
    Compared,
    InputSpec,
    LaneName,
    Manifest,
    OutputSpec,
    Setup,
    Task,
)
from proofward.zkml.options import CompileOptions
from proofward.zkml.report import MAX_SHIFT

Integers = NDArray[np.int64]
Progress = Callable[[str], None]


_ROOMS: dict[LaneName, str] = {"groth16": "proofward.zkml.groth16", "ezkl": "proofward.zkml.ezkl"}
_PACKAGES: dict[LaneName, str] = {"groth16": "proofward-prover", "ezkl": "'proofward[ezkl]'"}


@dataclass(frozen=True)
class Proof:
    """A verified proof. Commitments are 32 bytes; outputs int64 [batch, length]; seconds by phase."""

    proof: bytes
    input_commitment: bytes
    output_commitment: bytes
    outputs: Integers
    seconds: dict[str, float]


@dataclass(frozen=True)
class CompileRequest:
    """What compile_model hands a lane.

    Plans are searched for with `calibration` [n, features] and chosen among by `choice`, where there are
    enough records for that; ranges hold both. `held_out` decides nothing and is reported on: with the truth
    where the publisher gave it, else records kept back from calibration.
    """

    onnx: bytes
    calibration: NDArray[np.float64]
    held_out: HeldOut
    options: CompileOptions
    progress: Progress
    choice: NDArray[np.float64] | None = None

    @property
    def everything(self) -> NDArray[np.float64]:
        """The records that ranges come from, [n, features]."""
        parts = [self.calibration] if self.choice is None else [self.calibration, self.choice]
        return np.concatenate(parts)


@dataclass(frozen=True)
class HeldOut:
    """Records for the report alone: x [n, features], and the truth where it is known."""

    x: NDArray[np.float64]
    y: NDArray[np.float64] | NDArray[np.int64] | None


KEYS = "keys"
"""The audit's check of who made the keys."""
LIBRARY = "library"
"""The audit's check of the training library's own predictions."""
RANDOM_RECORDS = 512
"""Records that an audit draws for itself."""
MAX_RANDOM_DISAGREEMENT = 0.1
"""Of decisions, on records drawn evenly over the whole input range; a quantisation that is of no use decides
otherwise on a fifth and more."""


@dataclass(frozen=True)
class Auditor:
    """What an auditor brings: `records` of his own (with the truth or without), what the training library
    says of some (`expected`), a source of random records, the greatest share of decisions that may differ
    from the float model's on his records, the largest shift that the integers may have from what the library
    says, and the powers (`ptau`) that a ceremony began with.
    """

    records: HeldOut | None = None
    random: np.random.Generator = field(default_factory=np.random.default_rng)
    max_disagreement: float = 0.01
    ptau: Path | None = None
    expected: Expected | None = None
    max_shift: float = MAX_SHIFT


@dataclass
class Remade:
    """What a lane recomputes of a manifest: `fields` by dotted name, in JSON's types (None: absent); fields
    that are somebody's word, and whose (`told`); and further checks.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)


@dataclass(frozen=True)
class Compiled:
    """What a lane says of its work; its files are in staging/public (vk.bin at least) and staging/private."""

    setup: Setup
    circuit_digest: bytes
    input: InputSpec
    output: OutputSpec
    accuracy: Accuracy
    expected: Compared | None
    lane_params: dict[str, Any] = field(default_factory=dict)
    constraints: dict[str, Any] | None = None
    versions: dict[str, str] | None = None
    verifying_key: bytes | None = None
    """What was computed, where the lane has it in memory: the file has to be the same."""


@dataclass(frozen=True)
class Estimate:
    """What compiling would give: the report is measured, time and memory are estimates. `rows` are the
    circuit's constraints, `domain` what they are rounded up to, prove_ms a proof on two cores, bytes of key
    and prover.
    """

    task: Task
    names: list[str]
    accuracy: Accuracy
    expected: Compared | None
    rows: int
    domain: int
    prove_ms: float
    key_bytes: int
    memory_bytes: int
    by_layer: list[list[Any]]


@dataclass(frozen=True)
class ContractSource:
    """Solidity to compile: file name -> text, and which contract of which file is the verifier."""

    sources: dict[str, str]
    file: str
    contract: str


class LanePublic(Protocol):
    """The verifier's and client's side, from public files alone. values int64 [batch, n]; salts are 32
    bytes.
    """

    def commit_input(self, values: Integers, salt: bytes) -> bytes:
        """32 bytes, hiding and binding. Raises InputRangeError."""

    def commit_output(self, values: Integers, salt: bytes) -> bytes:
        """As commit_input, of the outputs."""

    def verify(self, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bool:
        """Whether the proof holds; False for anything malformed. Raises ArtifactError for a bad key."""

    def verify_made(self, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bool:
        """As verify; a lane need not verify again what its prover verified in this process, to the byte."""


class LaneProver(Protocol):
    """The worker's side. prove() verifies what it returns; a failed attempt raises ProvingError and leaves
    the prover usable.
    """

    def infer(self, values: Integers) -> Integers:
        """The model's outputs, int64 [batch, length], without a proof."""

    def prove(self, values: Integers, input_salt: bytes, output_salt: bytes) -> Proof:
        """Run, commit and prove. Raises ProvingError."""

    def close(self) -> None:
        """Give keys and processes back."""


class Lane(Protocol):
    """One proving system. `files` maps "public/NAME" to bytes already checked against the manifest's
    hashes.
    """

    name: LaneName

    def refusal(self, onnx: bytes, batch: int) -> str | None:
        """Why this lane does not take the model (operator and node), or None when it does."""

    def compile(self, request: CompileRequest, staging: Path) -> Compiled:
        """Write public and private files to `staging`.

        Raises UnsupportedModel, AccuracyError, CompileError.
        """

    def estimate(self, request: CompileRequest) -> Estimate:
        """What compile() would give, without keys. Raises UnsupportedModel, AccuracyError, CompileError."""

    def open_public(self, manifest: Manifest, files: Mapping[str, bytes]) -> LanePublic:
        """Open the client's and verifier's side. Raises ArtifactError."""

    def open_prover(self, manifest: Manifest, files: Mapping[str, bytes], private: Path) -> LaneProver:
        """Open the worker's side, with the files in the folder `private`. Raises ArtifactError."""

    def remake(self, onnx: bytes, manifest: Manifest, files: Mapping[str, bytes], auditor: Auditor) -> Remade:
        """Compile the ONNX file again by the manifest's plan, and compare."""


def lane(name: LaneName) -> Lane:
    """The lane `name`, imported now. Each room exports LANE. Raises LaneUnavailable with the reason."""
    try:
        module = import_module(_ROOMS[name])
    except ImportError as error:
        raise LaneUnavailable(
            f"the {name} lane is not installed here ({error}): pip install {_PACKAGES[name]}, "
            "or choose another lane"
        ) from error
    return cast(Lane, module.LANE)


def available_lanes() -> list[LaneName]:
    """Lanes that load on this machine, preferred first."""
    found: list[LaneName] = []
    for name in LANE_NAMES:
        try:
            lane(name)
        except LaneUnavailable:
            continue
        found.append(name)
    return found
