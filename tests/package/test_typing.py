"""What a user's `print` shows of the package."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import proofward
from proofward import Answer, Job
from proofward.client import Offer
from proofward.protocol import sha256
from tests.evidence import Evidence


def test_every_public_name_is_there_and_loads_nothing_before_it_is_used() -> None:
    for name in proofward.__all__:
        assert getattr(proofward, name) is not None
    assert set(proofward.__all__) <= set(dir(proofward))
    with pytest.raises(AttributeError, match="Clinet"):
        proofward.Clinet  # type: ignore[attr-defined] # noqa: B018
    command = "import proofward, proofward.protocol, sys; print('substrateinterface' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_misspelt_option_of_a_job_is_refused_before_anything_is_sent() -> None:
    client = object.__new__(proofward.Client)
    with pytest.raises(TypeError, match="'recipient'"):
        client.submit("mlp", [1.0], recipient=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'recipient'"):
        asyncio.run(proofward.AsyncClient(client).submit_many("mlp", [[1.0]], recipient=2))  # type: ignore[call-arg]


def test_a_printed_verdict_is_a_line_a_check_and_the_word(evidence: Evidence) -> None:
    verdict = proofward.verify_bundle(evidence.bundle, proofward.Policy.for_development())
    lines = str(verdict).splitlines()
    assert len(lines) == len(verdict.checks) + 1
    assert lines[-1] == verdict.word
    for line, check in zip(lines, verdict, strict=False):
        assert line.split()[0] == check.word.split()[0]
        assert check.name in line
        assert check.detail in line
    assert "\n" not in repr(verdict)
    assert verdict.word in repr(verdict)


def test_a_printed_answer_is_its_records_and_its_repr_tells_nothing(evidence: Evidence) -> None:
    answer = _answer(evidence)
    assert str(answer).startswith("record 0: ")
    assert len(str(answer).splitlines()) == len(answer.decisions)
    assert f"{answer.values[0, 0]:.6g}" in str(answer)
    assert repr(answer) == f"<Answer of job 0x{answer.job.hex()}: {len(answer.decisions)} records>"


def test_a_printed_job_is_its_id() -> None:
    job = Job(sha256(b"job"), sha256(b"model"), 5, 65, Offer(0, (), 3), {})
    assert str(job) == f"0x{sha256(b'job').hex()}"
    assert repr(job) == f"<Job {job}: in block 5, deadline 65>"


def _answer(evidence: Evidence) -> Answer:
    from proofward.client import open_answer

    sealed = evidence.bundle.result.sealed_output
    return open_answer(evidence.artifact.public, evidence.context, sealed, evidence.reply_key, 1)
