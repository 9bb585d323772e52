"""The outbox against a chain that drops, delays and loses, under a process that dies anywhere."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofward.chain.client import RESEND_BLOCKS, Inclusion, SubstrateClient
from proofward.chain.errors import (
    ChainError,
    ChainTimeout,
    DispatchError,
    ExtrinsicInvalid,
    RpcError,
    invalid_extrinsic,
)
from proofward.chain.extrinsic import SignedExtrinsic
from proofward.chain.heads import Head
from proofward.chain.outbox import Outbox, State
from proofward.chain.values import Call

SIGNER = SimpleNamespace(public_key=b"\x01" * 32, crypto_type=1)
PERIOD = 4


class Killed(BaseException):
    """SIGKILL, at a place of the test's choosing."""


class World:
    """A chain with one account, whose node may forget what waits, and a client of it that may be killed."""

    genesis = b"\x07" * 32
    url = "ws://world"
    chain_type = "Development"

    def __init__(self, luck: Callable[[str], bool]) -> None:
        self.luck = luck
        self.height = 1
        self.pool: dict[bytes, SignedExtrinsic] = {}
        self.bodies: dict[int, list[SignedExtrinsic]] = {}
        self.effects: list[str] = []
        self.messages: list[list[str]] = []
        self.signatures = 0
        self.calls: dict[bytes, str] = {}
        self.failing = False
        self.life = 0
        self._lock = threading.Lock()

    # ---- the chain

    @property
    def state_nonce(self) -> int:
        return sum(len(body) for body in self.bodies.values())

    def step(self) -> None:
        """One block: what waits with the right nonce may be included, or forgotten."""
        self.height += 1
        for name, one in sorted(self.pool.items(), key=lambda item: item[1].nonce):
            if one.last_block < self.height or one.nonce < self.state_nonce or self.luck("forget"):
                del self.pool[name]
            elif one.nonce == self.state_nonce and self.luck("include"):
                del self.pool[name]
                self.bodies.setdefault(self.height, []).append(one)
                if not self.failing:
                    self.effects.append(self.calls[name])

    def begin_anew(self) -> None:
        """The same genesis, and nothing of what was done."""
        self.life += 1
        self.height = 1
        for kept in (self.pool, self.bodies, self.effects):
            kept.clear()

    # ---- the client, as the outbox uses it

    def signing(self, _: bytes) -> threading.Lock:
        return self._lock

    def nonce(self, _: bytes) -> int:
        waiting = {one.nonce for one in self.pool.values()}
        nonce = self.state_nonce
        while nonce in waiting:
            nonce += 1
        return nonce

    def sign(self, call: Call, signer: Any, *, nonce: int) -> SignedExtrinsic:
        self.signatures += 1
        data = f"{call.name} {nonce} {self.signatures}".encode()
        name = hashlib.blake2b(data, digest_size=32).digest()
        self.calls[name] = call.name
        return SignedExtrinsic(data, name, signer.public_key, nonce, self.height, self.height + PERIOD - 1)

    def broadcast(self, one: SignedExtrinsic) -> bytes:
        self.perhaps_die("before the broadcast")
        if one.last_block <= self.height:
            raise ExtrinsicInvalid("its era is over", code="bad-signature")
        if one.nonce < self.state_nonce:
            raise ExtrinsicInvalid("used", code="nonce-used")
        self.pool[one.hash] = one
        self.perhaps_die("after the broadcast")
        return one.hash

    def broadcast_many(self, several: Sequence[SignedExtrinsic]) -> list[ExtrinsicInvalid | None]:
        self.messages.append([self.calls[one.hash] for one in several])
        refusals = list[ExtrinsicInvalid | None]()
        for one in several:
            try:
                self.broadcast(one)
                refusals.append(None)
            except ExtrinsicInvalid as error:
                refusals.append(error)
        return refusals

    def finalised_head(self) -> Head:
        return Head(self.height, self.block_hash(self.height))

    def block_hash(self, number: int) -> bytes:
        if number > self.height:
            raise ChainError(f"no block {number}", code="no-such-block")
        return self.life.to_bytes(4, "big") + number.to_bytes(28, "big")

    def inclusion_in(self, block: bytes, name: bytes) -> Inclusion | None:
        number = int.from_bytes(block[4:], "big")
        for one in self.bodies.get(number, []):
            if one.hash == name:
                error = DispatchError("Jobs", "AlreadyClaimed") if self.failing else None
                return Inclusion(number, block, 1, name, (), error)
        return None

    def wait_finalised(self, one: SignedExtrinsic, timeout: float, *, taken: bool = False) -> Inclusion:
        for _ in range(2):
            self.step()
            self.perhaps_die("while it waits")
            for number in range(one.first_block + 1, min(self.height, one.last_block) + 1):
                if (found := self.inclusion_in(self.block_hash(number), one.hash)) is not None:
                    self.perhaps_die("before it writes the result")
                    return found
            if self.height >= one.last_block:
                raise ExtrinsicInvalid("its era is over", code="expired")
            if self.state_nonce > one.nonce:
                raise ExtrinsicInvalid("used", code="nonce-used")
        raise ChainTimeout("not finalised")

    def perhaps_die(self, where: str) -> None:
        if self.luck(f"killed {where}"):
            raise Killed(where)


