"""Choosing ezkl's parameters for one model: the smallest scales that keep its accuracy, then the fastest
circuit.

ezkl's own calibration never tries decomp_base, nor fewer rescalings; both decide how many rows and columns a
proof has. Candidates are ranked by a cost model (columns times n log n) and the best few are timed with real
proofs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from proofward.zkml.errors import CompileError, ProvingError
from proofward.zkml.ezkl.bounds import Magnitudes
from proofward.zkml.ezkl.process import EzklProcess

SCALES = ((7, 7), (8, 8), (10, 10), (12, 12), (13, 13))
MULTIPLIERS = (10, 1)
BASES = (16, 32, 64, 128, 256, 512, 1024, 4096, 16384)
COLUMNS = (1, 2, 4)
LOGROWS = range(8, 18)
MAX_LEGS = 12
UNUSABLE_ROWS = 8
TIMED = 4
NEAR = 1.25
LIMIT_SECONDS = 600.0
BUDGET_SECONDS = 10.0
# What the chain carries and what the contract may weigh (EIP-170: 24,576 bytes): generated source compiles to
# about 0.22 bytes a character.
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
        """Weights are fixed in the verifying key. Range checks on the committed tensors are left out: the
        input's integers are the client's own, under its commitment, and the output's are computed.
        """
        return {
            **asdict(self),
            "lookup_range": list(self.lookup_range),
            "input_visibility": visibility[0],
            "output_visibility": visibility[1],
            "param_visibility": "fixed",
            "ignore_range_check_inputs_outputs": True,
            "check_mode": "unsafe",
        }


@dataclass(frozen=True)
class Candidate:
    """Parameters, and what a proof with them would cost."""

    parameters: Parameters
    cost: float


@dataclass
class Workspace:
    """Files of one compilation: the graph at `graph`, everything else made beside it."""

    process: EzklProcess
    folder: Path
    graph: Path

    def path(self, name: str) -> str:
        """Give the path of a file of this search."""
        return str(self.folder / name)

    def settings(self, parameters: Parameters) -> dict[str, Any]:
        """ezkl's settings of the graph with these parameters."""
        found: dict[str, Any] = self.process.call(
            "settings",
            model=str(self.graph),
            output=self.path("settings.json"),
            run_args=parameters.run_args(),
        )
        return found

    def circuit(self, parameters: Parameters) -> dict[str, Any]:
        """Build the circuit; its settings."""
        found = self.settings(parameters)
        self.process.call(
            "compile",
            model=str(self.graph),
            compiled=self.path("circuit.bin"),
            settings=self.path("settings.json"),
        )
        return found

    def keys(self, srs: Path | None, logrows: int, timeout: float) -> str:
        """Run setup; a test SRS is made when none is given. Returns the SRS's path."""
        path = str(srs) if srs else self.path(f"srs{logrows}.bin")
        if srs is None and not Path(path).exists():
            self.process.call("srs", path=path, logrows=logrows)
        self.process.call(
            "setup",
            timeout,
            compiled=self.path("circuit.bin"),
            vk=self.path("vk.bin"),
            pk=self.path("pk.bin"),
            srs=path,
        )
        return path

    def prove(self, srs: str, tensors: list[list[int]], timeout: float) -> dict[str, Any]:
        """Prove the records `tensors`, integers [records, features]."""
        found: dict[str, Any] = self.process.call(
            "prove",
            timeout,
            compiled=self.path("circuit.bin"),
            settings=self.path("settings.json"),
            vk=self.path("vk.bin"),
            pk=self.path("pk.bin"),
            srs=srs,
            tensors=tensors,
        )
        return found


