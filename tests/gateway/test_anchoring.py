"""Receipts on the chain: every one under a root, none believed that is not, whatever its gateway says."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import secrets
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from proofward.amounts import UNIT
from proofward.chain import ChainTimeout, SubstrateClient, dev_keypair
from proofward.check import Check
from proofward.cli import app
from proofward.consensus import Checkpoint
from proofward.devnet.chains import Devnet
from proofward.errors import ProofwardError
from proofward.evidence.anchored import ANCHORED, FORMAT, keys_in, leaf_of, remark
from proofward.evidence.answer import Answer
from proofward.evidence.answer_file import load
from proofward.evidence.policy import Policy
from proofward.evidence.verdict import Outcome
from proofward.light.client import LightClient
from proofward.protocol import blake2_256
from proofward.protocol.sessions import Tree
from proofward_gateway.anchoring import check, run
from proofward_gateway.anchoring.check import checks, fetch
from proofward_gateway.anchoring.run import Anchored, Anchors, keep
from proofward_gateway.channel import GatewayError
from proofward_gateway.inclusion import inclusion
from tests.canary import Canary, in_files, in_text
from tests.consensus.chain import chain as chain_of
from tests.consensus.chain import header, trie
from tests.gateway.test_proxy import PINNED, answered, post
from tests.gateway.test_registered import FOUR
from tests.gateway.test_registered import spec as spec_of
from tests.gateway.world import ask, caller, desk, house


@pytest.fixture(scope="module")
def chain() -> Iterator[SubstrateClient]:
    with Devnet() as node, node.connect() as client:
        yield client


def anchored(state: Path, chain: SubstrateClient) -> list[Anchored]:
    found: list[Anchored] = []
    keep(state, chain, dev_keypair("//Alice"), found.append, once=True)
    return found


async def test_every_receipt_is_under_a_root_and_its_gateway_proves_it(
    tmp_path: Path, chain: SubstrateClient
) -> None:
    state = tmp_path / "outer" / "state"
    async with house(tmp_path) as (_, outer), caller(outer) as one:
        receipts = []
        for body in (ask("one"), ask("two", stream=True), {"model": "other"}, ask("four"), b"{"):
            _, headers, _ = await one.post("/v1/chat/completions", body)
            receipts.append((await one.get(f"/v1/aci/receipts/{headers['X-Receipt-Id']}"))[1])
        name = receipts[0]["receipt_id"]
        with pytest.raises(GatewayError) as caught:
            await asyncio.to_thread(fetch, str(outer), name)
        assert caught.value.code == "not-anchored"
        (batch,) = await asyncio.to_thread(anchored, state, chain)
        assert batch.count == len(receipts)
        for receipt in receipts:
            proof = await asyncio.to_thread(fetch, str(outer), receipt["receipt_id"])
            found = checks(receipt, proof, chain)
            assert [check.name for check in found] == ["path", "chain", "block", "served at"]
            assert all(check.ok for check in found), found
        assert await asyncio.to_thread(anchored, state, chain) == []
        _lies(receipts, proof, chain)
    # a batch of the size that is wanted: 50,000 receipts in 13 remarks, whose length does not grow with them
    assert batch.fee * 13 / 50_000 <= 0.001 * UNIT


def _lies(receipts: list[dict[str, Any]], proof: dict[str, Any], chain: SubstrateClient) -> None:
    """What no proof can make of the last receipt."""
    receipt = receipts[-1]
    faults: dict[str, tuple[str, Callable[[dict[str, Any], dict[str, Any]], None]]] = {
        "a later time": ("path", lambda r, _p: r.update(served_at=r["served_at"] + 1)),
        "another answer": ("path", lambda r, _p: r["event_log"].pop()),
        "another place": ("path", lambda _r, p: p.update(position=0)),
        "a place outside": ("path", lambda _r, p: p.update(position=5)),
        "a longer path": ("path", lambda _r, p: p["path"].append("00" * 32)),
        "a path of no hashes": ("path", lambda _r, p: p.update(path=["00"] * 3)),
        "no path": ("path", lambda _r, p: p.pop("path")),
        "another chain": ("chain", lambda _r, p: p.update(genesis="00" * 32)),
        "another block": ("block", lambda _r, p: p.update(block=1)),
        "a block to come": ("block", lambda _r, p: p.update(block=1 << 30)),
        "another batch": ("block", lambda _r, p: p.update(number=7)),
        "another's remark": ("block", lambda _r, p: p.update(account="11" * 32)),
    }
    for fault, (wanted, change) in faults.items():
        lying, told = copy.deepcopy(receipt), copy.deepcopy(proof)
        change(lying, told)
        failed = [check.name for check in checks(lying, told, chain) if check.ok is not True]
        assert failed[:1] == [wanted], fault


async def test_the_verbs_anchor_and_find(
    tmp_path: Path, chain: SubstrateClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def invoke(*arguments: str, at: str = chain.url) -> tuple[int, list[dict[str, Any]]]:
        done = CliRunner().invoke(app, [*arguments, "--chain", at, "--json"])
        return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()]

    state = tmp_path / "outer" / "state"
    async with house(tmp_path) as (_, outer), desk(outer, tmp_path) as user:
        async with aiohttp.ClientSession() as session:
            await (await session.post(f"{user.url}/v1/chat/completions", json=ask("one"))).read()
        (file,) = user.answers()
        find = ("gateway", "anchored", str(file))
        assert (await asyncio.to_thread(invoke, *find))[0] != 0
        code, out = await asyncio.to_thread(invoke, "gateway", "anchor", "--state", str(state), "--once")
        assert (code, [line.get("receipts") for line in out]) == (0, [1]), out
        code, out = await asyncio.to_thread(invoke, *find)
        assert (code, out[0]["anchored"]) == (0, True)
        for genesis, wanted in ((chain.genesis, 0), (bytes(32), 1)):
            code, out = await asyncio.to_thread(invoke, *find, "--genesis", f"0x{genesis.hex()}")
            assert (code, out[0]["anchored"]) == (wanted, not wanted), "the node has another chain"
        opened = []

        def light(spec: Path) -> SubstrateClient:
            opened.append(spec)
            return SubstrateClient.connect(chain.url)

        monkeypatch.setattr(LightClient, "open", light)
        by_proofs = (*find, "--light", "spec.json")
        assert (await asyncio.to_thread(partial(invoke, *by_proofs, at="ws://127.0.0.1:1")))[0] == 0
        assert opened == [Path("spec.json")], "no node is asked"
        code, out = await asyncio.to_thread(invoke, *find, "--keep")
        assert (code, out[0]["kept"]) == (0, True)
        kept = load(file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        (line,) = [one for one in kept.verdict(PINNED) if one.name == ANCHORED]
        assert (line.ok, line.required) == (None, False), "an embedded chain proves nothing"
        assert kept.anchor is not None
        assert f"block {kept.anchor['block']}" in line.detail
        assert f"at {kept.anchor['at']} when its owner looked" in line.detail
        monkeypatch.setattr(check, "ask", lost)
        assert (await asyncio.to_thread(invoke, *find))[0] == 0, "what is kept needs no gateway"
        other = json.loads(file.read_text())
        other["receipt"]["served_at"] += 1
        file.write_text(json.dumps(other))
        code, out = await asyncio.to_thread(invoke, *find)
        assert (code, out[0]["anchored"]) == (1, False)


def lost(*_: Any, **__: Any) -> None:
    raise ChainTimeout("no finality")


async def test_a_batch_that_was_cut_off_is_sent_again_as_it_was(
    tmp_path: Path, chain: SubstrateClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "outer" / "state"
    async with house(tmp_path) as (_, outer), caller(outer) as one:
        _, headers, _ = await one.post("/v1/chat/completions", ask("one"))
        first = headers["X-Receipt-Id"]
        anchors = Anchors(state, chain, dev_keypair("//Alice"))

        with monkeypatch.context() as patched:
            patched.setattr(chain, "submit", lost)
            with pytest.raises(ChainTimeout):
                anchors.anchor()
        anchors.close()
        assert inclusion(state, first) is None, "nothing is claimed that the chain has not"
        await one.post("/v1/chat/completions", ask("two"))
        found = await asyncio.to_thread(anchored, state, chain)
        assert [batch.count for batch in found] == [1, 1]
        proof = inclusion(state, first)
        assert proof is not None
        _, receipt = await one.get(f"/v1/aci/receipts/{first}")
        assert all(check.ok for check in checks(receipt, proof, chain))


async def test_receipts_whose_numbers_began_again_are_anchored(
    tmp_path: Path, chain: SubstrateClient
) -> None:
    state = tmp_path / "outer" / "state"
    async with house(tmp_path) as (_, outer), caller(outer) as one:
        for text in ("one", "two"):
            await one.post("/v1/chat/completions", ask(text))
        assert [batch.count for batch in await asyncio.to_thread(anchored, state, chain)] == [2]
        (file,) = [path for path in state.glob("*.sqlite") if "receipts" in path.name]
        with contextlib.closing(sqlite3.connect(file, timeout=10.0, isolation_level=None)) as kept:
            kept.execute("DELETE FROM receipts")  # as when what is kept for a while ran out
        await one.post("/v1/chat/completions", ask("three"))
        assert [batch.count for batch in await asyncio.to_thread(anchored, state, chain)] == [1]


async def test_a_chain_that_does_not_answer_is_asked_again(
    tmp_path: Path, chain: SubstrateClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as (_, outer), caller(outer) as one:
        await one.post("/v1/chat/completions", ask("one"))
    submit, stop = chain.submit, threading.Event()
    failed: list[ProofwardError] = []
    found: list[Anchored] = []

    def once_lost(*arguments: Any, **more: Any) -> Any:
        if not failed:
            raise ChainTimeout("no finality")
        return submit(*arguments, **more)

    def told(batch: Anchored) -> None:
        found.append(batch)
        stop.set()

    monkeypatch.setattr(chain, "submit", once_lost)
    monkeypatch.setattr(run, "_RETRY_SECONDS", 0)
    keep(tmp_path / "outer" / "state", chain, dev_keypair("//Alice"), told, failed.append, every=1, stop=stop)
    assert [type(error) for error in failed] == [ChainTimeout]
    assert [batch.count for batch in found] == [1]


async def test_no_prompt_is_on_the_chain_or_beside_the_anchors(
    tmp_path: Path, chain: SubstrateClient
) -> None:
    secret = secrets.token_bytes(24)
    canary, text = Canary.of_bytes(secret), secret.hex()
    async with house(tmp_path) as (behind, outer), caller(outer) as one:
        await one.post("/v1/chat/completions", ask(text))
        assert any(text.encode() in seen for seen in behind.seen)
    (batch,) = anchored(tmp_path / "outer" / "state", chain)
    block = chain.block(batch.block)
    assert any(bytes.fromhex(batch.root) in raw for raw in block.raw), "the root is what is there"
    assert not in_text(canary, block=b"".join(block.raw), events=repr(chain.events(block.hash)))
    assert not in_files(canary, tmp_path)


async def test_anchors_of_one_chain_do_not_go_on_on_another(tmp_path: Path, chain: SubstrateClient) -> None:
    async with house(tmp_path) as (_, outer), caller(outer) as one:
        await one.post("/v1/chat/completions", ask("one"))
    state = tmp_path / "outer" / "state"
    anchored(state, chain)
    with sqlite3.connect(state / "anchors.sqlite") as file:
        file.execute("UPDATE batches SET genesis = ?", ("00" * 32,))
    with pytest.raises(GatewayError) as caught:
        Anchors(state, chain, dev_keypair("//Alice"))
    assert caught.value.code == "other-chain"
    with pytest.raises(GatewayError, match="name the `state` folder"):
        Anchors(tmp_path, chain, dev_keypair("//Alice"))


GENESIS, ACCOUNT, BLOCK = b"g" * 32, b"a" * 32, 298


def remarked(
    receipt: dict[str, Any],
    *,
    at: int | None = None,
    genesis: bytes = GENESIS,
    events: bytes | None = None,
    by: Any = FOUR,
) -> dict[str, Any]:
    """A proof of inclusion, the second of two receipts, on a chain that the tests finalise."""
    tree = Tree([bytes(32), leaf_of(receipt)])
    said = remark(7, 2, tree.root)
    seconds = receipt["served_at"] + 60 if at is None else at
    now, stored = keys_in(BLOCK)[0]
    fillers = {bytes([n]) * 32: bytes([n]) * 40 for n in range(30)}
    held = b"\x04" + ACCOUNT + blake2_256(said) if events is None else events
    root, inside = trie({now: (seconds * 1000).to_bytes(8, "little"), stored: held, **fillers})
    block = header(BLOCK, root)
    values = zip(keys_in(BLOCK)[1], (genesis, blake2_256(block)), strict=True)
    root, nodes = trie({**dict(values), **fillers})
    final = header(304, root)
    proof = {
        "format": FORMAT,
        "header": final.hex(),
        "justification": by.justify(final, 304, range(3)).hex(),
        "changes": [],
        "nodes": [node.hex() for node in nodes],
        "block_header": block.hex(),
        "block_nodes": [node.hex() for node in inside],
    }
    return {
        "number": 7, "count": 2, "root": tree.root.hex(), "genesis": GENESIS.hex(), "account": ACCOUNT.hex(),
        "block": BLOCK, "position": 1, "path": [step.hex() for step in tree.path(1)], "proof": proof,
    }  # fmt: skip


def part(changes: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A good proof of inclusion with another member in the chain's own."""

    def change(receipt: dict[str, Any]) -> dict[str, Any]:
        good = remarked(receipt)
        return {**good, "proof": {**good["proof"], **changes}}

    return change


