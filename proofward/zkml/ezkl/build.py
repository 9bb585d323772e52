"""Compiling a model: scales by accuracy, a circuit by speed, keys, and the basis of the commitments."""

from __future__ import annotations

import json
import shutil
import struct
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proofward.zkml import report
from proofward.zkml.cache import recall, remember
from proofward.zkml.errors import CompileError, ProvingError, UnsupportedModel
from proofward.zkml.expected import Answered, compare
from proofward.zkml.ezkl import bounds, graph, search
from proofward.zkml.ezkl.commitment import SALT_LIMBS, Basis, digest, encode, limbs
from proofward.zkml.ezkl.process import EzklProcess
from proofward.zkml.ezkl.search import Parameters, Workspace
from proofward.zkml.lanes import (
    Compiled,
    CompileRequest,
    HeldOut,
)
from proofward.zkml.manifest import Accuracy, Compared, InputSpec, OutputSpec
from proofward.zkml.quantiser import AffineQuantiser
from proofward.zkml.report import check_truth
from proofward.zkml.task import check_logits, resolve

Floats = NDArray[np.float64]

MAX_EVALUATED = 256
CHOICE_SHARE = 0.75  # of what the publisher accepts of the report
MARGIN_EXACT, MARGIN = 2.0, 0.5
"""Of a feature's spread, on either side of what was seen: where a table follows an operator, nothing bounds
how far off it is beyond calibration.
"""
CHECKED, TOLERANCE = 64, 1e-3


class Compilation:
    """One run of the compiler: the graph, the search for parameters, keys and a first proof."""

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
        report.require_records(len(request.everything))
        self.centre, self.steps = graph.standardisation(original, request.calibration)
        self.model = graph.fold(original, self.centre, self.steps)
        self.circuit = graph.circuit(self.model)
        z = (request.calibration - self.centre) * self.steps
        spread = np.maximum(z.max(axis=0) - z.min(axis=0), 1.0)
        margin = (MARGIN_EXACT if self.model.exact else MARGIN) * spread
        self.low, self.high = z.min(axis=0) - margin, z.max(axis=0) + margin
        limits = np.maximum(np.abs(self.low), np.abs(self.high))
        self.magnitudes = bounds.magnitudes(self.model, limits, z[:MAX_EVALUATED])
        self.process = EzklProcess()
        self.work = Workspace(self.process, folder, folder / "graph.onnx")
        self.work.graph.write_bytes(self.circuit)
        y = request.held_out.y
        self.held_out = HeldOut(request.held_out.x[:MAX_EVALUATED], None if y is None else y[:MAX_EVALUATED])
        self.task, self.decision = resolve(
            request.options.task, self.model.decision, self.model.kind, self.model.length, y
        )
        if self.held_out.y is not None:
            check_truth(self.decision, self.model.length, None, self.held_out.y)
        self._check_floats(request.calibration[:CHECKED], z[:CHECKED])

    def _check_floats(self, x: Floats, z: Floats) -> None:
        """The graph that was cut and folded says what ONNX Runtime says of the publisher's file."""
        ours, theirs = bounds.evaluate(self.model, z), bounds.answers(self.request.onnx, self.model, x)
        check_logits(self.output_name, self.model.kind, self.decision, ours)
        if self.model.kind == "decided":
            ours = report.probabilities(self.decision, ours)
        reach = TOLERANCE * max(1.0, float(np.abs(theirs).max()))
        if ours.shape != theirs.shape or not float(np.abs(ours - theirs).max()) <= reach:
            raise UnsupportedModel(
                f"the output {self.output_name!r}, as the ezkl lane reads the model, differs from ONNX "
                "Runtime's on the calibration data, so it is refused; export it with plainer operators "
                "(docs/models.md)"
            )

    def run(self, staging: Path) -> Compiled:
        """Compile into `staging`. Raises CompileError, UnsupportedModel."""
        try:
            return self._run(staging)
        finally:
            self.process.close()

    def _run(self, staging: Path) -> Compiled:
        parameters = self._parameters()
        work, request = self.work, self.request
        settings = work.circuit(parameters)
        scale = 2.0 ** settings["model_output_scales"][0]
        compared = self._against_library(parameters, scale)
        srs = work.keys(request.options.srs, parameters.logrows, 600.0)
        quantiser = self._quantiser(parameters)
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
        (staging / "public" / "basis.bin").write_bytes(basis_points(work, srs, widest))
        (staging / "public" / "vk.bin").write_bytes(vk)
        (staging / "public" / "settings.json").write_bytes(published)
        shutil.copyfile(srs, staging / "public" / "srs.bin")
        for name in ("circuit.bin", "pk.bin"):
            shutil.move(work.path(name), staging / "private" / name)
        seconds = made["seconds"]
        return Compiled(
            setup="ceremony" if request.options.srs else "dev",
            circuit_digest=digest(self.circuit, published),
            input=InputSpec(shape=self.model.shape, quantiser=quantiser),
            output=OutputSpec(
                length=length,
                scale=scale,
                decision=self.decision,
                task=self.task,
                names=output_names(self.output_name, length),
            ),
            accuracy=measured,
            expected=compared,
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
                [self.low.tolist(), self.high.tolist(), asdict(self.request.options.bounds), version("ezkl")]
            ).encode(),
        ).hex()
        options = self.request.options
        cached = options.cache / f"ezkl-{key}.json" if options.cache and not options.srs else None
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
        srs = request.options.srs
        limit = _srs_logrows(srs) if srs else None
        found = list(search.candidates(work, scales, self.magnitudes, widest, limit))
        request.progress(f"ezkl: {len(found)} circuits to choose from, timing the likeliest")
        return search.fastest(work, found, tensors, srs, request.progress).parameters

    def _acceptable(self, parameters: Parameters) -> bool:
        try:
            settings = self.work.circuit(parameters)
            scale = 2.0 ** settings["model_output_scales"][0]
            _, scores = self._compare(parameters, scale, self.request.calibration[:MAX_EVALUATED])
        except ProvingError:
            return False
        accepted = self.request.options.bounds
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

    def _against_library(self, parameters: Parameters, scale: float) -> Compared | None:
        """The library's answers against both models'. Raises UnsupportedModel, AccuracyError,
        CompileError.
        """
        expected, accepted = self.request.options.expected, self.request.options.bounds
        if expected is None:
            return None
        taken = expected.taken(self._quantiser(parameters), accepted)
        _, scores = self._compare(parameters, scale, expected.x)
        theirs = bounds.answers(self.request.onnx, self.model, expected.x[taken])
        decided = self.model.kind == "decided"
        scores = replace(scores, float_shown=theirs) if decided else replace(scores, float_=theirs)
        answered = Answered(scores, taken, probabilities=decided)
        return compare(expected, answered, accepted)


def output_names(output: str, length: int) -> list[str]:
    """Names of the components of an output."""
    return [output] if length == 1 else [f"{output}[{i}]" for i in range(length)]


def basis_points(work: Workspace, srs: str, widest: int) -> bytes:
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
