"""Sessions inside the enclave: frames opened, records run, pages committed, checkpoints signed, pages proved.

What leaves is sealed for the session's client, or is a commitment, a signature, a count or a proof. A page's
integers stay until its window is over, within a bound; before the bound is met, records are refused.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proofward.protocol import SYSTEM_RANDOM, ProtocolError, RandomSource, bounds
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.keys import ReceiptKey, verify_signature, wipe
from proofward.protocol.requests import Params
from proofward.protocol.session_frames import (
    MAX_REPLAY,
    MAX_SESSION_FRAME,
    RANDOM_LENGTH,
    SECRET_LENGTH,
    Answers,
    Channel,
    PageReceipt,
    Proposal,
    Records,
    Refusal,
    Replay,
    SessionContext,
    State,
    Voucher,
    page_salt,
    parse_message,
    running_salt,
)
from proofward.protocol.sessions import (
    Checkpoint,
    Tree,
    hello_message,
    leaf,
    page_message,
    run_on,
    running_message,
)
from proofward.zkml import Artifact, InputRangeError, ProvingError
from proofward_enclave.epochs import Epochs
from proofward_enclave.models import ModelStore
from proofward_enclave.work import PASSING, check_hiding, in_protocol

MAX_OVER: Final = 1 << 18
"""Ids of sessions that were closed, at most: a process that knows so many begins no more."""
MAX_SESSIONS: Final = 64
MAX_BYTES: Final = 256 << 20
"""Of pages of all sessions; above it records are refused."""
MAX_UNVOUCHED: Final = 4_096
"""Pages that a session may have without its client's voucher."""

_OVERHEAD: Final = 512
"""Bytes that a page is taken to need beside its integers."""

Integers = NDArray[np.int64]


@dataclass(slots=True, repr=False)
class _Page:
    """A committed page: int64 [batch, features] and [batch, outputs], of which `records` rows are real.

    `proof` is the one that was made of it, or the error of the one try that failed.
    """

    number: int
    first: int
    records: int
    inputs: Integers
    outputs: Integers
    receipt: PageReceipt
    leaf: bytes
    proof: bytes | EnclaveError | None = None
    proving: threading.Lock = field(default_factory=threading.Lock)

    @property
    def size(self) -> int:
        return self.inputs.nbytes + self.outputs.nbytes + _OVERHEAD


@dataclass(slots=True, repr=False)
class _Window:
    """The pages between two checkpoints."""

    statement: Checkpoint
    signature: bytes
    pages: list[_Page]
    tree: Tree
    voucher: bytes | None = None