#: Fault -> the anchor that an answer's file has in place of the good one.
FORGED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another receipt's": lambda receipt: remarked({**receipt, "served_at": receipt["served_at"] + 1}),
    "another root": lambda receipt: {**remarked(receipt), "root": "00" * 32},
    "another place": lambda receipt: {**remarked(receipt), "position": 0},
    "another number": lambda receipt: {**remarked(receipt), "number": 8},
    "another's remark": lambda receipt: {**remarked(receipt), "account": "11" * 32},
    "another block": lambda receipt: {**remarked(receipt), "block": BLOCK - 1},
    "another chain stated": lambda receipt: {**remarked(receipt), "genesis": "00" * 32},
    "another chain proved": lambda receipt: remarked(receipt, genesis=bytes(32)),
    "no such remark": lambda receipt: remarked(receipt, events=bytes(80)),
    "a block from before the answer": lambda receipt: remarked(receipt, at=receipt["served_at"] - 1),
    "other authorities": lambda receipt: remarked(receipt, by=chain_of(4, seed=1)),
    "another format": part({"format": "proofward/registered/v1"}),
    "a block without its header": part({"block_header": None}),
    "another block's header": part({"block_header": header(BLOCK, bytes(32)).hex()}),
    "no nodes of the block": part({"block_nodes": []}),
    "nodes that are none": part({"block_nodes": ["zz"]}),
    "too many nodes": part({"nodes": ["00"] * 5000}),
    "no justification": part({"justification": ""}),
    "no proof but a list": lambda receipt: {**remarked(receipt), "proof": [1]},
    "nothing": lambda _receipt: {"x": 1},
}


