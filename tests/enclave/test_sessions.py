"""Sessions inside the enclave: what it signs, and what it refuses of clients and hosts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from proofward.protocol import ProtocolError
from proofward.protocol.keys import ReceiptKey, hpke_seal, verify_signature
from proofward.protocol.session_frames import (
    MAX_REPLAY,
    Answers,
    Channel,
    Proposal,
    Records,
    Refusal,
    Replay,
    SessionContext,
    State,
    Voucher,
    parse_message,
)
from proofward.protocol.sessions import (
    Checkpoint,
    Tree,
    hello_message,
    leaf,
    page_message,
    root_of,
    session_id,
)
from proofward_enclave import sessions
from proofward_enclave.service import Service
from tests.enclave.fake_model import BATCH, FEATURES, FakeArtifact, FakePublic
from tests.enclave.world import (
    ACCOUNT,
    CLIENT,
    GENESIS,
    PUBLISHER,
    Host,
    Job,
    Refused,
    add_model,
    begin,
    enclave,
)
from tests.vectors.make import value

NONCE = value("nonce")
LIMIT = 10**6


@dataclass
class World:
    """An enclave with one model in an epoch, and what a client knows of it."""

    host: Host
    service: Service
    public: FakePublic
    keys: dict[str, Any]

    def client(self, **changes: Any) -> Peer:
        return Peer(self, **changes)


class Peer:
    """A client of one session, honest unless a test says otherwise."""

    def __init__(self, world: World, *, epoch: int = 1, secret: bytes = value("secret")) -> None:
        self.world, self.secret = world, secret
        self.voucher = ReceiptKey(value("voucher"))
        self.context = SessionContext(
            GENESIS, session_id(CLIENT, NONCE), CLIENT, ACCOUNT, Job(world.public).model, epoch
        )
        self.sent = 0

    def connect(self, **changes: Any) -> list[Any]:
        mine = os.urandom(32)
        context = self.context
        wrapped = hpke_seal(self.world.keys["hpke_key"], self.secret, context.info())
        params = {
            "genesis": context.genesis,
            "session": context.session,
            "client": context.client,
            "worker": context.worker,
            "model": context.model,
            "epoch": context.epoch,
            "voucher_key": self.voucher.public,
            "publisher": PUBLISHER,
            "manifest_hash": self.world.public.manifest_hash,
            "client_random": mine,
            "client_signature": self.voucher.sign(
                hello_message(context.genesis, context.session, mine, wrapped)
            ),
            "wrapped": wrapped,
        }
        reply = self.world.host.call("session_connect", **(params | changes))
        self.connection = reply["connection"]
        self.channel = Channel(self.secret, context.session, mine, reply["random"], enclave=False)
        return [parse_message(self.channel.open(frame)) for frame in reply["frames"]]

    def frame(self, frame: bytes, limit: int = LIMIT, **changes: Any) -> dict[str, Any]:
        params = {
            "session": self.context.session,
            "connection": self.connection,
            "frame": frame,
            "limit": limit.to_bytes(8, "little"),
            "behind": 0,
        }
        return self.world.host.call("session_frame", **(params | changes))

    def say(self, message: Any, limit: int = LIMIT, **changes: Any) -> list[Any]:
        reply = self.frame(self.channel.seal(message.encode()), limit, **changes)
        return [parse_message(self.channel.open(frame)) for frame in reply["frames"]]

    def ask(self, count: int, first: int | None = None, limit: int = LIMIT) -> Any:
        begin_at = self.sent if first is None else first
        rows = (np.arange(count * FEATURES) + begin_at).astype("<i8")
        (answer,) = self.say(Records(begin_at, count, rows.tobytes()), limit)
        if isinstance(answer, Answers):
            self.sent = begin_at + count
            sums = rows.reshape(count, FEATURES).sum(axis=1)
            assert np.array_equal(np.frombuffer(answer.values, dtype="<i8"), sums)
        return answer

    def checkpoint(self, pages: int = 1 << 16) -> list[Any]:
        reply = self.world.host.call("session_checkpoint", session=self.context.session, pages=pages)
        return [parse_message(self.channel.open(frame)) for frame in reply["frames"]]

    def vouch(self, proposal: Proposal, key: ReceiptKey | None = None, **changes: Any) -> dict[str, Any]:
        said = Checkpoint(
            **{
                "genesis": GENESIS,
                "session": self.context.session,
                "number": proposal.number,
                "root": proposal.root,
                "pages": proposal.total_pages,
                "records": proposal.records,
                **changes,
            }
        )
        signature = (key or self.voucher).sign(said.voucher_message())
        reply = self.frame(self.channel.seal(Voucher(proposal.number, signature).encode()))
        (told,) = (parse_message(self.channel.open(frame)) for frame in reply["frames"])
        assert told == State(self.sent, proposal.records, proposal.total_pages, proposal.number + 1)
        return reply


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    public = add_model(tmp_path / "models", "sum")
    with enclave(tmp_path / "models") as (host, service):
        host.call("load_model", path="sum")
        yield World(host, service, public, begin(host))


def test_pages_are_signed_in_one_tree_and_a_page_of_it_is_proved(world: World) -> None:
    peer = world.client()
    assert peer.connect() == [State(0, 0, 0, 0)]
    answers = [peer.ask(1), peer.ask(4)]
    pages = [page for answer in answers for page in answer.pages]
    (proposal,) = peer.checkpoint()
    pages += proposal.pages
    assert [(page.page, page.first, page.records) for page in pages] == [(0, 0, 2), (1, 2, 2), (2, 4, 1)]
    session, key = peer.context.session, world.keys["receipt_key"]
    leaves = [leaf(session, page.page, page.input_commitment, page.output_commitment) for page in pages]
    for page, mark in zip(pages, leaves, strict=True):
        verify_signature(key, page_message(GENESIS, session, page.page, mark), page.signature)
    assert Tree(leaves).root == proposal.root
    said = Checkpoint(GENESIS, session, 0, proposal.root, 3, 5)
    verify_signature(key, said.enclave_message(), proposal.signature)
    voucher = peer.vouch(proposal)["voucher"]
    verify_signature(peer.voucher.public, said.voucher_message(), voucher["voucher"])
    assert (voucher["pages"], voucher["records"], voucher["signature"]) == (3, 5, proposal.signature)
    proof = world.host.call("session_prove", session=session, number=0, page=2)
    about = proof["input_commitment"], proof["output_commitment"]
    assert root_of(leaf(session, 2, *about), 2, proof["path"]) == proposal.root
    assert world.public.verify(*about, proof["proof"])
    world.host.call("session_release", session=session, number=0)
    assert world.host.call("session_status")["bytes"] == 0
    with pytest.raises(Refused, match="unknown-page"):
        world.host.call("session_prove", session=session, number=0, page=2)


def _checkpointed(world: World, records: int) -> Peer:
    """A client's session with a vouched window of so many records."""
    peer = world.client()
    peer.connect()
    peer.ask(records)
    (proposal,) = peer.checkpoint()
    peer.vouch(proposal)
    return peer


