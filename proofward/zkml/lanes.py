"""What a proving lane is, and the registry of lanes. A lane is imported only when it is asked for, so that a
machine without the Rust prover still has ezkl, and the reverse."""

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
from proofward.zkml.manifest import Accuracy, InputSpec, LaneName, Manifest, OutputSpec, Setup, Task
from proofward.zkml.report import Bounds

Integers = NDArray[np.int64]
Progress = Callable[[str], None]

SALT_BYTES = 32

# In order of preference: the first lane that takes a model gets it.
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
    """What compile_model hands a lane. Ranges and plan come from `calibration` [n, features]; `held_out`
    decides
    nothing and is reported on: with the truth where the publisher gave it, else records kept back from
    calibration. setup is what the caller asks for ("attested" when an enclave runs it); srs only matters to
    lanes with a universal setup."""

    onnx: bytes
    name: str
    calibration: NDArray[np.float64]
    held_out: HeldOut
    bounds: Bounds
    task: Task | None
    batch: int
    setup: Setup
    srs: Path | None
    cache: Path | None
    progress: Progress


@dataclass(frozen=True)
class HeldOut:
    """Records for the report alone: x [n, features], and the truth where it is known."""

    x: NDArray[np.float64]
    y: NDArray[np.float64] | NDArray[np.int64] | None


@dataclass(frozen=True)
class Compiled:
    """What a lane says of its work; its files are in staging/public (vk.bin at least) and staging/private."""

    setup: Setup
    circuit_digest: bytes
    input: InputSpec
    output: OutputSpec
    accuracy: Accuracy
    lane_params: dict[str, Any] = field(default_factory=dict)
    constraints: dict[str, Any] | None = None
    versions: dict[str, str] | None = None


@dataclass(frozen=True)
class ContractSource:
    """Solidity to compile: file name -> text, and which contract of which file is the verifier."""

    sources: dict[str, str]
    file: str
    contract: str


class LanePublic(Protocol):
    """The verifier's and client's side, from public files alone. values int64 [batch, n]; salts are 32
    bytes."""

    def commit_input(self, values: Integers, salt: bytes) -> bytes: ...

    def commit_output(self, values: Integers, salt: bytes) -> bytes: ...

    def verify(self, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bool: ...


class LaneProver(Protocol):
    """The worker's side. prove() verifies what it returns; a failed attempt raises ProvingError and leaves
    the prover usable."""

    def infer(self, values: Integers) -> Integers: ...

    def prove(self, values: Integers, input_salt: bytes, output_salt: bytes) -> Proof: ...

    def close(self) -> None: ...


class Lane(Protocol):
    """One proving system. `files` maps "public/NAME" to bytes already checked against the manifest's
    hashes."""

    name: LaneName

    def refusal(self, onnx: bytes, batch: int) -> str | None:
        """Why this lane does not take the model (operator and node), or None when it does."""
        ...

    def compile(self, request: CompileRequest, staging: Path) -> Compiled: ...

    def open_public(self, manifest: Manifest, files: Mapping[str, bytes]) -> LanePublic: ...

    def open_prover(self, manifest: Manifest, files: Mapping[str, bytes], private: Path) -> LaneProver: ...

    def contract_source(self, manifest: Manifest, files: Mapping[str, bytes]) -> ContractSource: ...

    def audit(self, onnx: bytes, manifest: Manifest, files: Mapping[str, bytes]) -> list[Check]: ...


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
    for name in _ROOMS:
        try:
            lane(name)
        except LaneUnavailable:
            continue
        found.append(name)
    return found
