"""One window: its answer and commitments at once, its proof a moment later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proofward.edge.errors import EdgeError
from proofward.protocol import SYSTEM_RANDOM
from proofward.zkml import Artifact, Decided, load_artifact

Integers = NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class Answered:
    """A window that was run and committed to. All but the commitments is secret."""

    number: int
    values: Integers
    outputs: Integers
    salts: tuple[bytes, bytes]
    input_commitment: bytes
    output_commitment: bytes
    decision: Decided
    scores: list[float]


class Device:
    """A model on a device that proves for itself. Raises EdgeError for a model that takes several records."""

    def __init__(self, folder: Path) -> None:
        self.artifact: Artifact = load_artifact(folder)
        self.public = self.artifact.public
        if self.public.manifest.batch != 1:
            raise EdgeError(
                f"the model in {folder} takes {self.public.manifest.batch} records a proof; a device proves "
                "window by window: compile it with --batch 1",
                code="usage",
            )
        self.artifact.warm()

    @property
    def size(self) -> int:
        """Values of a window."""
        return self.public.manifest.input.quantiser.features

    @property
    def unit(self) -> str | None:
        """The unit of all values of a window; None where the model names none, or several."""
        found = {feature.unit for feature in self.public.manifest.input.features or ()}
        return found.pop() if len(found) == 1 else None

    def answer(self, number: int, window: NDArray[np.float64]) -> Answered:
        """Run the model and commit to both ends. Raises InputRangeError."""
        values = self.public.quantize(window[None])
        outputs = self.artifact.infer(values)
        salts = SYSTEM_RANDOM(32), SYSTEM_RANDOM(32)
        return Answered(
            number,
            values,
            outputs,
            salts,
            self.public.commit_input(values, salts[0]),
            self.public.commit_output(outputs, salts[1]),
            self.public.decide(outputs)[0],
            self.public.dequantize(outputs)[0].tolist(),
        )

    def prove(self, answered: Answered) -> bytes:
        """The proof of a window, verified before it is returned. Raises ProvingError, EdgeError."""
        made = self.artifact.prove(answered.values, *answered.salts)
        ends = answered.input_commitment, answered.output_commitment
        if (made.input_commitment, made.output_commitment) != ends:
            raise EdgeError("the proof is of other commitments than were given out; report this")
        return made.proof

    def close(self) -> None:
        """Let the prover go."""
        self.artifact.close()