def _proved(world: World, peer: Peer, page: int) -> dict[str, Any]:
    return world.host.call("session_prove", session=peer.context.session, number=0, page=page)


def test_a_page_is_proved_once_and_its_proof_is_the_same_for_ever(world: World) -> None:
    """Attack b_toctou in a session: a host that asks again, and disturbs, has one try a page."""
    peer = _checkpointed(world, 4)
    artifact = cast(FakeArtifact, world.service._models.get(world.public.manifest_hash))
    first = _proved(world, peer, 0)
    artifact.fault = "prover"
    assert _proved(world, peer, 0) == first
    assert artifact.proofs == 1


@pytest.mark.parametrize("fault", ["prover", "proof", "commitment"])
def test_a_failed_proof_of_a_page_costs_the_model(world: World, fault: str) -> None:
    peer = _checkpointed(world, 4)
    artifact = cast(FakeArtifact, world.service._models.get(world.public.manifest_hash))
    made = _proved(world, peer, 1)
    artifact.fault = fault
    for _ in range(2):
        with pytest.raises(Refused, match="prover-failed"):
            _proved(world, peer, 0)
        artifact.fault = ""
    assert artifact.proofs == 2
    assert artifact.closed
    assert _proved(world, peer, 1) == made
    with pytest.raises(Refused, match="model-quarantined"):
        peer.ask(1)
    with pytest.raises(Refused, match="model-quarantined"):
        peer.connect()


