"""Making the artefact's public half again from the ONNX file, and comparing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from proofward.check import Check
from proofward.zkml.ezkl import graph, solidity
from proofward.zkml.ezkl.build import basis_points, output_names
from proofward.zkml.ezkl.commitment import Basis, digest
from proofward.zkml.ezkl.process import EzklProcess
from proofward.zkml.ezkl.prover import POINT
from proofward.zkml.ezkl.search import Parameters, Workspace
from proofward.zkml.lanes import (
    Remade,
)
from proofward.zkml.manifest import Manifest
from proofward.zkml.quantiser import AffineQuantiser
from proofward.zkml.task import resolve


def remake(
    onnx: bytes, manifest: Manifest, files: Mapping[str, bytes], process: EzklProcess, folder: Path
) -> Remade:
    """Compile the ONNX file again with the manifest's parameters, to compare with `files`."""
    quantiser = manifest.input.quantiser
    if not isinstance(quantiser, AffineQuantiser):
        return Remade(checks=[Check("quantiser", False, "the ezkl lane quantises affinely")])
    params: dict[str, Any] = manifest.lane_params
    names = Parameters.__dataclass_fields__
    parameters = Parameters(
        **{**{name: params[name] for name in names}, "lookup_range": tuple(params["lookup_range"])}
    )
    steps = np.array(quantiser.scale) / 2.0**parameters.input_scale
    model = graph.read(onnx)
    task, decision = resolve(manifest.output.task, model.decision, model.kind, model.length, None)
    circuit = graph.circuit(graph.fold(model, np.array(quantiser.offset), steps))
    work = Workspace(process, folder, folder / "graph.onnx")
    work.graph.write_bytes(circuit)
    (folder / "srs.bin").write_bytes(files["public/srs.bin"])
    fresh = work.circuit(parameters)
    published = json.loads(files["public/settings.json"])
    same = _comparable(fresh) == _comparable(published)
    # The published settings go in again: they also say in which order lookup tables are laid out.
    Path(work.path("settings.json")).write_bytes(files["public/settings.json"])
    process.call(
        "compile",
        model=str(work.graph),
        compiled=work.path("circuit.bin"),
        settings=work.path("settings.json"),
    )
    work.keys(folder / "srs.bin", parameters.logrows, 600.0)
    vk = Path(work.path("vk.bin")).read_bytes()
    basis = files["public/basis.bin"]
    remade = basis_points(work, work.path("srs.bin"), len(basis) // POINT - 1)
    tau = solidity.tau_g2(files["public/srs.bin"])
    fields: dict[str, Any] = {
        "circuit_digest": digest(circuit, files["public/settings.json"]).hex(),
        "input.shape": list(model.shape),
        "input.missing": False,
        "output.length": model.length,
        "output.scale": 2.0 ** fresh["model_output_scales"][0],
        "output.decision": decision,
        "output.task": task,
        "output.names": output_names(model.output, model.length),
        "lane_params.rows": fresh["num_rows"],
        "lane_params.range": "exact" if model.exact else "calibrated",
    }
    choice = "the publisher's choice; the circuit is recompiled with it"
    told = {f"lane_params.{name}": choice for name in names} | {
        "input.quantiser": choice,
        "lane_params.salt_factor": "the circuit's own, met by every proof",
        "lane_params.proof_bytes": "the publisher's own word",
        "lane_params.prove_seconds": "the publisher's own word",
        "files.private/circuit.bin": "a worker's; each proof is verified before it is used",
    }
    unmeasured = "the integers of the ezkl lane are not run by an audit"
    return Remade(
        fields,
        told,
        [
            Check("circuit settings", same, "regenerated from the ONNX file and the manifest's parameters"),
            Check(
                "verifying key",
                vk == files["public/vk.bin"],
                f"recomputed, SHA-256 {hashlib.sha256(vk).hexdigest()}",
            ),
            Check("commitment basis", remade == basis, "recomputed from the SRS"),
            Check(
                "commitment binds",
                Basis(basis).follows(tau, parameters.logrows),
                "the basis fits [tau]_2 by a pairing",
            ),
            *(Check(name, None, unmeasured) for name in ("random records", "own records", "accuracy")),
        ],
    )


def _comparable(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "timestamp"}
