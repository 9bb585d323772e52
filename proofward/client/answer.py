"""The answer of a job: unsealed, checked against the proven commitment, read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from proofward.client.errors import OutputMismatch
from proofward.protocol import (
    Code,
    HpkePrivateKey,
    OutputContext,
    OutputPayload,
    ProtocolError,
    open_output,
)
from proofward.terminal import shown
from proofward.zkml import Decided, InputRangeError, PublicArtifact
from proofward.zkml.lines import answer_lines

Fault: TypeAlias = Literal["Sealed", "Malformed", "OutOfRange", "OtherCommitment"]
"""What can be wrong with a sealed output, under the chain's names."""

_FAULTS: Final[dict[Fault, str]] = {
    "Sealed": "the sealed output does not open",
    "Malformed": "the output has not the shape of this model's",
    "OutOfRange": "a value of the output is none that this model can give",
    "OtherCommitment": "the output does not open the proven commitment",
}


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """An opened output; printed, a line a record. `values`: float64 [records, length]; `outputs`: the proven
    integers; `decisions`: labels or values; `names`: one an output.
    """

    job: bytes
    values: NDArray[np.float64]
    outputs: NDArray[np.int64]
    decisions: list[Decided]
    names: list[str]

    def __str__(self) -> str:
        return "\n".join(map(shown, answer_lines(self.names, self.decisions, self.values)))

    def __repr__(self) -> str:  # a log must not hold a diagnosis
        return f"<Answer of job 0x{self.job.hex()}: {len(self.decisions)} records>"


def open_answer(
    public: PublicArtifact, context: OutputContext, sealed: bytes, key: HpkePrivateKey, records: int
) -> Answer:
    """Unseal an output and check it against the commitment in `context`; the first `records` rows are real.

    Raises:
        OutputMismatch: it does not open, has another shape or impossible values, or opens another
            commitment.
    """
    shape = (public.manifest.batch, public.manifest.output.length)
    fault, payload = examine(public, context, sealed, key)
    if fault is not None:
        told = f"{_FAULTS[fault]}; `proofward job contest` takes the worker's stake for it"
        raise _mismatch(context, told)
    if payload is None or payload.records != records:
        raise _mismatch(context, "the output says that it is of another number of records")
    real = np.array(payload.values, dtype=np.int64).reshape(shape)[:records]
    return Answer(context.job, public.dequantize(real), real, public.decide(real), public.output_names)


def examine(
    public: PublicArtifact, context: OutputContext, sealed: bytes, key: HpkePrivateKey
) -> tuple[Fault | None, OutputPayload | None]:
    """What the chain would find wrong with an output that is contested, and what is inside.

    None and the output when it opens the commitment in `context`; the chain says nothing about how many of
    its records are real, as long as there is one and no more than the batch.
    """
    shape = (public.manifest.batch, public.manifest.output.length)
    try:
        payload = open_output(context, sealed, key)
    except ProtocolError as error:
        return ("Sealed" if error.code == Code.WRONG_BINDING else "Malformed"), None
    if len(payload.values) != shape[0] * shape[1] or not 1 <= payload.records <= shape[0]:
        return "Malformed", None
    outputs = np.array(payload.values, dtype=np.int64).reshape(shape)
    try:
        commitment = public.commit_output(outputs, payload.output_salt)
    except InputRangeError:
        return "OutOfRange", None
    if commitment != context.output_commitment:
        return "OtherCommitment", None
    return None, payload


def _mismatch(context: OutputContext, what: str) -> OutputMismatch:
    proven = f"0x{context.output_commitment.hex()}"
    advice = "do not use it, and keep the bundle as evidence against the worker"
    return OutputMismatch(f"job 0x{context.job.hex()}, whose output was proven as {proven}: {what}; {advice}")