async def test_a_kept_anchor_is_the_chains_word_to_who_knows_its_authorities(tmp_path: Path) -> None:
    kept = await answered(tmp_path)
    good = replace(kept, anchor=remarked(kept.receipt))
    reader = replace(PINNED, authorities=FOUR.authorities, genesis=GENESIS)

    def line(one: Answer, policy: Policy) -> Check:
        (found,) = [check for check in one.verdict(policy) if check.name == ANCHORED]
        return found

    told = line(good, reader)
    assert told.ok, told
    assert f"existed by {kept.receipt['served_at'] + 60}" in told.detail
    assert not [one for one in kept.verdict(reader) if one.name == ANCHORED], "nothing is kept"
    assert (line(good, PINNED).ok, line(good, PINNED).required) == (None, False), "nobody has read the proof"
    behind = Checkpoint(400, bytes(32), FOUR.authorities)
    old = line(good, replace(reader, checkpoint=behind))
    assert (old.ok, old.required) == (None, False), "who had the old keys could have made it"
    assert line(good, replace(reader, genesis=bytes(32))).ok is False
    for fault, change in FORGED.items():
        lying = replace(kept, anchor=change(kept.receipt))
        assert line(lying, reader).ok is False, fault
        assert lying.verdict(reader).outcome is Outcome.REFUSED, fault