def lucky(*happens: str) -> Callable[[str], bool]:
    """A world in which exactly these things happen."""
    return lambda what: what in happens


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def opened(path: Path, world: World) -> Outbox:
    return Outbox(path, world)  # type: ignore[arg-type]


def call(name: str) -> Call:
    return Call("Jobs", name)


@settings(max_examples=150)
@given(st.data())
def test_an_act_happens_at_most_once_whenever_the_process_dies(data: st.DataObject) -> None:
    odds = {"include": 0.6, "forget": 0.2}

    def luck(what: str) -> bool:
        return data.draw(st.floats(0, 1), label=what) < odds.get(what, 0.15)

    with tempfile.TemporaryDirectory() as directory:
        world, path = World(luck), Path(directory) / "outbox.sqlite"
        keys = data.draw(st.lists(st.sampled_from(["claim", "complete", "renew"]), min_size=1, max_size=8))
        outbox = opened(path, world)
        for key in keys:
            try:
                outbox.send(key, call(key), SIGNER)
            except (ChainError, Killed):
                outbox.close()
                outbox = opened(path, world)
                try:
                    outbox.reconcile()
                except Killed:
                    outbox.close()
                    outbox = opened(path, world)
        assert len(world.effects) == len(set(world.effects)), "an act happened twice"
        for key in set(keys):
            entry = outbox.get(key)
            if entry is not None and entry.state is State.DONE:
                assert key in world.effects, "an act is said to be done and is not"
        outbox.close()


def test_killed_before_the_broadcast_the_same_bytes_go_out_after_the_restart(path: Path) -> None:
    world = World(lucky("include", "killed before the broadcast"))
    with pytest.raises(Killed):
        opened(path, world).send("job 1", call("claim"), SIGNER)
    world.luck = lucky("include")
    (entry,) = opened(path, world).reconcile()
    assert entry.state is State.DONE
    assert (world.signatures, world.effects) == (1, ["claim"])


def test_killed_before_the_result_is_written_it_is_found_in_the_blocks(path: Path) -> None:
    world = World(lucky("include", "killed before it writes the result"))
    with pytest.raises(Killed):
        opened(path, world).send("job 1", call("claim"), SIGNER)
    world.luck = lucky("include")
    receipt = opened(path, world).send("job 1", call("claim"), SIGNER)
    assert receipt.block == 2
    assert (world.signatures, world.effects) == (1, ["claim"])


def test_done_once_it_gives_the_same_receipt_again(path: Path) -> None:
    world = World(lucky("include"))
    outbox = opened(path, world)
    first = outbox.send("job 1", call("claim"), SIGNER)
    assert outbox.send("job 1", call("claim"), SIGNER) == first
    assert world.effects == ["claim"]


def test_a_chain_that_began_anew_knows_of_nothing_that_was_done_or_is_on_its_way(path: Path) -> None:
    world = World(lucky("include"))
    world.height = 20
    outbox = opened(path, world)
    done = outbox.send("job 1", call("publish"), SIGNER)
    signed = outbox.prepare("job 2", call("claim"), SIGNER)
    outbox.close()
    world.begin_anew()
    outbox = opened(path, world)
    assert outbox.reconcile() == [], "what was signed for the old chain is waited for on the new one"
    assert outbox.send("job 1", call("publish"), SIGNER).block < done.block
    assert outbox.send("job 2", call("claim"), SIGNER).hash != signed.extrinsic.hash
    assert world.effects == ["publish", "claim"]


