"""Interleaved rounds: in each, every model is proven once by ezkl as it calibrates itself, once by our ezkl
lane where that is measured, by gnark where Go is there, and a few times by groth16; every proof is checked.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import peer
from bench.baseline import EzklBaseline
from bench.models import Model
from proofward.zkml import Artifact, CompileOptions, Evaluation, Proof, compile_model
from proofward.zkml.accuracy import decide
from proofward.zkml.groth16.compiler.ranges import accepted
from proofward.zkml.manifest import LaneName
from proofward.zkml.quantiser import AffineQuantiser

PROOFS_A_ROUND = 5
VERIFICATIONS_A_ROUND = 40
BASELINE_RECORDS = 60
EZKL_LANE = ("mlp", "cnn2d")
"""Models that our ezkl lane is measured on besides; its search for settings takes minutes on larger ones."""


@dataclass
class Case:
    """One model under measurement; seconds throughout."""

    model: Model
    artifact: Artifact
    records: np.ndarray
    baseline: EzklBaseline | None = None
    ezkl: Artifact | None = None
    gnark: peer.Gnark | None = None
    proving: list[float] = field(default_factory=list)
    verifying: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    ezkl_proving: list[float] = field(default_factory=list)
    gnark_proving: list[float] = field(default_factory=list)
    proof_bytes: int = 0
    baseline_bytes: int = 0
    ezkl_bytes: int = 0


def compiled(model: Model, folder: Path, batch: int = 1, lane: LaneName = "groth16") -> Artifact:
    """A model's artifact, compiled anew; a batch is one hash, without openings of single records."""
    split = model.split
    return compile_model(
        model.onnx,
        split.train_x,
        folder / f"{model.name}-{lane}-{batch}",
        name=model.name,
        options=CompileOptions(
            lane=lane, batch=batch, accuracy_bound=model.loss, max_shift=model.shift, record_openings=False
        ),
        evaluation=Evaluation(split.test_x, split.test_y),
    )


def held_out(model: Model, artifact: Artifact) -> np.ndarray:
    """Held-out records that the quantiser takes."""
    quantiser = artifact.manifest.input.quantiser
    x = model.split.test_x
    return x[accepted(quantiser, x)] if isinstance(quantiser, AffineQuantiser) else x


def run(models: list[Model], rounds: int, folder: Path, baseline: bool) -> dict[str, dict[str, Any]]:
    """Measure; returns the report's `models`."""
    with ExitStack() as stack:
        cases: list[Case] = []
        missing = peer.build()
        if missing is not None:
            say(f"gnark is left out: {missing}")
        for model in models:
            say(f"{model.name}: compiling ({model.title})")
            artifact = compiled(model, folder)
            case = Case(model, artifact, held_out(model, artifact))
            if baseline and model.name != "trees":
                say(f"{model.name}: setting up ezkl")
                case.baseline = stack.enter_context(EzklBaseline(model))
                say(
                    f"{model.name}: ezkl has logrows {case.baseline.facts['logrows']}, set up in "
                    f"{case.baseline.facts['setup_s']:.0f} s, key {case.baseline.facts['pk_mb']:.0f} MB"
                )
                if model.name in EZKL_LANE:
                    say(f"{model.name}: searching settings of our ezkl lane")
                    case.ezkl = compiled(model, folder, lane="ezkl")
                    case.ezkl.warm()
                    _prove_ezkl(case, 0)
            if missing is None and peer.takes(artifact):
                case.gnark = stack.enter_context(peer.Gnark(artifact))
                case.gnark.prove(case.records[0])
            artifact.warm()
            list(_prove(case, 2))
            cases.append(case)
        for case in cases:
            case.proving.clear()
            case.verifying.clear()
            case.ezkl_proving.clear()
        for number in range(rounds):
            for case in cases:
                _round(case, number)
            say(
                f"round {number + 1} of {rounds}: "
                + ", ".join(
                    f"{case.model.name} {1e3 * case.proving[-1]:.1f} ms"
                    + (f" (ezkl {1e3 * case.theirs[-1]:.0f})" if case.theirs else "")
                    + (f" (our ezkl lane {1e3 * case.ezkl_proving[-1]:.0f})" if case.ezkl_proving else "")
                    + (f" (gnark {1e3 * case.gnark_proving[-1]:.1f})" if case.gnark_proving else "")
                    for case in cases
                )
            )
        return {case.model.name: _report(case) for case in cases}


def _round(case: Case, number: int) -> None:
    if case.baseline is not None:
        found = case.baseline.prove(case.records[number % len(case.records)])
        if not found["valid"]:
            raise SystemExit(f"{case.model.name}: ezkl's own verifier refuses its proof")
        case.theirs.append(found["prove_s"])
        case.baseline_bytes = found["proof_bytes"]
    if case.ezkl is not None:
        _prove_ezkl(case, number)
    for i, _ in enumerate(_prove(case, PROOFS_A_ROUND, number)):
        if case.gnark is not None:  # turn about, for the machine swings between two speeds
            at = (number * PROOFS_A_ROUND + i) % len(case.records)
            case.gnark_proving.append(case.gnark.prove(case.records[at]))


