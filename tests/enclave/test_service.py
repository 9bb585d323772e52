"""The enclave over its socket: one honest job, and everything that it refuses."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proofward.attestation import DEVELOPMENT_ROOTS, Collateral, verify_quote
from proofward.protocol import HpkePrivateKey, HpkeSuite, Level, Setup, SetupKind, worker_report_data
from proofward.protocol.receipt import verify_receipt
from proofward_enclave.service import MAX_WAITING, Service
from tests.enclave import world
from tests.enclave.world import ACCOUNT, BLOCK_HASH, GENESIS, Host, Job, Refused, begin
from tests.vectors.make import value

Running = tuple[Host, Service, Job, dict[str, Any]]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.fixture
def running(models: Path) -> Iterator[Running]:
    """An enclave with one model loaded and epoch 1 begun, and a job for it."""
    public = world.add_model(models, "sum")
    with world.enclave(models) as (host, service):
        host.call("load_model", path=str(models / "sum"))
        yield host, service, Job(public), begin(host)


def code(action: Any, *args: Any, **params: Any) -> str:
    with pytest.raises(Refused) as caught:
        action(*args, **params)
    assert "4711" not in caught.value.message
    return caught.value.code


def test_one_job_from_envelope_to_receipt(running: Running) -> None:
    host, _, job, keys = running
    sealed = job.seal(keys["hpke_key"])
    assert host.call("inspect", job=job.request(), envelope=sealed) == {"records": 2}
    result = host.call("work", job=job.request(), envelope=sealed, block=77)
    output = job.open(result)
    assert (output.values, output.records) == ((6, 15), 2)
    outputs = np.array(output.values, dtype=np.int64).reshape(2, 1)
    assert job.public.commit_output(outputs, output.output_salt) == result["output_commitment"]
    assert job.public.verify(job.context.input_commitment, result["output_commitment"], result["proof"])
    verify_receipt(job.receipt(result, 77), result["receipt_signature"], keys["receipt_key"])
    assert set(result["seconds"]) >= {"open", "infer", "prove", "verify_local"}


def test_the_quote_binds_the_keys_and_verifies_with_its_collateral(running: Running) -> None:
    host, _, _, keys = running
    now = int(dt.datetime.now(dt.UTC).timestamp())
    verified = verify_quote(
        keys["quote"], Collateral.decode(keys["collateral"]), now=now, roots=DEVELOPMENT_ROOTS
    )
    assert verified.quote.report_data == worker_report_data(
        genesis=GENESIS,
        account=ACCOUNT,
        hpke_key=keys["hpke_key"],
        receipt_key=keys["receipt_key"],
        epoch=1,
        block_hash=BLOCK_HASH,
    )
    status = host.call("status")
    assert status["measurement"] == verified.quote.measurement
    assert (status["provider"], status["epoch"]) == ("simulator", 1)


def test_a_replayed_envelope_is_refused_under_every_other_context(running: Running) -> None:
    host, _, job, keys = running
    sealed = job.seal(keys["hpke_key"])
    other = value("another")
    for field in ("job", "client", "input_commitment"):
        assert (
            code(host.call, "inspect", job=job.request(**{field: other}), envelope=sealed) == "wrong-binding"
        )
    another = job.but(name=other)
    assert code(host.call, "work", job=another.request(), envelope=sealed, block=1) == "wrong-binding"
    assert host.call("work", job=job.request(), envelope=sealed, block=1)["proof"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"genesis": value("x")}, "wrong-binding"),
        ({"worker": value("x")}, "wrong-binding"),
        ({"model": value("x")}, "wrong-binding"),
        ({"publisher": value("x")}, "wrong-binding"),
        ({"weights_digest": value("x")}, "wrong-binding"),
        ({"manifest_hash": value("x")}, "unknown-model"),
        ({"level": "hardware"}, "wrong-binding"),
        ({"level": "none"}, "malformed-request"),
        ({"setup": b"\x07"}, "malformed-request"),
        ({"setup": b""}, "malformed-request"),
        ({"setup": Setup(SetupKind.CEREMONY).encode()}, "unsupported-setup"),
        ({"job": b"short"}, "malformed-request"),
        ({"client": 7}, "malformed-request"),
        ({"model": None}, "malformed-request"),
    ],
    ids=lambda item: next(iter(item)) if isinstance(item, dict) else item,
)
def test_a_host_that_misstates_the_job_is_refused(
    running: Running, change: dict[str, Any], expected: str
) -> None:
    host, _, job, keys = running
    sealed = job.seal(keys["hpke_key"])
    assert code(host.call, "work", job=job.request(**change), envelope=sealed, block=1) == expected


def test_an_enclave_signs_no_better_setup_than_its_artefact_has(running: Running) -> None:
    """Attack d_verify: the host names the setup that the receipt will say."""
    host, service, job, keys = running
    sealed = job.seal(keys["hpke_key"])
    named = Setup(SetupKind.CEREMONY), Setup(SetupKind.ATTESTED, Level.HARDWARE)
    service._models.get(job.public.manifest_hash).manifest.setup = "dev"
    for setup in named:
        request = job.request(setup=setup.encode())
        assert code(host.call, "work", job=request, envelope=sealed, block=1) == "unsupported-setup"
    assert host.call("work", job=job.request(), envelope=sealed, block=1)["proof"]


def test_a_ezkl_an_enclave_works_no_job_whose_proof_would_show_it(running: Running) -> None:
    """Attack a_ezkl: proofs of the ezkl lane open what was sealed."""
    host, service, job, keys = running
    sealed = job.seal(keys["hpke_key"])
    artifact = service._models.get(job.public.manifest_hash)
    artifact.manifest.lane = "ezkl"
    for method, params in (("inspect", {}), ("work", {"block": 1})):
        assert code(host.call, method, job=job.request(), envelope=sealed, **params) == "lane-not-hiding"
    assert artifact.proofs == 0  # type: ignore[attr-defined]


def test_a_client_that_seals_nonsense_is_refused_before_a_proof(running: Running) -> None:
    host, service, job, keys = running
    key = keys["hpke_key"]
    context = job.context
    stranger = HpkePrivateKey.generate()
    table = {
        "another input than committed": (
            job.but(values=(9,) * 6).seal(key, context=context),
            "commitment-mismatch",
        ),
        "another salt": (job.but(salt=value("x")).seal(key, context=context), "commitment-mismatch"),
        "too few values": (job.but(values=(1, 2)).seal(key, context=context), "malformed-envelope"),
        "no values": (job.but(values=()).seal(key, context=context), "malformed-envelope"),
        "no records": (job.but(records=0).seal(key), "malformed-envelope"),
        "more records than rows": (job.but(records=3).seal(key), "malformed-envelope"),
        "a value out of range": (
            job.but(values=(4711,) * 6).seal(key, context=context),
            "input-out-of-range",
        ),
        "a reply key off the curve": (job.but(reply_key=bytes(32)).seal(key), "bad-key"),
        "another reply key than the job's id commits to": (
            job.but(reply_key=stranger.public).seal(key),
            "commitment-mismatch",
        ),
        "a reply key of no suite": (job.but(reply_key=b"x").seal(key), "bad-key"),
        "sealed to another key": (job.seal(stranger.public), "wrong-binding"),
        "sealed to an epoch to come": (job.seal(key, epoch=2), "unknown-epoch"),
        "empty": (b"", "malformed-envelope"),
        "cut": (job.seal(key)[:-1], "malformed-envelope"),
        "oversize": (bytes(65_537), "oversize"),
    }
    for name, (sealed, expected) in table.items():
        assert code(host.call, "inspect", job=job.request(), envelope=sealed) == expected, name
    assert service._models.get(job.public.manifest_hash).proofs == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("prover", "prover-failed"),
        ("proof", "prover-failed"),
        ("outputs", "prover-failed"),
        ("bug", "internal"),
    ],
)
def test_a_prover_that_fails_costs_its_job_only(
    models: Path, fault: str, expected: str, capfd: pytest.CaptureFixture[str]
) -> None:
    bad, good = Job(world.add_model(models, "bad", fault)), Job(world.add_model(models, "good"))
    with world.enclave(models) as (host, _):
        keys = begin(host)
        for name in ("bad", "good"):
            host.call("load_model", path=name)
        sealed = bad.seal(keys["hpke_key"])
        assert code(host.call, "work", job=bad.request(), envelope=sealed, block=1) == expected
        assert host.call("work", job=good.request(), envelope=good.seal(keys["hpke_key"]), block=1)["proof"]
    assert "4711" not in "".join(capfd.readouterr())


def test_epochs_keep_one_predecessor(running: Running) -> None:
    host, service, job, first = running
    held = service._epochs.of(GENESIS, ACCOUNT)[1]
    sealed = job.seal(first["hpke_key"], epoch=1)
    second = begin(host, 2)
    assert second["hpke_key"] != first["hpke_key"]
    result = host.call("work", job=job.request(), envelope=sealed, block=5)
    verify_receipt(job.receipt(result, 5), result["receipt_signature"], first["receipt_key"])
    begin(host, 3)
    assert code(host.call, "work", job=job.request(), envelope=sealed, block=5) == "unknown-epoch"
    assert held.hpke._key is None
    assert held.receipt._key is None
    assert host.call("inspect", job=job.request(), envelope=job.seal(second["hpke_key"], epoch=2))


def test_an_epoch_again_is_the_same_keys_under_a_fresh_quote(running: Running) -> None:
    host, _, _, first = running
    again = begin(host, 1, block_hash=value("later"))
    assert (again["hpke_key"], again["receipt_key"]) == (first["hpke_key"], first["receipt_key"])
    assert again["quote"] != first["quote"]
    assert code(begin, host, 0) == "stale-epoch"
    assert code(begin, host, 1, account=value("x")) == "stale-epoch"
    assert code(begin, host, 1 << 32) == "malformed-request"


def test_another_account_begins_with_nothing_of_the_first(running: Running) -> None:
    host, _, job, first = running
    begin(host, 2, account=value("x"))
    sealed = job.seal(first["hpke_key"])
    assert code(host.call, "work", job=job.request(), envelope=sealed, block=1) == "wrong-binding"


def test_the_hybrid_suite_serves_the_same_job(models: Path) -> None:
    job = Job(world.add_model(models, "sum"))
    with world.enclave(models, suite=HpkeSuite.HYBRID) as (host, _):
        host.call("load_model", path="sum")
        keys = begin(host)
        assert len(keys["hpke_key"]) == 1216
        result = host.call("work", job=job.request(), envelope=job.seal(keys["hpke_key"]), block=1)
    assert job.open(result).values == (6, 15)


def test_models_come_from_their_directory_only(running: Running, models: Path) -> None:
    host, _, _, _ = running
    (models.parent / "outside").mkdir()
    (models.parent / "outside" / "fake").write_text("")
    (models / "link").symlink_to(models.parent / "outside")
    assert code(host.call, "load_model", path="../outside") == "bad-path"
    assert code(host.call, "load_model", path=str(models.parent / "outside")) == "bad-path"
    assert code(host.call, "load_model", path="link") == "bad-path"
    assert code(host.call, "load_model", path="missing") == "bad-artifact"
    assert code(host.call, "load_model", path="x" * 5000) == "malformed-request"
    assert code(host.call, "load_model", path="nul\0byte") == "bad-path"


def test_one_job_at_a_time_and_a_bounded_queue(models: Path) -> None:
    job = Job(world.add_model(models, "sum"))
    with world.enclave(models) as (host, service), ThreadPoolExecutor(MAX_WAITING + 2) as pool:
        host.call("load_model", path="sum")
        keys = begin(host)
        artifact: Any = service._models.get(job.public.manifest_hash)
        artifact.gate = threading.Event()
        sealed = job.seal(keys["hpke_key"])

        def work(number: int) -> dict[str, Any]:
            one = job.but(name=value(f"nonce {number}"))
            return host.call("work", job=one.request(), envelope=one.seal(keys["hpke_key"]), block=1)

        running = [pool.submit(work, MAX_WAITING)]
        assert artifact.proving.wait(120)
        running += [pool.submit(work, number) for number in range(MAX_WAITING)]
        while service._waiting <= MAX_WAITING:
            time.sleep(0.001)
        assert artifact.proofs == 1
        assert host.call("status")["epoch"] == 1
        assert host.call("inspect", job=job.request(), envelope=sealed)
        assert code(work, MAX_WAITING + 1) == "busy"
        artifact.gate.set()
        assert all(future.result(20)["proof"] for future in running)
        assert artifact.proofs == MAX_WAITING + 1


def test_no_proof_is_made_for_a_caller_who_hung_up(models: Path) -> None:
    import cbor2

    job = Job(world.add_model(models, "sum"))
    with world.enclave(models) as (host, service), ThreadPoolExecutor(1) as pool:
        host.call("load_model", path="sum")
        keys = begin(host)
        artifact: Any = service._models.get(job.public.manifest_hash)
        artifact.gate = threading.Event()
        params = {"job": job.request(), "envelope": job.seal(keys["hpke_key"]), "block": 1}
        first = pool.submit(host.call, "work", **params)
        assert artifact.proving.wait(120)
        another = job.but(name=value("another"))
        params = {"job": another.request(), "envelope": another.seal(keys["hpke_key"]), "block": 1}
        with host.connect() as gone:
            world.send(gone, cbor2.dumps({"id": 1, "method": "work", "params": params}))
            while service._waiting < 2:
                time.sleep(0.001)
        assert host.call("status")
        artifact.gate.set()
        assert first.result(20)["proof"]
        while service._waiting:
            time.sleep(0.001)
        assert artifact.proofs == 1
