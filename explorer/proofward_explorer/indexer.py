"""From the chain into the index: every finalised block once, in order, in one transaction each."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from proofward.chain import Call, SubstrateClient
from proofward.chain.client import Block
from proofward.chain.errors import ChainError
from proofward.chain.pallets import KEPT, attestation, jobs, models, sessions, workers
from proofward.chain.pallets.jobs import Accepted, Claimed, JobRecord, Refunded
from proofward.chain.plain import dumps, plain
from proofward.chain.runtime import Event
from proofward.logs import Logger
from proofward_explorer.store import DAY_MS, IndexUnusable, open_index, remove

_log = Logger(__name__)
_PAUSE: Final = 2.0
_ACCOUNTS: Final = ("worker", "client", "publisher", "member")
_SUBJECTS: Final = ("job", "session", "study", "model", "measurement", "root")
"""What an event is about: the first of these fields that it has."""
_CALLS: Final = frozenset({"Timestamp.set"})
"""Calls of every block, which nobody looks for."""


class Indexer:
    """Follows one chain into one file. `run` blocks; `stop` may be called from another thread."""

    def __init__(self, client: SubstrateClient, path: Path, *, rebuild: bool = False) -> None:
        """Raises IndexUnusable: the file is of another chain (and `rebuild` is not set), or damaged."""
        self._client, self._path = client, path
        self._stop = threading.Event()
        if rebuild:
            remove(path)
        self._db = open_index(path)
        try:
            self._agree()
        except BaseException:
            self._db.close()
            raise

    @property
    def cursor(self) -> int | None:
        """The last block in the index."""
        found = self._db.execute("SELECT max(number) FROM blocks").fetchone()[0]
        return None if found is None else int(found)

    def _agree(self) -> None:
        """The file is of this chain, and of this history of it. Another genesis is refused; a history that
        was rewound (a development chain from an older copy) is indexed anew.
        """
        client = self._client
        found = self._db.execute("SELECT genesis FROM chain").fetchone()
        if found is None:
            with self._transaction():
                facts = (client.genesis, client.chain_name, client.chain_type)
                self._db.execute("INSERT INTO chain VALUES (?, ?, ?)", facts)
            return
        if found[0] != client.genesis:
            raise IndexUnusable(
                f"the index {self._path} is of the chain with genesis 0x{found[0].hex()}, the node at "
                f"{client.url} is of 0x{client.genesis.hex()}: give another --index, or --rebuild to "
                "begin anew"
            )
        last = self._db.execute("SELECT number, hash FROM blocks ORDER BY number DESC LIMIT 1").fetchone()
        if last is not None and not self._is_on_chain(*last):
            _log.warning("explorer-history-rewound", block=last[0])
            self._forget()

    def _is_on_chain(self, number: int, name: bytes) -> bool:
        if number > self._client.finalised_head().number:
            return False
        return self._client.block_hash(number) == name

    def _forget(self) -> None:
        with self._transaction():
            for table in ("blocks", "extrinsics", "events", "jobs", "records", "totals"):
                self._db.execute(f"DELETE FROM {table}")

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def stop(self) -> None:
        """End `run` after the block that it is at."""
        self._stop.set()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def run(self, told: Callable[[int], None] = lambda number: None) -> None:
        """Follow until `stop`; a node that is away is waited for. `told` hears of each indexed block.

        Raises IndexUnusable when the chain under the index becomes another one, or has lost old blocks.
        """
        while not self._stop.is_set():
            try:
                self._agree()
                self._follow(told)
            except ChainError as error:
                if error.code == "no-such-block" and self.cursor is None:
                    raise IndexUnusable(
                        f"the node at {self._client.url} does not have the chain's first blocks "
                        f"({error.message}): give the address of an archive node"
                    ) from error
                _log.warning("explorer-waits", reason=error.message)
                self._stop.wait(_PAUSE)

    def _follow(self, told: Callable[[int], None]) -> None:
        start = self.cursor
        for head in self._client.follow(0 if start is None else start + 1, stop=self._stop):
            block = self._client.block(head.hash)
            if head.number and block.parent != self._hash_before(head.number):
                return  # the history was rewound: agree again
            self._add(block)
            told(head.number)

    def _hash_before(self, number: int) -> bytes | None:
        found = self._db.execute("SELECT hash FROM blocks WHERE number = ?", (number - 1,)).fetchone()
        return None if found is None else bytes(found[0])

    def _add(self, block: Block) -> None:
        """Read all that a block changed, then write it in one transaction."""
        reading = _Reading(self._client, block)
        with self._transaction():
            self._db.execute(
                "INSERT INTO blocks VALUES (?, ?, ?, ?)",
                (block.number, block.hash, reading.time, len(block.extrinsics)),
            )
            self._db.executemany("INSERT INTO extrinsics VALUES (?, ?, ?, ?, ?)", reading.extrinsics)
            self._db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", reading.events)
            for kind, name, fields in reading.records:
                self._record(kind, name, block.number, fields)
            for record in reading.jobs.values():
                self._job(record, reading)
            for event in reading.raw:
                self._outcome(event, block.number, reading.time)

    def _record(self, kind: str, name: bytes, number: int, fields: Any | None) -> None:
        """A record as it is now; one that left state keeps what it last was."""
        if fields is None:
            self._db.execute(
                "UPDATE records SET gone = 1, block = ? WHERE kind = ? AND id = ?", (number, kind, name)
            )
            return
        self._db.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?, 0, ?)", (kind, name, number, dumps(fields))
        )

    def _job(self, record: JobRecord, reading: _Reading) -> None:
        status = record.status
        worker = status.worker if isinstance(status, Claimed | Accepted) else None
        claimed = status.claimed_at if isinstance(status, Claimed) else None
        ended = status.block if isinstance(status, Accepted | Refunded) else None
        accepted = status if isinstance(status, Accepted) else None
        sizes = reading.sizes.get(record.id, (None, None)) if accepted else (None, None)
        self._db.execute(
            "INSERT INTO jobs (id, client, model, status, worker, level, setup, price, proof_bytes, "
            "output_bytes, submitted_at, claimed_at, ended_at, deadline, attempts, min_level, day) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "status = excluded.status, worker = excluded.worker, level = excluded.level, "
            "setup = excluded.setup, proof_bytes = coalesce(excluded.proof_bytes, proof_bytes), "
            "output_bytes = coalesce(excluded.output_bytes, output_bytes), "
            "claimed_at = coalesce(excluded.claimed_at, claimed_at), ended_at = excluded.ended_at, "
            "attempts = excluded.attempts",
            (
                record.id, record.client, record.model, type(status).__name__.lower(), worker,
                accepted and accepted.level.label, accepted and str(accepted.setup), str(record.price),
                *sizes, record.submitted_at, claimed, ended, record.deadline, record.attempts,
                record.min_level.label, reading.time // DAY_MS,
            ),
        )  # fmt: skip

    def _outcome(self, event: Event, number: int, time: int) -> None:
        """What an event alone says of a job or a session: who was paid what, and how long a job took."""
        fields = event.fields
        if (event.pallet, event.name) == ("InferenceSessions", "Finished"):
            self._paid(fields)
        if event.pallet != "Jobs":
            return
        if event.name == "Accepted":
            paid, royalty, job = fields["paid"], fields["royalty"], fields["job"]
            self._db.execute(
                "UPDATE jobs SET status = 'accepted', paid = ?, royalty = ?, worker = ?, ended_at = ?, "
                "seconds = (? - (SELECT time FROM blocks WHERE number = submitted_at)) / 1000.0 WHERE id = ?",
                (str(paid), str(royalty), fields["worker"], number, time, job),
            )
            model = self._db.execute("SELECT model FROM jobs WHERE id = ?", (job,)).fetchone()
            self._count("worker", fields["worker"], paid, royalty, jobs=1)
            if model is not None:
                self._count("model", model[0], paid, royalty, jobs=1)
        elif event.name == "Refunded":
            # a job that was cancelled before anybody took it may have left state in the same block
            self._db.execute(
                "UPDATE jobs SET status = 'refunded', worker = NULL, ended_at = ? WHERE id = ?",
                (number, fields["job"]),
            )

    def _paid(self, fields: dict[str, Any]) -> None:
        """A window of a session was paid, or ended unpaid."""
        found = self._db.execute(
            "SELECT json_extract(fields, '$.worker'), json_extract(fields, '$.model') FROM records "
            "WHERE kind = 'session' AND id = ?",
            (fields["session"],),
        ).fetchone()
        for kind, name in zip(("worker", "model"), found or (), strict=False):
            paid = bytes.fromhex(name[2:]), fields["paid"], fields["royalty"]
            self._count(kind, *paid, records=fields["records"])

    def _count(
        self, kind: str, name: bytes, paid: int, royalty: int, *, jobs: int = 0, records: int = 0
    ) -> None:
        """Exact sums of what a worker or a model earned, by jobs and by inferences in sessions."""
        found = self._db.execute(
            "SELECT jobs, paid, royalty, records FROM totals WHERE kind = ? AND id = ?", (kind, name)
        ).fetchone() or (0, "0", "0", 0)
        sums = found[0] + jobs, str(int(found[1]) + paid), str(int(found[2]) + royalty), found[3] + records
        self._db.execute("INSERT OR REPLACE INTO totals VALUES (?, ?, ?, ?, ?, ?)", (kind, name, *sums))


class _Transaction:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._database.execute("COMMIT" if kind is None else "ROLLBACK")


class _Reading:
    """All that one block says and changed, read from the chain before anything is written."""

    def __init__(self, client: SubstrateClient, block: Block) -> None:
        at, number = block.hash, block.number
        self.time = client.timestamp(at) if number else 0
        found = client.events(at) if number else []
        self.raw = [one for one in found if one.pallet in KEPT]
        self.events = [_row(number, place, one) for place, one in enumerate(found) if one.pallet in KEPT]
        self.extrinsics = [
            (one.hash, number, one.index, one.signer, name)
            for one in block.extrinsics
            if (name := _call(one.call)) not in _CALLS
        ]
        named = {kind: self._ids(kind) for kind in ("job", "worker", "model")}
        self.jobs = jobs.many(client, sorted(named["job"]), at)
        self.sizes = _sizes(client, at) if any(one.name == "Accepted" for one in self.raw) else {}
        self.records: list[tuple[str, bytes, Any | None]] = []
        known_workers = workers.many(client, sorted(named["worker"]), at)
        self.records += [("worker", one, known_workers.get(one)) for one in sorted(named["worker"])]
        known_models = models.many(client, sorted(named["model"]), at)
        self.records += [("model", one, known_models.get(one)) for one in sorted(named["model"])]
        for one in sorted(self._ids("session")):
            self.records.append(("session", one, sessions.get(client, one, at)))
        served = {one.fields["worker"] for one in self.raw if one.name in ("Serves", "ServesNoMore")}
        self.records += [("serving", one, _serving(client, one, at)) for one in sorted(served)]
        if number == 0 or any(one.pallet == "Attestation" for one in self.raw):
            self.records.append(("attestation", b"", _attestation(client, at)))
        if number == 0:
            self._genesis(client, at)

    def _genesis(self, client: SubstrateClient, at: bytes) -> None:
        """What a chain begins with was announced by no event."""
        for name, model in models.all(client, at):
            self.records.append(("model", name, model))
        for account, worker in workers.all(client, at):
            self.records.append(("worker", account, worker))

    def _ids(self, field: str) -> set[bytes]:
        found = {one.fields.get(field) for one in self.raw}
        return {one for one in found if isinstance(one, bytes)}


def _row(number: int, place: int, event: Event) -> tuple[Any, ...]:
    fields = event.fields
    subject = next((fields[name] for name in _SUBJECTS if isinstance(fields.get(name), bytes)), None)
    account = next((fields[name] for name in _ACCOUNTS if isinstance(fields.get(name), bytes)), None)
    return (number, place, event.extrinsic, event.pallet, event.name, subject, account, dumps(fields))


def _call(call: Call | None) -> str:
    return "unknown" if call is None else f"{call.pallet}.{call.name}"


def _sizes(client: SubstrateClient, at: bytes) -> dict[bytes, tuple[int, int]]:
    """Bytes of proof and sealed output by job, of a block's results."""
    return {
        found.args["job"]: (len(found.args["proof"]), len(found.args["sealed_output"]))
        for found in client.find_calls(at, "Jobs", "complete")
    }


def _serving(client: SubstrateClient, worker: bytes, at: bytes) -> dict[str, Any]:
    return {"0x" + model.hex(): price for model, price in workers.serving(client, worker, at).items()}


def _attestation(client: SubstrateClient, at: bytes) -> dict[str, Any]:
    return {
        "measurements": {
            "0x" + one.hex(): label for one, label in attestation.measurements(client, at).items()
        },
        "roots": [
            {"id": plain(one.id), "level": one.level.label, "bytes": len(one.der)}
            for one in attestation.roots(client, at)
        ],
        "policy": plain(attestation.policy(client, at)),
        "collateral": [
            {
                "root": plain(one.root),
                "fmspc": plain(one.fmspc),
                "authority": one.authority,
                "expires_at": one.expires_at,
                "bytes": len(one.encoded),
            }
            for one in attestation.collateral(client, at=at)
        ],
    }
