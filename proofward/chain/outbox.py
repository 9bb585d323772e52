"""The outbox: extrinsics that must happen once, whatever happens to us.

An intent is named by its caller (`key`: say, the job and the act). The signed bytes are on the disk before
they leave, so after a crash there are only the same bytes to send again, never a second signature for the
same act. A new signature is made only when the old one can no longer land: its era is over, or its nonce
was used by another extrinsic.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Final

from proofward.chain.client import RESEND_BLOCKS, Inclusion, SubstrateClient
from proofward.chain.errors import ChainError, ChainTimeout, DispatchError, ExtrinsicInvalid
from proofward.chain.extrinsic import SignedExtrinsic, Signer
from proofward.chain.values import Call
from proofward.database import NewerSchema, blame_disk, migrate
from proofward.logs import Logger

log = Logger(__name__)

_SCHEMA: Final = (
    (
        "CREATE TABLE IF NOT EXISTS chain (genesis BLOB NOT NULL)",
        """
        CREATE TABLE IF NOT EXISTS outbox (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL,
            state TEXT NOT NULL,
            call TEXT NOT NULL,
            data BLOB NOT NULL,
            hash BLOB NOT NULL UNIQUE,
            signer BLOB NOT NULL,
            nonce INTEGER NOT NULL,
            first_block INTEGER NOT NULL,
            last_block INTEGER NOT NULL,
            block INTEGER,
            error TEXT,
            created_at REAL NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX IF NOT EXISTS one_live ON outbox (key) WHERE state IN ('signed', 'done')",
    ),
    (
        "DROP INDEX one_live",
        "CREATE UNIQUE INDEX one_live ON outbox (signer, key) WHERE state IN ('signed', 'done')",
    ),
    ("ALTER TABLE chain ADD COLUMN first BLOB", "ALTER TABLE chain ADD COLUMN development INTEGER"),
)
"""What leads from one version of the file to the next: 2 has keys by signer; 3 has the hash of block 1, and
whether the chain is for development.
"""

_LOCK_SECONDS: Final = 60.0
"""How long one process waits for another that signs from the same file."""


_PERHAPS_LANDED: Final = ("nonce-used", "expired", "bad-signature", "put-aside", "not-verified")
"""Refusals of an extrinsic that the node took, or would have taken, before: the era it was signed for ended
(its signature no longer fits then), its nonce is used, a block had it that may not be final yet (a pool puts
such ones aside), or the runtime was upgraded and no longer reads it.
"""


_MESSAGE: Final = 2**20
"""Bytes of extrinsics that are handed over in one message; one that is larger goes alone."""


class State(StrEnum):
    """`SIGNED`: may be on its way. `DONE`: finalised and succeeded. `FAILED`: finalised, with an error on
    the chain. `DEAD`: was never included and cannot be any more.
    """

    SIGNED = "signed"
    DONE = "done"
    FAILED = "failed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Entry:
    """One signed extrinsic of the outbox. `block` is where it was finalised; the bytes stay until then."""

    id: int
    key: str
    state: State
    call: str
    extrinsic: SignedExtrinsic
    block: int | None
    error: str | None


