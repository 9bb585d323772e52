"""Each message of a session lost in turn, between a real enclave and the client: no answer is lost or told
twice, all is vouched for, and no voucher is missing on the worker's side.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from proofward.client import session as module
from proofward.client import session_connection as connection
from proofward.client.errors import SessionError
from proofward.client.session import Counts, Session, _Sent
from proofward.client.session_book import Book
from proofward.client.session_store import SessionSecrets, SessionStore
from proofward.protocol.keys import ReceiptKey
from proofward.protocol.session_frames import Answers, Replay, State, parse_message
from proofward.protocol.sessions import run_on, running_message, session_id
from tests.client.test_session import Public
from tests.enclave.fake_model import FEATURES
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

BLOCKS = [np.arange(n * FEATURES, dtype=np.float64).reshape(-1, FEATURES) + n for n in (3, 2, 1, 4, 5)]
RECORDS = np.concatenate(BLOCKS)
VOUCHER = ReceiptKey(b"v" * 32)


class Cut(Exception):
    """The connection ends here."""


@dataclass
class Worker:
    """The door of a worker: hands frames to the enclave and back, but for those that it loses, `how` it loses
    them; after each message the enclave is asked for a checkpoint.
    """

    host: Host
    public: Public
    session: bytes
    lost: set[int]
    how: str
    greeted: bool = False
    messages: int = 0
    connections: int = 0
    vouchers: dict[int, int] = field(default_factory=dict)

    def pass_on(self, deliver: Callable[[], object]) -> None:
        """One message in one direction; they are counted from the first greeting's end on."""
        if self.greeted:
            self.messages += 1
        lost = self.greeted and self.messages in self.lost
        if not lost or self.how == "cut behind it":
            deliver()
        if lost and self.how != "silently":
            raise Cut

    def serve(self, socket: ServerConnection) -> None:
        self.connections += 1
        stop = threading.Event()
        lock = threading.Lock()
        try:
            self._greet(socket)
            ticking = threading.Thread(target=self._tick, args=(socket, lock, stop), daemon=True)
            ticking.start()
            while True:
                frame = socket.recv(decode=False)
                self.pass_on(partial(self._take, socket, lock, frame))
        except (Cut, ConnectionClosed):
            pass
        except Refused as refused:
            with suppress(ConnectionClosed):
                socket.close(4000, refused.code)
        finally:
            stop.set()
            socket.close()

    def _greet(self, socket: ServerConnection) -> None:
        taken: list[bytes] = []
        hello = socket.recv(decode=False)
        self.pass_on(lambda: taken.append(hello))
        if not taken:
            socket.recv()  # until the client gives up
        reply = self.host.call(
            "session_connect", genesis=GENESIS, session=self.session, client=CLIENT, worker=ACCOUNT,
            model=Job(self.public).model, epoch=1, voucher_key=VOUCHER.public, publisher=PUBLISHER,
            manifest_hash=self.public.manifest_hash, client_random=hello[:32], client_signature=hello[32:96],
            wrapped=hello[96:],
        )  # fmt: skip
        self.connection = reply["connection"]
        for frame in (reply["random"], *reply["frames"]):
            self.pass_on(partial(socket.send, frame))
        self.greeted = True

    def _take(self, socket: ServerConnection, lock: Any, frame: bytes) -> None:
        with lock:
            reply = self.host.call(
                "session_frame", session=self.session, connection=self.connection, frame=frame,
                limit=(10**6).to_bytes(8, "little"), behind=0,
            )  # fmt: skip
            if "voucher" in reply:
                voucher = reply["voucher"]
                assert voucher["number"] not in self.vouchers
                self.vouchers[voucher["number"]] = voucher["records"]
            self._send(socket, reply["frames"])

    def _tick(self, socket: ServerConnection, lock: Any, stop: threading.Event) -> None:
        while not stop.wait(0.02):
            with lock, suppress(Refused, ConnectionClosed, ConnectionError, Cut):
                if not stop.is_set():
                    self._send(socket, self._checkpoint())

    def _checkpoint(self) -> list[bytes]:
        found = self.host.call("session_checkpoint", session=self.session, pages=3)["frames"]
        return list(found)

    def _send(self, socket: ServerConnection, frames: list[bytes]) -> None:
        try:
            for frame in frames:
                self.pass_on(partial(socket.send, frame))
        except Cut:
            socket.close()
            raise


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Public, dict[str, Any]]]:
    models = tmp_path_factory.mktemp("loss") / "models"
    add_model(models, "sum")
    with enclave(models) as (host, _):
        host.call("load_model", path="sum")
        yield host, Public("sum"), begin(host)


