"""What a publisher may choose of an artefact: one record for compiling, its dry run and an attested setup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from proofward.protocol.bounds import MAX_BATCH
from proofward.zkml.errors import CompileError
from proofward.zkml.expected import Expected
from proofward.zkml.manifest import LANE_NAMES, Feature, LaneChoice, Task
from proofward.zkml.quantiser import MAX_FEATURES, Strict
from proofward.zkml.report import MAX_DISAGREEMENT, MAX_SHIFT, Bounds

LANES: tuple[LaneChoice, ...] = ("auto", *LANE_NAMES)
TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True, kw_only=True)
class CompileOptions:
    """What :func:`proofward.zkml.compile_model` and `dry_run` may be told; each may be left out.

    Args:
        task: what the outputs are, where the model leaves it open. features: the inputs by name, in order.
            outputs: names of the targets or labels.
        lane: the proving lane; `auto` takes groth16 wherever it takes the model. batch: records that a proof
            carries, 1 to 32. record_openings: whether one record of a batch opens without the others, which
            takes three times the rows for commitments (groth16).
        accuracy_bound: greatest loss of accuracy or r2 against the float model (0.005 is half a point).
            max_disagreement: greatest share of decisions that differ from its; default 0.01, or
            accuracy_bound where that is larger. max_shift: greatest shift of a probability or score
            (:class:`~proofward.zkml.manifest.Report` has the unit).
        expected: what the library that trained the model says of some records; both models are compared with
            it, and an answer that differs is an error.
        setup: `attested` is for an enclave. srs: the file of a real universal SRS (ezkl). cache: a folder
            that keeps development keys and what a search found.

    Raises CompileError (usage) where a value is none that can be meant.
    """

    task: Task | None = None
    features: Sequence[Feature] | None = None
    outputs: Sequence[str] | None = None

    lane: LaneChoice = "auto"
    batch: int = 1
    record_openings: bool = True

    accuracy_bound: float = 0.005
    max_disagreement: float | None = None
    max_shift: float = MAX_SHIFT
    expected: Expected | None = field(default=None, repr=False)

    setup: Literal["dev", "attested"] = "dev"
    srs: Path | None = None
    cache: Path | None = None

    def __post_init__(self) -> None:
        _require_one_of("lane", self.lane, LANES)
        _require_one_of("task", self.task, (None, *TASKS))
        _require_one_of("setup to compile with", self.setup, ("dev", "attested"))
        if not 1 <= self.batch <= MAX_BATCH:
            raise CompileError(f"batch must be 1 to {MAX_BATCH}, got {self.batch}", code="usage")
        bounds = self.bounds
        for name, bound in (("accuracy_bound", bounds.loss), ("max_disagreement", bounds.disagreement)):
            if not (math.isfinite(bound) and bound >= 0):
                raise CompileError(f"{name} must be 0 or more, got {bound:g}", code="usage")
        if not (math.isfinite(bounds.shift) and bounds.shift > 0):
            raise CompileError(f"max_shift must be above 0, got {bounds.shift:g}", code="usage")

    @property
    def bounds(self) -> Bounds:
        """What is accepted of the integers, the default share of decisions filled in."""
        disagreement = self.max_disagreement
        if disagreement is None:
            disagreement = max(MAX_DISAGREEMENT, self.accuracy_bound)
        return Bounds(self.accuracy_bound, disagreement, self.max_shift)


def _require_one_of(what: str, given: str | None, known: Sequence[str | None]) -> None:
    if given not in known:
        names = ", ".join(name for name in known if name is not None)
        raise CompileError(f"there is no {what} {given!r}: use one of {names}", code="usage")


DEFAULTS = CompileOptions()


class Wishes(Strict):
    """The options that travel to an enclave, as JSON of these fields; it chooses the others itself."""

    task: Task | None = None
    features: list[Feature] | None = Field(default=None, max_length=MAX_FEATURES)
    outputs: list[str] | None = Field(default=None, max_length=1024)
    accuracy_bound: float = CompileOptions.accuracy_bound
    max_disagreement: float | None = CompileOptions.max_disagreement
    max_shift: float = CompileOptions.max_shift
    record_openings: bool = CompileOptions.record_openings

    @classmethod
    def of(cls, options: CompileOptions) -> Wishes:
        """The part of `options` that an enclave is told. Raises CompileError for what it does not do."""
        if options.expected is not None:
            raise CompileError(
                "an enclave compares no expected answers: have them compared by compile --dry-run first",
                code="usage",
            )
        return cls.model_validate({name: getattr(options, name) for name in cls.model_fields})
