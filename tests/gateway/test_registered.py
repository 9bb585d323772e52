"""An upstream that is known by the chain: keys and software as a final state has them, or nothing goes."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from proofward.check import said
from proofward.consensus import Checkpoint
from proofward.consensus.registered import FORMAT, WORKER, keys
from proofward.errors import ProofwardError
from proofward.evidence import answer_file
from proofward.evidence.answer import BONDED, ON_CHAIN, Answer
from proofward.evidence.judged import STAKE
from proofward.evidence.verdict import Outcome
from proofward_gateway.channel import Origin, client_session
from proofward_gateway.config import Bond, ChainUpstream, Config
from proofward_gateway.keys import Workload
from proofward_gateway.measure import simulated_measurement
from proofward_gateway.proxy.server import AnswerRefused, Proxy
from proofward_gateway.proxy.settings import settings_of
from tests.consensus.chain import chain, header, trie
from tests.gateway.test_proxy import PINNED, post
from tests.gateway.world import (
    Echo,
    ask,
    caller,
    config,
    desk,
    echo,
    gateway,
    house,
    upstream,
    workloads,
)  # fmt: skip

FOUR, OTHERS = chain(4), chain(4, seed=1)
GENESIS, ACCOUNT, HASH = b"g" * 32, b"a" * 32, b"h" * 32
HOUR = 3600


def spec(folder: Path, by: Any = FOUR) -> Path:
    """A raw spec whose authorities are these."""
    from proofward.consensus import value_key
    from proofward.protocol.scale import compact

    voters = by.authorities.voters
    stored = compact(len(voters)) + b"".join(key + weight.to_bytes(8, "little") for key, weight in voters)
    top = {"0x" + value_key("Grandpa", "Authorities").hex(): "0x" + stored.hex()}
    path = folder / "spec.json"
    path.write_text(json.dumps({"genesis": {"raw": {"top": top}}}))
    return path


def entry(workload: Workload, **changes: Any) -> dict[str, Any]:
    """A registration of a gateway's present keys, as the chain stores it."""
    held = workload.keys
    return {
        "level": "Simulated", "root": HASH, "measurement": simulated_measurement(), "platform": HASH,
        "hpke_key": held.hpke_key, "receipt_key": bytes.fromhex(held.keyset.receipt_keys[0].public_key),
        "epoch": 3, "previous": {"epoch": 2, "receipt_key": HASH},
        "past_keys": [{"receipt_key": HASH, "superseded_at": 7}], "endpoint": b"https://upstream",
        "quote_hash": HASH, "registered_at": 9,
        "expires_at": (int(time.time() + HOUR) * 1000).to_bytes(8, "little"),
        "stake": (10**14).to_bytes(16, "little"), "open_claims": 0, "served": 0, "tally": bytes(20),
        "retired_at": None, "banned": 0, **changes,
    }  # fmt: skip


