"""What a user's type checker and a user's `print` see of the installed package."""

from __future__ import annotations

import subprocess
import sys

import pytest

import proofward
from proofward import Answer, Job
from proofward.protocol import sha256
from tests.evidence import Evidence
from tests.package.venvs import Venv

SNIPPET = """
import proofward
from proofward import AsyncClient, Client, Job, JobTimeout, Policy, ProofwardError, Verdict

def diagnose(record: list[float]) -> Verdict:
    client = Client("ws://127.0.0.1:9944", signer="//Alice", development=True)
    job: Job = client.submit("mlp", record, artifact="public")
    try:
        client.wait(job, timeout=60.0)
    except JobTimeout as error:
        text: str = error.message
    outputs: list[str] = client.open(job).names
    return client.verify(job, policy=Policy(development=True))

version: str = proofward.__version__
"""
FAULTS = {
    "a misspelt argument": ('signer="//Alice"', 'signr="//Alice"', "call-arg"),
    "a misspelt name": ("import AsyncClient", "import AsyncKlient", "attr-defined"),
    "a wrong result": ("job: Job", "job: Verdict", "assignment"),
    "a misspelt method": ("client.wait(", "client.await_(", "attr-defined"),
}


def _mypy(venv: Venv, text: str) -> str:
    file = venv.folder / "snippet.py"
    file.write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", venv.python, "snippet.py"]
    command += ["--cache-dir", str(venv.folder / "cache"), "--config-file", ""]
    done = subprocess.run(
        command, cwd=venv.folder, env=venv.environment, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_a_users_type_checker_sees_our_types(client: Venv) -> None:
    assert _mypy(client, SNIPPET).startswith("Success"), _mypy(client, SNIPPET)
    for fault, (good, bad, code) in FAULTS.items():
        assert SNIPPET.count(good) == 1
        found = _mypy(client, SNIPPET.replace(good, bad))
        assert f"[{code}]" in found, (fault, found)


def test_every_public_name_is_there_and_loads_nothing_before_it_is_used() -> None:
    for name in proofward.__all__:
        assert getattr(proofward, name) is not None
    assert set(proofward.__all__) <= set(dir(proofward))
    with pytest.raises(AttributeError, match="Clinet"):
        proofward.Clinet  # type: ignore[attr-defined] # noqa: B018
    command = "import proofward, proofward.protocol, sys; print('substrateinterface' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


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
    job = Job(sha256(b"job"), sha256(b"model"), 5, 65, (), {})
    assert str(job) == f"0x{sha256(b'job').hex()}"
    assert repr(job) == f"<Job {job}: in block 5, deadline 65>"


def _answer(evidence: Evidence) -> Answer:
    from proofward.client import open_answer

    sealed = evidence.bundle.result.sealed_output
    return open_answer(evidence.artifact.public, evidence.context, sealed, evidence.reply_key, 1)
