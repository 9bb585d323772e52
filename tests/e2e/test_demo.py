"""The README's first command as its user runs it: on the embedded chain, and on the real node where it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from proofward.devnet.chains import Devnet, OmniNode
from proofward_demo.run import AGE_BLOCKS
from tests.nodes import KINDS

BUILD = Path(__file__).resolve().parents[2] / "build" / "e2e"
FAULTS = {
    "a proof with a flipped bit": ("contract", "Jobs.Rejected"),
    "a proof of another job": ("contract", "Jobs.Rejected"),
    "a receipt signed by another key": ("pallet", "Jobs.BadReceipt"),
    "a quote with a flipped bit": ("pallet", "Attestation.QuoteRejected"),
    "a quote under a foreign root": ("pallet", "Attestation.UnknownRoot"),
    "a quote with another account's report_data": ("pallet", "Workers.ReportDataMismatch"),
    "a quote bound to a block that is too old": ("pallet", "Workers.BlockTooOld"),
    "a result after the deadline": ("pallet", "Jobs.DeadlinePassed"),
    "an output that does not open its commitment": ("client", "OutputMismatch"),
    "a simulated worker on a job that demands hardware": ("pallet", "Jobs.LevelTooLow"),
}


@contextmanager
def old_omni_node(data: Path) -> Iterator[OmniNode]:
    """The real node at its usual pace, as old as the demo wants it."""
    with OmniNode(data, block_time_ms=100) as hasty, hasty.connect() as client:
        client.wait_block(AGE_BLOCKS, timeout=200)
    with OmniNode(data) as node:
        yield node


@pytest.fixture(scope="module", params=KINDS)
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    if request.param is Devnet:
        return run_demo(BUILD / "demo.json")
    with old_omni_node(tmp_path_factory.mktemp("omni")) as node:
        return run_demo(BUILD / "omni-demo.json", "--chain", node.url)


def run_demo(out: Path, *options: str) -> dict[str, object]:
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "proofward.cli", "demo", "--out", str(out), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout) == json.loads(out.read_text())
    return dict(json.loads(done.stdout))


def test_three_jobs_are_accepted_and_the_hopeless_one_is_refunded(report: dict[str, Any]) -> None:
    accepted = [job for job in report["jobs"] if job["verdict"] == "accepted"]
    refunded = [job for job in report["jobs"] if job["verdict"] == "refunded"]
    assert (len(accepted), len(refunded)) == (3, 1)
    assert {job["worker"] for job in accepted} == {"second"}  # the first was killed with a claim in hand
    assert all(job["paid"] > 0 and job["proof_bytes"] > 0 for job in accepted)
    assert refunded[0]["paid"] == 0
    assert all(check["ok"] for job in accepted for check in job["checks"] if check["required"])
    assert {job["model"] for job in accepted} == {"breast-cancer-mlp", "breast-cancer-logistic"}
    assert {job["lane"] for job in report["jobs"]} == {"groth16"}  # the lane whose proofs hide


def test_answers_are_those_of_the_float_model(report: dict[str, Any]) -> None:
    for job in report["jobs"]:
        if job["verdict"] == "accepted":
            assert (job["answer"] > 0.5) == (job["float_answer"] > 0.5)
            assert abs(job["answer"] - job["float_answer"]) < 0.2
            assert {"seal", "open", "infer", "prove", "verify_local", "verdict"} <= set(job["seconds"])


def test_every_fault_is_refused_where_it_should_be(report: dict[str, Any]) -> None:
    refused = {entry["fault"]: entry for entry in report["refused"]}
    assert refused.keys() == FAULTS.keys()
    for fault, (where, error) in FAULTS.items():
        assert refused[fault]["where"] == where, fault
        assert refused[fault]["error"].startswith(error), fault


def test_the_report_says_what_is_simulated_and_who_set_it_up(report: dict[str, Any]) -> None:
    assert {worker["level"] for worker in report["workers"]} == {"simulated"}
    assert {job["setup"] for job in report["jobs"]} == {"dev"}
    assert len(report["chain"]["runtime_sha256"]) == 64
