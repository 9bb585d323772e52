"""The verbs that change something, on a real chain: accounts, a publisher's entries, a client's jobs."""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from typer.testing import CliRunner

from proofward.amounts import UNIT
from proofward.attestation import parse_quote
from proofward.chain import Call, DispatchError, Outbox, SubstrateClient, accounts
from proofward.chain.heads import Head
from proofward.chain.pallets import attestation, balances, models, workers
from proofward.chain.pallets import jobs as pallet
from proofward.chain.pallets.models import Terms
from proofward.cli import app
from proofward.cli.amounts import shown, units
from proofward.client import Client, Job, Offer
from proofward.client.aio import AsyncClient
from proofward.client.client import MOST_AT_ONCE
from proofward.client.session_double import double_page
from proofward.devnet.chains import Devnet
from proofward.errors import Refused
from proofward.evidence.bundle import save_bundle
from proofward.evidence.two_results import receipt_of
from proofward.protocol import blake2_256, sha256, sign_receipt
from proofward.protocol.collateral import encode_collateral
from proofward.protocol.keys import ReceiptKey
from proofward.protocol.sessions import leaf, page_message
from proofward.publisher.publish import publish
from proofward.zkml import Artifact, InputRangeError, load_public
from proofward_demo.attacker import Attacker
from proofward_enclave.measure import simulated_measurement
from proofward_enclave.providers.dev_platform import DevPlatform
from proofward_node.artefacts import PublicArtefacts
from proofward_node.config import load
from tests.evidence import RECORD, Evidence, compile_tiny


@pytest.fixture(scope="module")
def chain() -> Iterator[Devnet]:
    with Devnet() as devnet:
        yield devnet


@pytest.fixture
def rpc(chain: Devnet) -> Iterator[SubstrateClient]:
    with chain.connect() as client:
        yield client