def test_a_chain_that_begins_anew_under_a_process_is_seen_when_it_is_asked_for_what_was_done(
    path: Path,
) -> None:
    world = World(lucky("include"))
    outbox = opened(path, world)
    outbox.send("job 1", call("publish"), SIGNER)
    world.begin_anew()
    outbox.send("job 1", call("publish"), SIGNER)
    assert world.effects == ["publish"]


def test_a_node_that_says_that_a_real_chain_began_anew_has_nothing_done_twice(path: Path) -> None:
    world = World(lucky("include"))
    world.chain_type = "Live"
    world.height = 20
    outbox = opened(path, world)
    outbox.send("job 1", call("publish"), SIGNER)
    real = world.bodies
    world.bodies = {}
    with pytest.raises(ChainError, match="ask another node"):
        outbox.send("job 1", call("publish"), SIGNER)
    outbox.close()
    world.begin_anew()
    world.chain_type = "Development"  # what it says now does not count
    lied_to = opened(path, world)
    for _ in range(2):
        with pytest.raises(ChainError, match="its node lies, or it was started over"):
            lied_to.send("job 1", call("publish"), SIGNER)
        with pytest.raises(ChainError, match="its node lies"):
            lied_to.hand_over([("job 2", call("claim"))], SIGNER)
    assert (world.signatures, [len(body) for body in real.values()]) == (1, [1])


def test_a_node_that_is_behind_is_no_chain_that_began_anew(path: Path) -> None:
    world = World(lucky("include"))
    outbox = opened(path, world)
    world.height = 20
    receipt = outbox.send("job 1", call("publish"), SIGNER)
    outbox.close()
    world.height = 5
    behind = opened(path, world)
    with pytest.raises(ChainError, match="caught up"):
        behind.send("job 1", call("publish"), SIGNER)
    world.height = 0
    with pytest.raises(ChainError, match="caught up"):
        opened(path, world).send("job 1", call("publish"), SIGNER)
    world.height = 30
    assert behind.send("job 1", call("publish"), SIGNER) == receipt
    assert (world.effects, world.signatures) == (["publish"], 1)


def test_a_new_signature_is_made_only_after_the_era(path: Path) -> None:
    world = World(lucky("forget"))
    outbox = opened(path, world)
    with pytest.raises(ChainTimeout):
        outbox.send("job 1", call("claim"), SIGNER)
    with pytest.raises(ExtrinsicInvalid, match="era"):
        outbox.send("job 1", call("claim"), SIGNER)
    assert world.signatures == 1
    world.luck = lucky("include")
    outbox.send("job 1", call("claim"), SIGNER)
    assert (world.signatures, world.effects) == (2, ["claim"])


def test_two_acts_on_their_way_never_share_a_nonce_and_leave_no_gap(path: Path) -> None:
    world = World(lucky())
    outbox = opened(path, world)
    entries = [outbox.prepare(key, call("claim"), SIGNER) for key in ("a", "b", "c")]
    assert [entry.extrinsic.nonce for entry in entries] == [0, 1, 2]
    world.pool.pop(entries[1].extrinsic.hash)
    outbox._close(entries[1], State.DEAD)
    assert outbox.prepare("d", call("claim"), SIGNER).extrinsic.nonce == 1


def test_several_are_handed_over_in_one_message_and_each_is_waited_for_by_itself(path: Path) -> None:
    world = World(lucky("include"))
    outbox = opened(path, world)
    acts = [("a", call("claim")), ("b", call("complete")), ("c", call("release"))]
    outbox.hand_over(acts, SIGNER)
    assert world.messages == [["claim", "complete", "release"]]
    assert [entry.extrinsic.nonce for entry in outbox.pending()] == [0, 1, 2]
    for key, act in acts:
        outbox.send(key, act, SIGNER)
    outbox.hand_over([*acts, ("d", call("claim"))], SIGNER)
    assert world.messages[1:] == [["claim"]], "what is done went out again"
    assert outbox.pending()[0].extrinsic.nonce == 3
    outbox.send("d", call("claim"), SIGNER)
    assert (world.effects, world.signatures) == (["claim", "complete", "release", "claim"], 4)


