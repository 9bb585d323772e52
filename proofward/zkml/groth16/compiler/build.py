"""The publisher's side of the lane: quantise, build the circuit, set up keys, write the files."""

from __future__ import annotations

import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import proofward_prover as prover

from proofward.zkml.errors import CompileError
from proofward.zkml.groth16 import keys
from proofward.zkml.groth16.compiler.measured import quantised
from proofward.zkml.groth16.compiler.onnx_frontend import Traced
from proofward.zkml.groth16.params import Form, LaneParams
from proofward.zkml.lanes import Compiled, CompileRequest, Estimate
from proofward.zkml.manifest import InputSpec, OutputSpec
from proofward.zkml.quantiser import takes_missing

# Fitted on two cores of a current server (`python -m bench`): a floor, and what each constraint adds.
MS_FLOOR, MS_PER_CONSTRAINT = 4.0, 0.0145
# A proving key's bytes a constraint (379 to 406 over circuits of 500 to 17,000), and the prover's resident
# memory:
# 50 MB, and about three times the key (docs/benchmarks.md).
BYTES_PER_CONSTRAINT, MEMORY_FLOOR = 395, 50 << 20


def build(request: CompileRequest, staging: Path) -> Compiled:
    """Compile the request into `staging`. Raises UnsupportedModel, AccuracyError, CompileError."""
    made = quantised(request)
    traced, lowered, plan, accuracy = made.traced, made.lowered, made.plan, made.accuracy
    try:
        circuit = prover.Circuit(lowered.program.encode(), request.options.batch, _form(request))
    except prover.ProverError as error:
        raise CompileError(f"the circuit could not be built ({error.code}): {error}") from error
    cache = request.options.cache if request.options.setup == "dev" else None
    started = time.perf_counter()
    program = lowered.program.encode()
    try:
        key_file = staging / "private" / "pk.bin"
        pair = keys.make(program, request.options.batch, _form(request), key_file, cache, request.progress)
    except prover.ProverError as error:
        raise CompileError(f"the keys could not be made ({error.code}): {error}") from error
    seconds = time.perf_counter() - started
    (staging / "private" / "program.bin").write_bytes(program)
    (staging / "public" / "vk.bin").write_bytes(pair.verifying_key)
    params = LaneParams(
        output_bounds=circuit.output_bounds,
        plan=plan,
        rounding=lowered.max_deviation,
        commitment="flat" if _form(request) == "flat" else None,
    )
    request.progress(f"keys: {'cached' if pair.cached else f'{seconds:.1f} s'}")
    return Compiled(
        setup=request.options.setup,
        circuit_digest=circuit.digest,
        input=InputSpec(
            shape=list(traced.input_shape),
            quantiser=lowered.quantiser,
            missing=takes_missing(lowered.quantiser),
        ),
        output=OutputSpec(
            length=len(lowered.program.output.wires),
            scale=lowered.scale,
            decision=traced.decision,
            task=made.task,
            labels=None if traced.labels is None else [str(label) for label in traced.labels],
            names=names_of(traced),
        ),
        accuracy=accuracy,
        expected=made.expected,
        lane_params=params.model_dump(mode="json", exclude_none=True),
        constraints=constraints_of(circuit),
        versions={
            "prover": prover.__version__,
            **{name: version(name) for name in ("numpy", "scipy", "onnx")},
        },
        verifying_key=pair.verifying_key,
    )


def estimate(request: CompileRequest) -> Estimate:
    """What compiling would give, without making keys. Raises UnsupportedModel, AccuracyError,
    CompileError.
    """
    made = quantised(request)
    try:
        circuit = prover.Circuit(made.lowered.program.encode(), request.options.batch, _form(request))
    except prover.ProverError as error:
        raise CompileError(f"the circuit could not be built ({error.code}): {error}") from error
    key = BYTES_PER_CONSTRAINT * circuit.constraints
    return Estimate(
        task=made.task,
        names=names_of(made.traced),
        accuracy=made.accuracy,
        expected=made.expected,
        rows=circuit.constraints,
        domain=circuit.domain,
        prove_ms=MS_FLOOR + MS_PER_CONSTRAINT * circuit.constraints,
        key_bytes=key,
        memory_bytes=MEMORY_FLOOR + 3 * key,
        by_layer=constraints_of(circuit)["by_layer"],
    )


def _form(request: CompileRequest) -> Form:
    """One hash over a batch has a third of a tree's rows; a single record is a tree of one."""
    return "flat" if request.options.batch > 1 and not request.options.record_openings else "tree"


def constraints_of(circuit: prover.Circuit) -> dict[str, Any]:
    """The manifest's `constraints`: their number, and by layer."""
    layers: Counter[str] = Counter()
    for label, count in circuit.constraints_by_layer:
        layers[label] += count
    return {
        "total": circuit.constraints,
        "domain": circuit.domain,
        "by_layer": [[label, count] for label, count in layers.items() if count],
        "estimated_prove_ms": round(MS_FLOOR + MS_PER_CONSTRAINT * circuit.constraints, 1),
    }


def names_of(traced: Traced) -> list[str]:
    """One name an output: its class, or the ONNX tensor with a number where it has several."""
    if traced.labels is not None and len(traced.labels) == traced.length:
        return [str(label) for label in traced.labels]
    if traced.length == 1:
        positive = traced.labels is not None and len(traced.labels) == 2 and traced.decision == "sigmoid"
        return [str(traced.labels[1]) if positive and traced.labels else traced.output_name]
    return [f"{traced.output_name}[{i}]" for i in range(traced.length)]
