"""A proved model behind the gateway: its receipts name the proof, and the desk believes none of it."""

from __future__ import annotations

import copy
import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from proofward.aci import documents, jcs
from proofward.amounts import UNIT
from proofward.chain import Outbox, SubstrateClient, accounts
from proofward.chain.pallets import attestation, jobs, workers
from proofward.chain.pallets.models import Terms
from proofward.chain.pallets.workers import WorkerRecord
from proofward.client import Client, Refused
from proofward.client.job import Demand
from proofward.devnet.chains import Devnet
from proofward.evidence import answer as answers
from proofward.evidence import answer_file
from proofward.evidence.policy import Policy
from proofward.evidence.proved import NoRecords, proved_checks, records_of
from proofward.evidence.verdict import Outcome
from proofward.protocol import HpkePrivateKey, HpkeSuite, Level
from proofward.protocol.collateral import encode_collateral
from proofward.publisher.publish import publish
from proofward_demo.attacker import Attacker
from proofward_enclave.measure import simulated_measurement
from proofward_enclave.providers.dev_platform import DevPlatform
from proofward_gateway.channel import Origin
from proofward_gateway.config import Bond, ProvedConfig, UpstreamConfig
from proofward_gateway.proved import NothingSent, Proved, Unproved
from tests.canary import Canary, in_files, in_text
from tests.evidence import RECORD, Evidence
from tests.gateway.test_proxy import post
from tests.gateway.world import MODEL, POLICY, caller, config, desk, gateway

PAYER = "//Charlie"
WORKERS = simulated_measurement()


@dataclass
class Market:
    """A chain with one model, and a worker that does its jobs."""

    chain: SubstrateClient
    url: str
    model: bytes
    resting: threading.Event
    """While it is set the worker claims nothing."""