@dataclass(slots=True, repr=False)
class _Session:
    """One session of one epoch. `rows`: records that no page holds yet."""

    context: SessionContext
    artifact: Artifact
    receipt: ReceiptKey
    secret: bytes
    voucher_key: bytes
    running_salt: bytes
    running: bytes = bytes(bounds.HASH_LENGTH)
    channel: Channel | None = None
    connection: int = 0
    records: int = 0
    vouched: int = 0
    pages: int = 0
    number: int = 0
    inputs: list[Integers] = field(default_factory=list)
    outputs: list[Integers] = field(default_factory=list)
    loose: list[_Page] = field(default_factory=list)
    windows: dict[int, _Window] = field(default_factory=dict)
    proposed: int | None = None
    dropped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Sessions:
    """The enclave's sessions; safe to use from several threads."""

    def __init__(
        self,
        epochs: Epochs,
        models: ModelStore,
        *,
        random: RandomSource = SYSTEM_RANDOM,
        max_bytes: int = MAX_BYTES,
        max_unvouched: int = MAX_UNVOUCHED,
    ) -> None:
        self._epochs, self._models, self._random = epochs, models, random
        self.max_bytes, self._max_unvouched = max_bytes, max_unvouched
        self._sessions: dict[bytes, _Session] = {}
        self._over: set[bytes] = set()
        self._lock = threading.Lock()
        self._bytes = 0

    def status(self) -> dict[str, Any]:
        """What the host may know: {sessions, bytes}."""
        return {"sessions": sorted(self._sessions), "bytes": self._bytes}

    # connections ----------------------------------------------------------------------------------

    def connect(self, params: Params) -> dict[str, Any]:
        """A client's connection to a session, which begins with the first: {random, connection, frames,
        unvouched, records}.

        `frames` are the first to send. Who connects shows that it holds the session's voucher key. Raises
        EnclaveError: unknown-epoch, wrong-binding, unknown-model, lane-not-hiding, too-many-sessions,
        session-over, voucher-overdue.
        """
        context, wrapped, word, voucher_key, publisher, manifest = _connect_params(params)
        held = self._epochs.of(context.genesis, context.worker).get(context.epoch)
        if held is None:
            raise EnclaveError("the session is of an epoch whose keys are gone", code="unknown-epoch")
        if held.restored:
            # its pages and checkpoints went with the process that began it, and would be numbered anew
            raise EnclaveError(
                "the session is of an epoch that an earlier process began", code="unknown-epoch"
            )
        artifact = self._models.get(manifest)
        _check_model(context, artifact, publisher)
        secret = in_protocol(lambda: held.hpke.open(wrapped, context.info()))
        if len(secret) != SECRET_LENGTH:
            raise EnclaveError("the session's secret has not its length", code="malformed-envelope")
        hello = hello_message(context.genesis, context.session, word, wrapped)
        try:
            verify_signature(voucher_key, hello, params.raw("client_signature", 64))
        except ProtocolError:
            raise EnclaveError(
                "whoever connects does not hold the session's voucher key", code="wrong-binding"
            ) from None
        with self._lock:
            session = self._sessions.get(context.session)
            if session is None:
                if context.session in self._over or len(self._over) >= MAX_OVER:
                    # whatever the chain says: its pages would be signed a second time
                    raise EnclaveError("a session of this id is over here", code="session-over")
                if len(self._sessions) >= MAX_SESSIONS:
                    raise EnclaveError(f"{MAX_SESSIONS} sessions are open", code="too-many-sessions")
                salt = running_salt(secret, context.session)
                session = _Session(context, artifact, held.receipt, secret, voucher_key, salt)
                self._sessions[context.session] = session
        with self._alone(session):
            if (session.context, session.secret, session.voucher_key) != (context, secret, voucher_key):
                raise EnclaveError("this session was begun with another key", code="wrong-binding")
            if session.dropped:
                raise EnclaveError("the session was ended: its client did not vouch", code="voucher-overdue")
            mine = self._random(RANDOM_LENGTH)
            session.channel = Channel(secret, context.session, word, mine, enclave=True)
            session.connection += 1
            frames = [session.channel.seal(_state(session).encode())]
            if session.proposed is not None:
                window = session.windows[session.proposed]
                frames.append(session.channel.seal(_proposal(window).encode()))
            return {
                "random": mine,
                "connection": session.connection,
                "frames": frames,
                "unvouched": session.pages - _vouched_pages(session),
                "records": session.records,
            }

    def frame(self, params: Params) -> dict[str, Any]:
        """Take a frame of a connection: {frames, unvouched, records, pages, voucher?}; `pages` are those that
        it made. As the host says: `limit` is how many records the escrow pays for, `behind` whether proofs of
        earlier ones must come first.

        `voucher`, when the frame held a good one: what the chain's checkpoint takes. Raises EnclaveError:
        unknown-session, stale-connection, wrong-binding, malformed-envelope, model-quarantined.
        """
        connection, frame = params.u32("connection"), params.blob("frame", MAX_SESSION_FRAME)
        limit = int.from_bytes(params.raw("limit", 8), "little")
        behind = bool(params.u32("behind"))
        with self._session(params) as session:
            if session.channel is None or connection != session.connection:
                raise EnclaveError("the session has a newer connection", code="stale-connection")
            channel = session.channel
            try:
                message = in_protocol(lambda: parse_message(channel.open(frame)))
            except EnclaveError:
                session.channel = (
                    None  # nothing behind a frame that does not open can be trusted to be in order
                )
                raise
            voucher, pages = None, session.pages
            if isinstance(message, Records):
                replies = self._records(session, message, limit, behind=behind)
            elif isinstance(message, Voucher):
                voucher, replies = self._voucher(session, message), [_state(session).encode()]
            elif isinstance(message, Replay):
                replies = self._replay(session, message)
            else:
                session.channel = None
                raise EnclaveError("clients send no such message", code="malformed-envelope")
            sealed = [channel.seal(reply) for reply in replies]
            unvouched = session.pages - _vouched_pages(session)
            reply = {
                "frames": sealed,
                "unvouched": unvouched,
                "records": session.records,
                "pages": session.pages - pages,
            }
            return reply if voucher is None else {**reply, "voucher": voucher}

    # records --------------------------------------------------------------------------------------

    def _records(self, session: _Session, message: Records, limit: int, *, behind: bool) -> list[bytes]:
        if message.first != session.records:
            return [Refusal(message.first, "out-of-order").encode()]
        if session.records + message.count > limit:
            return [Refusal(message.first, "escrow-exhausted").encode()]
        if behind:
            return [Refusal(message.first, "proofs-due").encode()]
        unvouched = session.pages - _vouched_pages(session)
        if unvouched >= self._max_unvouched:
            return [Refusal(message.first, "voucher-due").encode()]
        if self._bytes + len(message.values) + _OVERHEAD > self.max_bytes:
            return [Refusal(message.first, "memory-full").encode()]
        public = session.artifact.public
        self._models.get(public.manifest_hash)
        features = int(np.prod(public.manifest.input.shape))
        values = np.frombuffer(message.values, dtype="<i8").astype(np.int64)
        if len(values) != message.count * features:
            return [Refusal(message.first, "malformed-envelope").encode()]
        rows = values.reshape(message.count, features)
        try:
            outputs = _infer(session.artifact, rows)
        except (InputRangeError, ProvingError):
            return [Refusal(message.first, "input-out-of-range").encode()]
        session.inputs.append(rows)
        session.outputs.append(outputs)
        session.records += message.count
        shown = outputs.astype("<i8").tobytes()
        session.running = run_on(session.running, session.running_salt, message.values, shown)
        pages = self._fill(session)
        statement = running_message(
            session.context.genesis, session.context.session, session.records, session.running
        )
        signature = in_protocol(lambda: session.receipt.sign(statement))
        answers = Answers(message.first, message.count, shown, session.running, signature, tuple(pages))
        return [answers.encode()]

    def _fill(self, session: _Session, *, rest: bool = False) -> list[PageReceipt]:
        """Commit as many pages as are full, and the rest too when asked."""
        batch = session.artifact.manifest.batch
        waiting = sum(map(len, session.inputs))
        if waiting < batch and not (rest and waiting):
            return []
        inputs, outputs = np.concatenate(session.inputs), np.concatenate(session.outputs)
        made: list[PageReceipt] = []
        first = session.records - waiting
        at = 0
        while waiting - at >= batch or (rest and at < waiting):
            end = min(at + batch, waiting)
            made.append(self._page(session, inputs[at:end], outputs[at:end], first + at))
            at = end
        session.inputs = [inputs[at:].copy()] if at < waiting else []
        session.outputs = [outputs[at:].copy()] if at < waiting else []
        return made

    def _page(self, session: _Session, inputs: Integers, outputs: Integers, first: int) -> PageReceipt:
        public, context, number = session.artifact.public, session.context, session.pages
        records = len(inputs)
        inputs = public.pad(inputs)
        outputs = np.concatenate([outputs, np.repeat(outputs[-1:], len(inputs) - records, axis=0)])
        salts = (page_salt(session.secret, context.session, side, number) for side in ("in", "out"))
        committed = public.commit_input(inputs, next(salts)), public.commit_output(outputs, next(salts))
        mark = leaf(context.session, number, *committed)
        statement = page_message(context.genesis, context.session, number, mark)
        signature = in_protocol(lambda: session.receipt.sign(statement))
        receipt = PageReceipt(number, first, records, *committed, signature)
        page = _Page(number, first, records, inputs, outputs, receipt, mark)
        session.loose.append(page)
        session.pages += 1
        with self._lock:
            self._bytes += page.size
        return receipt

    def _replay(self, session: _Session, message: Replay) -> list[bytes]:
        """The answers from a record on, out of the pages that are still here, signed as they were."""
        kept = [page for window in session.windows.values() for page in window.pages] + session.loose
        unpaged = session.records - sum(map(len, session.outputs))
        if not (kept[0].first if kept else unpaged) <= message.first <= session.records:
            return [Refusal(message.first, "forgotten").encode()]
        manifest = session.artifact.manifest
        batch, most = manifest.batch, MAX_REPLAY * manifest.batch
        begin = bisect_right(kept, message.first, key=lambda page: page.first + page.records)
        end = bisect_left(kept, message.first + most, key=lambda page: page.first)
        near, loose = kept[begin:end], session.outputs if end == len(kept) else []
        start = near[0].first if near else unpaged
        none = np.zeros((0, manifest.output.length), np.int64)
        rows = np.concatenate([none, *(page.outputs[: page.records] for page in near), *loose])
        wanted = rows[message.first - start :][:most]
        statement = running_message(
            session.context.genesis, session.context.session, session.records, session.running
        )
        signature = in_protocol(lambda: session.receipt.sign(statement))
        replies = []
        for at in range(0, len(wanted), batch):
            part = wanted[at : at + batch]
            first = message.first + at
            ends = range(first + 1, first + len(part) + 1)
            inside = tuple(page.receipt for page in near if page.first + page.records in ends)
            shown = part.astype("<i8").tobytes()
            replies.append(Answers(first, len(part), shown, session.running, signature, inside).encode())
        return replies

    # checkpoints ----------------------------------------------------------------------------------

    def checkpoint(self, params: Params) -> dict[str, Any]:
        """Sign for what was served since the last checkpoint, up to `pages`: {frames}, to be sent to the
        client; none when there is nothing, or the client has not vouched for the one before. Raises
        EnclaveError(unknown-session).
        """
        most = max(1, params.u32("pages"))
        with self._session(params) as session:
            if session.channel is None or session.proposed is not None:
                return {"frames": []}
            told = {page.number for page in session.loose}
            self._fill(session, rest=len(session.loose) < most)
            if not session.loose:
                return {"frames": []}
            new = tuple(page.receipt for page in session.loose if page.number not in told)
            pages, session.loose = session.loose[:most], session.loose[most:]
            last = pages[-1]
            tree = Tree([page.leaf for page in pages])
            context = session.context
            statement = Checkpoint(
                context.genesis,
                context.session,
                session.number,
                tree.root,
                last.number + 1,
                last.first + last.records,
            )
            signature = in_protocol(lambda: session.receipt.sign(statement.enclave_message()))
            window = _Window(statement, signature, pages, tree)
            session.windows[session.number] = window
            session.proposed = session.number
            return {"frames": [session.channel.seal(_proposal(window, new).encode())]}

    def _voucher(self, session: _Session, message: Voucher) -> dict[str, Any]:
        window = session.windows.get(message.number)
        if window is None or session.proposed != message.number:
            raise EnclaveError("no checkpoint of that number waits for a voucher", code="malformed-envelope")
        said = window.statement
        in_protocol(lambda: verify_signature(session.voucher_key, said.voucher_message(), message.signature))
        window.voucher = message.signature
        session.proposed = None
        session.number += 1
        session.vouched = said.records
        return _vouched(window)

    def vouchers(self, params: Params) -> dict[str, Any]:
        """{vouchers}: of the windows that are still here, as `frame` gave them, for a host that died over
        one. Raises EnclaveError(unknown-session).
        """
        with self._session(params) as session:
            return {
                "vouchers": [_vouched(one) for one in session.windows.values() if one.voucher is not None]
            }

    # proofs ---------------------------------------------------------------------------------------

    def prove(self, params: Params) -> dict[str, Any]:
        """Prove one page of a window: {input_commitment, output_commitment, path, proof}, the same for ever.

        A page has one try, as a job has: which pages fail would be the host's to learn, a bit a call. Raises
        EnclaveError: unknown-session, unknown-page (its window is over), model-quarantined, prover-failed.
        """
        number, page_number = params.u32("number"), params.u32("page")
        with self._session(params) as session:
            window = session.windows.get(number)
            place = page_number - (window.pages[0].number if window else 0)
            if window is None or not 0 <= place < len(window.pages):
                raise EnclaveError("the window or the page is not here", code="unknown-page")
            page = window.pages[place]
            salts = [
                page_salt(session.secret, session.context.session, side, page_number)
                for side in ("in", "out")
            ]
            # a copy: a window that is over while its page is proved is forgotten, and its integers zeroed
            inputs = page.inputs.copy()
        try:
            proof = self._proved_once(session.artifact, page, inputs, salts)
        finally:
            inputs.fill(0)
        return {
            "input_commitment": page.receipt.input_commitment,
            "output_commitment": page.receipt.output_commitment,
            "path": window.tree.path(place),
            "proof": proof,
        }

    def _proved_once(self, artifact: Artifact, page: _Page, inputs: Integers, salts: list[bytes]) -> bytes:
        manifest_hash = artifact.public.manifest_hash
        with page.proving:
            if page.proof is None:
                self._models.get(manifest_hash)  # one that another page or a job failed of is gone
                try:
                    page.proof = _proof(artifact, page.receipt, inputs, salts)
                except (ProvingError, InputRangeError) as error:
                    if error.code in PASSING:
                        raise EnclaveError("no proof was made", code="prover-failed") from None
                    self._models.quarantine(manifest_hash)
                    page.proof = EnclaveError("no proof was made", code="prover-failed")
            if isinstance(page.proof, EnclaveError):
                raise EnclaveError(page.proof.message, code=page.proof.code)
            return page.proof

    # ends -----------------------------------------------------------------------------------------

    def release(self, params: Params) -> dict[str, Any]:
        """Forget a window that is over. {}."""
        with self._session(params) as session:
            window = session.windows.get(params.u32("number"))
            if window is not None and window.voucher is not None:
                del session.windows[window.statement.number]
                self._forget(window.pages)
        return {}

    def drop(self, params: Params) -> dict[str, Any]:
        """Forget what nobody vouched for of a session, which takes no connection any more. {}."""
        session = self._sessions.get(params.raw("session"))
        if session is not None:
            with session.lock:
                session.dropped, session.channel = True, None
                loose, session.loose = session.loose, []
                if session.proposed is not None:
                    loose += session.windows.pop(session.proposed).pages
                    session.proposed = None
                self._forget(loose)
                for rows in (*session.inputs, *session.outputs):
                    rows.fill(0)
                session.inputs, session.outputs = [], []
        return {}

    def close(self, params: Params) -> dict[str, Any]:
        """Forget a session that is over. {}."""
        if params.raw("session") not in self._sessions:
            return {}
        with self._session(params) as session:
            with self._lock:
                del self._sessions[session.context.session]
                self._over.add(session.context.session)
            self._forget([page for window in session.windows.values() for page in window.pages])
            self._forget(session.loose)
            for rows in (*session.inputs, *session.outputs):
                rows.fill(0)
            wipe(session.secret)
        return {}

    def _forget(self, pages: list[_Page]) -> None:
        with self._lock:
            self._bytes -= sum(page.size for page in pages)
        for page in pages:
            page.inputs.fill(0)
            page.outputs.fill(0)

    @contextmanager
    def _session(self, params: Params) -> Iterator[_Session]:
        """A session for this thread alone. Raises EnclaveError(unknown-session)."""
        found = self._sessions.get(params.raw("session"))
        if found is None:
            raise _unknown()
        with self._alone(found) as session:
            yield session

    @contextmanager
    def _alone(self, session: _Session) -> Iterator[_Session]:
        """It may be closed, and its secret erased, before this thread's turn comes."""
        with session.lock:
            if self._sessions.get(session.context.session) is not session:
                raise _unknown()
            yield session


