"""The ezkl lane: compile, commit, prove, verify, audit. See lanes.py for the contract it keeps."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofward.check import Check
from proofward.protocol import keccak256
from proofward.zkml import report
from proofward.zkml.cache import recall, remember
from proofward.zkml.errors import ArtifactError, CompileError, ProvingError, UnsupportedModel
from proofward.zkml.ezkl import bounds, graph, search, solidity
from proofward.zkml.ezkl.commitment import SALT_LIMBS, Basis, digest, encode, limbs
from proofward.zkml.ezkl.process import EzklProcess
from proofward.zkml.ezkl.search import Parameters, Workspace
from proofward.zkml.lanes import (
    Auditor,
    Compiled,
    CompileRequest,
    ContractSource,
    Estimate,
    HeldOut,
    Integers,
    LaneProver,
    LanePublic,
    Proof,
    Remade,
)
from proofward.zkml.manifest import Accuracy, InputSpec, LaneName, Manifest, OutputSpec
from proofward.zkml.memory import SealedMemory, read_sealed
from proofward.zkml.quantiser import AffineQuantiser
from proofward.zkml.report import check_truth
from proofward.zkml.task import resolve

Floats = NDArray[np.float64]

MAX_EVALUATED = 256
CHOICE_SHARE = 0.75  # of what the publisher accepts of the report
RANGE_MARGIN = 2.0
POINT = 64
# Committed tensors in the order of the proof: the record with its salt, the output's salt, the output.
INPUT_POINT, OUTPUT_POINT = 0, 2 * POINT
_VERIFIES = ("settings.json", "vk.bin", "srs.bin")


class EzklPublic:
    """Commitments by arithmetic of our own, verification by ezkl in a child process."""

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        self._basis = Basis(files["public/basis.bin"])
        self._salt_factor = int(manifest.lane_params["salt_factor"])
        self._proof_bytes = int(manifest.lane_params["proof_bytes"])
        self._files = files
        self._verifier: tuple[EzklProcess, dict[str, Any]] | None = None

    def commit_input(self, values: Integers, salt: bytes) -> bytes:
        return self._basis.commit([int(v) for v in values[0]] + limbs(salt))

    def commit_output(self, values: Integers, salt: bytes) -> bytes:
        return self._basis.commit(
            [int(v) for v in values[0]] + [limb * self._salt_factor for limb in limbs(salt)]
        )

    def verify(self, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bool:
        if len(proof) != self._proof_bytes or commitments(proof) != (input_commitment, output_commitment):
            return False
        if self._verifier is None:
            sealed = {name: SealedMemory(name, [self._files[f"public/{name}"]]) for name in _VERIFIES}
            paths: dict[str, Any] = {name.split(".")[0]: memory.path for name, memory in sealed.items()}
            self._verifier = EzklProcess(files=list(sealed.values())), paths
        process, paths = self._verifier
        return bool(process.call("verify", **paths, proof=proof.hex()))


class EzklProver:
    """A warm child with the artifact's files in sealed memory. One proof at a time."""

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes], private: Path) -> None:
        sealed = {
            "compiled": read_sealed(private / "circuit.bin", manifest.files["private/circuit.bin"]),
            "pk": read_sealed(private / "pk.bin", manifest.files["private/pk.bin"]),
        }
        sealed |= {name.split(".")[0]: SealedMemory(name, [files[f"public/{name}"]]) for name in _VERIFIES}
        self._paths: dict[str, Any] = {name: memory.path for name, memory in sealed.items()}
        self._length = manifest.output.length
        self._timeout = max(30.0, 30 * float(manifest.lane_params["prove_seconds"]))
        self._public = EzklPublic(manifest, files)
        self._process = EzklProcess(files=list(sealed.values()))

    def infer(self, values: Integers) -> Integers:
        record = [[int(v) for v in values[0]] + [0] * SALT_LIMBS, [0] * (SALT_LIMBS + 1)]
        outputs = self._process.call("infer", compiled=self._paths["compiled"], records=[record])
        return np.array([outputs[0][: self._length]], dtype=np.int64)

    def prove(self, values: Integers, input_salt: bytes, output_salt: bytes) -> Proof:
        blinding = int.from_bytes(
            hashlib.sha256(b"proofward/ezkl-blinding/v1" + input_salt + output_salt).digest(), "big"
        )
        tensors = [[int(v) for v in values[0]] + limbs(input_salt), [*limbs(output_salt), blinding >> 170]]
        made = self._process.call("prove", self._timeout, tensors=tensors, **self._paths)
        outputs = np.array([made["outputs"][: self._length]], dtype=np.int64)
        proof = bytes.fromhex(made["proof"])
        expected = (
            self._public.commit_input(values, input_salt),
            self._public.commit_output(outputs, output_salt),
        )
        if not made["valid"] or commitments(proof) != expected:
            raise ProvingError(
                "ezkl made a proof that does not verify; this attempt is lost", code="proof-invalid"
            )
        return Proof(proof, *expected, outputs, made["seconds"])

    def close(self) -> None:
        self._process.close()


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
        if request.setup == "attested":
            raise CompileError("the ezkl lane has no attested setup: its SRS is universal; give one with srs")
        with tempfile.TemporaryDirectory(prefix="proofward-ezkl-") as folder:
            return _Compilation(request, Path(folder)).run(staging)

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
                return _remake(onnx, manifest, files, process, Path(folder))
        finally:
            process.close()


