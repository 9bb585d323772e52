"""One job, one proof, one receipt: whatever the host repeats, varies or breaks, it learns nothing more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proofward.protocol.enclave import EnclaveError
from proofward.zkml import compile_model, load_artifact
from proofward.zkml.quantiser import AffineQuantiser
from proofward_enclave.ledger import Ledger
from proofward_enclave.work import BUCKETS, coarse
from tests.enclave import world
from tests.enclave.test_real_lane import logistic
from tests.enclave.world import Host, Job, Refused, begin
from tests.vectors.make import value
from tests.zkml.onnx_models import GROTH16


def code(host: Host, method: str, **params: Any) -> str:
    with pytest.raises(Refused) as caught:
        host.call(method, **params)
    return caught.value.code


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_a_job_is_worked_once_and_answered_with_the_same_bytes(models: Path) -> None:
    job = Job(world.add_model(models, "sum"))
    with world.enclave(models) as (host, service):
        host.call("load_model", path="sum")
        key = begin(host)["hpke_key"]
        sealed, again = job.seal(key), job.seal(key)
        artifact: Any = service._models.get(job.public.manifest_hash)
        first = host.call("work", job=job.request(), envelope=sealed, block=7)
        assert host.call("work", job=job.request(), envelope=sealed, block=7) == first
        assert host.call("work", job=job.request(), envelope=sealed, block=8) == first
        assert first["block"] == 7
        assert host.call("inspect", job=job.request(), envelope=sealed) == {"records": 2, "block": 7}
        for request, envelope in ((job.request(), again), (job.request(setup=b"\x02"), sealed)):
            refused = code(host, "work", job=request, envelope=envelope, block=7)
            assert refused in ("already-worked", "unsupported-setup")
        assert artifact.proofs == 1
        assert set(first["seconds"].values()) <= set(BUCKETS)


@pytest.mark.parametrize("fault", ["prover", "proof", "outputs", "commitment"])
def test_a_failed_proof_costs_the_model_and_is_not_tried_again(models: Path, fault: str) -> None:
    job = Job(world.add_model(models, "bad", fault))
    other = job.but(name=value("another"), values=(0,) * 6)
    with world.enclave(models) as (host, service):
        host.call("load_model", path="bad")
        key = begin(host)["hpke_key"]
        artifact: Any = service._models.get(job.public.manifest_hash)
        calls = [{"job": one.request(), "envelope": one.seal(key), "block": 1} for one in (job, other)]
        assert code(host, "work", **calls[0]) == "prover-failed"
        assert {code(host, "work", **params) for params in calls} == {"model-quarantined"}
        (models / "bad" / "fake").write_text("")
        assert code(host, "load_model", path="bad") == "model-quarantined"
        assert artifact.proofs == 1
        assert artifact.closed


def test_a_bug_in_the_middle_of_a_job_is_not_tried_again(models: Path) -> None:
    job = Job(world.add_model(models, "bad", "bug"))
    with world.enclave(models) as (host, _):
        host.call("load_model", path="bad")
        params = {"job": job.request(), "envelope": job.seal(begin(host)["hpke_key"]), "block": 1}
        assert [code(host, "work", **params) for _ in range(2)] == ["internal", "already-worked"]


def test_the_ledger_is_bounded_and_refuses_rather_than_forgets() -> None:
    ledger = Ledger(max_jobs=3, max_bytes=5000)
    result = {"proof": bytes(2000), "block": 1}
    for key in (b"a", b"b"):
        assert ledger.begin(key, b"request", 1) is None
        ledger.end(key, result)
    assert ledger.begin(b"b", b"request", 2) == result
    for key, request in ((b"a", b"request"), (b"b", b"another")):
        with pytest.raises(EnclaveError, match="already-worked"):
            ledger.begin(key, request, 2)
    ledger.begin(b"c", b"request", 1)
    assert (ledger.room, ledger.worked(b"c")) == (0, 1)
    with pytest.raises(EnclaveError, match="epoch-full"):
        ledger.begin(b"d", b"request", 1)
    ledger.clear()
    assert (ledger.room, ledger.worked(b"a")) == (3, None)


def test_seconds_are_told_in_a_few_steps() -> None:
    assert [coarse(seconds) for seconds in (0.0, 0.01, 0.07, 0.9, 5.0)] == [0.0625, 0.0625, 0.25, 1.0, 16.0]


def test_b_toctou(tmp_path: Path, models: Path) -> None:
    """Attack b_toctou: the host overwrites what the enclave loaded, and reads a record bit by bit from what
    fails. Files are the enclave's own after `load_model`, so nothing fails.
    """
    table = np.random.default_rng(1).normal(size=(40, 2))
    artifact = compile_model(logistic(), table, models / "m", name="m", options=GROTH16)
    public, quantiser = artifact.public, artifact.manifest.input.quantiser
    with world.enclave(models, load=load_artifact) as (host, _):
        host.call("load_model", path="m")
        for path in (models / "m").rglob("*"):
            if path.is_file():
                path.chmod(0o600)
                descriptor = os.open(path, os.O_RDWR)
                os.pwrite(descriptor, bytes(path.stat().st_size), 0)
                os.close(descriptor)
        key = begin(host)["hpke_key"]
        assert isinstance(quantiser, AffineQuantiser)
        for number, values in enumerate((quantiser.low, quantiser.high)):
            job = Job(public, values=tuple(values), records=1, name=value(f"job {number}"))
            result = host.call("work", job=job.request(), envelope=job.seal(key), block=9)
            assert public.verify(job.context.input_commitment, result["output_commitment"], result["proof"])
            assert job.open(result).records == 1
