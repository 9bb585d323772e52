"""A session from its client's side: records go out sealed, answers come back, and nothing is vouched for that
is not one's own.

Each answer is checked against the enclave's signature over all so far, and each page's commitments are made
again here from one's own inputs and the answers. Only when a checkpoint's root is that of these pages, the
voucher goes out. What was sent and what the enclave has no voucher for is on the disk, so a client that died
goes on where it was; and one that lost its connection, or a message on it, connects again and has sent again
what got lost, by either end.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proofward.client.errors import SessionError
from proofward.client.session_book import Book, Pages
from proofward.client.session_connection import QUIET_SECONDS, Connection, first_connection
from proofward.client.session_store import SessionSecrets, SessionStore
from proofward.protocol import ProtocolError
from proofward.protocol.keys import ReceiptKey, verify_signature
from proofward.protocol.session_frames import (
    MAX_FRAME_VALUES,
    MAX_RECORDS,
    MAX_REPLAY,
    Answers,
    Message,
    PageReceipt,
    Proposal,
    Records,
    Refusal,
    Replay,
    State,
    Voucher,
    running_salt,
)
from proofward.protocol.sessions import run_on, running_message
from proofward.zkml import Decided, PublicArtifact

Integers = NDArray[np.int64]
Persist = Callable[[int, Integers], None]

IN_FLIGHT: Final = 6
"""Frames that may be on their way at once."""
ANSWER_SECONDS: Final = 60.0
PASSING_SECONDS: Final = 900.0
"""Seconds without an answer, nor a refusal that passes, after which a session is given up; and in all."""
TRIES: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Pauses before each of the tries to connect again after a loss, until something new was heard."""
_LOST: Final = (
    "connection-lost",
    "wrong-binding",
    "worker-unreachable",
    "quiet",
    "timeout",
    "enclave-down",
    "chain-unreachable",
    "disk-failed",
    "stopping",
)
"""What is tried again: a message got lost, or the worker was not there."""
AGAIN_SECONDS: Final = 0.2
"""Pause before records that were refused for lack of room are sent again."""
_PASSING: Final = ("voucher-due", "memory-full", "proofs-due")
"""Refusals that pass: the voucher, a window's end or proofs make room."""


@dataclass(frozen=True, slots=True, repr=False)
class SessionAnswer:
    """The answer to record `index` of a session: `outputs` int64 [length], `values` float64 [length].

    It is committed when it comes: `status` is what can be said of it then, whatever the beacon picks later.
    """

    index: int
    outputs: Integers
    values: NDArray[np.float64]
    decision: Decided
    status: str = "committed"

    def __repr__(self) -> str:  # a log must not hold a diagnosis
        return f"<SessionAnswer {self.index}: {self.status}>"


@dataclass(slots=True, repr=False)
class _Sent:
    """A frame that waits for its reply; `had` of it came again after a loss. Without a future: what an
    earlier process sent.
    """

    first: int
    rows: Integers
    future: Future[Integers] | None
    had: list[Integers] = field(default_factory=list)

    @property
    def left(self) -> int:
        return len(self.rows) - sum(map(len, self.had))


@dataclass(slots=True)
class Counts:
    """What a session has done through this object."""

    answered: int = 0
    vouched: int = 0
    pages: int = 0
    checkpoints: int = 0
    resent: int = 0
    losses: int = 0