class _Compilation:
    def __init__(self, request: CompileRequest, folder: Path) -> None:
        self.request = request
        if not (np.isfinite(request.calibration).all() and np.isfinite(request.held_out.x).all()):
            raise CompileError("the records must be finite numbers: the ezkl lane takes no missing values")
        original = graph.read(request.onnx)
        self.output_name = original.output
        if request.calibration.shape[1] != int(np.prod(original.shape)):
            raise CompileError(
                f"calibration records have {request.calibration.shape[1]} features, "
                f"the model takes {int(np.prod(original.shape))}"
            )
        self.centre, self.steps = graph.standardisation(original, request.calibration)
        self.model = graph.fold(original, self.centre, self.steps)
        self.circuit = graph.circuit(self.model)
        z = (request.calibration - self.centre) * self.steps
        margin = RANGE_MARGIN * np.maximum(z.max(axis=0) - z.min(axis=0), 1.0)
        self.low, self.high = z.min(axis=0) - margin, z.max(axis=0) + margin
        limits = np.maximum(np.abs(self.low), np.abs(self.high))
        self.magnitudes = bounds.magnitudes(self.model, limits, z[:MAX_EVALUATED])
        self.process = EzklProcess()
        self.work = Workspace(self.process, folder, folder / "graph.onnx")
        self.work.graph.write_bytes(self.circuit)
        y = request.held_out.y
        self.held_out = HeldOut(request.held_out.x[:MAX_EVALUATED], None if y is None else y[:MAX_EVALUATED])
        self.task, self.decision = resolve(
            request.task, self.model.decision, self.model.kind, self.model.length, y
        )
        if self.held_out.y is not None:
            check_truth(self.decision, self.model.length, None, self.held_out.y)

    def run(self, staging: Path) -> Compiled:
        try:
            return self._run(staging)
        finally:
            self.process.close()

    def _run(self, staging: Path) -> Compiled:
        parameters = self._parameters()
        work, request = self.work, self.request
        settings = work.circuit(parameters)
        srs = work.keys(request.srs, parameters.logrows, 600.0)
        quantiser = self._quantiser(parameters)
        scale = 2.0 ** settings["model_output_scales"][0]
        measured = self._report(parameters, scale)
        tensors = self._sample(quantiser)
        made = work.prove(srs, tensors, 600.0)
        if not made["valid"]:
            raise CompileError("the first proof of this circuit does not verify")
        length = self.model.length
        factors = {
            out // limb if out % limb == 0 else 0
            for out, limb in zip(made["outputs"][length:], tensors[1], strict=False)
        }
        if len(factors) != 1 or min(factors) < 1:
            raise CompileError("the output salt does not come out of the circuit as it went in")
        vk, published = Path(work.path("vk.bin")).read_bytes(), Path(work.path("settings.json")).read_bytes()
        widest = max(len(tensors[0]), length + SALT_LIMBS)
        (staging / "public" / "basis.bin").write_bytes(_basis(work, srs, widest))
        (staging / "public" / "vk.bin").write_bytes(vk)
        (staging / "public" / "settings.json").write_bytes(published)
        shutil.copyfile(srs, staging / "public" / "srs.bin")
        for name in ("circuit.bin", "pk.bin"):
            shutil.move(work.path(name), staging / "private" / name)
        seconds = made["seconds"]
        return Compiled(
            setup="ceremony" if request.srs else "dev",
            circuit_digest=digest(self.circuit, published),
            input=InputSpec(shape=self.model.shape, quantiser=quantiser),
            output=OutputSpec(
                length=length,
                scale=scale,
                decision=self.decision,
                task=self.task,
                names=_names(self.output_name, length),
            ),
            accuracy=measured,
            lane_params={
                **asdict(parameters),
                "lookup_range": list(parameters.lookup_range),
                "salt_factor": factors.pop(),
                "proof_bytes": len(made["proof"]) // 2,
                "rows": settings["num_rows"],
                "prove_seconds": round(seconds["infer"] + seconds["prove"], 3),
                "range": "exact" if self.model.exact else "calibrated",
            },
            versions={"ezkl": version("ezkl"), "onnx": version("onnx")},
        )

    def _parameters(self) -> Parameters:
        key = digest(
            self.circuit,
            json.dumps(
                [self.low.tolist(), self.high.tolist(), asdict(self.request.bounds), version("ezkl")]
            ).encode(),
        ).hex()
        cached = (
            self.request.cache / f"ezkl-{key}.json" if self.request.cache and not self.request.srs else None
        )
        stored = recall(cached)
        if stored is not None and stored.keys() == Parameters.__dataclass_fields__.keys():
            return Parameters(**{**stored, "lookup_range": tuple(stored["lookup_range"])})
        chosen = self._search()
        remember(cached, asdict(chosen))
        return chosen

    def _search(self) -> Parameters:
        work, request = self.work, self.request
        request.progress("ezkl: choosing scales by the accuracy of the integers")
        scales = search.choose_scales(self.magnitudes, self._acceptable)
        tensors = self._sample(self._quantiser(scales))
        widest = max(len(tensors[0]), self.model.length + SALT_LIMBS)
        limit = _srs_logrows(request.srs) if request.srs else None
        found = list(search.candidates(work, scales, self.magnitudes, widest, limit))
        request.progress(f"ezkl: {len(found)} circuits to choose from, timing the likeliest")
        return search.fastest(work, found, tensors, request.srs, request.progress).parameters

    def _acceptable(self, parameters: Parameters) -> bool:
        try:
            settings = self.work.circuit(parameters)
            scale = 2.0 ** settings["model_output_scales"][0]
            _, scores = self._compare(parameters, scale, self.request.calibration[:MAX_EVALUATED])
        except ProvingError:
            return False
        accepted = self.request.bounds
        return (
            float(scores.flips.mean()) <= CHOICE_SHARE * min(accepted.disagreement, max(accepted.loss, 1e-9))
            and float(scores.shifts.max(initial=0.0)) <= CHOICE_SHARE * accepted.shift
        )

    def _quantiser(self, parameters: Parameters) -> AffineQuantiser:
        one = 2.0**parameters.input_scale
        return AffineQuantiser(
            scale=(self.steps * one).tolist(),
            offset=self.centre.tolist(),
            low=[int(v) for v in np.floor(self.low * one)],
            high=[int(v) for v in np.ceil(self.high * one)],
        )

    def _sample(self, quantiser: AffineQuantiser) -> list[list[int]]:
        record = quantiser.quantize(self.request.calibration[:1])[0]
        return [[int(v) for v in record] + limbs(bytes(range(1, 33))), [*limbs(bytes(range(33, 65))), 1]]

    def _compare(
        self, parameters: Parameters, scale: float, x: Floats
    ) -> tuple[NDArray[np.bool_], report.Scores]:
        """Which of the records the quantiser takes, and both models' scores of these."""
        quantiser = self._quantiser(parameters)
        inside = quantiser.taken(x)
        if not inside.any():
            raise CompileError(
                "every record lies outside the calibrated range; calibrate on records like those"
            )
        records = [
            [[int(v) for v in record] + [0] * SALT_LIMBS, [0] * (SALT_LIMBS + 1)]
            for record in quantiser.quantize(x[inside])
        ]
        outputs = self.process.call("infer", 300.0, compiled=self.work.path("circuit.bin"), records=records)
        integers = np.array(outputs, dtype=np.float64)[:, : self.model.length] / scale
        floats = bounds.evaluate(self.model, (x[inside] - self.centre) * self.steps)
        if self.decision == "value":
            return inside, report.Scores("value", floats, integers, floats, integers, "spread")
        shown = (report.probabilities(self.decision, floats), report.probabilities(self.decision, integers))
        return inside, report.Scores(self.decision, floats, integers, *shown, "probability")

    def _report(self, parameters: Parameters, scale: float) -> Accuracy:
        """Both accuracies on the same records that the range takes; the refused are counted beside them."""
        y = self.held_out.y
        inside, scores = self._compare(parameters, scale, self.held_out.x)
        truth = None if y is None else y[inside]
        return report.report(scores, truth, given=len(inside), held_out=y is not None)


