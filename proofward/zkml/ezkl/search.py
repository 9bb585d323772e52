"""Choosing ezkl's parameters for one model: the smallest scales that keep its accuracy, then the fastest circuit.

ezkl's own calibration never tries decomp_base, nor fewer rescalings; both decide how many rows and columns a proof
has. Candidates are ranked by a cost model (columns times n log n) and the best few are timed with real proofs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from proofward.zkml.errors import CompileError, ProvingError

from .bounds import Magnitudes
from .process import EzklProcess

SCALES = ((7, 7), (8, 8), (10, 10), (12, 12), (13, 13))
MULTIPLIERS = (10, 1)
BASES = (16, 32, 64, 128, 256, 512, 1024, 4096, 16384)
COLUMNS = (1, 2, 4)
LOGROWS = range(8, 18)
MAX_LEGS = 12
UNUSABLE_ROWS = 8
TIMED = 5
BUDGET_SECONDS = 10.0
# What the chain carries and what the contract may weigh (EIP-170: 24,576 bytes): generated source compiles to about
# 0.22 bytes a character.
MAX_PROOF_BYTES = 16 << 10
MAX_SOLIDITY = 110_000
MAX_BLOCKS = 6


@dataclass(frozen=True)
class Parameters:
    """ezkl's run arguments that the search decides."""

    input_scale: int
    param_scale: int
    scale_rebase_multiplier: int
    decomp_base: int
    decomp_legs: int
    logrows: int
    num_inner_cols: int
    lookup_range: tuple[int, int] = (-32768, 32768)

    def run_args(self, visibility: tuple[str, str] = ("polycommit", "polycommit")) -> dict[str, Any]:
        """Weights are fixed in the verifying key. Range checks on the committed tensors are left out: the input's
        integers are the client's own, under its commitment, and the output's are computed."""
        return {
            **asdict(self), "lookup_range": list(self.lookup_range), "input_visibility": visibility[0],
            "output_visibility": visibility[1], "param_visibility": "fixed",
            "ignore_range_check_inputs_outputs": True, "check_mode": "unsafe",
        }  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    parameters: Parameters
    cost: float


@dataclass
class Workspace:
    """Files of one compilation: the graph at `graph`, everything else made beside it."""

    process: EzklProcess
    folder: Path
    graph: Path

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def settings(self, parameters: Parameters) -> dict[str, Any]:
        found: dict[str, Any] = self.process.call(
            "settings",
            model=str(self.graph),
            output=self.path("settings.json"),
            run_args=parameters.run_args(),
        )
        return found

    def circuit(self, parameters: Parameters) -> dict[str, Any]:
        found = self.settings(parameters)
        self.process.call("compile", model=str(self.graph), compiled=self.path("circuit.bin"),
                          settings=self.path("settings.json"))  # fmt: skip
        return found

    def keys(self, srs: Path | None, logrows: int, timeout: float) -> str:
        """Run setup; a test SRS is made when none is given. Returns the SRS's path."""
        path = str(srs) if srs else self.path(f"srs{logrows}.bin")
        if srs is None and not Path(path).exists():
            self.process.call("srs", path=path, logrows=logrows)
        self.process.call("setup", timeout, compiled=self.path("circuit.bin"), vk=self.path("vk.bin"),
                          pk=self.path("pk.bin"), srs=path)  # fmt: skip
        return path

    def prove(self, srs: str, tensors: list[list[int]], timeout: float) -> dict[str, Any]:
        found: dict[str, Any] = self.process.call(
            "prove", timeout, compiled=self.path("circuit.bin"), settings=self.path("settings.json"),
            vk=self.path("vk.bin"), pk=self.path("pk.bin"), srs=srs, tensors=tensors)  # fmt: skip
        return found