@pytest.mark.parametrize("end", ["session_release", "session_close"])
def test_a_window_that_is_over_while_its_page_is_proved_costs_no_model(world: World, end: str) -> None:
    """Attack: a client, or anybody by `finish`, ends a session whose proofs are late, and all others of the
    model lose theirs.
    """
    peer = _checkpointed(world, 4)
    artifact = cast(FakeArtifact, world.service._models.get(world.public.manifest_hash))
    artifact.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        proof = pool.submit(_proved, world, peer, 1)
        assert artifact.proving.wait(20)
        world.host.call(end, session=peer.context.session, **({"number": 0} if "release" in end else {}))
        artifact.gate.set()
        made = proof.result(20)
    assert world.public.verify(made["input_commitment"], made["output_commitment"], made["proof"])
    assert not artifact.closed
    assert world.host.call("session_status")["bytes"] == 0


def test_a_frame_that_waits_while_its_session_is_closed_is_answered_under_no_erased_secret(
    world: World,
) -> None:
    peer = world.client()
    peer.connect()
    session = world.service.sessions._sessions[peer.context.session]
    rows = np.arange(BATCH * FEATURES).astype("<i8").tobytes()
    frame = peer.channel.seal(Records(0, BATCH, rows).encode())
    with ThreadPoolExecutor(2) as pool:
        with session.lock:
            closing = pool.submit(world.host.call, "session_close", session=peer.context.session)
            time.sleep(0.05)
            answer = pool.submit(peer.frame, frame)
            time.sleep(0.05)
        closing.result(20)
        with pytest.raises(Refused, match="unknown-session"):
            answer.result(20)


def test_a_client_that_comes_back_has_its_answers_again(world: World) -> None:
    peer = world.client()
    peer.connect()
    peer.ask(2)
    (proposal,) = peer.checkpoint()
    peer.vouch(proposal)
    peer.ask(3)
    (second,) = peer.checkpoint()
    peer.ask(1)
    state, pending = peer.connect()
    assert state == State(6, 2, 1, 1)
    assert (pending.number, pending.root) == (second.number, second.root)
    replies = peer.say(Replay(2))
    values = np.concatenate([np.frombuffer(reply.values, dtype="<i8") for reply in replies])
    first_rows = [np.arange(9) + 2, np.arange(3) + 5]
    assert values.tolist() == np.concatenate([row.reshape(-1, 3).sum(axis=1) for row in first_rows]).tolist()
    assert [page.page for reply in replies for page in reply.pages] == [1, 2]
    assert peer.vouch(pending)["voucher"]["records"] == 5
    # a host that died over a voucher is told again
    (first, second) = world.host.call("session_vouchers", session=peer.context.session)["vouchers"]
    assert (first["number"], second["number"], second["records"]) == (0, 1, 5)
    said = Checkpoint(GENESIS, peer.context.session, 1, pending.root, pending.total_pages, 5)
    verify_signature(peer.voucher.public, said.voucher_message(), second["voucher"])