def commitments(proof: bytes) -> tuple[bytes, bytes]:
    """The input and output commitments that a proof carries."""
    return keccak256(proof[INPUT_POINT : INPUT_POINT + POINT]), keccak256(
        proof[OUTPUT_POINT : OUTPUT_POINT + POINT]
    )


def _names(output: str, length: int) -> list[str]:
    return [output] if length == 1 else [f"{output}[{i}]" for i in range(length)]


def _basis(work: Workspace, srs: str, widest: int) -> bytes:
    """basis.bin from ezkl's own commitments to zero and to each unit vector."""
    messages = [[0]] + [[0] * i + [1] for i in range(widest)]
    found = work.process.call(
        "commit",
        600.0,
        settings=work.path("settings.json"),
        vk=work.path("vk.bin"),
        srs=srs,
        messages=messages,
    )
    points = [encode(int(x, 16), int(y, 16)) for x, y in found]
    return Basis.from_commitments(points)


def _srs_logrows(path: Path) -> int:
    """The size of an SRS file in halo2's format: logrows u32 LE, 2^logrows points twice, two G2 points."""
    try:
        with open(path, "rb") as file:
            logrows = int(struct.unpack("<I", file.read(4))[0])
        if logrows > 26 or path.stat().st_size != 4 + (128 << logrows) + 256:
            raise CompileError(f"{path.name} is not a KZG SRS in halo2's format")
    except (OSError, struct.error) as error:
        raise CompileError(f"cannot read the SRS {path.name}: {error}") from error
    return logrows


def _require_files(files: Mapping[str, bytes]) -> None:
    for name in ("settings.json", "vk.bin", "srs.bin", "basis.bin"):
        if f"public/{name}" not in files:
            raise ArtifactError(f"public/{name} is missing from this ezkl artifact")


def _remake(
    onnx: bytes, manifest: Manifest, files: Mapping[str, bytes], process: EzklProcess, folder: Path
) -> Remade:
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
    remade = _basis(work, work.path("srs.bin"), len(basis) // POINT - 1)
    tau = solidity.tau_g2(files["public/srs.bin"])
    fields: dict[str, Any] = {
        "circuit_digest": digest(circuit, files["public/settings.json"]).hex(),
        "input.shape": list(model.shape),
        "input.missing": False,
        "output.length": model.length,
        "output.scale": 2.0 ** fresh["model_output_scales"][0],
        "output.decision": decision,
        "output.task": task,
        "output.names": _names(model.output, model.length),
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