async def test_an_anchor_is_kept_by_the_proof_that_its_gateway_hands_out(
    tmp_path: Path, chain: SubstrateClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No node is asked by who reads it; a chain that cannot prove it yet is asked again by who anchors."""
    state = tmp_path / "outer" / "state"
    spec, other = spec_of(tmp_path), tmp_path / "other"
    other.mkdir()
    async with house(tmp_path) as (_, outer), desk(outer, tmp_path) as user:
        assert (await post(user, "/v1/chat/completions", ask("one")))[0] == 200
        (file,) = user.answers()
        kept = load(file)
        anchored(state, chain)
        proof = remarked(kept.receipt)["proof"]
        monkeypatch.setattr(run, "of_remark", lost)
        with sqlite3.connect(state / "anchors.sqlite") as own:
            own.execute("DELETE FROM proofs")
        anchors = Anchors(state, chain, dev_keypair("//Alice"))
        with pytest.raises(ChainTimeout):
            anchors.prove()
        with monkeypatch.context() as patched:
            patched.setattr(run, "_PROVABLE", 0)
            assert (anchors.prove(), anchors.prove()) == (True, False), "given up"
        anchors._own.execute("DELETE FROM proofs")
        monkeypatch.setattr(run, "of_remark", lambda *_: proof)
        assert anchors.prove()
        anchors.close()
        found = inclusion(state, str(kept.receipt["receipt_id"]))
        assert found is not None
        assert found["proof"] == proof
        with sqlite3.connect(
            state / "anchors.sqlite"
        ) as own:  # the tests' chain in place of the embedded one
            made = remarked(kept.receipt)
            names = ("number", "count", "root", "genesis", "account", "block")
            own.execute("DELETE FROM batches")
            own.execute(
                f"INSERT INTO batches ({', '.join(names)}, last) VALUES (?, ?, ?, ?, ?, ?, 1)",
                [made[name] for name in names],
            )
            own.execute("UPDATE leaves SET number = 7, position = 1, path = ?", (json.dumps(made["path"]),))
            own.execute("UPDATE proofs SET number = 7")

        def find(*more: str) -> int:
            asked = ["gateway", "anchored", str(file), "--chain", "ws://127.0.0.1:1", "--json", *more]
            return CliRunner().invoke(app, asked).exit_code

        assert (
            await asyncio.to_thread(find, "--spec", str(spec_of(other, chain_of(4, seed=1))), "--keep") == 1
        )
        assert load(file).anchor is None, "nothing is kept that does not hold"
        assert await asyncio.to_thread(find, "--spec", str(spec), "--keep") == 0
    reader = replace(PINNED, authorities=FOUR.authorities)
    verdict = load(file).verdict(reader)
    assert [one.ok for one in verdict if one.name == ANCHORED] == [True]
    assert "at" not in (load(file).anchor or {}), "no node has told its owner a time"


def test_a_leaf_is_of_the_whole_receipt() -> None:
    receipt = {"receipt_id": "r", "served_at": 1, "signature": "00"}
    assert len({leaf_of(receipt), *(leaf_of({**receipt, name: 2}) for name in receipt)}) == 4
    assert leaf_of(json.loads(json.dumps(receipt, sort_keys=True))) == leaf_of(receipt)