def test_answers_that_are_asked_again_come_in_parts_that_fit_a_reply(world: World) -> None:
    peer = world.client()
    peer.connect()
    for _ in range(2 * MAX_REPLAY // 64 + 1):
        peer.ask(64 * BATCH)
    peer.connect()
    first, records = 0, peer.sent
    while first < records:
        replies = peer.say(Replay(first))
        assert 0 < len(replies) <= MAX_REPLAY
        assert [reply.first for reply in replies] == [first + at * BATCH for at in range(len(replies))]
        first = replies[-1].first + replies[-1].count
    assert first == records == 3 * 64 * BATCH


def test_answers_whose_pages_are_gone_are_forgotten_and_no_others_given_for_them(world: World) -> None:
    peer = _checkpointed(world, 2 * BATCH)
    world.host.call("session_release", session=peer.context.session, number=0)
    peer.ask(1)
    assert peer.say(Replay(0)) == [Refusal(0, "forgotten")]
    (again,) = peer.say(Replay(2 * BATCH))
    assert (again.first, again.count) == (2 * BATCH, 1)


def test_answers_that_are_asked_again_cost_no_more_of_a_long_session(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a frame of a few bytes had the enclave go through all pages 64 times, most of a second."""
    peer = world.client()
    peer.connect()
    for _ in range(6):
        peer.ask(64 * BATCH)
    joined = list[int]()

    def concatenate(parts: list[Any], **options: Any) -> Any:
        joined.append(len(parts))
        return np.concatenate(parts, **options)

    monkeypatch.setattr(sessions, "np", SimpleNamespace(**vars(np) | {"concatenate": concatenate}))
    for first in (0, 1, 150, 6 * 64 * BATCH - 1):
        peer.say(Replay(first))
    assert joined
    assert max(joined) <= MAX_REPLAY + 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("replayed frame", "wrong-binding"),
        ("altered frame", "wrong-binding"),
        ("frame out of its order", "wrong-binding"),
        ("frame of another connection", "stale-connection"),
        ("message that only enclaves send", "malformed-envelope"),
        ("voucher for another root", "bad-receipt"),
        ("voucher for more records", "bad-receipt"),
        ("voucher by another key", "bad-receipt"),
        ("voucher that nobody asked for", "malformed-envelope"),
    ],
)
def test_faults_of_a_frame(world: World, fault: str, code: str) -> None:
    peer = world.client()
    peer.connect()
    peer.ask(2)
    (proposal,) = peer.checkpoint()
    with pytest.raises(Refused) as refused:  # noqa: PT012 - one of nine
        if fault == "replayed frame":
            frame = peer.channel.seal(Records(2, 1, bytes(24)).encode())
            peer.frame(frame)
            peer.frame(frame)
        elif fault == "altered frame":
            frame = peer.channel.seal(Records(2, 1, bytes(24)).encode())
            peer.frame(frame[:-1] + bytes([frame[-1] ^ 1]))
        elif fault == "frame out of its order":
            peer.channel.seal(b"lost")
            peer.frame(peer.channel.seal(Records(2, 1, bytes(24)).encode()))
        elif fault == "frame of another connection":
            frame, old = peer.channel.seal(Records(2, 1, bytes(24)).encode()), peer.connection
            peer.connect()
            peer.frame(frame, connection=old)
        elif fault == "message that only enclaves send":
            peer.frame(peer.channel.seal(State(0, 0, 0, 0).encode()))
        elif fault == "voucher for another root":
            peer.vouch(proposal, root=bytes(32))
        elif fault == "voucher for more records":
            peer.vouch(proposal, records=3)
        elif fault == "voucher by another key":
            peer.vouch(proposal, ReceiptKey(bytes(32)))
        else:
            peer.vouch(proposal)
            peer.vouch(proposal)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("fault", "changes", "code"),
    [
        ("another chain", {"genesis": bytes(32)}, "wrong-binding"),
        ("another session", {"session": bytes(32)}, "wrong-binding"),
        ("another client", {"client": bytes(32)}, "wrong-binding"),
        ("another worker", {"worker": bytes(32)}, "wrong-binding"),
        ("another model", {"model": bytes(32)}, "wrong-binding"),
        ("another publisher", {"publisher": bytes(32)}, "wrong-binding"),
        ("an epoch whose keys are gone", {"epoch": 7}, "unknown-epoch"),
        ("a model that is not loaded", {"manifest_hash": bytes(32)}, "unknown-model"),
        ("a secret that does not open", {"wrapped": bytes(80)}, "wrong-binding"),
        ("a voucher key of the host's own", {"voucher_key": bytes(32)}, "wrong-binding"),
    ],
)
def test_faults_of_a_connection(world: World, fault: str, changes: dict[str, Any], code: str) -> None:
    peer = world.client()
    peer.connect()
    with pytest.raises(Refused) as refused:
        peer.connect(**changes)
    assert refused.value.code == code, fault


def test_a_session_is_not_begun_anew_with_another_secret(world: World) -> None:
    world.client().connect()
    with pytest.raises(Refused, match="wrong-binding"):
        world.client(secret=bytes(32)).connect()


def test_a_stranger_who_connects_first_does_not_own_the_session(world: World) -> None:
    stranger, client = world.client(secret=bytes(32)), world.client()
    stranger.voucher = ReceiptKey(value("stranger"))
    with pytest.raises(Refused, match="wrong-binding"):
        stranger.connect(voucher_key=client.voucher.public)  # the one that the chain has
    client.connect()
    assert isinstance(client.ask(1), Answers)


def test_records_are_refused_before_memory_or_escrow_is_spent(world: World) -> None:
    peer = world.client()
    peer.connect()
    assert peer.ask(3, limit=2) == Refusal(0, "escrow-exhausted")
    assert peer.ask(1, first=5) == Refusal(5, "out-of-order")
    assert peer.say(Records(0, 1, bytes(16)))[0] == Refusal(0, "malformed-envelope")
    assert peer.say(Records(0, 1, bytes(24)), behind=1) == [Refusal(0, "proofs-due")]
    world.service.sessions._max_unvouched = 2
    peer.ask(2 * BATCH)
    assert peer.ask(1) == Refusal(4, "voucher-due")
    (proposal,) = peer.checkpoint()
    peer.vouch(proposal)
    world.service.sessions.max_bytes = 10
    assert peer.ask(1) == Refusal(4, "memory-full")
    world.service.sessions.max_bytes = 1 << 20
    peer.ask(1)


def test_an_input_outside_the_circuits_range_says_nothing_more(world: World) -> None:
    peer = world.client()
    peer.connect()
    (answer,) = peer.say(Records(0, BATCH, np.full(BATCH * FEATURES, 4711, dtype="<i8").tobytes()))
    assert answer == Refusal(0, "input-out-of-range")


def test_one_checkpoint_waits_for_its_voucher_and_an_empty_one_is_not_made(world: World) -> None:
    peer = world.client()
    peer.connect()
    assert peer.checkpoint() == []
    peer.ask(1)
    assert len(peer.checkpoint()) == 1
    peer.ask(1)
    assert peer.checkpoint() == []


def test_a_checkpoint_is_of_no_more_pages_than_the_host_asks_for(world: World) -> None:
    """The others come with the next ones, in their order, and the page that is not full with the last."""
    peer = world.client()
    peer.connect()
    peer.ask(4 * BATCH)
    peer.ask(BATCH + 1)
    seen = []
    while proposals := peer.checkpoint(pages=2):
        seen.append((proposals[0].total_pages, proposals[0].records, len(proposals[0].pages)))
        assert peer.vouch(proposals[0])["unvouched"] == max(0, 5 - proposals[0].total_pages)
    assert seen == [(2, 4, 0), (4, 8, 0), (6, 11, 1)]
    proof = world.host.call("session_prove", session=peer.context.session, number=2, page=5)
    mark = leaf(peer.context.session, 5, proof["input_commitment"], proof["output_commitment"])
    assert root_of(mark, 1, proof["path"]) == proposals_root(world, peer)


def proposals_root(world: World, peer: Peer) -> bytes:
    held = world.host.call("session_vouchers", session=peer.context.session)["vouchers"]
    return bytes(held[-1]["root"])


def test_what_nobody_vouched_for_is_dropped_for_good(world: World) -> None:
    peer = world.client()
    peer.connect()
    peer.ask(2 * BATCH)
    (first,) = peer.checkpoint()
    peer.vouch(first)
    peer.ask(BATCH + 1)
    (second,) = peer.checkpoint()
    peer.ask(1)
    world.host.call("session_drop", session=peer.context.session)
    with pytest.raises(Refused, match="stale-connection"):
        peer.vouch(second)
    with pytest.raises(Refused, match="voucher-overdue"):
        peer.connect()
    assert peer.checkpoint() == []
    with pytest.raises(Refused, match="unknown-page"):
        world.host.call("session_prove", session=peer.context.session, number=1, page=2)
    held = world.host.call("session_status")["bytes"]
    world.host.call("session_drop", session=peer.context.session)  # again, and of none
    world.host.call("session_drop", session=bytes(32))
    # what was vouched for is proved as before, and all memory comes back
    assert world.host.call("session_prove", session=peer.context.session, number=0, page=1)["proof"]
    world.host.call("session_release", session=peer.context.session, number=0)
    assert held > 0 == world.host.call("session_status")["bytes"]


def test_no_session_of_an_id_that_is_over_is_begun(world: World) -> None:
    """Whatever the chain says; two receipts of a page cost the worker half its stake."""
    peer = world.client()
    peer.connect()
    peer.ask(BATCH)
    world.host.call("session_close", session=peer.context.session)
    with pytest.raises(Refused, match="session-over"):
        world.client().connect()


def test_what_no_end_sends_is_refused() -> None:
    for junk in (
        b"",
        b"\x00",
        b"\x63",
        b"\x01" + bytes(3),
        b"\x04" + bytes(50),
        b"\x05" + bytes(9),
        b"\x07\xff",
    ):
        with pytest.raises(ProtocolError):
            parse_message(junk)