def proof(
    record: dict[str, Any] | None, *, at: float | None = None, by: Any = FOUR, genesis: bytes = GENESIS,
    allowed: bool = True, rooted: bool = True, barred: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """The proof of a final block with this registration."""
    now = int((time.time() if at is None else at) * 1000).to_bytes(8, "little")
    values = [
        genesis, now, None if record is None else WORKER.encode(record), b"\0" if allowed else None,
        b"\0" if rooted else None, b"" if barred else None,
    ]  # fmt: skip
    measured = simulated_measurement() if record is None else record["measurement"]
    state = {bytes([n]) * 32: bytes([n]) * 40 for n in range(30)}
    state |= {
        name: value
        for name, value in zip(keys(ACCOUNT, measured, HASH, HASH), values, strict=True)
        if value is not None
    }
    root, nodes = trie(state)
    block = header(300, root)
    return {
        "format": FORMAT,
        "header": block.hex(),
        "justification": by.justify(block, 300, range(3)).hex(),
        "changes": [],
        "nodes": [node.hex() for node in nodes],
    }


@dataclass
class Street:
    """A gateway whose upstream is known by the chain, what is behind both, and the upstream's identity."""

    behind: Echo
    outer: Origin
    upstream: Workload
    file: Path

    def prove(self, value: dict[str, Any]) -> None:
        self.file.write_text(json.dumps(value))


@asynccontextmanager
async def street(folder: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> AsyncIterator[Street]:
    made = workloads(monkeypatch)
    monkeypatch.setattr("proofward_gateway.upstreams._RETRY_SECONDS", 0)
    file = folder / "registered.json"
    known = {"measurements": frozenset(), "registered": ChainUpstream(ACCOUNT, file), **more}
    async with (
        echo() as behind,
        gateway(config(folder / "inner", upstream(behind.origin, "inside"))) as inner,
        gateway(outer_of(folder, inner, known)) as outer,
    ):
        yield Street(behind, outer, made[0], file)


def outer_of(folder: Path, inner: Origin, known: dict[str, Any]) -> Config:
    bond = Bond(GENESIS, ACCOUNT, spec(folder))
    return config(folder / "outer", upstream(inner, "aci", **known), bond=bond)


async def test_an_upstream_is_who_the_chain_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with street(tmp_path, monkeypatch) as here, desk(here.outer, tmp_path) as user:
        good = entry(here.upstream)
        here.prove(proof(good))
        assert (await post(user, "/v1/chat/completions", ask("hello")))[0] == 200
        kept = answer_file.load(user.answers()[0])
    assert kept.session is not None
    claim = kept.session["claims"]["serving_software_known_good"]
    assert claim["source"] == "verifier_derived", "no operator has it on a list"
    assert "the chain" in claim["reason"]
    assert "operator" not in claim["reason"]
    policy = replace(PINNED, authorities=FOUR.authorities, genesis=GENESIS)
    verdict = kept.verdict(policy)
    assert verdict.outcome is Outcome.ACCEPTED, str(verdict)
    told = {one.name: one for one in verdict}
    assert f"0x{ACCOUNT.hex()} in block 300" in told[ON_CHAIN].detail
    unread = next(one for one in kept.verdict(PINNED) if one.name == ON_CHAIN)
    assert (unread.ok, unread.required) == (None, False), "without a spec it is the gateway's word"
    for fault, reader in {
        "other authorities": replace(policy, authorities=OTHERS.authorities),
        "another chain": replace(policy, genesis=bytes(32)),
    }.items():
        assert _on_chain(kept, reader) is False, fault


async def test_a_proxy_takes_no_answer_of_an_upstream_that_its_users_chain_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with street(tmp_path, monkeypatch) as here:
        here.prove(proof(entry(here.upstream)))
        pins: list[tuple[int, dict[str, Any]]] = [
            (200, {"spec": spec(tmp_path), "genesis": f"0x{GENESIS.hex()}"}),
            (502, {"spec": spec(tmp_path), "genesis": "0x" + "00" * 32}),
            (502, {"spec": spec(other, OTHERS)}),
        ]
        for number, (wanted, demanded) in enumerate(pins):
            async with desk(here.outer, tmp_path / str(number), **demanded) as user:
                status, told = await post(user, "/v1/chat/completions", ask("hello"))
                assert (status, len(user.answers())) == (wanted, wanted == 200), demanded
                assert wanted == 200 or ON_CHAIN.encode() in told
    async with house(tmp_path / "pinned") as (_, outer), desk(outer, tmp_path, spec=spec(tmp_path)) as user:
        status, told = await post(user, "/v1/chat/completions", ask("hello"))
        assert (status, ON_CHAIN.encode() in told, user.answers()) == (502, True, []), "pinned by hand alone"


def _on_chain(kept: Answer, policy: Any) -> bool | None:
    return next(one.ok for one in kept.verdict(policy) if one.name == ON_CHAIN)


LIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another receipt key": lambda good: proof({**good, "receipt_key": HASH}),
    "another encryption key": lambda good: proof({**good, "hpke_key": HASH}),
    "other software": lambda good: proof({**good, "measurement": HASH}),
    "software that is not allowed any more": lambda good: proof(good, allowed=False),
    "a root that is not trusted any more": lambda good: proof(good, rooted=False),
    "a platform that is banned": lambda good: proof(good, barred=True),
    "its stake cut": lambda good: proof({**good, "stake": (5 * 10**13 - 1).to_bytes(16, "little")}),
    "banned": lambda good: proof({**good, "banned": 1}),
    "retired": lambda good: proof({**good, "retired_at": 12}),
    "ended": lambda good: proof({**good, "expires_at": (int(time.time() - 5) * 1000).to_bytes(8, "little")}),
    "not registered": lambda _good: proof(None),
    "an old proof": lambda good: proof(good, at=time.time() - 900),
    "a proof of the future": lambda good: proof(good, at=time.time() + 900),
    "another chain": lambda good: proof(good, genesis=bytes(32)),
    "other authorities": lambda good: proof(good, by=OTHERS),
    "another format": lambda good: {**proof(good), "format": "x"},
    "no justification": lambda good: {**proof(good), "justification": ""},
    "a node left out": lambda good: {**proof(good), "nodes": proof(good)["nodes"][1:]},
    "no hex": lambda good: {**proof(good), "header": "zz"},
    "too many nodes": lambda good: {**proof(good), "nodes": ["00"] * 5000},
    "no nodes": lambda good: {**proof(good), "nodes": None},
}


async def test_nothing_goes_to_an_upstream_that_the_chain_does_not_vouch_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with street(tmp_path, monkeypatch) as here, caller(here.outer) as one:
        good = entry(here.upstream)

        async def asked() -> tuple[int, str]:
            status, _, wire = await one.post("/v1/chat/completions", ask("hello"))
            return status, json.loads(wire).get("error", {}).get("type", "")

        refused = (503, "upstream_verification_failed")
        assert await asked() == refused, "there is no proof"
        for fault, lie in LIES.items():
            here.prove(lie(good))
            assert await asked() == refused, fault
        assert not here.behind.seen
        here.prove(proof(good))
        assert (await asked())[0] == 200


@asynccontextmanager
async def staked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Street]:
    """A gateway with a model inside, which hands out the proof of its own registration."""
    made, file = workloads(monkeypatch), folder / "own.json"
    bond = Bond(GENESIS, ACCOUNT, None, file)
    async with (
        echo() as behind,
        gateway(config(folder / "gateway", upstream(behind.origin, "inside"), bond=bond)) as outer,
    ):
        yield Street(behind, outer, made[0], file)