@pytest.fixture(scope="module")
def market(evidence: Evidence) -> Iterator[Market]:
    with Devnet() as node, node.connect() as rpc, node.connect() as other:
        key = accounts.dev_keypair
        outbox = Outbox(evidence.cache / f"proved-{rpc.genesis.hex()[:8]}.sqlite", rpc)
        terms = Terms(UNIT, 0, UNIT // 10, 60)
        model = publish(rpc, outbox, key("//Bob"), evidence.artifact.public, terms=terms).model
        outbox.close()
        rpc.submit(attestation.sudo(attestation.allow_measurement(WORKERS, "test")), key("//Alice"))
        worker = Attacker(other, key("//Dave"))
        quote = worker.registration()
        collateral = encode_collateral(DevPlatform().collateral(dt.datetime.now(dt.UTC).date()))
        rpc.submit(attestation.refresh_collateral(quote.args["quote"], collateral), key("//Alice"))
        rpc.submit(quote, worker.keypair)
        worker.serve(model)
        resting = threading.Event()
        with _working(worker, other, model, evidence, resting):
            yield Market(rpc, node.url, model, resting)


@contextmanager
def _working(
    worker: Attacker, chain: SubstrateClient, model: bytes, evidence: Evidence, resting: threading.Event
) -> Iterator[None]:
    """He does whatever job is queued, honestly."""
    stop = threading.Event()

    def work() -> None:
        for _ in chain.follow(stop=stop):
            for job in () if resting.is_set() else jobs.queue(chain, model, 8):
                worker.claim(job)
                worker.complete(worker.solve(job, evidence.artifact))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def proved(market: Market, evidence: Evidence, pin: bytes = WORKERS) -> UpstreamConfig:
    what, where = ProvedConfig(market.url, market.model, evidence.artifact.path, PAYER), "127.0.0.1"
    return UpstreamConfig(
        "proved", Origin("http", where, 80), "proved", (MODEL,), frozenset({pin}), proved=what
    )


def question(text: str = json.dumps(RECORD[0].tolist()), **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


async def test_no_record_is_sealed_to_software_that_the_configuration_does_not_name(
    tmp_path: Path, market: Market, evidence: Evidence
) -> None:
    """A node tells of workers and of an allow-list as it likes; its word must not suffice."""
    bond, before = (
        Bond(market.chain.genesis, bytes(32)),
        market.chain.balance(accounts.dev_keypair(PAYER).public_key),
    )
    async with (
        gateway(config(tmp_path, proved(market, evidence, bytes(32)), bond=bond)) as origin,
        caller(origin) as one,
    ):
        status, _, wire = await one.post("/v1/chat/completions", question())
        assert (status, b"software that is not among what is pinned" in wire) == (503, True), wire
    assert market.chain.balance(accounts.dev_keypair(PAYER).public_key) == before


def asked(market: Market, evidence: Evidence, state: Path, seconds: float) -> Proved:
    """The process's inner part, here."""
    client = Client(
        market.url, PAYER, development=True, artifacts=[evidence.artifact.path], state=state,
        measurements=[WORKERS],
    )  # fmt: skip
    return Proved(client, market.model, seconds)


def test_a_key_that_a_node_puts_into_a_workers_record_gets_neither_job_nor_session(
    tmp_path: Path, market: Market, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = HpkePrivateKey.generate(HpkeSuite.X25519).public
    honest, one = workers.many, workers.get

    def lying(*args: Any) -> dict[bytes, WorkerRecord]:
        return {name: replace(record, hpke_key=key) for name, record in honest(*args).items()}

    def lies(*args: Any) -> WorkerRecord | None:
        record = one(*args)
        return record and replace(record, hpke_key=key)

    proved = asked(market, evidence, tmp_path, 60)
    client = proved._client
    with monkeypatch.context() as node, client:
        node.setattr(workers, "many", lying)
        node.setattr(workers, "get", lies)
        with pytest.raises(NothingSent, match="fails our own check"):
            proved._asked(question())
        demand = Demand(Level.SIMULATED, True, None)
        (worker,) = lying(market.chain, [accounts.dev_keypair("//Dave").public_key])
        with pytest.raises(Refused, match="fails our own check"):
            client.choose_workers(market.model, demand, [worker])
        with pytest.raises(Refused, match="fails our own check"):
            client.require_key(worker, key)  # as a session that was opened without a pin goes on
        with pytest.raises(Refused, match="does not show this key"):
            client.require_key(worker, bytes(32))
        assert client.store.jobs() == []


def test_a_job_that_nobody_claims_is_cancelled_and_no_secret_of_a_job_stays(
    tmp_path: Path, market: Market, evidence: Evidence
) -> None:
    market.resting.set()
    proved = asked(market, evidence, tmp_path, 1)
    with proved._client as client:
        with pytest.raises(Unproved, match="it is cancelled"):
            proved._asked(question())
        assert client.store.jobs() == []
        assert jobs.queue(market.chain, market.model, 8) == []
        market.resting.clear()
        proved._seconds = 60
        told, _, _ = proved._asked(question())
        assert told["model"] == f"0x{market.model.hex()}"
        assert client.store.jobs() == []


async def test_a_receipt_names_the_proof_and_the_desk_computes_it_again(
    tmp_path: Path, market: Market, evidence: Evidence, capfd: pytest.CaptureFixture[str]
) -> None:
    bond = Bond(market.chain.genesis, bytes(32))
    whole = config(tmp_path, proved(market, evidence), bond=bond)
    weights = f"sha256:{evidence.artifact.manifest.weights_digest}"
    pins = [f"0x{WORKERS.hex()}"]
    async with gateway(whole) as origin, caller(origin) as one:
        async with desk(origin, tmp_path, upstream_pins=pins, weights=[weights]) as user:
            status, wire = await post(user, "/v1/chat/completions", question())
            assert status == 200, wire
            said = json.loads(json.loads(wire)["choices"][0]["message"]["content"])
            assert said["answer"][0].startswith("record 0: ")
        refused = {
            "no record": question("hello"),
            "another shape": question("[1, 2]"),
            "a stream": question(stream=True),
            "more than a question": {**question(), "messages": question()["messages"] * 2},
        }
        for fault, body in refused.items():
            status, headers, wire = await one.post("/v1/chat/completions", body)
            assert status in (400, 502), (fault, wire)
            _, receipt = await one.get(f"/v1/aci/receipts/{headers['X-Receipt-Id']}")
            kinds = [event["type"] for event in documents.check_receipt(receipt, one.attested.keyset)]
            assert "proof.verified" not in kinds, fault
        # software that nobody has pinned has done the job: nothing is handed out
        async with desk(origin, tmp_path / "other") as user:
            status, wire = await post(user, "/v1/chat/completions", question())
            assert (status, b"measurement allowed" in wire) == (502, True), wire
    (file,) = (tmp_path / "answers").glob("*.json")
    kept = answer_file.load(file)
    assert kept.encryption is not None
    assert kept.weights == weights
    policy = Policy.for_development(
        genesis=market.chain.genesis, measurements=frozenset({WORKERS, *(POLICY.measurements or ())})
    )
    verdict = kept.verdict(policy)
    assert verdict.outcome is Outcome.ACCEPTED, str(verdict)
    assert verdict.flags == ("simulated", "setup: dev")
    told = {check.name: check.detail for check in verdict}
    assert weights in told["proof"]
    assert f"of chain 0x{market.chain.genesis.hex()}" in told["proof on chain"]
    # whoever pins another chain, or no worker, is told
    assert kept.verdict(replace(policy, genesis=bytes(32))).outcome is Outcome.REFUSED
    assert kept.verdict(replace(policy, measurements=POLICY.measurements)).outcome is Outcome.REFUSED
    assert kept.verdict(Policy(measurements=policy.measurements)).outcome is Outcome.REFUSED
    _lies(kept, policy)
    secret = Canary.of_bytes(bytes.fromhex(said["input_salt"]))
    assert not in_text(secret, log="".join(capfd.readouterr()))
    assert not in_files(secret, tmp_path / "state")


def _lies(kept: answers.Answer, policy: Policy) -> None:
    """What a gateway, signing whatever it likes, could say of one honest job; each fails the line `proof`."""
    event = next(one for one in kept.receipt["event_log"] if one["type"] == "proof.verified")
    request, answer = jcs.loads(kept.request), jcs.loads(kept.plain(), limit=documents.MAX_ANSWER)

    def message(change: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
        def act(_event: Any, _request: Any, value: dict[str, Any]) -> None:
            one = value["choices"][0]["message"]
            content = json.loads(one["content"])
            change(content)
            one["content"] = json.dumps(content)

        return act

    def bundle(change: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
        return lambda _event, _request, value: change(value["proofward"]["bundle"])

    def ask(text: str) -> Callable[..., None]:
        return lambda _event, value, _answer: value["messages"][0].update(content=text)

    def spoil(part: dict[str, Any], name: str) -> None:
        part[name] = part[name][:-1] + ("0" if part[name][-1] != "0" else "1")

    faults: dict[str, Callable[..., None]] = {
        "another question": ask("[0.25, -0.5, 0.5]"),
        "no question": ask("hello"),
        "another answer": message(lambda said: said.update(answer=["record 0: healthy"])),
        "another output": message(lambda said: said["outputs"][0].__setitem__(0, said["outputs"][0][0] + 1)),
        "more records": message(lambda said: said.update(records=2)),
        "another input's salt": message(lambda said: spoil(said, "input_salt")),
        "another output's salt": message(lambda said: spoil(said, "output_salt")),
        "an output of no number": message(lambda said: said.update(outputs=[["1"]])),
        "outputs of two lengths": message(lambda said: said.update(outputs=[[1, 2], [3]])),
        "an output beyond 64 bits": message(lambda said: said.update(outputs=[[1 << 70]])),
        "no proof": lambda _event, _request, value: value.pop("proofward"),
        "a proof that does not verify": bundle(lambda one: spoil(one["result"], "proof")),
        "another commitment": bundle(lambda one: spoil(one["job"], "input_commitment")),
        "another model": bundle(lambda one: spoil(one["model"], "weights_digest")),
        "other weights": lambda event, _request, _answer: spoil(event, "weights"),
        "another key": lambda event, _request, _answer: spoil(event, "verifying_key"),
        "another job": lambda event, _request, _answer: spoil(event, "job"),
        "another block": lambda event, _request, _answer: event.update(block=event["block"] + 1),
        "no weights": lambda event, _request, _answer: event.pop("weights"),
    }
    for fault, change in faults.items():
        parts = copy.deepcopy((event, request, answer))
        change(*parts)
        found = proved_checks(parts[0], jcs.compact(parts[1]), jcs.compact(parts[2]), policy)
        assert [one.name for one in found if one.ok is False] == ["proof"], (fault, found)
    # what the chain's side of the evidence says is checked too
    for fault, change in {
        "another receipt": bundle(lambda one: spoil(one["result"], "receipt_signature")),
        "another worker's quote": bundle(lambda one: spoil(one["worker"], "quote_hash")),
    }.items():
        parts = copy.deepcopy((event, request, answer))
        change(*parts)
        found = proved_checks(parts[0], jcs.compact(parts[1]), jcs.compact(parts[2]), policy)
        assert [one.name for one in found if one.ok is False] == ["proof on chain"], (fault, found)
    assert all(one.ok for one in proved_checks(event, kept.request, kept.plain(), policy))


@pytest.mark.parametrize(
    "content",
    ["", "[]", "[[]]", "[true]", '["1"]', "[1, [2]]", "[[1], [2, 3]]", "{}", "1", "[1e999]", "[NaN]", None,
     [], "[" + "[1]," * 32 + "[1]]"],
)  # fmt: skip
def test_what_is_no_record_is_refused(content: Any) -> None:
    with pytest.raises(NoRecords):
        records_of({"messages": [{"role": "user", "content": content}]})
