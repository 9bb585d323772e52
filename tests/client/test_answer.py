"""What the client opens is what was proved, or it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from proofward.client import OutputMismatch, open_answer, verify_bundle
from proofward.protocol import HpkePrivateKey, HpkeSuite, OutputPayload, seal_output
from tests.evidence import RECORD, Evidence, compile_tiny, make_evidence, pinned


def test_the_answer_is_the_integer_models(evidence: Evidence) -> None:
    public = evidence.artifact.public
    answer = open_answer(
        public, evidence.context, evidence.bundle.result.sealed_output, evidence.reply_key, 1
    )
    assert np.array_equal(answer.outputs, evidence.artifact.infer(public.quantize(RECORD)))
    assert answer.decisions == public.decide(answer.outputs)


@pytest.mark.parametrize(
    ("fault", "values", "records"),
    [
        ("another-value", (12345,), 1),
        ("above-every-bound", (2**63 - 1,), 1),
        ("below-every-bound", (-(2**63),), 1),
        ("another-shape", (1, 2), 1),
        ("another-count", (0,), 2),
        ("empty", (), 1),
    ],
)
def test_an_output_that_does_not_open_its_commitment(
    fault: str, values: tuple[int, ...], records: int, evidence: Evidence
) -> None:
    forged = seal_output(
        evidence.context, OutputPayload(records, values, b"s" * 32), evidence.reply_key.public
    )
    with pytest.raises(OutputMismatch, match="keep the bundle as evidence"):
        open_answer(evidence.artifact.public, evidence.context, forged, evidence.reply_key, 1)


def test_another_key_or_context_does_not_open(evidence: Evidence) -> None:
    sealed, public = evidence.bundle.result.sealed_output, evidence.artifact.public
    with pytest.raises(OutputMismatch):
        open_answer(public, evidence.context, sealed, HpkePrivateKey.generate(HpkeSuite.X25519), 1)
    with pytest.raises(OutputMismatch):
        open_answer(public, replace(evidence.context, worker=b"w" * 32), sealed, evidence.reply_key, 1)


def test_several_records_make_one_proof(tmp_path: Path) -> None:
    records = np.array([[0.25, -0.5, 0.75], [-0.5, 0.5, 0.0]])
    artifact = compile_tiny(tmp_path / "models" / "batch", batch=3)
    batch = make_evidence(artifact, records, tmp_path / "contracts")
    assert verify_bundle(batch.bundle, pinned(batch)).accepted
    answer = open_answer(
        artifact.public, batch.context, batch.bundle.result.sealed_output, batch.reply_key, 2
    )
    each = artifact.infer(artifact.public.pad(artifact.public.quantize(records)))[:2]
    assert np.array_equal(answer.outputs, each)
    assert len(answer.decisions) == 2