async def test_a_desk_that_demands_a_stake_sends_nothing_to_a_gateway_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demanded: dict[str, Any] = {
        "spec": spec(tmp_path), "genesis": f"0x{GENESIS.hex()}", "require_stake": True,
    }  # fmt: skip
    with pytest.raises(AnswerRefused, match="needs --spec"):
        settings_of("https://x", pins=[], upstream_pins=[], folder=tmp_path, development=True,
                    allow_unverified=False, require_stake=True)  # fmt: skip
    async with staked(tmp_path, monkeypatch) as here:
        good = entry(here.upstream)
        lies: dict[str, Callable[[dict[str, Any]], Any]] = {"no object": lambda _good: [], **LIES}
        for fault, lie in lies.items():
            here.prove(lie(good))
            with pytest.raises(ProofwardError):
                async with desk(here.outer, tmp_path, **demanded):
                    raise AssertionError(fault)
        assert not here.behind.seen
        here.prove(proof(good))
        async with desk(here.outer, tmp_path, **demanded) as user:
            assert (await post(user, "/v1/chat/completions", ask("hello")))[0] == 200
            (file,) = user.answers()
            monkeypatch.setattr("proofward.evidence.answer.stake_checks", lambda *_: [said(STAKE, "not")])
            status, told = await post(user, "/v1/chat/completions", ask("hello"))
            assert (status, b"stake: not" in told) == (502, True), "a receipt that no chain could judge"
            monkeypatch.undo()
    kept = answer_file.load(file)
    reader = replace(PINNED, authorities=FOUR.authorities, genesis=GENESIS)
    lines = {name: [one for one in kept.verdict(policy) if one.name == BONDED] for name, policy in {
        "read": reader,
        "unread": PINNED,
        "other authorities": replace(reader, authorities=OTHERS.authorities),
        "another chain": replace(reader, genesis=bytes(32)),
        "an old proof": replace(reader, checkpoint=Checkpoint(400, bytes(32), FOUR.authorities)),
    }.items()}  # fmt: skip
    assert {name: one.word for name, (one,) in lines.items()} == {
        "read": "ok", "unread": "said", "other authorities": "REFUSED", "another chain": "REFUSED",
        "an old proof": "not checked",
    }  # fmt: skip
    assert kept.verdict(reader).outcome is Outcome.ACCEPTED
    assert f"0x{ACCOUNT.hex()} in block 300" in lines["read"][0].detail
    assert replace(kept, bond={"account": 1}).verdict(reader).outcome is Outcome.REFUSED


async def test_a_stake_is_proved_anew_before_its_proof_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demanded: dict[str, Any] = {"spec": spec(tmp_path), "require_stake": True}
    async with staked(tmp_path, monkeypatch) as here:
        good = entry(here.upstream)
        here.prove(proof(good))
        now, settings = [time.time()], settings_of(
            str(here.outer), pins=[], upstream_pins=[], folder=tmp_path, development=True,
            allow_unverified=False, **demanded,
        )  # fmt: skip
        async with client_session() as client:
            user = Proxy(settings, client, clock=lambda: now[0])
            first = await user.attested()
            assert await user.attested() is first
            here.prove(proof({**good, "stake": bytes(16)}))
            assert await user.attested() is first, "known for ten minutes"
            now[0] += 601
            with pytest.raises(AnswerRefused, match="has lost its stake"):
                await user.attested()


async def test_a_session_ends_with_its_proof_and_new_keys_must_be_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with street(tmp_path, monkeypatch) as here, caller(here.outer) as one:
        before = entry(here.upstream)
        here.upstream._keys = here.upstream._renew()
        here.prove(proof(before))
        status, _, wire = await one.post("/v1/chat/completions", ask("hello"))
        assert (status, b"other keys than the chain has" in wire) == (503, True), wire
        here.prove(proof(entry(here.upstream), at=time.time() - 500))
        assert (await one.post("/v1/chat/completions", ask("hello")))[0] == 200
        _, listed = await one.get("/v1/aci/sessions")
        (session,) = listed["sessions"]
        assert session["expires_at"] - session["established_at"] <= 101


async def test_a_pin_counts_beside_the_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        street(tmp_path, monkeypatch, measurements=frozenset({HASH})) as here,
        caller(here.outer) as one,
    ):
        here.prove(proof(entry(here.upstream)))
        status, _, wire = await one.post("/v1/chat/completions", ask("hello"))
        assert (status, b"not pinned" in wire) == (503, True), wire
    assert not here.behind.seen