class Outbox:
    """Extrinsics of one chain in one file. Safe to use from several threads and processes.

    What was signed and perhaps never sent (a death in between, a chain that was away, an account that could
    not pay) holds the nonce that all later ones wait for. So before anything new is signed for an account,
    what this process has not sent itself goes out first, in the order of the nonces.

    A development chain that began anew has the same genesis and another block 1: what the file says of the
    old one was never done on the new one, and is signed again when it is wanted. Of any other chain that is
    refused: a node that lies would have everything done a second time.
    """

    sync = "NORMAL", "FULL"

    def __init__(self, path: Path, client: SubstrateClient) -> None:
        """Raises ChainError when the file belongs to another chain, or cannot be used; DiskFailed."""
        self._client = client
        self._lock = threading.RLock()
        self._sent: set[int] = set()  # those that the node took from this process
        self._handed: dict[int, int] = {}  # at which block together with others, for `send` to wait for
        self._awaited: Counter[int] = Counter()  # those that somebody waits for, and sends again
        self._counting = threading.Lock()
        self._met = False
        try:
            self._db = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None, timeout=_LOCK_SECONDS
            )
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.row_factory = sqlite3.Row
            migrate(self._db, _SCHEMA)
        except (sqlite3.Error, OSError, NewerSchema) as error:
            blame_disk(error, path)
            raise ChainError(
                f"the outbox {path} is not usable ({error}); restore it, or give another folder",
                code="outbox-unusable",
            ) from error
        self._bind(path)

    def _bind(self, path: Path) -> None:
        row = self._db.execute("SELECT genesis FROM chain").fetchone()
        if row is None:
            self._db.execute("INSERT INTO chain (genesis) VALUES (?)", (self._client.genesis,))
        elif row["genesis"] != self._client.genesis:
            self._db.close()
            held = row["genesis"].hex()
            raise ChainError(
                f"{path} belongs to the chain 0x{held}, this one is 0x{self._client.genesis.hex()}: "
                "use another file, or delete it",
                code="wrong-chain",
            )

    def _meet_chain(self) -> None:
        """Ask once in a process, as soon as it has a block, whether the chain is the one of the file."""
        if not self._met:
            self._began_anew()

    def _began_anew(self) -> bool:
        """Whether this is another chain of the same genesis than the file was written on; then nothing of it
        is live any more. A node that is merely behind has the same block 1, or none yet.
        """
        if self._client.finalised_head().number < 1:
            return False
        first = self._client.block_hash(1)
        with self._exclusive():
            row = self._db.execute("SELECT first, development FROM chain").fetchone()
            self._met = row["first"] in (None, first) or bool(row["development"])
            if row["first"] == first:
                return False
            if row["first"] is None:
                development = self._client.chain_type == "Development"
                self._db.execute("UPDATE chain SET first = ?, development = ?", (first, development))
                return False
            if not row["development"]:
                raise ChainError(
                    f"block 1 of the chain at {self._client.url} is 0x{first.hex()}, and the outbox was "
                    f"written on one whose block 1 is 0x{row['first'].hex()}: its node lies, or it was "
                    "started over; if you know that it was, move the outbox away",
                    code="began-anew",
                )
            self._db.execute("UPDATE chain SET first = ?", (first,))
            self._forget("state IN ('signed', 'done')")
            self._sent.clear()
            self._handed.clear()
        log.warning("the chain began anew: what was done on the old one is forgotten", first=first.hex())
        return True

    def _forget(self, which: str, *values: object) -> None:
        self._db.execute(
            f"UPDATE outbox SET state = 'dead', error = 'the chain began anew', data = x'' WHERE {which}",
            values,
        )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # ---- sending --------------------------------------------------------------------------

    def send(self, key: str, call: Call, signer: Signer, *, timeout: float = 60.0) -> Inclusion:
        """Make `call` happen once under `key`, and wait until it is finalised.

        A key that is done gives its block again; one that is on its way is waited for; one that failed or
        died is signed anew. Raises DispatchError, ExtrinsicInvalid, ChainTimeout (it may still happen: send
        again).
        """
        self._meet_chain()
        account = bytes(signer.public_key)
        with contextlib.ExitStack() as waiting:
            with self._client.signing(account):  # until it is sent: nodes want the nonces in their order
                entry = self._prepared(key, call, signer, account)
                waiting.enter_context(self._waiting_for(entry))
                if entry.state is State.SIGNED and entry.id not in self._sent:
                    self._handed_over(entry)
            if entry.state is not State.DONE:
                return self._await(entry, timeout).raise_for_error()
            included = self._included(entry)
        if included is None:
            return self.send(key, call, signer, timeout=timeout)
        return included.raise_for_error()

    def hand_over(self, wanted: Sequence[tuple[str, Call]], signer: Signer) -> None:
        """Sign those calls whose keys have no live entry, write them down in one go, and hand all of them to
        the node in one message, so that they can share a block. `send` then tells what comes of each, and
        sends what did not go out. Raises ChainError.
        """
        self._meet_chain()
        account = bytes(signer.public_key)
        with self._client.signing(account):
            number = self._client.finalised_head().number
            entries = self._all_prepared(wanted, signer, account)
            waiting = [one for one in entries if one.state is State.SIGNED and one.id not in self._sent]
            for entry in waiting:
                self._handed[entry.id] = number
            for some in _chunks(waiting):
                refusals = self._client.broadcast_many([entry.extrinsic for entry in some])
                self._sent |= {one.id for one, refusal in zip(some, refusals, strict=True) if refusal is None}

    def _all_prepared(
        self, wanted: Sequence[tuple[str, Call]], signer: Signer, account: bytes
    ) -> list[Entry]:
        entries, nonce = list[Entry](), None
        with self._exclusive():
            for key, call in wanted:
                entry = self.get(key, account)
                if entry is None or entry.state not in (State.SIGNED, State.DONE):
                    if nonce is None:
                        self._send_earlier(account)
                        nonce = self._next_nonce(account)
                    entry = self._insert(key, call, self._client.sign(call, signer, nonce=nonce))
                    nonce = self._free_from(nonce + 1, account)
                entries.append(entry)
        return entries

    @contextlib.contextmanager
    def _waiting_for(self, entry: Entry) -> Iterator[None]:
        """Known as one that somebody waits for; nothing is kept of it afterwards."""
        with self._counting:
            self._awaited[entry.id] += 1
        try:
            yield
        finally:
            with self._counting:
                self._awaited[entry.id] -= 1
                if not self._awaited[entry.id]:
                    del self._awaited[entry.id]

    def prepare(self, key: str, call: Call, signer: Signer) -> Entry:
        """The key's live entry, or a new one: signed and on the disk, not yet sent.

        Raises ExtrinsicInvalid, naming it, when an earlier one of the account cannot be sent.
        """
        self._meet_chain()
        account = bytes(signer.public_key)
        with self._client.signing(account):
            return self._prepared(key, call, signer, account)

    def _prepared(self, key: str, call: Call, signer: Signer, account: bytes) -> Entry:
        with self._exclusive():
            if (entry := self.get(key, account)) is not None and entry.state in (State.SIGNED, State.DONE):
                return entry
            self._send_earlier(account)
            extrinsic = self._client.sign(call, signer, nonce=self._next_nonce(account))
            return self._insert(key, call, extrinsic)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Alone with the file, among threads and processes: two must not choose the same nonce."""
        with self._lock:
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                try:
                    if self._db.in_transaction:  # a full disk has ended it
                        self._db.execute("COMMIT")  # what was learnt on the way to a refusal is kept
                except sqlite3.Error:
                    with contextlib.suppress(sqlite3.Error):
                        self._db.execute("ROLLBACK")
                    raise

    def _execute(self, statement: str, *values: object) -> None:
        """Raises ChainError when another process held the file for all of the time that one waits."""
        try:
            self._db.execute(statement, values)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            raise ChainError(
                f"another process has been signing from the same outbox for {_LOCK_SECONDS:g} s: try again "
                "when it is done, or give this one a state folder of its own",
                code="outbox-busy",
            ) from error

    def _send_earlier(self, account: bytes) -> None:
        for entry in self.pending():
            if entry.extrinsic.signer != account or self._is_looked_after(entry):
                continue
            try:
                self._broadcast(entry)
            except ExtrinsicInvalid as error:
                raise ExtrinsicInvalid(
                    f"{entry.call} ({entry.key}) of this account was signed earlier and has to go first, but "
                    f"{error.message}",
                    code=error.code,
                ) from error

    def _is_looked_after(self, entry: Entry) -> bool:
        """Whether the node took it and somebody waits for it: one that was given up, as when the chain was
        away, may have been lost by the node since, and all later nonces with it.
        """
        return entry.id in self._sent and (self._awaited[entry.id] > 0 or self._is_new(entry))

    def _is_new(self, entry: Entry) -> bool:
        """Whether it went out with others a moment ago, and whoever wanted it is about to wait for it."""
        handed = self._handed.get(entry.id)
        return handed is not None and self._client.finalised_head().number < handed + RESEND_BLOCKS

    def _broadcast(self, entry: Entry) -> None:
        """Hand an entry to the node; one that can no longer land is closed. Raises ExtrinsicInvalid when it
        may land some day, and cannot be sent now.
        """
        if not self._handed_over(entry):
            with contextlib.suppress(ExtrinsicInvalid, ChainTimeout):
                self._await(entry, 0.0)

    def _handed_over(self, entry: Entry) -> bool:
        """Whether the node took it. False: it may have landed already, which only the blocks can tell."""
        self._sent.discard(entry.id)
        try:
            self._client.broadcast(entry.extrinsic)
        except ExtrinsicInvalid as error:
            if error.code not in _PERHAPS_LANDED:
                raise
            return False
        self._sent.add(entry.id)
        return True

    def _next_nonce(self, account: bytes) -> int:
        return self._free_from(self._client.nonce(account), account)

    def _free_from(self, nonce: int, account: bytes) -> int:
        # what we signed counts even if the node has lost it: the same nonce twice would drop one of the two
        rows = self._db.execute("SELECT nonce FROM outbox WHERE signer = ? AND state = 'signed'", (account,))
        taken = {row["nonce"] for row in rows}
        while nonce in taken:
            nonce += 1
        return nonce

    def _insert(self, key: str, call: Call, extrinsic: SignedExtrinsic) -> Entry:
        name = f"{call.pallet}.{call.name}"
        cursor = self._db.execute(
            "INSERT INTO outbox "
            "(key, state, call, data, hash, signer, nonce, first_block, last_block, created_at) "
            "VALUES (?, 'signed', ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key, name, extrinsic.data, extrinsic.hash, extrinsic.signer, extrinsic.nonce,
                extrinsic.first_block, extrinsic.last_block, time.time(),
            ),
        )  # fmt: skip
        log.info(
            "extrinsic signed", key=key, call=name, extrinsic=extrinsic.hash.hex(), nonce=extrinsic.nonce
        )
        return Entry(int(cursor.lastrowid or 0), key, State.SIGNED, name, extrinsic, None, None)

    def _settle(self, entry: Entry, timeout: float) -> None:
        self._handed_over(entry)
        self._await(entry, timeout)

    def _await(self, entry: Entry, timeout: float) -> Inclusion:
        try:
            included = self._client.wait_finalised(entry.extrinsic, timeout, taken=entry.id in self._sent)
        except ExtrinsicInvalid as error:
            self._close(entry, State.DEAD, error=str(error))
            raise
        except ChainTimeout as error:
            raise ChainTimeout(f"{entry.call} ({entry.key}): {error.message}") from error
        self._record(entry, included)
        return included

    def _included(self, entry: Entry) -> Inclusion | None:
        """Of one that is done; None when it turns out to be done on another chain, and is forgotten.

        Raises ChainError when the node has not got so far.
        """
        assert entry.block is not None
        if self._began_anew():
            return None
        if (head := self._client.finalised_head().number) < entry.block:
            raise ChainError(
                f"{entry.call} ({entry.key}) was done in block {entry.block}, and the chain at "
                f"{self._client.url} is final up to block {head} only: try again when its node has caught up",
                code="no-such-block",
            )
        found = self._client.inclusion_in(self._client.block_hash(entry.block), entry.extrinsic.hash)
        if found is None:
            with self._lock:
                if not self._db.execute("SELECT development FROM chain").fetchone()["development"]:
                    raise ChainError(
                        f"{entry.call} ({entry.key}) was done in the final block {entry.block}, and the node "
                        f"at {self._client.url} does not have it there: ask another node",
                        code="reorganised",
                    )
                self._forget("id = ?", entry.id)
        return found

    def _record(self, entry: Entry, included: Inclusion) -> None:
        error = included.error
        state = State.DONE if error is None else State.FAILED
        told = None if error is None else f"{error.pallet}.{error.name}"
        self._close(entry, state, block=included.block, error=told)

    def _close(
        self, entry: Entry, state: State, *, block: int | None = None, error: str | None = None
    ) -> None:
        self._sent.discard(entry.id)
        self._handed.pop(entry.id, None)
        with self._lock, self._unhurried():
            self._execute(
                "UPDATE outbox SET state = ?, block = ?, error = ?, data = x'' WHERE id = ?",
                state, block, error, entry.id,
            )  # fmt: skip
        log.info("extrinsic settled", key=entry.key, state=str(state), block=block, error=error)

    @contextlib.contextmanager
    def _unhurried(self) -> Iterator[None]:
        """What the chain tells again need not be on the disk at once: it goes there with the next that is
        signed.
        """
        lasting = self._db.in_transaction
        if not lasting:
            self._db.execute(f"PRAGMA synchronous={self.sync[False]}")
        try:
            yield
        finally:
            if not lasting:
                self._db.execute(f"PRAGMA synchronous={self.sync[True]}")

    # ---- after a restart ------------------------------------------------------------------

    def reconcile(self, timeout: float = 60.0) -> list[Entry]:
        """Settle everything that was on its way when the process ended, sending the same bytes again where
        they may still land. Gives the entries as they are now; one that needs longer stays `signed`.
        """
        self._meet_chain()
        settled = []
        for entry in self.pending():
            with contextlib.suppress(DispatchError, ExtrinsicInvalid, ChainTimeout):
                self._settle(entry, timeout)
            now = self._by_id(entry.id)
            log.info("extrinsic reconciled", key=entry.key, state=str(now.state))
            settled.append(now)
        return settled

    def sweep(self) -> None:
        """Look after what was signed and given up: it is sent again while it may land, and closed when it has
        come to its end. To be called now and then by who runs for long.
        """
        for entry in self.pending():
            with self._client.signing(entry.extrinsic.signer):
                if self._is_looked_after(entry) or self._by_id(entry.id).state is not State.SIGNED:
                    continue
                with contextlib.suppress(ExtrinsicInvalid, ChainTimeout):
                    self._settle(entry, 0.0)

    # ---- reading --------------------------------------------------------------------------

    def get(self, key: str, signer: bytes | None = None) -> Entry | None:
        """The latest entry under a key, of one account or of any."""
        rows = self._rows("WHERE key = ? AND ? IN (signer, x'') ORDER BY id DESC LIMIT 1", key, signer or b"")
        return next(rows, None)

    def pending(self) -> list[Entry]:
        """What may be on its way, in the order of its nonces."""
        return list(self._rows("WHERE state = 'signed' ORDER BY signer, nonce"))

    def _by_id(self, number: int) -> Entry:
        return next(self._rows("WHERE id = ?", number))

    def _rows(self, where: str, *values: object) -> Iterator[Entry]:
        with self._lock:
            rows = self._db.execute(f"SELECT * FROM outbox {where}", values).fetchall()
        for row in rows:
            signed = SignedExtrinsic(**{field.name: row[field.name] for field in fields(SignedExtrinsic)})
            yield Entry(
                row["id"], row["key"], State(row["state"]), row["call"], signed, row["block"], row["error"]
            )


def _chunks(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The same in their order, so many together as fit into one message."""
    some, size = list[Entry](), 0
    for entry in entries:
        if some and size + len(entry.extrinsic.data) > _MESSAGE:
            yield some
            some, size = [], 0
        some.append(entry)
        size += len(entry.extrinsic.data)
    if some:
        yield some