def _prove_ezkl(case: Case, number: int) -> None:
    """One proof of our ezkl lane, which includes the lane's own verification of it."""
    assert case.ezkl is not None
    made, seconds = _timed_proof(case.ezkl, case.records[number % len(case.records)])
    case.ezkl_proving.append(seconds)
    case.ezkl_bytes = len(made.proof)
    if not case.ezkl.public.verify(made.input_commitment, made.output_commitment, made.proof):
        raise SystemExit(f"{case.model.name}: a proof of our ezkl lane does not verify")


def _prove(case: Case, count: int, number: int = 0) -> Iterator[None]:
    public = case.artifact.public
    for i in range(count):
        made, seconds = _timed_proof(case.artifact, case.records[(number * count + i) % len(case.records)])
        case.proving.append(seconds)
        case.proof_bytes = len(made.proof)
        for _ in range(VERIFICATIONS_A_ROUND // count):
            started = time.perf_counter()
            valid = public.verify(made.input_commitment, made.output_commitment, made.proof)
            case.verifying.append(time.perf_counter() - started)
            if not valid:
                raise SystemExit(f"{case.model.name}: a groth16 proof does not verify")
        yield


def _timed_proof(artifact: Artifact, record: np.ndarray) -> tuple[Proof, float]:
    """A proof about one record, and the seconds that it took, without quantisation."""
    values = artifact.public.quantize(record[None, :])
    salts = os.urandom(32), os.urandom(32)
    started = time.perf_counter()
    made = artifact.prove(values, *salts)
    return made, time.perf_counter() - started


def _report(case: Case) -> dict[str, Any]:
    manifest = case.artifact.manifest
    prove_ms = 1e3 * statistics.median(case.proving)
    baseline_ms = 1e3 * statistics.median(case.theirs) if case.theirs else None
    constraints = manifest.constraints or {}
    report: dict[str, Any] = {
        "baseline_ms": baseline_ms,
        "prove_ms": prove_ms,
        "ratio": baseline_ms / prove_ms if baseline_ms else None,
        "proof_bytes": case.proof_bytes,
        "verify_ms_p95": 1e3 * float(np.quantile(case.verifying, 0.95)),
        "accuracy_float": manifest.accuracy.float_,
        "accuracy_integer": manifest.accuracy.integer,
        "accuracy_records": manifest.accuracy.records,
        "refused": manifest.accuracy.report.refused if manifest.accuracy.report is not None else 0,
        "constraints": constraints["total"],
        "domain": constraints["domain"],
        "constraints_by_layer": constraints["by_layer"],
        **_child("setup", case.artifact.path),
        **_child("measure", case.artifact.path),
    }
    if case.baseline is not None:
        report |= {
            "baseline_proof_bytes": case.baseline_bytes,
            "baseline_logrows": case.baseline.facts["logrows"],
            "baseline_accuracy": _baseline_accuracy(case),
        }
    if case.gnark is not None:
        gnark_ms, rows = 1e3 * statistics.median(case.gnark_proving), case.gnark.facts["rows"]
        report["gnark"] = {
            "prove_ms": gnark_ms,
            "rows": rows,
            "ratio": gnark_ms / prove_ms,
            "ratio_a_row": gnark_ms / rows * constraints["total"] / prove_ms,
        }
    if case.ezkl is not None and baseline_ms:
        ezkl_ms = 1e3 * statistics.median(case.ezkl_proving)
        report["ezkl_lane"] = {
            "prove_ms": ezkl_ms,
            "ratio": baseline_ms / ezkl_ms,
            "proof_bytes": case.ezkl_bytes,
            "accuracy_integer": case.ezkl.manifest.accuracy.integer,
            "accuracy_float": case.ezkl.manifest.accuracy.float_,
        }
    return report


def _baseline_accuracy(case: Case) -> dict[str, float]:
    """ezkl's integers on held-out records, and the float model on the same ones."""
    from proofward.zkml.groth16.compiler.float_model import scores
    from proofward.zkml.groth16.compiler.onnx_frontend import trace

    assert case.baseline is not None
    x, y = case.model.split.test_x[:BASELINE_RECORDS], case.model.split.test_y[:BASELINE_RECORDS]
    decision = case.artifact.manifest.output.decision
    theirs = decide(decision, case.baseline.infer(x))
    floats = decide(decision, scores(case.model.onnx, trace(case.model.onnx), x))
    return {"records": len(x), "float": float(np.mean(floats == y)), "integer": float(np.mean(theirs == y))}


def _child(what: str, artifact: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.child", what, str(artifact)], check=True, capture_output=True
    )
    return dict(json.loads(done.stdout))


def say(text: str) -> None:
    """Progress goes to standard error."""
    print(text, file=sys.stderr, flush=True)
