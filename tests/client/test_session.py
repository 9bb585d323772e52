"""A session's client before a worker that lies: nothing is vouched for that was not asked and answered."""

from __future__ import annotations

import errno
import itertools
import json
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from proofward.client import session as module
from proofward.client import session_book as book
from proofward.client.errors import SessionError
from proofward.client.session import Session, _Sent
from proofward.client.session_double import load_double
from proofward.client.session_store import InputLog, SessionSecrets, SessionStore
from proofward.errors import Refused
from proofward.protocol import HpkePrivateKey, HpkeSuite
from proofward.protocol.keys import ReceiptKey, verify_signature
from proofward.protocol.session_frames import (
    Answers,
    Channel,
    PageReceipt,
    Proposal,
    Records,
    Refusal,
    SessionContext,
    State,
    Voucher,
    page_salt,
    parse_message,
    running_salt,
)
from proofward.protocol.sessions import (
    PARTS,
    Checkpoint,
    Tree,
    leaf,
    page_message,
    run_on,
    running_message,
)
from tests.enclave.fake_model import BATCH, FEATURES, FakePublic

GENESIS, SESSION, CLIENT, WORKER, MODEL = (bytes([one]) * 32 for one in range(1, 6))
RECORDS = np.arange(4 * FEATURES, dtype=np.float64).reshape(-1, FEATURES)


class Public(FakePublic):
    """With what a client needs besides."""

    def quantize(self, x: Any) -> Any:
        return np.asarray(x).astype(np.int64)

    def dequantize(self, outputs: Any) -> Any:
        return outputs.astype(np.float64)

    def decide(self, outputs: Any) -> list[int]:
        return [int(one[0]) for one in outputs]


@dataclass
class Worker:
    """An enclave of one session; `fault` names its lie. After four records it asks for a voucher."""

    fault: str
    secret: bytes = bytes(32)
    sample: int = 1
    hpke: HpkePrivateKey = field(default_factory=lambda: HpkePrivateKey.generate(HpkeSuite.X25519))
    key: ReceiptKey = field(default_factory=lambda: ReceiptKey(b"r" * 32))
    vouchers: list[Voucher] = field(default_factory=list)
    public: Public = field(default_factory=lambda: Public("sum"))

    def serve(self, socket: ServerConnection) -> None:
        hello = socket.recv(decode=False)
        context = SessionContext(GENESIS, SESSION, CLIENT, WORKER, MODEL, 1)
        assert self.hpke.open(hello[96:], context.info()) == self.secret
        channel = Channel(self.secret, SESSION, hello[:32], b"w" * 32, enclave=True)
        socket.send(b"w" * 32)
        socket.send(channel.seal(State(0, 0, 0, 0).encode()))
        try:
            asked = parse_message(channel.open(socket.recv(decode=False)))
            assert isinstance(asked, Records)
            for message in self.replies(asked):
                socket.send(channel.seal(message.encode()))
            while True:
                said = parse_message(channel.open(socket.recv(decode=False)))
                if isinstance(said, Records):
                    socket.send(channel.seal(Refusal(said.first, "escrow-exhausted").encode()))
                    continue
                assert isinstance(said, Voucher)
                self.vouchers.append(said)
                socket.send(channel.seal(State(4, 4, 2, 1).encode()))
        except ConnectionClosed:
            pass

    def replies(self, asked: Records) -> Iterator[Any]:
        rows = np.frombuffer(asked.values, dtype="<i8").astype(np.int64).reshape(-1, FEATURES)
        outputs = rows.sum(axis=1, keepdims=True)
        told = outputs + 1 if self.fault == "another answer than was committed to" else outputs
        pages = [
            self._page(number, rows[at : at + BATCH], outputs[at : at + BATCH], at)
            for number, at in enumerate(range(0, len(rows), BATCH))
        ]
        shown = told.astype("<i8").tobytes()
        salt = running_salt(self.secret, SESSION)
        inputs = bytes(len(asked.values)) if self.fault == "a receipt of other inputs" else asked.values
        running = run_on(bytes(32), salt, inputs, shown)
        by = ReceiptKey(b"x" * 32) if self.fault == "an answer signed by another key" else self.key
        signature = by.sign(running_message(GENESIS, SESSION, len(rows), running))
        first = 4 if self.fault == "an answer to another question" else 0
        yield Answers(first, len(rows), shown, running, signature, tuple(pages))
        mine = self._leaves(pages)
        total, records = len(pages), len(rows)
        if self.fault == "a checkpoint of pages never asked for":
            extra = self._page(2, rows[:BATCH], outputs[:BATCH], 4)
            mine, total, records = [*mine, *self._leaves([extra])], 3, 6
        if self.fault == "a checkpoint of records never asked for":
            records += 1
        if self.fault == "a checkpoint of fewer pages than were answered for":
            mine, total = mine[:1], 1
        root = bytes(32) if self.fault == "a checkpoint of another tree" else Tree(mine).root
        number = 1 if self.fault == "a checkpoint with a number left out" else 0
        said = Checkpoint(GENESIS, SESSION, number, root, total, records)
        by = ReceiptKey(b"x" * 32) if self.fault == "a checkpoint signed by another key" else self.key
        signature = by.sign(said.enclave_message())
        yield Proposal(number, root, total, records, signature, ())

    def _page(self, number: int, rows: Any, outputs: Any, first: int) -> PageReceipt:
        if self.fault == "a page of other records" and number == 1:
            rows = rows + 1
        salts = [page_salt(self.secret, SESSION, side, number) for side in ("in", "out")]
        both = self.public.commit_input(rows, salts[0]), self.public.commit_output(outputs, salts[1])
        place = number + (self.fault == "a page number left out" and number == 1)
        place = 0 if self.fault == "a page signed twice" else place
        mark = leaf(SESSION, place, *both)
        by = ReceiptKey(b"x" * 32) if self.fault == "a page signed by another key" else self.key
        signature = by.sign(page_message(GENESIS, SESSION, place, mark))
        return PageReceipt(place, first, len(rows), *both, signature)

    def _leaves(self, pages: list[PageReceipt]) -> list[bytes]:
        return [leaf(SESSION, one.page, one.input_commitment, one.output_commitment) for one in pages]