def choose_scales(magnitudes: Magnitudes, acceptable: Callable[[Parameters], bool]) -> Parameters:
    """The smallest scales at which the integer model is accurate enough, in a circuit that takes any input in
    range.
    """
    for input_scale, param_scale in SCALES:
        bits = magnitudes.bits(input_scale, param_scale, 1)
        if bits > MAX_LEGS * 10:
            break
        reach = magnitudes.lookup(input_scale)
        trial = Parameters(input_scale, param_scale, 1, 1024, max(2, -(-bits // 10)), 17, 2, (-reach, reach))
        if acceptable(trial):
            return trial
    raise CompileError(
        "no scale up to 13 bits keeps this model's accuracy in integers; see the accuracy bound"
    )


def candidates(
    work: Workspace, scales: Parameters, magnitudes: Magnitudes, widest: int, srs_logrows: int | None
) -> Iterator[Candidate]:
    """Every sensible combination with its cost. `widest` is the longest committed tensor: it must fit one
    column.
    """
    # Lookup tables would grow with every rescaling that is left out.
    for multiplier in (1,) if magnitudes.looked_up else MULTIPLIERS:
        bits = magnitudes.bits(scales.input_scale, scales.param_scale, multiplier)
        by_legs: dict[int, int] = {}
        for base in BASES:
            legs = max(2, -(-bits // (base.bit_length() - 1)))
            if legs <= MAX_LEGS:
                by_legs.setdefault(legs, base)
        for legs, base in by_legs.items():
            for columns in COLUMNS:
                trial = Parameters(
                    scales.input_scale,
                    scales.param_scale,
                    multiplier,
                    base,
                    legs,
                    17,
                    columns,
                    scales.lookup_range,
                )
                try:
                    rows = int(work.settings(trial)["num_rows"])
                except ProvingError:
                    continue
                for logrows in LOGROWS:
                    usable = (1 << logrows) - UNUSABLE_ROWS
                    if widest > usable or (srs_logrows is not None and logrows > srs_logrows):
                        continue
                    looked_up = 2 * scales.lookup_range[1] if magnitudes.looked_up else 0
                    blocks, tables = -(-rows // usable), -(-max(base, looked_up) // usable)
                    if blocks * columns > MAX_BLOCKS or tables > 2:
                        continue
                    cost = (1 << logrows) * logrows * (6 + 3 * columns * blocks * (1 + 0.5 * tables))
                    yield Candidate(Parameters(**{**asdict(trial), "logrows": logrows}), cost)


@dataclass(frozen=True)
class Timing:
    """One candidate's real proof: processor seconds decide, because other work on the machine does not add to
    them.
    """

    parameters: Parameters
    cpu: float
    seconds: float
    proof_bytes: int

    def __str__(self) -> str:
        p = self.parameters
        return (
            f"2^{p.logrows} rows, base {p.decomp_base}, {p.decomp_legs} legs, {p.num_inner_cols} columns: "
            f"{self.seconds:.2f} s ({self.cpu:.2f} s of processor), {self.proof_bytes} B"
        )


def fastest(
    work: Workspace,
    found: list[Candidate],
    tensors: list[list[int]],
    srs: Path | None,
    progress: Callable[[str], None],
    budget: float = BUDGET_SECONDS,
) -> Timing:
    """Time the likeliest candidate of each circuit size with real, verified proofs, likeliest sizes first,
    until the budget is spent (two at least). Returns the fastest; of near equals, the shortest proof.
    """
    started = time.monotonic()
    timed: list[Timing] = []
    sizes: set[int] = set()
    for candidate in sorted(found, key=lambda c: c.cost):
        if len(timed) >= TIMED or (len(timed) >= 2 and time.monotonic() - started > budget):
            break
        if candidate.parameters.logrows in sizes:
            continue
        best = min((timing.seconds for timing in timed), default=None)
        try:
            timing = time_proof(work, candidate.parameters, tensors, srs, best)
        except ProvingError:
            continue
        sizes.add(candidate.parameters.logrows)
        timed.append(timing)
        progress(f"ezkl: {timing}")
    if not timed:
        raise CompileError(
            "no circuit of up to 2^17 rows proves this model within a contract's size; "
            "it is too large for the ezkl lane"
        )
    least = min(timing.cpu for timing in timed)
    return min((t for t in timed if t.cpu <= NEAR * least), key=lambda timing: timing.proof_bytes)


def time_proof(
    work: Workspace, parameters: Parameters, tensors: list[list[int]], srs: Path | None, best: float | None
) -> Timing:
    """The better of two proofs. Raises ProvingError for what is clearly slower than `best` seconds, does not
    verify, or needs too large a contract or proof.
    """
    work.circuit(parameters)
    path = work.keys(srs, parameters.logrows, LIMIT_SECONDS if best is None else 30 + 20 * best)
    generated = work.process.call(
        "solidity",
        settings=work.path("settings.json"),
        vk=work.path("vk.bin"),
        srs=path,
        output=work.path("verifier.sol"),
    )
    if len(generated) > MAX_SOLIDITY:
        raise ProvingError("its verifier would be too large for a contract")
    runs = []
    for _ in range(2):
        made = work.prove(path, tensors, LIMIT_SECONDS if best is None else 5 + 3 * best)
        if not made["valid"] or len(made["proof"]) // 2 > MAX_PROOF_BYTES:
            raise ProvingError("the proof does not verify, or is too long")
        runs.append((made["cpu"], made["seconds"]["infer"] + made["seconds"]["prove"]))
    return Timing(parameters, *min(runs), len(made["proof"]) // 2)
