"""The answer of a job: unsealed, checked against the proven commitment, read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofward.client.errors import OutputMismatch
from proofward.protocol import HpkePrivateKey, OutputContext, ProtocolError, open_output
from proofward.zkml import Decided, InputRangeError, PublicArtifact
from proofward.zkml.lines import answer_lines


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
        return "\n".join(answer_lines(self.names, self.decisions, self.values))

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
    try:
        payload = open_output(context, sealed, key)
    except ProtocolError as error:
        raise _mismatch(context, f"the sealed output does not open ({error.message})") from error
    if len(payload.values) != shape[0] * shape[1] or payload.records != records:
        raise _mismatch(context, f"the output has not the shape {list(shape)} of this model")
    outputs = np.array(payload.values, dtype=np.int64).reshape(shape)
    try:
        commitment = public.commit_output(outputs, payload.output_salt)
    except InputRangeError:
        raise _mismatch(context, "a value of the output is none that this model can give") from None
    if commitment != context.output_commitment:
        proven = f"0x{context.output_commitment.hex()}"
        raise _mismatch(context, f"the output does not open the proven commitment {proven}")
    real = outputs[:records]
    return Answer(context.job, public.dequantize(real), real, public.decide(real), public.output_names)


def _mismatch(context: OutputContext, what: str) -> OutputMismatch:
    advice = "do not use it, and keep the bundle as evidence against the worker"
    return OutputMismatch(f"job 0x{context.job.hex()}: {what}; {advice}")