@settings(max_examples=60)
@given(data=st.data())
def test_several_acts_happen_at_most_once_whenever_the_process_dies(data: st.DataObject) -> None:
    odds = {"include": 0.6, "forget": 0.2}
    world = World(lambda what: data.draw(st.floats(0, 1), label=what) < odds.get(what, 0.15))
    acts = [(name, call(name)) for name in ("a", "b", "c")]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(data.draw(st.integers(1, 4), label="processes")):
            outbox = opened(Path(folder) / "outbox.sqlite", world)
            with contextlib.suppress(Killed, ChainError):
                outbox.reconcile(0.0)
                outbox.hand_over(acts, SIGNER)
                for key, act in acts:
                    outbox.send(key, act, SIGNER)
            outbox.close()
    assert len(world.effects) == len({*world.effects}), world.effects


def test_what_was_handed_over_and_nobody_waits_for_is_looked_after(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PERIOD", 64)
    world = World(lucky())
    outbox = opened(path, world)
    outbox.hand_over([("a", call("claim")), ("b", call("claim"))], SIGNER)
    world.pool.clear()
    outbox.sweep()
    assert not world.pool, "whoever wanted it is about to wait for it"
    world.height += RESEND_BLOCKS
    outbox.sweep()
    assert len(world.pool) == 2


def test_what_was_signed_before_a_fault_leaves_with_the_next_act(path: Path) -> None:
    """Of several, one cannot be signed, or the chain is away: the nonces of the others leave no gap."""
    world = World(lucky("include"))
    outbox, plain = opened(path, world), world.sign

    def sign(call: Call, signer: Any, *, nonce: int) -> SignedExtrinsic:
        if call.name == "complete":
            raise ChainError("the signer is away", code="signer-unreachable")
        return plain(call, signer, nonce=nonce)

    world.sign = sign  # type: ignore[method-assign]
    with pytest.raises(ChainError, match="away"):
        outbox.hand_over([("a", call("claim")), ("b", call("complete"))], SIGNER)

    def away(*_: object) -> None:
        raise ChainError("the chain is away", code="unreachable")

    world.broadcast_many = away  # type: ignore[method-assign, assignment]
    with pytest.raises(ChainError, match="chain is away"):
        outbox.hand_over([("c", call("release"))], SIGNER)
    del world.broadcast_many
    outbox.send("d", call("withdraw"), SIGNER)
    assert world.effects == ["claim", "release", "withdraw"]


def test_a_node_that_refuses_one_of_several_still_has_the_others(path: Path) -> None:
    world = World(lucky("include"))
    outbox = opened(path, world)
    plain = world.broadcast

    def broadcast(one: SignedExtrinsic) -> bytes:
        if world.calls[one.hash] == "claim" and world.height < 3:
            raise ExtrinsicInvalid("it cannot pay", code="cannot-pay")
        return plain(one)

    world.broadcast = broadcast  # type: ignore[method-assign]
    outbox.hand_over([("a", call("claim")), ("b", call("complete"))], SIGNER)
    with pytest.raises(ExtrinsicInvalid, match="cannot pay"):
        outbox.send("a", call("claim"), SIGNER)
    world.height = 3
    outbox.send("a", call("claim"), SIGNER)
    outbox.send("b", call("complete"), SIGNER)
    assert (world.effects, world.signatures) == (["claim", "complete"], 2)


def test_a_failure_on_the_chain_is_raised_and_may_be_tried_again(path: Path) -> None:
    world = World(lucky("include"))
    world.failing = True
    outbox = opened(path, world)
    with pytest.raises(DispatchError, match="AlreadyClaimed"):
        outbox.send("job 1", call("claim"), SIGNER)
    world.failing = False
    outbox.send("job 1", call("claim"), SIGNER)
    assert (world.signatures, world.effects) == (2, ["claim"])


def test_a_file_of_another_chain_is_refused(path: Path) -> None:
    opened(path, World(lucky())).close()
    other = World(lucky())
    other.genesis = b"\x08" * 32
    with pytest.raises(ChainError, match="belongs to the chain"):
        opened(path, other)


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    opened(path, World(lucky()))
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_was_signed_and_never_sent_goes_out_before_anything_new(path: Path) -> None:
    """The wedge: its nonce was skipped, and each later call waited for a nonce that nobody used."""
    world = World(lucky("include", "killed before the broadcast"))
    with pytest.raises(Killed):
        opened(path, world).send("job 1", call("submit"), SIGNER)
    world.luck = lucky("include")
    outbox = opened(path, world)
    assert outbox.send("job 2", call("cancel"), SIGNER).block == 2
    assert world.effects == ["submit", "cancel"]
    assert world.signatures == 2
    assert outbox.send("job 1", call("submit"), SIGNER).block == 2


def test_an_account_that_cannot_pay_blocks_by_name_and_goes_on_when_it_can(path: Path) -> None:
    world = World(lucky("include"))
    outbox, broadcast = opened(path, world), world.broadcast

    def poor(one: SignedExtrinsic) -> bytes:
        raise ExtrinsicInvalid("the account cannot pay the fee: fund it", code="cannot-pay")

    world.broadcast = poor  # type: ignore[method-assign]
    with pytest.raises(ExtrinsicInvalid, match="cannot pay"):
        outbox.send("job 1", call("submit"), SIGNER)
    with pytest.raises(ExtrinsicInvalid, match=r"job 1.*has to go first.*cannot pay") as caught:
        outbox.send("job 2", call("cancel"), SIGNER)
    assert caught.value.code == "cannot-pay"
    assert world.signatures == 1
    world.broadcast = broadcast  # type: ignore[method-assign]
    outbox.send("job 2", call("cancel"), SIGNER)
    assert world.effects == ["submit", "cancel"]


def test_a_wedge_that_can_never_land_is_cleared_out_of_the_way(path: Path) -> None:
    world = World(lucky("include", "killed before the broadcast"))
    with pytest.raises(Killed):
        opened(path, world).send("job 1", call("submit"), SIGNER)
    world.luck = lucky("include")
    world.height += PERIOD
    outbox = opened(path, world)
    outbox.send("job 2", call("cancel"), SIGNER)
    assert world.effects == ["cancel"]
    entry = outbox.get("job 1")
    assert entry is not None
    assert entry.state is State.DEAD


@pytest.mark.parametrize("how", ["by the sweep", "by the next act"])
def test_what_was_given_up_and_lost_by_the_node_does_not_hold_up_all_later_acts(path: Path, how: str) -> None:
    world = World(lucky("forget"))
    outbox = opened(path, world)
    with pytest.raises(ChainTimeout):
        outbox.send("job 1", call("claim"), SIGNER)
    assert world.pool == {}, "the node has lost it"
    world.luck = lucky("include")
    if how == "by the sweep":
        outbox.sweep()
        assert [entry.key for entry in outbox.pending()] == []
    outbox.send("job 2", call("release"), SIGNER)
    assert world.effects == ["claim", "release"]
    outbox.sweep()
    assert outbox.pending() == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (1012, "Transaction is temporarily banned"),  # a block had it
        (1002, "Verification Error: Runtime error: Execution failed"),  # of a runtime before an upgrade
    ],
)
def test_what_a_node_refuses_that_was_signed_before_does_not_hold_up_all_later_acts(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    monkeypatch.setitem(globals(), "PERIOD", 16)
    world = World(lucky())
    outbox = opened(path, world)
    with pytest.raises(ChainTimeout):
        outbox.send("job 1", call("claim"), SIGNER)
    (given_up,) = outbox.pending()
    take = world.broadcast

    def puts_aside(one: SignedExtrinsic) -> bytes:
        if one.hash == given_up.extrinsic.hash:
            refusal = RpcError("author_submitExtrinsic", code, message)
            raise invalid_extrinsic(refusal) or refusal
        return take(one)

    world.broadcast = puts_aside  # type: ignore[method-assign]
    with pytest.raises(ChainTimeout):  # the first one's block is not final yet: the second one waits its turn
        outbox.send("job 2", call("release"), SIGNER)
    world.luck = lucky("include")
    outbox.send("job 3", call("claim"), SIGNER)
    outbox.sweep()
    assert world.effects == ["claim", "release", "claim"]
    assert outbox.pending() == []


def test_two_accounts_may_use_one_key(path: Path) -> None:
    world = World(lucky())
    outbox = opened(path, world)
    other = SimpleNamespace(public_key=b"\x02" * 32, crypto_type=1)
    entries = [outbox.prepare("job 1", call("submit"), one) for one in (SIGNER, other)]
    assert [entry.extrinsic.signer for entry in entries] == [b"\x01" * 32, b"\x02" * 32]
    assert outbox.get("job 1", SIGNER.public_key) == entries[0]


FIRST_SCHEMA = """
CREATE TABLE chain (genesis BLOB NOT NULL);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, state TEXT NOT NULL, call TEXT NOT NULL, data BLOB NOT NULL,
    hash BLOB NOT NULL UNIQUE, signer BLOB NOT NULL, nonce INTEGER NOT NULL, first_block INTEGER NOT NULL,
    last_block INTEGER NOT NULL, block INTEGER, error TEXT, created_at REAL NOT NULL
);
CREATE UNIQUE INDEX one_live ON outbox (key) WHERE state IN ('signed', 'done');
"""


def test_a_file_from_before_there_were_versions_is_opened_and_goes_on(path: Path) -> None:
    world = World(lucky("include"))
    waiting = world.sign(call("submit"), SIGNER, nonce=0)
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(FIRST_SCHEMA)
        old.execute("INSERT INTO chain VALUES (?)", (world.genesis,))
        old.execute(
            "INSERT INTO outbox VALUES (7, 'job 1', 'signed', 'J.submit', ?, ?, ?, 0, ?, ?, NULL, NULL, 0)",
            (waiting.data, waiting.hash, waiting.signer, waiting.first_block, waiting.last_block),
        )
        old.commit()
    outbox = opened(path, world)
    (entry,) = outbox.pending()
    assert (entry.id, entry.key, entry.extrinsic) == (7, "job 1", waiting)
    outbox.send("job 2", call("cancel"), SIGNER)
    assert world.effects == ["submit", "cancel"]
    outbox.close()
    with contextlib.closing(sqlite3.connect(path)) as now:
        assert now.execute("PRAGMA user_version").fetchone() == (3,)
        now.execute("PRAGMA user_version = 4")
    with pytest.raises(ChainError, match="the release that wrote it") as caught:
        opened(path, world)
    assert caught.value.code == "outbox-unusable"


def test_a_folder_in_place_of_the_file_is_an_error_with_a_code(tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="not usable") as caught:
        opened(tmp_path, World(lucky()))
    assert caught.value.code == "outbox-unusable"


@pytest.mark.parametrize("lost", [True, False], ids=["what is lost", "and nothing else"])
def test_a_lost_pool_is_filled_again_while_the_era_lasts(monkeypatch: pytest.MonkeyPatch, lost: bool) -> None:
    world = World(lucky("forget"))
    one = world.sign(call("claim"), SIGNER, nonce=0)
    sent: list[int] = []

    class Forgetful(SubstrateClient):
        """A node that loses its pool at each block, until the extrinsic was sent for the third time."""

        def __init__(self) -> None:
            self._told, self._telling = {}, threading.Lock()

        def finalised_head(self) -> Head:
            world.height += 1
            return Head(world.height, world.height.to_bytes(32, "big"))

        def nonce(self, account: bytes) -> int:
            return int(not lost)

        def broadcast(self, extrinsic: SignedExtrinsic | bytes) -> bytes:
            sent.append(world.height)
            return b""

        def block_hash(self, number: int) -> bytes:
            return number.to_bytes(32, "big")

        def inclusion_in(self, block_hash: bytes, extrinsic: bytes) -> Inclusion | None:
            number = int.from_bytes(block_hash, "big")
            return (
                Inclusion(number, block_hash, 1, extrinsic, (), None)
                if number > 30 or (sent[1:] and number > sent[1])
                else None
            )

        def finalised_nonce(self, account: bytes, at: bytes | None = None) -> int:
            return 0

    monkeypatch.setattr("proofward.chain.client.POLL", 0)
    long = replace(one, last_block=64)
    receipt = Forgetful().wait_finalised(long, taken=not lost)
    assert len(sent) == (2 if lost else 0)
    if not lost:
        return
    assert sent[1] - sent[0] == RESEND_BLOCKS
    assert receipt.block == sent[1] + 1
