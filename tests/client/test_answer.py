"""What the client opens is what was proved, or it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from proofward.client import OutputMismatch, open_answer, verify_bundle
from proofward.client.answer import examine
from proofward.protocol import HpkePrivateKey, HpkeSuite, OutputPayload, seal_output
from proofward.protocol.keys import hpke_seal
from proofward.protocol.sealing import _output_info
from tests.evidence import RECORD, Evidence, make_evidence, pinned, tiny


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


@pytest.mark.parametrize(
    ("expected", "values", "records"),
    [
        ("OtherCommitment", (12345,), 1),
        ("OutOfRange", (2**63 - 1,), 1),
        ("Malformed", (1, 2), 1),
        ("Malformed", (0,), 0),
        ("Malformed", (0,), 2),
    ],
)
def test_what_a_client_would_contest_is_called_what_the_chain_calls_it(
    expected: str, values: tuple[int, ...], records: int, evidence: Evidence
) -> None:
    public, context, key = evidence.artifact.public, evidence.context, evidence.reply_key
    forged = seal_output(context, OutputPayload(records, values, b"s" * 32), key.public)
    assert examine(public, context, forged, key) == (expected, None)
    assert examine(public, context, forged[:-1], key) == ("Sealed", None)
    no_scale = hpke_seal(key.public, b"\x01", _output_info(context))
    assert examine(public, context, no_scale, key) == ("Malformed", None)
    fault, payload = examine(public, context, evidence.bundle.result.sealed_output, key)
    assert fault is None
    assert payload is not None
    assert payload.records == 1


def test_another_key_or_context_does_not_open(evidence: Evidence) -> None:
    sealed, public = evidence.bundle.result.sealed_output, evidence.artifact.public
    with pytest.raises(OutputMismatch):
        open_answer(public, evidence.context, sealed, HpkePrivateKey.generate(HpkeSuite.X25519), 1)
    with pytest.raises(OutputMismatch):
        open_answer(public, replace(evidence.context, worker=b"w" * 32), sealed, evidence.reply_key, 1)


def test_several_records_make_one_proof(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    records = np.array([[0.25, -0.5, 0.75], [-0.5, 0.5, 0.0]])
    artifact = tiny(tmp_path_factory, 16)
    batch = make_evidence(artifact, records, tmp_path / "contracts")
    assert verify_bundle(batch.bundle, pinned(batch)).accepted
    answer = open_answer(
        artifact.public, batch.context, batch.bundle.result.sealed_output, batch.reply_key, 2
    )
    each = artifact.infer(artifact.public.pad(artifact.public.quantize(records)))[:2]
    assert np.array_equal(answer.outputs, each)
    assert len(answer.decisions) == 2
