"""A stake behind a gateway's receipts: registered by quote, renewed with its keys, lost for two receipts of
one id; and what nobody can do with it.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from proofward.aci.documents import Document, sign_receipt
from proofward.chain import Call, DispatchError, SubstrateClient, dev_keypair
from proofward.chain.pallets import attestation, workers
from proofward.cli import app
from proofward.consensus.registered import WORKER
from proofward.devnet.chains import Devnet
from proofward.errors import NotFound
from proofward.evidence import answer as answers
from proofward.evidence import answer_file
from proofward.evidence.answer_file import AnswerError
from proofward.evidence.judged import MAX_JUDGED, signed_bytes
from proofward.evidence.two_receipts import TwoReceipts
from proofward_gateway.anchoring import bond, registered
from proofward_gateway.anchoring.ask import ask as ask_gateway
from proofward_gateway.anchoring.registered import prove
from proofward_gateway.channel import GatewayError
from proofward_gateway.config import Bond
from proofward_gateway.exchange import Exchange
from proofward_gateway.keys import Keys, Workload, make_keys
from proofward_gateway.measure import simulated_measurement
from tests.gateway.test_proxy import post
from tests.gateway.world import ask, desk, house
from tests.gateway.world import workloads as workloads_of

OPERATOR, REPORTER = "//Ferdie", "//Eve"
ACCOUNT = bytes(dev_keypair(OPERATOR).public_key)


@pytest.fixture(scope="module")
def chain() -> Iterator[SubstrateClient]:
    with Devnet() as node, node.connect() as client:
        allow = attestation.allow_measurement(simulated_measurement(), "gateway")
        client.submit(attestation.sudo(allow), dev_keypair("//Alice"))
        yield client


@pytest.fixture(name="workloads")
def _workloads(monkeypatch: pytest.MonkeyPatch) -> list[Workload]:
    return workloads_of(monkeypatch)


def _signed(receipt: Document, keys: Keys, **changes: Any) -> Document:
    unsigned = {name: value for name, value in receipt.items() if name != "signature"}
    return sign_receipt({**unsigned, **changes}, keys.receipt)


def verb(*arguments: str) -> tuple[int, Any]:
    done = CliRunner().invoke(app, ["gateway", *arguments, "--json"])
    return done.exit_code, json.loads(done.stdout)


def _report(two: TwoReceipts, chain: SubstrateClient) -> bond.Slashed:
    return bond.report(two, chain, dev_keypair(REPORTER))


async def test_two_receipts_of_one_id_cost_the_gateway_its_stake(
    tmp_path: Path, chain: SubstrateClient, workloads: list[Workload]
) -> None:
    signer, at = dev_keypair(OPERATOR), asyncio.to_thread
    stake = Bond(chain.genesis, ACCOUNT)
    async with house(tmp_path, bond=stake) as (_, outer), desk(outer, tmp_path) as user:
        url = str(outer)
        for gateway, who in ((url, REPORTER), (f"https://127.0.0.1:{outer.port}/nowhere", OPERATOR)):
            with pytest.raises(GatewayError):
                await at(bond.register, gateway, chain, dev_keypair(who))
        assert (await post(user, "/v1/chat/completions", ask("before")))[0] == 200
        unbonded = answer_file.load(user.answers()[-1])
        lie = TwoReceipts.of(unbonded, _signed(unbonded.receipt, workloads[1].keys, served_at=1))
        with pytest.raises(GatewayError, match="nobody has registered"):
            await at(_report, lie, chain)

        found = await at(bond.register, url, chain, signer)
        keys = workloads[1].keys
        assert found.receipt_key.hex() == keys.keyset.receipt_keys[0].public_key
        code, told = await at(
            verb, "register", "--gateway", url, "--once", "--chain", chain.url, "--signer", OPERATOR
        )
        assert (code, told["receipt_key"], told["block"]) == (0, f"0x{found.receipt_key.hex()}", None), told
        record = workers.get(chain, ACCOUNT)
        assert record is not None
        assert (record.measurement, record.hpke_key) == (simulated_measurement(), keys.hpke_key)
        stored = WORKER.decode(chain.query_raw("Workers", "Workers", ACCOUNT) or b"")
        assert (stored["receipt_key"], stored["epoch"]) == (record.receipt_key, record.epoch)
        assert int.from_bytes(stored["stake"], "little") == record.stake
        assert int.from_bytes(stored["expires_at"], "little") == record.expires_at
        assert (stored["retired_at"], stored["banned"]) == (None, 0)
        with pytest.raises(GatewayError, match="no GRANDPA"):
            await at(prove, chain, ACCOUNT)
        assert (await post(user, "/v1/chat/completions", ask("hello")))[0] == 200
        kept = answer_file.load(user.answers()[-1])
        # new keys: the stake follows them, and answers for the old ones still
        workloads[1]._keys = workloads[1]._renew()
        assert (await at(bond.register, url, chain, signer)).sent is not None
        _nobody_else_is_slashed(kept, keys, chain)

    (tmp_path / "theirs.json").write_text(json.dumps(_signed(kept.receipt, keys, model="another")))
    file = next(one for one in user.answers() if one.stem == kept.receipt["receipt_id"])

    evidence, on = str(tmp_path / "lie.json"), ("--chain", chain.url, "--signer", REPORTER)
    assert verb("contradiction", str(file), str(tmp_path / "theirs.json"), "--out", evidence)[0] == 0
    before = workers.get(chain, ACCOUNT)
    assert before is not None
    code, told = await at(verb, "report", evidence, *on)
    assert (code, told["receipt"]) == (0, kept.receipt["receipt_id"]), told
    after = workers.get(chain, ACCOUNT)
    assert after is not None
    assert before.stake - after.stake == int(told["slashed_planck"]) == before.stake // 2
    assert after.banned
    code, told = await at(verb, "report", evidence, *on)
    assert (code, "AlreadyPunished" in told["error"]["message"]) == (1, True), told
    third = TwoReceipts.of(kept, _signed(kept.receipt, keys, model="a third"))
    with pytest.raises(DispatchError, match="AlreadyPunished"):
        await at(_report, third, chain)


def _nobody_else_is_slashed(kept: answers.Answer, keys: Keys, chain: SubstrateClient) -> None:
    """What a reporter can make of one honest receipt, and what the chain says to it."""
    receipt = kept.receipt
    other = _signed(receipt, keys, receipt_id="rcpt-other")
    own = make_keys("127.0.0.1", not_after=2_000_000_000)
    unsigned = {name: value for name, value in receipt.items() if name != "signature"}
    named = _signed(unsigned, keys, receipt_id="rcpt-x", model=f'","receipt_id":"{receipt["receipt_id"]}')

    def call(second: Document, signature: str | None = None) -> Call:
        """As `report` would, without its own look at the receipts."""
        key = bytes.fromhex(keys.keyset.receipt_keys[0].public_key)
        texts = [two_receipts_said(one) for one in (receipt, second)]
        signatures = [bytes.fromhex(one) for one in (receipt["signature"], signature or second["signature"])]
        return workers.report_two_receipts(key, texts[0], signatures[0], texts[1], signatures[1])

    refused: dict[str, Call] = {
        "the same receipt": call(receipt),
        "another answer's": call(other),
        "an id in a model's name": call(named),
        "a later time that nobody signed": call({**receipt, "served_at": receipt["served_at"] + 1}),
        "one that the reporter signed": call(_signed(unsigned, own, model="another")),
    }
    for fault, one in refused.items():
        with pytest.raises(DispatchError, match="NoEvidence"):
            pytest.fail(f"{fault} was taken: {chain.submit(one, dev_keypair(REPORTER))}")
    # and what the caller's own look refuses before a fee is paid
    two = TwoReceipts(
        "", kept.at, kept.nonce, kept.report, (receipt, _signed(unsigned, keys, model="another"))
    )
    faults: dict[str, Callable[[TwoReceipts], TwoReceipts]] = {
        "one receipt": lambda one: replace(one, receipts=(receipt, receipt)),
        "two ids": lambda one: replace(one, receipts=(receipt, other)),
        "nobody's signature": lambda one: replace(one, receipts=(receipt, {**receipt, "model": "another"})),
        "no report": lambda one: replace(one, report=b"{}"),
        "a member more": lambda one: replace(one, receipts=(receipt, _signed(unsigned, keys, a=1))),
    }
    for fault, change in faults.items():
        with pytest.raises(AnswerError) as caught:
            change(two).signed()
        assert caught.value.code == "not-for-a-chain", fault


def two_receipts_said(receipt: Document) -> bytes:
    return signed_bytes(receipt)


async def test_a_gateway_without_a_chain_registers_for_nobody(tmp_path: Path) -> None:
    async with house(tmp_path) as (_, outer):
        with pytest.raises(GatewayError) as caught:
            await asyncio.to_thread(ask_gateway, str(outer), "/v1/registration")
    assert caught.value.code == "not-bonded"


async def test_what_is_asked_for_is_a_number_and_a_hash(tmp_path: Path) -> None:
    stake = Bond(bytes(32), ACCOUNT)
    async with house(tmp_path, bond=stake) as (_, outer):
        for query in (
            "epoch=1",
            "epoch=-1&block_hash=" + "00" * 32,
            f"epoch={1 << 32}&block_hash=" + "00" * 32,
        ):
            with pytest.raises(GatewayError, match="answers 400"):
                await asyncio.to_thread(ask_gateway, str(outer), f"/v1/registration?{query}")


def test_no_receipt_is_longer_than_a_chain_reads() -> None:
    """Every text that somebody else chooses, as long as it may be, of characters that JSON writes longest."""
    keys = make_keys("127.0.0.1", not_after=2_000_000_000)
    one = Exchange(keys, "/v1/chat/completions", b"", direct=False)
    one.model, one.chat_id = "\x01" * 256, "\x01" * 128
    one.forwarded(b"")
    one.weighed("\x01" * 256, "sha256:" + "0" * 64)
    one.unverified("\x01" * 256, "\x01" * 100_000, required=True, upstream="u" * 64)
    receipt = one.receipt(now=2**53 - 1, aborted="upstream-truncated")
    assert len(two_receipts_said(receipt)) <= workers.MAX_ANSWER_RECEIPT
    assert MAX_JUDGED == workers.MAX_ANSWER_RECEIPT


NOT_HERE = (
    "https://gateway.example",
    "https://10.0.0.1:8443",
    "https://localhost:8443",
    "https://127.0.0.1.x",
)


@pytest.mark.parametrize("gateway", NOT_HERE)
def test_a_stake_goes_behind_no_gateway_of_another_machine(
    gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bond, "ask", lambda *_: pytest.fail("it was asked"))
    nobody: Any = None
    calls: tuple[Callable[[], object], ...] = (
        lambda: bond.register(gateway, nobody, nobody),
        lambda: bond.keep(gateway, nobody, nobody, print, print),
    )
    for call in calls:
        with pytest.raises(GatewayError, match="tunnel") as caught:
            call()
        assert caught.value.code == "not-loopback"


STANDINGS: dict[str, tuple[dict[str, Any], str | None]] = {
    "banned": ({"banned": True, "working": False}, "is banned"),
    "retired": ({"working": False}, "is retired"),
    "ended": ({"expires_at": 999}, "ReceiptKeyTaken"),
    "ends now": ({"expires_at": 1000}, "ReceiptKeyTaken"),
    "good": ({}, None),
}


@pytest.mark.parametrize("standing", STANDINGS)
def test_a_key_that_is_there_is_bonded_while_its_registration_holds(
    standing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, refused = STANDINGS[standing]
    key, genesis = b"k" * 32, b"g" * 32
    told = {"genesis": genesis, "account": ACCOUNT, "receipt_key": key, "hpke_key": key}
    good = {"receipt_key": key, "working": True, "banned": False, "expires_at": 1001, "stake": 5}
    record = SimpleNamespace(**{**good, **changes})
    monkeypatch.setattr(bond, "ask", lambda *_: {name: one.hex() for name, one in told.items()})
    monkeypatch.setattr(workers, "get", lambda *_: record)
    client: Any = SimpleNamespace(genesis=genesis, timestamp=lambda: 1000)
    if refused is None:
        found = bond.register("https://127.0.0.1:1", client, dev_keypair(OPERATOR))
        assert found == bond.Bonded(ACCOUNT, key, 5, 1001, None)
        return
    with pytest.raises(GatewayError, match=refused) as caught:
        bond.register("https://127.0.0.1:1", client, dev_keypair(OPERATOR))
    assert caught.value.code == "not-bonded"


def test_collateral_that_is_no_hex_is_an_error_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bond, "parse_quote", lambda _: SimpleNamespace(fmspc=b"", ca=""))
    monkeypatch.setattr(attestation, "collateral", lambda *_: [])
    client: Any = SimpleNamespace(timestamp=lambda: 0)
    for brought, refused in (("zz", "no collateral"), ([1], "no collateral"), (None, "set `collateral`")):
        with pytest.raises(GatewayError, match=refused):
            bond._require_collateral(client, dev_keypair(OPERATOR), b"", {"collateral": brought})


@pytest.mark.parametrize("fault", [NotFound("not final"), GatewayError("not registered"), OSError("full")])
def test_a_proof_that_fails_is_told_and_made_again(
    fault: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_of, stop = iter([fault, (7, {})]), threading.Event()
    failed: list[Exception] = []

    def prove_one(*_: Any) -> Any:
        found = next(answers_of)
        if isinstance(found, Exception):
            raise found
        stop.set()
        return found

    monkeypatch.setattr(registered, "prove", prove_one)
    done: list[int] = []
    client: Any = None
    registered.keep(client, ACCOUNT, tmp_path / "p", done.append, failed.append, seconds=0, stop=stop)
    assert (failed, done) == ([fault], [7])
    monkeypatch.setattr(registered, "prove", lambda *_: (_ for _ in ()).throw(fault))
    with pytest.raises(type(fault)):
        registered.keep(client, ACCOUNT, tmp_path / "p", done.append)