class Session:
    """One connection to a session that is open on the chain. Use it as a context manager, or `close` it.

    Thread-safe. `persist` is told of every answer before it is vouched for: (index of the first, int64
    [n, length]).
    """

    def __init__(
        self,
        secrets: SessionSecrets,
        public: PublicArtifact,
        store: SessionStore,
        *,
        persist: Persist | None = None,
        ending: Callable[[], None] | None = None,
    ) -> None:
        self.id = bytes.fromhex(secrets.session)
        self.secrets, self.public = secrets, public
        self.counts = Counts()
        self._persist, self._ending = persist, ending
        self._genesis = bytes.fromhex(secrets.genesis)
        self._receipt_key = bytes.fromhex(secrets.receipt_key)
        self._voucher = ReceiptKey(bytes.fromhex(secrets.voucher_seed))
        self._salt = running_salt(bytes.fromhex(secrets.secret), self.id)
        self._features = int(np.prod(public.manifest.input.shape))
        self._length = public.manifest.output.length
        self._log = store.inputs(self.id)
        self._changed = threading.Condition()
        self._sent: deque[_Sent] = deque()
        self._again: list[_Sent] = []
        self._failed: SessionError | None = None
        self._passed, self._passed_at = "", 0.0
        self._running: bytes | None = None
        self._held: Proposal | None = None
        self._closing = self._hung_up = False
        self._lost: deque[_Sent] = deque()
        self._replay_end = self._replay_count = 0
        self._next, self._checkpoint, self._silent_tries = 0, 0, 0
        self._connection = first_connection(secrets)
        state = self._connection.state
        none = self._none(self._features), self._none(self._length)
        self._book = Book(state.vouched, *none, state.pages)
        self._checks = Pages(secrets, public, store, state.pages)
        self._take_up(state)
        self._reader = threading.Thread(target=self._read, name="session-reader", daemon=True)
        self._reader.start()

    @property
    def next_index(self) -> int:
        """How many records of the session the enclave has, or is on its way to have."""
        return self._next

    # asking ---------------------------------------------------------------------------------------

    def infer(self, x: ArrayLike) -> SessionAnswer:
        """The answer to one record [features] in the model's units. Raises SessionError, InputRangeError."""
        return self.infer_many(np.asarray(x, dtype=np.float64).reshape(1, -1))[0]

    def infer_many(self, x: ArrayLike) -> list[SessionAnswer]:
        """The answers to records [n, features], in their order. Raises SessionError, InputRangeError."""
        return list(self.stream_blocks([np.atleast_2d(np.asarray(x, dtype=np.float64))]))

    def stream(self, records: Iterable[ArrayLike]) -> Iterator[SessionAnswer]:
        """Answers to records [features] as they come, several frames on their way at once."""
        return self.stream_blocks(np.asarray(one, dtype=np.float64).reshape(1, -1) for one in records)

    def stream_blocks(self, blocks: Iterable[NDArray[np.float64]]) -> Iterator[SessionAnswer]:
        """Answers to blocks of records [n, features] as they come."""
        for first, outputs in self.run_blocks(blocks):
            yield from self._read_out(first, outputs)

    def ask(self, x: ArrayLike) -> Future[list[SessionAnswer]]:
        """Send records [n, features], n up to what one frame takes; their answers come in the future."""
        rows = self.public.quantize(np.atleast_2d(np.asarray(x, dtype=np.float64)))
        first, future = self._send(rows)
        answered: Future[list[SessionAnswer]] = Future()

        def done(finished: Future[Integers]) -> None:
            if (error := finished.exception()) is not None:
                answered.set_exception(error)
            else:
                answered.set_result(self._read_out(first, finished.result()))

        future.add_done_callback(done)
        return answered

    def _read_out(self, first: int, outputs: Integers) -> list[SessionAnswer]:
        values, decided = self.public.dequantize(outputs), self.public.decide(outputs)
        return [SessionAnswer(first + at, outputs[at], values[at], decided[at]) for at in range(len(outputs))]

    def run_blocks(self, blocks: Iterable[NDArray[np.float64]]) -> Iterator[tuple[int, Integers]]:
        """(index of the first, int64 [n, length]) of blocks of records, as they come."""
        waiting: deque[tuple[int, Future[Integers]]] = deque()
        most = max(1, min(MAX_RECORDS, MAX_FRAME_VALUES // self._features))
        for block in blocks:
            rows = self.public.quantize(block)
            for at in range(0, len(rows), most):
                waiting.append(self._send(rows[at : at + most]))
                while len(waiting) >= IN_FLIGHT:
                    yield self._taken(*waiting.popleft())
        while waiting:
            yield self._taken(*waiting.popleft())

    def _taken(self, first: int, future: Future[Integers]) -> tuple[int, Integers]:
        """A worker that says that it will take the records later is waited for, up to `PASSING_SECONDS`."""
        began = since = time.monotonic()
        while (until := min(since + ANSWER_SECONDS, began + PASSING_SECONDS)) > (now := time.monotonic()):
            with suppress(TimeoutError):
                return first, future.result(until - now)
            since = max(since, self._passed_at)
        why = f"; the worker last said {self._passed!r}" if self._passed_at > began else ""
        raise SessionError(
            f"no answer within {now - began:.0f} s{why}; open the session again to go on", code="timeout"
        )

    def _send(self, rows: Integers) -> tuple[int, Future[Integers]]:
        future: Future[Integers] = Future()
        with self._changed:
            self._changed.wait_for(lambda: self._failed or self._ready())
            if self._failed is not None:
                raise self._failed
            if self._closing:
                raise SessionError("the session is closed", code="session-ended")
            sent = _Sent(self._next, rows, future)
            try:
                self._log.append(rows)
            except OSError as error:  # a part of them may be in the file: none may follow
                self._failed = _not_kept("records", error)
                raise self._failed from None
            self._next += len(rows)
            self._put(sent)
        return sent.first, future

    def _ready(self) -> bool:
        return not self._again and not self._lost and len(self._sent) < IN_FLIGHT

    def _put(self, sent: _Sent) -> None:
        self._sent.append(sent)
        message = Records(sent.first, len(sent.rows), sent.rows.astype("<i8").tobytes())
        self._transmit(message.encode())

    def _transmit(self, message: bytes) -> None:
        self._connection.send(message)

    # beginning ------------------------------------------------------------------------------------

    def _take_up(self, state: State) -> None:
        """Take up what an earlier process sent: its inputs are in the log, their answers in the enclave."""
        base, rows = self._log.read(self._features)
        rows = rows[max(0, state.vouched - base) :]
        known = state.records - state.vouched
        if len(rows) < known:
            raise SessionError(
                f"the enclave has {known} records that nobody vouched for, and {len(rows)} of their inputs "
                "are here; they were sent from elsewhere, and are not paid",
                code="inputs-lost",
            )
        rows = rows[:known]
        self._log.keep(state.vouched, rows)
        self.counts.vouched = state.vouched
        self._next, self._checkpoint = state.records, state.next
        self._running = None if state.records else bytes(32)
        if known:
            self._lost.append(_Sent(state.vouched, rows, None))
            self._replay(state.vouched, state.records)

    def _none(self, width: int) -> Integers:
        return np.zeros((0, width), dtype=np.int64)

    # losses ---------------------------------------------------------------------------------------

    def _connect_again(self, why: SessionError) -> None:
        """Begin a new connection after a loss, and see to what did not arrive. Raises SessionError."""
        while True:
            if why.code not in _LOST or self._silent_tries >= len(TRIES) or self._hung_up:
                raise why
            time.sleep(TRIES[self._silent_tries])
            self._silent_tries += 1
            self._connection.close()
            try:
                connection = Connection(self.secrets)
                break
            except SessionError as error:
                why = error
        with self._changed:
            self.counts.losses += 1
            self._connection = connection
            self._go_on(connection.state)
            self._changed.notify_all()

    def _go_on(self, state: State) -> None:
        """Bring both ends together: what was answered and not heard comes again, what was not heard there is
        sent again.
        """
        book, pending = self._book, self._pending()
        vouched = book.sent[-1].end if book.sent else self.counts.vouched
        if state.vouched == vouched and state.next == self._checkpoint:
            self._vouched(state)
        elif book.sent and (state.vouched, state.next) == (self.counts.vouched, self._checkpoint - 1):
            book.open, book.sent = [*book.sent, *book.open], []  # the voucher is asked for again
            self._checkpoint -= 1
        else:
            raise SessionError("the enclave's state is not this session's", code="wrong-state")
        if not book.told <= state.records <= self._next:
            raise SessionError("the enclave's records are not this session's", code="wrong-state")
        self._held = None
        self._lost = deque(one for one in pending if one.first < state.records)
        self._sent, self._again = deque(), [one for one in pending if one.first >= state.records]
        if sum(one.left for one in self._lost) != state.records - book.told:
            raise SessionError("the enclave took a part of a frame", code="wrong-state")
        if book.first < state.records:
            self._replay(book.first, state.records)
        else:
            self._replay_end = 0
            self._put_again()

    def _pending(self) -> list[_Sent]:
        return sorted((*self._lost, *self._again, *self._sent), key=lambda one: one.first)

    def _replay(self, first: int, end: int) -> None:
        self._replay_end, self._replay_count = end, 0
        self._replay_next = first
        self._transmit(Replay(first).encode())

    def _replayed(self, message: Answers) -> None:
        """Answers that come once more: those that were heard before must be the same."""
        book = self._book
        outputs = self._outputs(message)
        end, at = message.first + message.count, message.first - book.first
        known = min(len(outputs), len(book.outputs) - at)
        if message.first != self._replay_next or end > self._replay_end or at < 0 or known < 0:
            raise SessionError("an answer to another question came", code="wrong-answer")
        if not np.array_equal(book.outputs[at : at + known], outputs[:known]):
            raise SessionError("another answer came than before the loss", code="wrong-answer")
        new = outputs[known:]
        if len(new):
            self._tell(message.first + known, self._found(new), new)
        self._pages(message.pages)
        self._replay_next, self._replay_count = end, self._replay_count + 1
        if end < self._replay_end:
            if self._replay_count == MAX_REPLAY:
                self._replay(end, self._replay_end)
            return
        if self._running is not None and self._running != message.running:
            raise SessionError("the enclave's receipt is not of these records", code="wrong-receipt")
        self._running, self._replay_end = message.running, 0
        verify_signature(
            self._receipt_key,
            running_message(self._genesis, self.id, end, message.running),
            message.signature,
        )
        if self._held is not None:
            held, self._held = self._held, None
            # made before it was asked for the answers again, it may name pages that came with them
            self._proposal(replace(held, pages=tuple(one for one in held.pages if one.page >= book.pages)))
        self._put_again()

    def _found(self, outputs: Integers) -> Integers:
        """The inputs of answers that come late; frames that are whole by them are done with."""
        inputs, at = [], 0
        while at < len(outputs):
            lost = self._lost[0]
            some = outputs[at : at + lost.left]
            begin = len(lost.rows) - lost.left
            inputs.append(lost.rows[begin : begin + len(some)])
            lost.had.append(some)
            at += len(some)
            if not lost.left:
                whole = np.concatenate(lost.had)
                if lost.future is not None:
                    values = (one.astype("<i8").tobytes() for one in (lost.rows, whole))
                    if self._running is not None:
                        self._running = run_on(self._running, self._salt, *values)
                    lost.future.set_result(whole)
                self._lost.popleft()
        return np.concatenate(inputs)

    def _put_again(self) -> None:
        again, self._again = self._again, []
        self.counts.resent += len(again)
        for sent in again:
            self._put(sent)

    # hearing --------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            while True:
                try:
                    self._hear()
                except SessionError as error:
                    self._connect_again(error)
        except SessionError as error:
            self._fail(error)
        except ProtocolError as error:
            self._fail(
                SessionError(f"the enclave's words do not hold: {error.message}", code=str(error.code))
            )
        except OSError as error:
            self._fail(_not_kept("what the enclave sent", error))
        except BaseException as error:
            self._fail(SessionError(f"`persist` failed: {error!r}", code="not-kept"))
            raise

    def _hear(self) -> None:
        """One message. Raises SessionError, ProtocolError (what it says does not hold)."""
        message = self._connection.hear()
        if message is None:
            if self._due():
                raise SessionError(f"no word within {QUIET_SECONDS:g} s", code="quiet")
            return
        with self._changed:
            self._heard(message)
            self._changed.notify_all()
        if not isinstance(message, Refusal):
            self._silent_tries = 0

    def _due(self) -> bool:
        """Whether a word should have come."""
        waiting = self._sent or self._lost or self._replay_end or self._book.sent
        return bool(waiting) or (self._closing and self.counts.vouched < self._next)

    def _fail(self, error: SessionError) -> None:
        with self._changed:
            self._failed = error
            for sent in self._pending():
                if sent.future is not None and not sent.future.done():
                    sent.future.set_exception(error)
            self._changed.notify_all()
        self._connection.close()

    def _heard(self, message: Message) -> None:
        if isinstance(message, Answers):
            self._answers(message)
        elif isinstance(message, Proposal):
            self._proposal(message)
        elif isinstance(message, Refusal):
            self._refused(message)
        elif isinstance(message, State):
            self._acknowledged(message)
        else:
            raise SessionError("the enclave sent what enclaves do not send", code="malformed-envelope")
        if self._again and not self._sent and not self._replay_end:
            time.sleep(AGAIN_SECONDS)
            self._put_again()

    def _answers(self, message: Answers) -> None:
        if self._replay_end:
            self._replayed(message)
            return
        sent = self._sent[0] if self._sent else None
        if sent is None or message.first != sent.first or message.count > len(sent.rows):
            raise SessionError("an answer to another question came", code="wrong-answer")
        outputs = self._outputs(message)
        end = message.first + message.count
        inputs = sent.rows[: message.count].astype("<i8").tobytes()
        if self._running is not None:
            self._running = run_on(self._running, self._salt, inputs, message.values)
        whole = message.count == len(sent.rows)
        if not whole or (self._running is not None and self._running != message.running):
            raise SessionError("the enclave's receipt is not of these records", code="wrong-receipt")
        self._running = message.running
        said = running_message(self._genesis, self.id, end, message.running)
        verify_signature(self._receipt_key, said, message.signature)
        self._tell(message.first, sent.rows, outputs)
        self._pages(message.pages)
        self._sent.popleft()
        if sent.future is not None:
            sent.future.set_result(outputs)

    def _outputs(self, message: Answers) -> Integers:
        outputs = np.frombuffer(message.values, dtype="<i8").astype(np.int64)
        if len(outputs) != message.count * self._length:
            raise SessionError("an answer has not the model's shape", code="wrong-answer")
        return outputs.reshape(message.count, self._length)

    def _tell(self, first: int, rows: Integers, outputs: Integers) -> None:
        """Write answers into the book, and have them kept before they can be vouched for."""
        book = self._book
        book.inputs = np.concatenate([book.inputs, rows])
        book.outputs = np.concatenate([book.outputs, outputs])
        self.counts.answered += len(outputs)
        if self._persist is not None:
            self._persist(first, outputs)

    def _pages(self, pages: Sequence[PageReceipt]) -> None:
        before = self._book.pages
        try:
            self._checks.take(self._book, pages)
        finally:
            self.counts.pages += self._book.pages - before

    def _proposal(self, message: Proposal) -> None:
        if self._replay_end:
            self._held = message  # its pages come with the answers that were asked for again
            return
        self._pages(message.pages)
        book = self._book
        said, count = self._checks.checkpoint(book, message, self._checkpoint)
        self._transmit(Voucher(message.number, self._voucher.sign(said.voucher_message())).encode())
        book.sent, book.open = book.open[:count], book.open[count:]
        self._checkpoint += 1

    def _acknowledged(self, state: State) -> None:
        """The enclave has a voucher."""
        book = self._book
        if not book.sent or (state.vouched, state.next) != (book.sent[-1].end, self._checkpoint):
            raise SessionError("the enclave has a voucher that was not given", code="wrong-state")
        self.counts.checkpoints += 1
        self._vouched(state)

    def _vouched(self, state: State) -> None:
        """What lies behind has been sent already: its inputs are kept, those before are not needed again."""
        book = self._book
        book.sent = []
        self.counts.vouched = state.vouched
        later = [page.inputs for page in book.open]
        sent = [one.rows[len(one.rows) - one.left :] for one in self._pending()]
        self._log.keep(state.vouched, np.concatenate([*later, book.inputs, *sent]))

    def _refused(self, message: Refusal) -> None:
        if not self._sent or self._sent[0].first != message.first:
            raise SessionError(
                f"the enclave refused what was not asked: {message.reason}", code=message.reason
            )
        if message.reason in _PASSING or (message.reason == "out-of-order" and self._again):
            self._again.append(self._sent.popleft())
            if message.reason in _PASSING:
                self._passed, self._passed_at = message.reason, time.monotonic()
            return
        # It stays among what waits, so that whoever waits for it hears why.
        raise SessionError(f"the worker takes no more records: {message.reason}", code=message.reason)

    # ending ---------------------------------------------------------------------------------------

    def wait_vouched(self, seconds: float) -> bool:
        """Wait until everything answered is vouched for; False when it is not, in time."""
        with self._changed:
            done = lambda: self._failed is not None or self.counts.vouched >= self._next  # noqa: E731
            self._changed.wait_for(done, seconds)
            return self.counts.vouched >= self._next

    def close(self, seconds: float = 30.0) -> bool:
        """Vouch for what is left, as far as the worker asks within so many seconds, and hang up. True when
        all is vouched for.
        """
        if self._closing:
            return self.counts.vouched >= self._next
        self._closing = True
        if self._ending is not None and self._failed is None:
            self._ending()
        whole = self.wait_vouched(seconds)
        self._hung_up = True
        self._connection.close()
        self._reader.join(5)
        self._log.close()
        return whole

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(30.0 if kind is None else 0.0)


def _not_kept(what: str, error: OSError) -> SessionError:
    told = f"{what} could not be kept ({error}), and nothing of it is vouched for"
    return SessionError(f"{told}: make room, and go on by the session's id", code="not-kept")