@contextmanager
def served(worker: Worker) -> Iterator[int]:
    with serve(worker.serve, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join(10)


def secrets(worker: Worker, keys: dict[str, Any], port: int) -> SessionSecrets:
    return SessionSecrets(
        genesis=GENESIS.hex(), session=worker.session.hex(), client=CLIENT.hex(), worker=ACCOUNT.hex(),
        model=Job(worker.public).model.hex(), manifest_hash=worker.public.manifest_hash.hex(),
        secret=bytes(32).hex(), voucher_seed=(b"v" * 32).hex(), hpke_key=keys["hpke_key"].hex(),
        receipt_key=keys["receipt_key"].hex(), epoch=1, endpoint=f"http://127.0.0.1:{port}", price=1,
        sample=1, bond=1, since=0,
    )  # fmt: skip


def talk(world: Any, folder: Path, lost: set[int], how: str, name: int) -> Worker:
    """A whole session with these messages lost; what must hold whatever they are."""
    host, public, keys = world
    worker = Worker(host, public, session_id(CLIENT, name.to_bytes(32, "little")), lost, how)
    told: list[tuple[int, int]] = []
    with served(worker) as port:
        store = SessionStore(folder, GENESIS)
        session = Session(
            secrets(worker, keys, port), public, store,
            persist=lambda first, outputs: told.extend(
                (first + at, int(one[0])) for at, one in enumerate(outputs)
            ),
        )  # fmt: skip
        answers = list(session.stream_blocks(BLOCKS))
        assert session.close(300), (lost, how, session.counts, session._failed)
    sums = RECORDS.sum(axis=1).astype(int).tolist()
    assert [(one.index, int(one.outputs[0])) for one in answers] == list(enumerate(sums)), (lost, how)
    assert told == list(enumerate(sums)), (lost, how)  # each once, in order
    assert sorted(worker.vouchers) == list(range(len(worker.vouchers)))
    assert max(worker.vouchers.values()) == len(RECORDS) == session.counts.vouched
    base, rest = store.inputs(worker.session).read(FEATURES)
    assert (base, len(rest)) == (len(RECORDS), 0)
    host.call("session_close", session=worker.session)
    return worker


@pytest.mark.parametrize("how", ["silently", "cut before it", "cut behind it"])
@pytest.mark.parametrize("more", [(), (1,)])
def test_each_message_lost_in_turn_loses_no_answer_and_no_voucher(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, more: tuple[int, ...]
) -> None:
    monkeypatch.setattr(connection, "QUIET_SECONDS", 0.25)
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(connection, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(module, "TRIES", (0.0,) * 200)  # a busy machine loses connections besides
    at, lost = 1, 0
    while True:
        name = at + 100 * (["silently", "cut before it", "cut behind it"].index(how) + 3 * len(more))
        worker = talk(world, tmp_path / str(at), {at, *(at + one for one in more)}, how, name)
        if worker.messages < at:
            break
        lost += 1
        at += 1 + len(more) * 2
    assert lost >= (12 if not more else 4)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("another answer", "wrong-answer"),
        ("a receipt of other answers", "wrong-receipt"),
        ("fewer records than were answered", "wrong-state"),
        ("more records than were sent", "wrong-state"),
        ("a voucher that was not given", "wrong-state"),
    ],
)
def test_a_worker_that_answers_otherwise_after_a_loss_is_left(
    monkeypatch: pytest.MonkeyPatch, fault: str, code: str
) -> None:
    """Five records were sent in two frames; the first three were answered, the others' answer got lost."""
    session = Session.__new__(Session)
    session.public, session.counts = Public("sum"), Counts()  # type: ignore[assignment]
    session.id, session._genesis, key = b"s" * 32, GENESIS, ReceiptKey(b"r" * 32)
    session._receipt_key, session._salt, session._length = key.public, bytes(32), 1
    rows = np.arange(15).reshape(5, 3)
    sums = rows.sum(axis=1, keepdims=True)
    done: Future[Any] = Future()
    session._book = Book(2, rows[2:3], sums[2:3], 1)
    session._lost, session._again, session._held, session._persist = deque(), [], None, None
    session._sent = deque([_Sent(3, rows[3:], done)])
    session._next, session._checkpoint, session._replay_end = 5, 0, 0
    session._log = SimpleNamespace(keep=lambda *_: None)  # type: ignore[assignment]
    session._checks = SimpleNamespace(take=lambda *_: None)  # type: ignore[assignment]
    session._running = begun = b"b" * 32
    sent: list[Any] = []
    monkeypatch.setattr(session, "_transmit", lambda message: sent.append(parse_message(message)))
    state = State(5, 0, 0, 0)
    if fault == "fewer records than were answered":
        state = State(2, 0, 0, 0)
    elif fault == "more records than were sent":
        state = State(6, 0, 0, 0)
    elif fault == "a voucher that was not given":
        state = State(5, 2, 1, 1)
    with pytest.raises(SessionError) as refused:  # noqa: PT012 - by the fault
        session._go_on(state)
        assert sent == [Replay(2)]
        values = sums[2:].astype("<i8")
        running = run_on(begun, bytes(32), rows[3:].astype("<i8").tobytes(), values[1:].tobytes())
        if fault == "another answer":
            values = values + np.array([[1], [0], [0]])
        elif fault == "a receipt of other answers":
            running = bytes(32)
        signature = key.sign(running_message(GENESIS, session.id, 5, running))
        session._answers(Answers(2, 3, values.astype("<i8").tobytes(), running, signature, ()))
        assert done.result().tolist() == sums[3:].tolist()
    assert refused.value.code == code