def choose_scales(magnitudes: Magnitudes, acceptable: Callable[[Parameters], bool]) -> Parameters:
    """The smallest scales at which the integer model is accurate enough, in a circuit that takes any input in range."""
    for input_scale, param_scale in SCALES:
        bits = magnitudes.bits(input_scale, param_scale, 1)
        if bits > MAX_LEGS * 10:
            break
        trial = Parameters(input_scale, param_scale, 1, 1024, max(2, -(-bits // 10)), 17, 2)
        if acceptable(trial):
            return trial
    raise CompileError(
        "no scale up to 13 bits keeps this model's accuracy in integers; see the accuracy bound"
    )


def candidates(
    work: Workspace, scales: Parameters, magnitudes: Magnitudes, widest: int, srs_logrows: int | None
) -> Iterator[Candidate]:
    """Every sensible combination with its cost. `widest` is the longest committed tensor: it must fit one column."""
    for multiplier in MULTIPLIERS:
        bits = magnitudes.bits(scales.input_scale, scales.param_scale, multiplier)
        by_legs: dict[int, int] = {}
        for base in BASES:
            legs = max(2, -(-bits // (base.bit_length() - 1)))
            if legs <= MAX_LEGS:
                by_legs.setdefault(legs, base)
        for legs, base in by_legs.items():
            for columns in COLUMNS:
                trial = Parameters(scales.input_scale, scales.param_scale, multiplier, base, legs, 17, columns,
                                   scales.lookup_range)  # fmt: skip
                try:
                    rows = int(work.settings(trial)["num_rows"])
                except ProvingError:
                    continue
                for logrows in LOGROWS:
                    usable = (1 << logrows) - UNUSABLE_ROWS
                    if widest > usable or (srs_logrows is not None and logrows > srs_logrows):
                        continue
                    blocks, tables = -(-rows // usable), -(-base // usable)
                    if blocks * columns > MAX_BLOCKS or tables > 2:
                        continue
                    cost = (1 << logrows) * logrows * (6 + 3 * columns * blocks * (1 + 0.5 * tables))
                    yield Candidate(Parameters(**{**asdict(trial), "logrows": logrows}), cost)


def fastest(
    work: Workspace,
    found: list[Candidate],
    tensors: list[list[int]],
    srs: Path | None,
    budget: float = BUDGET_SECONDS,
    progress: Callable[[str], None] | None = None,
) -> tuple[Parameters, float]:
    """Time the best-ranked candidates (at most two a circuit size) with real, verified proofs until the budget is
    spent. Returns the fastest and its seconds, the shorter proof among near equals."""
    started = time.monotonic()
    timed: list[tuple[float, int, Parameters]] = []
    per_size: dict[int, int] = {}
    for candidate in sorted(found, key=lambda c: c.cost):
        parameters = candidate.parameters
        spent = time.monotonic() - started
        if len(timed) >= TIMED or (timed and spent > budget):
            break
        if per_size.get(parameters.logrows, 0) >= 2:
            continue
        best = min((seconds for seconds, _, _ in timed), default=None)
        try:
            seconds, size = time_proof(work, parameters, tensors, srs, best)
        except ProvingError:
            continue
        per_size[parameters.logrows] = per_size.get(parameters.logrows, 0) + 1
        if size <= MAX_PROOF_BYTES:
            timed.append((seconds, size, parameters))
            if progress:
                progress(f"ezkl 2^{parameters.logrows} rows, base {parameters.decomp_base}, {parameters.decomp_legs} "
                         f"legs, {parameters.num_inner_cols} columns: {seconds:.2f} s, {size} B")  # fmt: skip
    if not timed:
        raise CompileError(
            "no circuit of up to 2^17 rows proves this model; it is too large for the ezkl lane"
        )
    best = min(seconds for seconds, _, _ in timed)
    seconds, _, chosen = min(
        (entry for entry in timed if entry[0] <= best * 1.08), key=lambda entry: entry[1]
    )
    return chosen, seconds


def time_proof(
    work: Workspace, parameters: Parameters, tensors: list[list[int]], srs: Path | None, best: float | None
) -> tuple[float, int]:
    """Best seconds of two proofs and the proof's bytes; gives up on what is clearly slower than `best`."""
    work.circuit(parameters)
    setup_timeout = 600.0 if best is None else 30 + 20 * best
    path = work.keys(srs, parameters.logrows, setup_timeout)
    generated = work.process.call("solidity", settings=work.path("settings.json"), vk=work.path("vk.bin"), srs=path,
                                  output=work.path("verifier.sol"))  # fmt: skip
    if len(generated) > MAX_SOLIDITY:
        raise ProvingError("its verifier would be too large for a contract")
    timeout = 600.0 if best is None else 2 + 2 * best
    runs = []
    for _ in range(2):
        made = work.prove(path, tensors, timeout)
        if not made["valid"]:
            raise ProvingError("the proof does not verify")
        runs.append(made["seconds"]["infer"] + made["seconds"]["prove"])
        if best is not None and runs[0] > 1.5 * best:
            break
    return float(np.min(runs)), len(made["proof"]) // 2