@contextmanager
def connected(worker: Worker, folder: Path) -> Iterator[Session]:
    with serve(worker.serve, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        port = server.socket.getsockname()[1]
        told = SessionSecrets(
            genesis=GENESIS.hex(), session=SESSION.hex(), client=CLIENT.hex(), worker=WORKER.hex(),
            model=MODEL.hex(), manifest_hash=worker.public.manifest_hash.hex(), secret=worker.secret.hex(),
            voucher_seed=(b"v" * 32).hex(), hpke_key=worker.hpke.public.hex(),
            receipt_key=worker.key.public.hex(), epoch=1, endpoint=f"http://127.0.0.1:{port}", price=1,
            sample=worker.sample, bond=1, since=0,
        )  # fmt: skip
        try:
            yield Session(told, worker.public, SessionStore(folder, GENESIS))  # type: ignore[arg-type]
        finally:
            server.shutdown()
            thread.join(10)


def test_whoever_does_not_hold_the_key_is_hung_up_on(tmp_path: Path) -> None:
    """Else a client that tries again and again keeps a socket, and its thread, of each try."""
    left = threading.Event()

    class Stranger(Worker):
        def serve(self, socket: ServerConnection) -> None:
            socket.recv(decode=False)
            socket.send(b"w" * 32)
            socket.send(bytes(64))
            with suppress(ConnectionClosed):
                socket.recv(5)
            left.set()

    held = pytest.raises(SessionError, match="does not hold the enclave's key")
    with held, connected(Stranger(""), tmp_path):
        pass
    assert left.wait(2)


def test_a_worker_whose_node_is_behind_is_asked_again(tmp_path: Path) -> None:
    """Else whoever opened a session was told that there is none, and its escrow stood idle."""
    asked = itertools.count(1)

    class Behind(Worker):
        def serve(self, socket: ServerConnection) -> None:
            if next(asked) < 3:
                socket.recv()
                socket.close(1008, "unknown-session")
            else:
                super().serve(socket)

    with connected(Behind(""), tmp_path) as session:
        assert [answer.decision for answer in session.infer_many(RECORDS)] == [3, 12, 21, 30]
        session.close(0)
    assert next(asked) == 4


def test_an_honest_worker_has_its_voucher(tmp_path: Path) -> None:
    worker = Worker("")
    with connected(worker, tmp_path) as session:
        assert [answer.decision for answer in session.infer_many(RECORDS)] == [3, 12, 21, 30]
        assert session.wait_vouched(20)
        session.close(0)
    (voucher,) = worker.vouchers
    said = Checkpoint(GENESIS, SESSION, 0, Tree(worker._leaves(pages(worker))).root, 2, 4)
    verify_signature(ReceiptKey(b"v" * 32).public, said.voucher_message(), voucher.signature)


@pytest.mark.parametrize("what", ["records", "pages", "the caller's answers", "what is left of the log"])
def test_a_full_disk_ends_a_session_with_its_reason_and_nothing_is_vouched_for(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    worker = Worker("")
    with connected(worker, tmp_path) as session:
        if what == "records":
            monkeypatch.setattr(InputLog, "append", full)
        if what == "pages":
            monkeypatch.setattr(book, "append_line", full)
        if what == "what is left of the log":
            monkeypatch.setattr(InputLog, "keep", full)
        if what == "the caller's answers":
            session._persist = full

        def use() -> None:
            session.infer_many(RECORDS)
            session.wait_vouched(20)
            session.infer_many(RECORDS)

        with pytest.raises(SessionError, match="No space left") as told:
            use()
        assert told.value.code == "not-kept"
        monkeypatch.undo()
        with pytest.raises(SessionError) as again:  # a part of something may be in a file
            session.infer(RECORDS[0])
        assert again.value.code == "not-kept"
        session.close(0)
    assert len(worker.vouchers) == (what == "what is left of the log")


def test_a_persist_that_fails_ends_the_session(tmp_path: Path) -> None:
    worker, unhandled = Worker(""), list[Any]()
    with connected(worker, tmp_path) as session, pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", unhandled.append)
        session._persist = lambda *_: dict[str, None]()["no such column"]
        with pytest.raises(SessionError, match="no such column") as told:
            session.infer_many(RECORDS)
        assert told.value.code == "not-kept"
        session.close(0)
    assert [one.exc_type for one in unhandled] == [KeyError], "the caller's own traceback is lost"
    assert worker.vouchers == []


def test_an_escrow_exhausted_in_the_middle_ends_the_asking_and_what_was_answered_is_vouched_for(
    tmp_path: Path,
) -> None:
    worker, kept = Worker(""), tmp_path / "kept"
    with connected(worker, kept) as session:
        session.infer_many(RECORDS)
        assert session.wait_vouched(20)
        with pytest.raises(SessionError) as refused:
            session.infer(RECORDS[0])
        assert refused.value.code == "escrow-exhausted"
        session.close(0)
    assert [voucher.number for voucher in worker.vouchers] == [0]
    # The record that was refused is the next one to be asked: it is paid once, after a top-up.
    base, rows = SessionStore(kept, GENESIS).inputs(SESSION).read(FEATURES)
    assert (base, rows.tolist()) == (4, [[0, 1, 2]])


def pages(worker: Worker) -> list[PageReceipt]:
    rows = RECORDS.astype(np.int64)
    (answers, _) = worker.replies(Records(0, 4, rows.astype("<i8").tobytes()))
    return list(answers.pages)


def test_two_signatures_over_one_page_are_kept_and_can_be_reported(tmp_path: Path) -> None:
    worker = Worker("a page signed twice")
    with connected(worker, tmp_path) as session:
        with pytest.raises(SessionError, match="proofward session report"):
            session.infer_many(RECORDS)
        session.close(0)
    found = load_double(SessionStore(tmp_path, GENESIS).double(SESSION))
    found.check()
    call = found.call().args
    first, second = worker._leaves(pages(worker))
    assert (call["page"], call["first"], call["second"]) == (0, first, second)
    for side in ("first", "second"):
        said = page_message(GENESIS, SESSION, 0, call[side])
        verify_signature(worker.key.public, said, call[f"{side}_signature"])
    for changes in ({"second": found.first}, {"page": 1}, {"receipt_key": "11" * 32}, {"genesis": "11" * 32}):
        with pytest.raises(Refused) as refused:
            found.model_copy(update=changes).check()
        assert refused.value.code == "no-evidence"
    (tmp_path / "junk").write_text(found.model_dump_json()[:-9])
    with pytest.raises(Refused, match="no two receipts"):
        load_double(tmp_path / "junk")


def test_a_page_that_is_signed_anew_for_a_client_that_comes_back_is_noticed(tmp_path: Path) -> None:
    """Its client has died meanwhile: what it was told of the page is on the disk alone."""
    worker, store = Worker(""), SessionStore(tmp_path, GENESIS)
    other = worker._page(1, RECORDS[:BATCH].astype(np.int64), np.zeros((BATCH, 1), np.int64), 2)
    store.pages(SESSION).write_text(json.dumps(book.receipt_of(other)) + "\n")
    with connected(worker, tmp_path) as session:
        with pytest.raises(SessionError) as refused:
            session.infer_many(RECORDS)
        session.close(0)
    assert refused.value.code == "signed-twice"
    load_double(store.double(SESSION)).check()


def test_a_window_that_would_be_sampled_at_less_than_the_ordered_share_has_no_voucher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its records, pages and signatures are right: there are only too many of them for one draw."""
    monkeypatch.setattr("proofward.protocol.sessions.MAX_SAMPLED", 1)
    worker = Worker("", sample=PARTS // 2)  # two pages, of which one is picked
    with connected(worker, tmp_path / "right") as session:
        session.infer_many(RECORDS)
        assert session.wait_vouched(20)
        session.close(0)
    worker = Worker("", sample=PARTS // 2 + 1)
    with connected(worker, tmp_path / "diluted") as session:
        with pytest.raises(SessionError) as refused:  # noqa: PT012 - whichever hears of it
            session.infer_many(RECORDS)
            assert not session.wait_vouched(20)
            session.infer(RECORDS[0])
        session.close(0)
    assert refused.value.code == "too-many-pages"
    assert worker.vouchers == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("another answer than was committed to", "wrong-page"),
        ("a receipt of other inputs", "wrong-receipt"),
        ("an answer signed by another key", "bad-receipt"),
        ("an answer to another question", "wrong-answer"),
        ("a page of other records", "wrong-page"),
        ("a page number left out", "wrong-page"),
        ("a page signed by another key", "bad-receipt"),
        ("a page signed twice", "signed-twice"),
        ("a checkpoint of pages never asked for", "wrong-checkpoint"),
        ("a checkpoint of records never asked for", "wrong-checkpoint"),
        ("a checkpoint of fewer pages than were answered for", "wrong-checkpoint"),
        ("a checkpoint of another tree", "wrong-checkpoint"),
        ("a checkpoint with a number left out", "wrong-checkpoint"),
        ("a checkpoint signed by another key", "bad-receipt"),
    ],
)
def test_a_worker_that_lies_has_no_voucher(fault: str, code: str, tmp_path: Path) -> None:
    worker = Worker(fault)
    with connected(worker, tmp_path) as session:
        with pytest.raises(SessionError) as refused:  # noqa: PT012 - the first or the second, by the lie
            session.infer_many(RECORDS)
            assert not session.wait_vouched(20)
            session.infer(RECORDS[0])
        session.close(0)
    assert refused.value.code == code
    assert worker.vouchers == []


class Later(Future[Any]):
    """Answered after so many waits; a worker says `proofs-due` in each, on a clock of our own."""

    def __init__(self, session: Session, clock: list[float], waits: float) -> None:
        super().__init__()
        self.session, self.clock, self.waits = session, clock, waits

    def result(self, timeout: float | None = None) -> Any:
        assert timeout is not None
        self.waits -= 1
        if self.waits < 0:
            return "answers"
        refused = _Sent(0, np.zeros((1, FEATURES), np.int64), None)
        self.clock[0] += timeout / 2
        self.session._sent.append(refused)
        self.session._refused(Refusal(0, "proofs-due"))
        self.clock[0] += timeout / 2
        raise TimeoutError


def test_a_worker_that_says_proofs_due_is_waited_for_and_not_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    session = Session.__new__(Session)
    session._sent, session._again, session._passed, session._passed_at = deque(), [], "", 0.0
    assert session._taken(7, Later(session, clock, 3))[0] == 7
    assert clock[0] > 1000 + module.ANSWER_SECONDS
    began = clock[0]
    with pytest.raises(SessionError, match="proofs-due") as caught:
        session._taken(7, Later(session, clock, float("inf")))
    assert caught.value.code == "timeout"
    assert clock[0] - began == pytest.approx(module.PASSING_SECONDS)
    began = clock[0]
    monkeypatch.setattr(session, "_refused", lambda _: None)  # a worker that says nothing
    with pytest.raises(SessionError, match="no answer within 60 s") as caught:
        session._taken(7, Later(session, clock, float("inf")))
    assert clock[0] - began == pytest.approx(module.ANSWER_SECONDS)