@pytest.fixture
def run(chain: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PROOFWARD_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PROOFWARD_CHAIN", chain.url)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, [*arguments, "--json"])
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        return json.loads(result.stdout)

    return call


@pytest.mark.parametrize(
    ("text", "plancks"),
    [("1", UNIT), ("0.000000000001", 1), ("12.5", 25 * UNIT // 2), ("0", 0), ("1e3", 1000 * UNIT)],
)
def test_amounts_are_exact(text: str, plancks: int) -> None:
    assert units(text) == plancks


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-1", "1.0000000000001", "1,5", "", "a lot", "1e40", "1e999999", "1e-999999"]
)
def test_what_is_no_amount_is_refused(text: str, run: Any) -> None:
    result = CliRunner().invoke(app, ["account", "send", "//Bob", "--", text])
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_amounts_are_shown_without_zeros_that_say_nothing() -> None:
    assert [shown(n) for n in (0, 1, UNIT, 1_234_500 * UNIT // 1000, 10**18 + 1)] == [
        "0 UNIT", "0.000000000001 UNIT", "1 UNIT", "1,234.5 UNIT", "1,000,000.000000000001 UNIT",
    ]  # fmt: skip


def test_a_state_folder_that_is_a_file_is_a_line(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PROOFWARD_STATE", str(tmp_path / "file"))
    error = run("job", "list", code=2)["error"]
    assert error["code"] == "files-unusable"
    assert str(tmp_path / "file") in error["message"]


def test_an_account_from_a_key_to_a_transfer(run: Any, tmp_path: Path) -> None:
    made = run("account", "new", "my.key")
    assert stat.S_IMODE(os.stat("my.key").st_mode) == 0o600
    assert run("account", "show", "my.key")["address"] == made["address"]
    assert run("account", "new", "my.key", code=2)["error"]["code"] == "bad-account"
    assert run("account", "show", made["address"])["account"] == made["account"]
    run("account", "faucet", made["address"], "--amount", "3")
    run("account", "send", "//Bob", "1.25", "--signer", "my.key")
    left = run("account", "balance", "my.key")["free"]
    assert UNIT < left < 2 * UNIT
    refused = run("account", "send", "//Bob", "5", "--signer", "my.key", code=1)
    assert refused["error"]["message"]


def test_the_faucet_is_dry_on_a_chain_that_is_no_development_chain(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SubstrateClient, "chain_type", property(lambda self: "Live"))
    assert "only development chains" in run("account", "faucet", "//Bob", code=1)["error"]["message"]


def test_what_is_held_is_named(run: Any, rpc: SubstrateClient, evidence: Evidence) -> None:
    before = run("account", "balance", "//Eve")["holds"]
    _publish(rpc, evidence, "//Eve")
    after = run("account", "balance", "//Eve")
    assert set(after["holds"]) - set(before) == {"Models.Model"}
    assert after["held"] == sum(after["holds"].values()) > 0


def _publish(
    rpc: SubstrateClient, evidence: Evidence, publisher: str, artifact: Artifact | None = None
) -> bytes:
    outbox = Outbox(evidence.cache / f"{publisher[2:]}-{rpc.genesis.hex()[:8]}.sqlite", rpc)
    public = (artifact or evidence.artifact).public
    try:
        terms = Terms(UNIT, 0, UNIT // 10, 60)
        return publish(rpc, outbox, accounts.dev_keypair(publisher), public, terms=terms).model
    finally:
        outbox.close()


def test_an_entry_changes_its_price_and_retires(run: Any, rpc: SubstrateClient, evidence: Evidence) -> None:
    model = "0x" + _publish(rpc, evidence, "//Dave").hex()
    assert run("model", "price", model, "2.5", "--signer", "//Dave")["price"] == 5 * UNIT // 2
    assert run("model", "price", model, "2.5", "--signer", "//Dave")["price"] == 5 * UNIT // 2
    assert run("model", "price", model, "2", "--signer", "//Eve", code=1)["error"]["code"]
    assert run("model", "remove", model, code=1)["error"]["message"].endswith("comes first")
    retired = run("model", "retire", model, "--signer", "//Dave")["retired_at"]
    assert run("model", "retire", model, "--signer", "//Dave")["retired_at"] == retired
    assert "may be open until block" in run("model", "remove", model, code=1)["error"]["message"]


@pytest.fixture(scope="module")
def served(chain: Devnet, evidence: Evidence) -> Iterator[tuple[Attacker, bytes]]:
    """A worker that does as it likes, and the model that it serves."""
    with chain.connect() as rpc:
        model = _publish(rpc, evidence, "//Bob")
        allow = attestation.allow_measurement(simulated_measurement(), "test")
        rpc.submit(attestation.sudo(allow), accounts.dev_keypair("//Alice"))
        worker = Attacker(rpc, accounts.dev_keypair("//Ferdie"))
        quote = worker.registration()
        collateral = encode_collateral(DevPlatform().collateral(dt.datetime.now(dt.UTC).date()))
        rpc.submit(
            attestation.refresh_collateral(quote.args["quote"], collateral), accounts.dev_keypair("//Alice")
        )
        rpc.submit(quote, worker.keypair)
        worker.serve(model)
        yield worker, model


def test_a_job_is_listed_and_cancelled(
    run: Any, rpc: SubstrateClient, evidence: Evidence, served: tuple[Attacker, bytes], tmp_path: Path
) -> None:
    worker, model = served
    state = tmp_path / "state"
    url = os.environ["PROOFWARD_CHAIN"]
    with Client(url, "//Charlie", development=True, state=state) as client:
        before = balances.get(rpc, client.account)
        jobs = [
            str(client.submit(model, RECORD, artifact=evidence.artifact.path, recipients=[worker.account]))
            for _ in range(2)
        ]
    worker.claim(bytes.fromhex(jobs[1][2:]))
    listed = {row["job"]: row["state"] for row in run("job", "list")}
    assert listed == {jobs[0]: "queued", jobs[1]: "claimed"}
    assert "NotClient" in run("job", "cancel", jobs[0], "--signer", "//Eve", code=1)["error"]["message"]
    assert run("job", "cancel", jobs[0], "--signer", "//Charlie")["state"] == "refunded"
    late = run("job", "cancel", jobs[1], "--signer", "//Charlie", code=1)
    assert "AlreadyClaimed" in late["error"]["message"]
    assert before.free - balances.get(rpc, client.account).free > UNIT  # the other job's escrow


async def test_many_jobs_are_submitted_together_and_each_tells_what_came_of_it(
    chain: Devnet, evidence: Evidence, served: tuple[Attacker, bytes], tmp_path: Path
) -> None:
    _, model = served
    artifact = evidence.artifact.path
    async with await AsyncClient.connect(chain.url, "//Dave", development=True, state=tmp_path) as client:
        found = await client.submit_many(model, [RECORD] * 6, artifact=artifact)
        placed = [one for one in found if isinstance(one, Job)]
        assert len({job.id for job in placed}) == 6
        assert len({job.block for job in placed}) < 6  # they share blocks
        assert {(await client.show(job)).state for job in placed} == {"queued"}
        held = balances.get(client.sync.chain, client.sync.account)
        late = await client.submit_many(model, [RECORD] * 2, deadline=10**6, artifact=artifact)
        assert [getattr(one, "name", None) for one in late] == ["DeadlineTooFar"] * 2
        with pytest.raises(InputRangeError):
            await client.submit_many(model, [RECORD, np.asarray(RECORD) * 1e6], artifact=artifact)
        with pytest.raises(Refused, match="at most"):
            await client.submit_many(model, [RECORD] * (MOST_AT_ONCE + 1), artifact=artifact)
        assert balances.get(client.sync.chain, client.sync.account).held == held.held  # nothing else was sent


def test_the_example_of_the_asyncio_client_runs_as_it_stands(
    chain: Devnet,
    rpc: SubstrateClient,
    evidence: Evidence,
    served: tuple[Attacker, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    worker, model = served
    monkeypatch.setenv("PROOFWARD_STATE", str(tmp_path))
    text = inspect.cleandoc(AsyncClient.__doc__ or "").partition("```python\n")[2].partition("```")[0]
    for written, here in {
        "ws://127.0.0.1:9944": chain.url,
        "breast-cancer-mlp": f"0x{model.hex()}",
        "build/models/mlp/public": str(evidence.artifact.path),
    }.items():
        assert text.count(written) == 1
        text = text.replace(written, here)
    before = set(pallet.open_for(rpc, worker.account, 4096))

    def work() -> None:
        while len(new := set(pallet.open_for(rpc, worker.account, 4096)) - before) < 2:
            time.sleep(0.1)
        for job in new:
            worker.claim(job)
            worker.complete(worker.solve(job, evidence.artifact))

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        exec(text, {"records": [RECORD, RECORD]})
        working.result(60)
    assert len(set(capsys.readouterr().out.splitlines())) == 1  # two answers, of one record


def test_a_statement_about_jobs_is_proved_and_looked_up_on_the_chain(
    run: Any, evidence: Evidence, served: tuple[Attacker, bytes], tmp_path: Path
) -> None:
    worker, model = served
    artifact = ("--artifact", str(evidence.artifact.path))
    with Client(
        os.environ["PROOFWARD_CHAIN"], "//Charlie", development=True, state=tmp_path / "state"
    ) as client:
        jobs = [
            client.submit(model, RECORD, artifact=evidence.artifact.path, recipients=[worker.account])
            for _ in range(3)
        ]
        for job in jobs[:2]:
            worker.claim(job.id)
            solution = worker.solve(job.id, evidence.artifact)
            worker.complete(solution)
    public = evidence.artifact.public
    least = public.dequantize(solution.outputs.reshape(1, -1))[0][0]
    names = [str(job) for job in jobs]
    said = f'exactly 2: "{public.output_names[0]}" >= {least - 1e-9:.12f}'
    made = run("statement", "prove", *names[:2], "--that", said, "--out", "s.json", *artifact)
    keys = str(tmp_path / "state" / "statement-keys" / made["shape"])
    verify = ("statement", "verify", "s.json", *artifact, "--key", keys, "--dev")
    chain = ("--chain", os.environ["PROOFWARD_CHAIN"])
    good = run(*verify, *chain)
    assert good["accepted"]
    assert [check["ok"] for check in good["checks"] if check["name"] == "commitments"] == [True]
    assert run(*verify, code=7)["outcome"] == "incomplete"
    # Of a job that nobody did, and of one job twice: the proof holds, and the commitments are not theirs.
    whole = json.loads(Path("s.json").read_text())
    for forged in ([whole["jobs"][0], names[2][2:]], [whole["jobs"][0]] * 2):
        Path("s.json").write_text(json.dumps(whole | {"jobs": forged}))
        refused = run(*verify, *chain, code=1)
        assert [one["name"] for one in refused["checks"] if one["ok"] is False] == ["commitments"]
    # Nothing is said of a job without an answer.
    unanswered = ("statement", "prove", names[2], "--that", said.partition(": ")[2], *artifact)
    assert run(*unanswered, code=1)["error"]["code"]


def test_what_a_job_will_cost_and_that_fewer_take_it_is_told_before_it_is_sent(
    run: Any, rpc: SubstrateClient, evidence: Evidence, served: tuple[Attacker, bytes], tmp_path: Path
) -> None:
    """Fault: workers that were named were paid what they asked, and one took what three were wanted for,
    unsaid.
    """
    worker, model = served
    rpc.submit(workers.serve(model, 3 * UNIT), worker.keypair).raise_for_error()
    Path("record.csv").write_text("a,b,c\n0.25,-0.5,0.75\n")
    submit = (
        "job", "submit", "0x" + model.hex(), "--input", "record.csv", "--signer", "//Charlie", "--dev",
        "--artifact", str(evidence.artifact.path), "--json",
    )  # fmt: skip
    try:
        named = ["--worker", accounts.ss58(worker.account)]
        for more, wanted, words in ((named, 1, "worker(s)\n"), ([], 3, " of 3 wanted")):
            told = CliRunner().invoke(app, [*submit, *more])
            assert told.exit_code == 0, told.stderr
            value = json.loads(told.stdout)
            assert (value["price"], value["wanted"]) == (3 * UNIT, wanted)
            assert value["recipients"] == ["0x" + worker.account.hex()]
            assert "3 UNIT for the one whose result is accepted, of 1 worker" in told.stderr
            assert words in told.stderr
        before = rpc.nonce(accounts.dev_keypair("//Charlie").public_key)

        def too_dear(offer: Offer) -> None:
            raise Refused(f"{offer.price}")

        with (
            Client(os.environ["PROOFWARD_CHAIN"], "//Charlie", development=True) as client,
            pytest.raises(Refused, match=str(3 * UNIT)),
        ):
            client.submit(model, RECORD, artifact=evidence.artifact.path, offered=too_dear)
        assert rpc.nonce(accounts.dev_keypair("//Charlie").public_key) == before
    finally:
        worker.serve(model)


def test_a_result_that_does_not_open_is_contested_and_an_honest_one_stands(
    run: Any, rpc: SubstrateClient, evidence: Evidence, served: tuple[Attacker, bytes], tmp_path: Path
) -> None:
    worker, model = served
    url, signer = os.environ["PROOFWARD_CHAIN"], ("--signer", "//Charlie")

    def stake() -> int:
        found = workers.get(rpc, worker.account)
        assert found is not None
        return int(found.stake)

    with Client(url, "//Charlie", development=True, state=tmp_path / "state") as client:

        def delivered(change: int) -> str:
            """A job, accepted with every output so far off."""
            job = client.submit(model, RECORD, artifact=evidence.artifact.path, recipients=[worker.account])
            worker.claim(job.id)
            solution = worker.solve(job.id, evidence.artifact)
            worker.complete(worker.with_outputs(solution, solution.outputs + change))
            return str(job)

        honest, garbage, before = delivered(0), delivered(1), stake()
        # Here nothing is revealed; and on the chain it would cost the client a fee and the worker nothing.
        assert run("job", "contest", honest, *signer, code=1)["error"]["code"] == "output-opens"
        assert pallet.contested(rpc, bytes.fromhex(honest[2:])) is None
        secrets, record = client.store.load(bytes.fromhex(honest[2:])), models.get(rpc, model)
        delivery = pallet.delivery(rpc, client.show(honest).record)
        assert record is not None
        assert delivery is not None
        call = pallet.contest(
            job=bytes.fromhex(honest[2:]),
            reply_key=bytes.fromhex(secrets.reply_secret),
            sealed_output=delivery.sealed_output,
            manifest=evidence.artifact.manifest.canonical(),
            publisher=record.publisher,
            weights_digest=record.weights_digest,
            lane=record.lane,
            vk_hash=record.vk_hash,
            key_hash=record.key_hash,
        )
        with pytest.raises(DispatchError, match="OutputOpens"):
            rpc.submit(call, accounts.dev_keypair("//Charlie")).raise_for_error()
        assert stake() == before

        assert run("job", "open", garbage, code=1)["error"]["code"] == "output-mismatch"
        rich = balances.get(rpc, client.account).free
        found = run("job", "contest", garbage, *signer)
        assert (found["fault"], found["slashed"]) == ("OtherCommitment", before - stake())
        assert found["slashed"] == before // 2
        # A tenth of it, and the price: the contest itself cost nothing.
        assert balances.get(rpc, client.account).free == rich + before // 20 + record.price
        assert run("job", "contest", garbage, *signer)["block"] == found["block"]
        assert run("job", "show", garbage)["undelivered"]["fault"] == "OtherCommitment"
        assert run("job", "show", honest)["undelivered"] is None
        artifact = ("--artifact", str(evidence.artifact.path))
        refused = run("verify", garbage, *artifact, "--dev", code=1)
        assert [check["name"] for check in refused["checks"] if check["ok"] is False] == ["delivery"]
        assert run("verify", honest, *artifact, "--dev")["accepted"]
        with pytest.raises(Refused):  # it works no more
            client.submit(model, RECORD, artifact=evidence.artifact.path, recipients=[worker.account])
        run("worker", "init", str(tmp_path / "worker.toml"), "--account", "//Ferdie")
        made_whole = run("worker", "top-up", "--config", str(tmp_path / "worker.toml"))
        assert stake() == before
        assert (
            run("worker", "top-up", "--config", str(tmp_path / "worker.toml"))["block"] > made_whole["block"]
        )
        assert stake() == before
        lift = attestation.sudo(workers.ban(worker.account, False))
        rpc.submit(lift, accounts.dev_keypair("//Alice")).raise_for_error()
        client.submit(model, RECORD, artifact=evidence.artifact.path, recipients=[worker.account])


def test_garbage_of_a_batch_in_one_commitment_is_contested(
    run: Any, rpc: SubstrateClient, evidence: Evidence, served: tuple[Attacker, bytes], tmp_path: Path
) -> None:
    worker, records = served[0], np.repeat(RECORD, 2, axis=0)
    flat = compile_tiny(tmp_path / "flat", batch=2, record_openings=False)
    model = _publish(rpc, evidence, "//Eve", flat)
    worker.serve(model)
    with Client(os.environ["PROOFWARD_CHAIN"], "//Charlie", development=True) as client:
        job = client.submit(model, records, artifact=flat.path, recipients=[worker.account])
        worker.claim(job.id)
        solution = worker.solve(job.id, flat)
        # Of the second record alone.
        worker.complete(worker.with_outputs(solution, solution.outputs + np.array([[0], [1]])))
        assert run("job", "open", str(job), code=1)["error"]["code"] == "output-mismatch"
        found = run("job", "contest", str(job), "--signer", "//Charlie")
        assert found["fault"] == "OtherCommitment"
        assert found["slashed"] > 0


@pytest.fixture
def server(evidence: Evidence) -> Iterator[tuple[str, PublicArtefacts]]:
    """A worker's HTTP server with the artefact's public half."""
    shown, loop = PublicArtefacts(), asyncio.new_event_loop()
    shown.show([evidence.artifact.path])
    site = web.Application()
    shown.add_to(site)
    runner = web.AppRunner(site)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    yield f"http://127.0.0.1:{port}", shown
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def test_a_models_artefact_is_fetched_and_checked(
    run: Any, rpc: SubstrateClient, evidence: Evidence, server: tuple[str, PublicArtefacts], tmp_path: Path
) -> None:
    model = "0x" + _publish(rpc, evidence, "//Bob").hex()
    base, _ = server
    fetched = run("model", "fetch", model, "--from", "http://127.0.0.1:1", "--from", base, "--out", "got")
    assert fetched["from"] == base
    assert load_public(tmp_path / "got").manifest_hash == evidence.artifact.public.manifest_hash
    assert run("model", "fetch", model, "--from", base, "--out", "got", code=1)["error"]["message"]


@pytest.mark.parametrize(
    "fault",
    ["another-file", "another-manifest", "endless", "redirect", "nothing", "file-scheme", "no-address"],
)
def test_a_server_that_lies_gives_nothing(
    fault: str,
    run: Any,
    rpc: SubstrateClient,
    evidence: Evidence,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from proofward.client import fetching, web

    model = "0x" + _publish(rpc, evidence, "//Bob").hex()
    public = evidence.artifact.path / "public"

    def get(address: str, limit: int) -> bytes:
        name = address.rsplit("/", 1)[1]
        data = (public / name).read_bytes()
        if fault == "another-manifest" and name == "manifest.json":
            return data.replace(b"1", b"2", 1)
        if fault == "another-file" and name != "manifest.json":
            return data[:-1] + bytes([data[-1] ^ 1])
        if fault in ("endless", "redirect", "nothing"):
            raise web.FetchError(fault)
        return data

    if fault not in ("file-scheme", "no-address"):
        monkeypatch.setattr(fetching, "get", get)
    source = {"file-scheme": f"file://{public}", "no-address": "http://"}.get(fault, "http://example.invalid")
    said = run("model", "fetch", model, "--from", source, "--out", "got", code=4)
    assert said["error"]["code"] == "not-found"
    assert not (tmp_path / "got").exists()
    assert [one for one in tmp_path.iterdir() if one.name.startswith(".got")] == []


def test_only_public_files_of_shown_artefacts_are_served(
    server: tuple[str, PublicArtefacts], evidence: Evidence
) -> None:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    base, _ = server
    manifest = evidence.artifact.public.manifest_hash.hex()
    for path in (
        f"{manifest}/..%2Fprivate%2Fpk.bin",
        f"{manifest}/../private/model.onnx",
        f"{manifest}/pk.bin",
        f"{'0' * 64}/manifest.json",
        f"{manifest}/.hidden",
    ):
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{base}/artefacts/{path}", timeout=60)


def test_worker_init_writes_what_worker_run_takes(run: Any, tmp_path: Path) -> None:
    made = run("worker", "init", "w/worker.toml", "--publisher", "//Bob", "--models", "models")
    config = load(tmp_path / "w" / "worker.toml")
    assert config.worker.publishers == (bytes(accounts.dev_keypair("//Bob").public_key),)
    assert config.chain.url == os.environ["PROOFWARD_CHAIN"]
    assert run("account", "show", "w/worker.key")["address"] == made["address"]
    again = run("worker", "init", "w/worker.toml", code=2)
    assert "not replaced" in again["error"]["message"]
    assert run("worker", "init", "x.toml", "--provider", "magic", code=2)["error"]["code"] == "bad-config"
    assert not (tmp_path / "x.toml").exists()


def test_worker_allow_asks_the_node_that_the_configuration_names(
    run: Any, chain: Devnet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run("worker", "init", "worker.toml", "--account", "//Eve")
    monkeypatch.delenv("PROOFWARD_CHAIN")
    measurement = "0x" + "5c" * 32
    run("worker", "allow", measurement, "--config", "worker.toml")
    with chain.connect() as client:
        assert models.all(client) is not None
        assert bytes.fromhex("5c" * 32) in attestation.measurements(client)


def test_the_council_allows_and_disallows_software_without_sudo(run: Any, chain: Devnet) -> None:
    wanted = "0x" + "6d" * 32
    label = ("--label", "release 4")

    def listed() -> bool:
        with chain.connect() as client:
            return bytes.fromhex(wanted[2:]) in attestation.measurements(client)

    stranger = run("worker", "allow", wanted, *label, "--council", "--signer", "//Eve", code=1)
    assert stranger["error"]["code"] == "no-seat"
    first = run("worker", "allow", wanted, *label, "--council", "--signer", "//Bob")
    assert (first["block"], len(first["agreed"]), first["needed"], first["seats"]) == (None, 1, 2, 3)
    assert (
        run("worker", "allow", wanted, *label, "--council", "--signer", "//Bob")["agreed"] == first["agreed"]
    )
    # Another label is another motion: nobody agrees to what he did not read.
    other = run("worker", "allow", wanted, "--label", "x", "--council", "--signer", "//Charlie")
    assert (other["block"], other["motion"] == first["motion"]) == (None, False)
    assert not listed()
    second = run("worker", "allow", wanted, *label, "--council", "--signer", "//Charlie")
    assert second["block"] is not None
    assert listed()
    for signer in ("//Alice", "//Bob"):
        last = run("worker", "disallow", wanted, "--council", "--signer", signer)
    assert last["block"] is not None
    assert not listed()


def test_a_motion_whose_call_fails_and_one_that_is_voted_down_say_so(run: Any, chain: Devnet) -> None:
    absent = "0x" + "6e" * 32
    with chain.connect() as client:
        call = attestation.disallow_measurement(bytes.fromhex(absent[2:]))
        assert run("worker", "disallow", absent, "--council", "--signer", "//Alice")["block"] is None
        failed = run("worker", "disallow", absent, "--council", "--signer", "//Bob", code=1)
        assert "Attestation." in failed["error"]["message"]

        assert run("worker", "disallow", absent, "--council", "--signer", "//Alice")["block"] is None
        motion = blake2_256(client.runtime.encode_call(call))
        index = client.query("Council", "Voting", motion)["index"]
        against = Call("Council", "vote", {"proposal": motion, "index": index, "approve": False})
        for signer in ("//Bob", "//Charlie"):
            client.submit(against, accounts.dev_keypair(signer))
        down = run("worker", "disallow", absent, "--council", "--signer", "//Alice", code=1)
        assert down["error"]["code"] == "voted-down"


def test_two_results_of_one_job_are_reported_from_two_bundles(
    run: Any, rpc: SubstrateClient, evidence: Evidence, tmp_path: Path
) -> None:
    allow = attestation.allow_measurement(simulated_measurement(), "test")
    rpc.submit(attestation.sudo(allow), accounts.dev_keypair("//Alice"))
    liar = Attacker(rpc, accounts.dev_keypair("//Eve"))
    registration = liar.registration()
    collateral = encode_collateral(DevPlatform().collateral(dt.datetime.now(dt.UTC).date()))
    if not attestation.collateral(rpc, *_family(registration.args["quote"])):
        refresh = attestation.refresh_collateral(registration.args["quote"], collateral)
        rpc.submit(refresh, accounts.dev_keypair("//Alice"))
    rpc.submit(registration, liar.keypair)
    before = workers.get(rpc, liar.account)
    assert before is not None

    def bundle(name: str, output: bytes, genesis: bytes = rpc.genesis, key: ReceiptKey | None = None) -> str:
        signing = key or liar._receipt_key
        made = evidence.bundle
        made = made.model_copy(
            update={
                "chain": made.chain.model_copy(update={"genesis": genesis}),
                "result": made.result.model_copy(
                    update={"worker": liar.account, "output_commitment": output}
                ),
                "worker": made.worker.model_copy(update={"receipt_key": liar._receipt_key.public}),
            }
        )
        signature = sign_receipt(receipt_of(made), signing)
        result = made.result.model_copy(update={"receipt_signature": signature})
        save_bundle(made.model_copy(update={"result": result}), tmp_path / name)
        return str(tmp_path / name)

    one, other = bundle("one", b"1" * 32), bundle("other", b"2" * 32)
    for wrong in (
        bundle("same", b"1" * 32),
        bundle("elsewhere", b"2" * 32, genesis=b"g" * 32),
        bundle("forged", b"2" * 32, key=ReceiptKey.generate()),
    ):
        refused = run("worker", "report", one, wrong, "--signer", "//Bob", code=1)
        assert refused["error"]["code"] == "no-evidence", wrong
    done = run("worker", "report", one, other, "--signer", "//Bob")
    after = workers.get(rpc, liar.account)
    assert after is not None
    assert (after.banned, before.stake - after.stake) == (True, done["slashed"])
    again = run("worker", "report", one, other, "--signer", "//Bob", code=1)
    assert "AlreadyPunished" in again["error"]["message"]

    # who reads the list sees whom it hit, and what each worker rests on
    listed = run("worker", "list", "--banned", "--measurement", "0x" + after.measurement.hex())
    assert all(one["banned"] for one in listed)
    platforms = {one["account"]: one["platform"] for one in listed}
    assert platforms[accounts.ss58(liar.account)] == "0x" + after.platform.hex()
    assert run("worker", "list", "--root", "0x" + "00" * 32) == []


def _family(quote: bytes) -> tuple[bytes, Any]:
    parsed = parse_quote(quote)
    return parsed.fmspc, parsed.ca


ALL = ("//Alice", "//Bob", "//Charlie")


def test_members_decide_by_verbs_and_a_third_takes_it_back(run: Any, chain: Devnet) -> None:
    eve = accounts.ss58(accounts.dev_keypair("//Eve").public_key)
    admit = ("network", "vote", "admit", eve, "--legal-name", "Hospital E", "--endpoint", "/dns/e/tcp/30333")
    assert run(*admit, "--signer", "//Eve", code=1)["error"]["code"] == "no-seat"
    for number, member in enumerate(ALL, 1):
        found = run(*admit, "--signer", member)
        assert (len(found["agreed"]), found["needed"], found["seats"]) == (number, 3, 3)
    assert found["block"] is not None
    listed = run("network", "members")
    assert [one["seated"] for one in listed["members"]] == [True] * 3
    (notice,) = listed["notices"]
    assert (notice["change"], notice["details"]["account"]) == ("Admit", eve)
    assert notice["details"]["legal_name"] == "0x" + sha256(b"Hospital E").hex()
    assert notice["due"] == found["block"] + listed["settings"]["notice_blocks"]
    taken = run("network", "vote", "withdraw", str(notice["number"]), "--signer", "//Bob")
    assert (taken["needed"], taken["block"] is not None) == (1, True)
    assert run("network", "members")["notices"] == []
    gone = run("network", "vote", "withdraw", str(notice["number"]), "--signer", "//Bob", code=1)
    assert "Consortium.UnknownNotice" in gone["error"]["message"]

    run("network", "endpoint", "/dns/b.example/tcp/30333", "--signer", "//Bob")
    endpoints = {one["account"]: one["endpoint"] for one in run("network", "members")["members"]}
    bob = accounts.ss58(accounts.dev_keypair("//Bob").public_key)
    assert endpoints[bob] == "/dns/b.example/tcp/30333"
    bad = run("network", "endpoint", "caf\u00e9", "--signer", "//Bob", code=2)
    assert bad["error"]["code"] == "usage"


def test_an_announced_call_is_made_after_its_notice_by_anybody(run: Any, rpc: SubstrateClient) -> None:
    measurement = bytes.fromhex("7d" * 32)
    call = "0x" + rpc.runtime.encode_call(attestation.allow_measurement(measurement, "x")).hex()
    for member in ALL:
        found = run("network", "vote", "announce", "--call", call, "--signer", member)
    assert found["block"] is not None
    (notice,) = run("network", "members")["notices"]
    enact = ("network", "enact", str(notice["number"]), "--signer", "//Ferdie")
    early = run(*enact, "--call", call, code=1)
    assert "Consortium.NotDue" in early["error"]["message"]
    rpc.wait_block(notice["due"], timeout=60)
    other = "0x" + rpc.runtime.encode_call(attestation.allow_measurement(measurement, "y")).hex()
    assert "Consortium.AnotherCall" in run(*enact, "--call", other, code=1)["error"]["message"]
    run(*enact, "--call", call)
    assert measurement in attestation.measurements(rpc)
    gone = "0x" + rpc.runtime.encode_call(attestation.disallow_measurement(bytes(32))).hex()
    for member in ALL:
        run("network", "vote", "announce", "--call", gone, "--signer", member)
    (notice,) = run("network", "members")["notices"]
    rpc.wait_block(notice["due"], timeout=60)
    failed = run("network", "enact", str(notice["number"]), "--call", gone, "--signer", "//Ferdie", code=1)
    assert "Attestation." in failed["error"]["message"], "a call that failed was told as made"
    assert run(*enact, code=2)["error"]["code"] == "usage"


def test_finality_that_stands_is_begun_anew_by_blocks_that_are_not_final(
    run: Any, rpc: SubstrateClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that is read, signed or waited for may lean on a final block: there is none for hours."""
    stood = rpc.finalised_head()
    rpc.wait_block(stood.number + 3)
    with monkeypatch.context() as stalled:
        stalled.setattr(SubstrateClient, "finalised_head", lambda self: Head(0, rpc.block_hash(0)))
        stalled.setattr(SubstrateClient, "wait_finalised", None)
        for member in ALL:
            found = run("network", "vote", "recover-finality", str(stood.number), "--signer", member)
    assert (found["needed"], found["block"] is not None) == (3, True)
    events = rpc.events(rpc.block_hash(found["block"]))
    (event,) = [one for one in events if (one.pallet, one.name) == ("Consortium", "FinalityRestarted")]
    assert event.fields == {"delay": 100, "best_finalised": stood.number}


def test_a_runtime_goes_up_only_as_announced_and_of_a_greater_version(
    run: Any, rpc: SubstrateClient, tmp_path: Path
) -> None:
    wasm = tmp_path / "runtime.wasm"
    wasm.write_bytes(b"no runtime")
    assert "no runtime" in run("network", "upgrade", str(wasm), code=2)["error"]["message"]
    wasm.write_bytes(rpc.rpc("state_getStorage", "0x" + b":code".hex()))
    for member in ALL:
        run("network", "vote", "announce", "--upgrade", str(wasm), "--signer", member)
    (notice,) = run("network", "members")["notices"]
    early = run("network", "upgrade", str(wasm), "--signer", "//Ferdie", code=1)
    assert "System.NothingAuthorized" in early["error"]["message"]
    rpc.wait_block(notice["due"], timeout=60)
    run("network", "enact", str(notice["number"]), "--upgrade", str(wasm), "--signer", "//Ferdie")
    same = run("network", "upgrade", str(wasm), "--signer", "//Ferdie", code=1)
    assert "System.SpecVersionNeedsToIncrease" in same["error"]["message"]


def test_a_devices_windows_are_on_the_chain_and_those_that_it_picks_are_proved(
    run: Any, rpc: SubstrateClient, artifact: Artifact
) -> None:
    values = np.random.default_rng(1).uniform(-0.9, 0.9, (9, 3)).reshape(-1)
    Path("ecg.csv").write_text("".join(f"{one}\n" for one in values))
    where = ["--chain", rpc.url]
    asked = ["--artifact", str(artifact.path), "--source", "ecg.csv", "--out", "ecg.log", "--sample", "40"]
    told = run("edge", "run", *asked, "--signer", "//Ferdie", *where)
    assert told["windows"] == 9
    assert told["posts"] >= 1
    assert 4 <= told["proved"] < 9
    verify = ["edge", "verify", "ecg.log", "--artifact", str(artifact.path), "--dev"]
    assert run(*verify, *where)["outcome"] == "accepted"
    assert run(*verify, code=7)["outcome"] == "incomplete"
    lines = Path("ecg.log").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    # A device that does not prove what it should, or posts for another, is found out.
    less = lines.copy()
    less.pop(kinds.index("proof"))
    Path("ecg.log").write_text("\n".join(less) + "\n")
    refused = run(*verify, *where, code=1)
    assert [one["name"] for one in refused["checks"] if one["ok"] is False] == ["sampled"]
    begun = json.loads(lines[0])
    begun["account"] = "11" * 32
    Path("ecg.log").write_text("\n".join([json.dumps(begun), *lines[1:]]) + "\n")
    refused = run(*verify, *where, code=1)
    assert [one["name"] for one in refused["checks"] if one["ok"] is False] == ["posts"]


def test_two_receipts_are_reported_to_their_own_chain_only_and_those_of_no_worker_cost_nobody(
    run: Any, rpc: SubstrateClient, tmp_path: Path
) -> None:
    key, session = ReceiptKey(bytes([5]) * 32), bytes([6]) * 32

    def receipt(genesis: bytes, side: int) -> dict[str, str]:
        both = bytes([side]) * 32, bytes(32)
        said = page_message(genesis, session, 7, leaf(session, 7, *both))
        return {
            "input_commitment": both[0].hex(), "output_commitment": both[1].hex(),
            "signature": key.sign(said).hex(),
        }  # fmt: skip

    def reported(genesis: bytes, code: int) -> Any:
        found = double_page(genesis, session, key.public, 7, receipt(genesis, 1), receipt(genesis, 2))
        (tmp_path / "x.double").write_text(found.model_dump_json())
        return run("session", "report", "x.double", "--signer", "//Eve", code=code)["error"]

    assert reported(bytes(32), 1)["code"] == "no-evidence"
    assert "NoEvidence" in reported(rpc.genesis, 1)["message"]
