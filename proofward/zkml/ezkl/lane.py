"""The ezkl lane's entry points; see lanes.py for the contract it keeps."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from proofward.zkml.errors import ArtifactError, CompileError, UnsupportedModel
from proofward.zkml.ezkl import graph, solidity
from proofward.zkml.ezkl.audit import remake
from proofward.zkml.ezkl.build import Compilation
from proofward.zkml.ezkl.process import EzklProcess
from proofward.zkml.ezkl.prover import EzklProver, EzklPublic
from proofward.zkml.lanes import (
    Auditor,
    Compiled,
    CompileRequest,
    ContractSource,
    Estimate,
    LaneProver,
    LanePublic,
    Remade,
)
from proofward.zkml.manifest import LaneName, Manifest


class EzklLane:
    """Lane "ezkl": Halo2 with KZG, any operator that ezkl takes, one record a proof."""

    name: LaneName = "ezkl"

    def refusal(self, onnx: bytes, batch: int) -> str | None:
        if batch != 1:
            return f"it proves one record at a time, and batch is {batch}"
        try:
            graph.read(onnx)
        except UnsupportedModel as error:
            return error.message
        return None

    def compile(self, request: CompileRequest, staging: Path) -> Compiled:
        if request.options.setup == "attested":
            raise CompileError("the ezkl lane has no attested setup: its SRS is universal; give one with srs")
        with tempfile.TemporaryDirectory(prefix="proofward-ezkl-") as folder:
            # Its circuits are chosen by time, not by accuracy: all of calibration is for the ranges.
            whole = replace(request, calibration=request.everything, choice=None)
            return Compilation(whole, Path(folder)).run(staging)

    def estimate(self, request: CompileRequest) -> Estimate:
        """Refused: this lane knows a circuit's cost by timing it, which needs its keys."""
        raise CompileError(
            "the ezkl lane has no dry run: it times circuits with their keys; compile the model to see "
            "its figures"
        )

    def open_public(self, manifest: Manifest, files: Mapping[str, bytes]) -> LanePublic:
        _require_files(files)
        return EzklPublic(manifest, files)

    def open_prover(self, manifest: Manifest, files: Mapping[str, bytes], private: Path) -> LaneProver:
        _require_files(files)
        return EzklProver(manifest, files, private)

    def contract_source(self, manifest: Manifest, files: Mapping[str, bytes]) -> ContractSource:
        _require_files(files)
        process = EzklProcess()
        try:
            return solidity.source(process, files)
        finally:
            process.close()

    def remake(self, onnx: bytes, manifest: Manifest, files: Mapping[str, bytes], auditor: Auditor) -> Remade:
        """Recompile from the ONNX file: circuit, verifying key, commitment basis, meaning of the ends."""
        _require_files(files)
        process = EzklProcess()
        try:
            with tempfile.TemporaryDirectory(prefix="proofward-audit-") as folder:
                return remake(onnx, manifest, files, process, Path(folder))
        finally:
            process.close()


def _require_files(files: Mapping[str, bytes]) -> None:
    for name in ("settings.json", "vk.bin", "srs.bin", "basis.bin"):
        if f"public/{name}" not in files:
            raise ArtifactError(f"public/{name} is missing from this ezkl artifact")