def _unknown() -> EnclaveError:
    return EnclaveError("this enclave holds no such session", code="unknown-session")


def _connect_params(params: Params) -> tuple[SessionContext, bytes, bytes, bytes, bytes, bytes]:
    context = SessionContext(
        genesis=params.raw("genesis"),
        session=params.raw("session"),
        client=params.raw("client"),
        worker=params.raw("worker"),
        model=params.raw("model"),
        epoch=params.u32("epoch"),
    )
    return (
        context,
        params.blob("wrapped", bounds.MAX_WRAPPED),
        params.raw("client_random"),
        params.raw("voucher_key"),
        params.raw("publisher"),
        params.raw("manifest_hash"),
    )


def _check_model(context: SessionContext, artifact: Artifact, publisher: bytes) -> None:
    """The model that the client named is the one that is loaded, and its proofs hide what they are about."""
    check_hiding(artifact)
    if artifact.public.model_id(publisher) != context.model:
        raise EnclaveError("the session's model is not the loaded artefact", code="wrong-binding")


def _proof(artifact: Artifact, receipt: PageReceipt, inputs: Integers, salts: list[bytes]) -> bytes:
    """A proof of the page's own commitments that verifies here. Raises ProvingError, InputRangeError."""
    proof = artifact.prove(inputs, *salts)
    about = (receipt.input_commitment, receipt.output_commitment)
    same = (proof.input_commitment, proof.output_commitment) == about
    if not same or not artifact.public.verify_made(*about, proof.proof):
        raise ProvingError("the proof does not verify here")
    return proof.proof


def _infer(artifact: Artifact, rows: Integers) -> Integers:
    """int64 [n, features] to int64 [n, outputs], by the batches that the circuit takes."""
    batch = artifact.manifest.batch
    parts = []
    for at in range(0, len(rows), batch):
        part = rows[at : at + batch]
        parts.append(artifact.infer(artifact.public.pad(part))[: len(part)])
    return np.concatenate(parts)


def _state(session: _Session) -> State:
    return State(session.records, session.vouched, _vouched_pages(session), session.number)


def _vouched(window: _Window) -> dict[str, Any]:
    said = window.statement
    return {
        "number": said.number,
        "root": said.root,
        "pages": said.pages,
        "records": said.records,
        "signature": window.signature,
        "voucher": window.voucher,
    }


def _vouched_pages(session: _Session) -> int:
    open_pages = len(session.loose)
    if session.proposed is not None:
        open_pages += len(session.windows[session.proposed].pages)
    return session.pages - open_pages


def _proposal(window: _Window, new: tuple[PageReceipt, ...] = ()) -> Proposal:
    said = window.statement
    # a client that comes back asks for the answers, and hears of the pages with them
    return Proposal(said.number, said.root, said.pages, said.records, window.signature, new)
