"""Put roots of receipts on the chain, every so many receipts or seconds, and remember which is under which.

A batch is on the disk, whole, before its root is sent; one that was cut off is sent again as it was. A root
that stands there twice says no more than once.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proofward.chain import ChainError, SubstrateClient
from proofward.chain.extrinsic import Signer
from proofward.chain.pallets import system
from proofward.consensus.final import MAX_PROOF
from proofward.database import NewerSchema, migrate
from proofward.errors import NotFound, ProofwardError
from proofward.evidence.anchored import MAX_BATCH, leaf_of, remark
from proofward.protocol.sessions import Tree
from proofward_gateway.anchoring.proving import of_remark
from proofward_gateway.channel import GatewayError
from proofward_gateway.inclusion import FILE

_STEPS: Final = (
    (
        """CREATE TABLE IF NOT EXISTS batches (
            number INTEGER PRIMARY KEY, last INTEGER NOT NULL, count INTEGER NOT NULL, root TEXT NOT NULL,
            genesis TEXT NOT NULL, account TEXT NOT NULL, block INTEGER, fee INTEGER
        ) STRICT""",
        """CREATE TABLE IF NOT EXISTS leaves (
            receipt TEXT PRIMARY KEY, number INTEGER NOT NULL, position INTEGER NOT NULL, path TEXT NOT NULL
        ) STRICT""",
    ),
    ("CREATE TABLE IF NOT EXISTS proofs (number INTEGER PRIMARY KEY, document TEXT) STRICT",),
)
_PROVABLE: Final = 200
"""Blocks after which a root's block is given up as one that no node here proves: nodes keep 256 states."""
_LOOK_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 6.0


@dataclass(frozen=True, slots=True)
class Anchored:
    """One root on the chain; `fee` in planck."""

    number: int
    count: int
    root: str
    block: int
    fee: int


class Anchors:
    """The batches of one gateway's state, and what is not in any yet."""

    def __init__(self, state: Path, client: SubstrateClient, signer: Signer) -> None:
        """Raises GatewayError(store-failed)."""
        self._client, self._signer = client, signer
        receipts = state / "receipts.sqlite"
        if not receipts.exists():
            raise GatewayError(
                f"{receipts} is not there: name the `state` folder of a gateway", code="store-failed"
            )
        try:
            self._receipts = sqlite3.connect(
                f"{receipts.resolve().as_uri()}?mode=ro", uri=True, timeout=10, check_same_thread=False
            )
            self._own = sqlite3.connect(state / FILE, isolation_level=None, timeout=10)
            self._own.execute("PRAGMA journal_mode = WAL")
            self._own.execute("PRAGMA synchronous = FULL")
            migrate(self._own, _STEPS)
        except (sqlite3.Error, NewerSchema) as error:
            raise GatewayError(f"{state} cannot be used: {error}", code="store-failed") from None
        genesis = self._own.execute("SELECT genesis FROM batches LIMIT 1").fetchone()
        if genesis is not None and genesis[0] != client.genesis.hex():
            raise GatewayError(
                f"{state / FILE} is of another chain: move it away to begin anew", code="other-chain"
            )

    def close(self) -> None:
        """Close both files."""
        self._receipts.close()
        self._own.close()

    def waiting(self) -> int:
        """Receipts that are in no batch yet."""
        sql = "SELECT count(*) FROM receipts WHERE rowid > ?"
        return int(self._receipts.execute(sql, (self._last(),)).fetchone()[0])

    def unsent(self) -> bool:
        """Whether a batch was cut off before its block was known."""
        sql = "SELECT count(*) FROM batches WHERE block IS NULL"
        return bool(self._own.execute(sql).fetchone()[0])

    def anchor(self) -> Anchored | None:
        """Send the oldest batch that is not on the chain; the next receipts make one. None: there are none.

        Raises ChainError.
        """
        row = self._own.execute(
            "SELECT number, count, root FROM batches WHERE block IS NULL ORDER BY number LIMIT 1"
        ).fetchone()
        row = row or self._plan()
        if row is None:
            return None
        number, count, root = row
        call = system.remark(remark(number, count, bytes.fromhex(root)))
        receipt = self._client.submit(call, self._signer)
        paid = receipt.find("TransactionPayment", "TransactionFeePaid")
        fee = int(paid.fields["actual_fee"]) if paid is not None else 0
        self._own.execute(
            "UPDATE batches SET block = ?, fee = ? WHERE number = ?", (receipt.block, fee, number)
        )
        return Anchored(number, count, root, receipt.block, fee)

    def prove(self) -> bool:
        """Keep the chain's own proof of the oldest batch that has none; whether there was such a batch.

        Of a chain without GRANDPA, and of a block whose state is gone, it is noted that none can be had.
        Raises ChainError, NotFound: finality stands still.
        """
        row = self._own.execute(
            "SELECT number, block FROM batches LEFT JOIN proofs USING (number) "
            "WHERE block IS NOT NULL AND proofs.number IS NULL ORDER BY number LIMIT 1"
        ).fetchone()
        if row is None:
            return False
        number, block = row
        try:
            proof = json.dumps(of_remark(self._client, block))
        except (ChainError, NotFound):
            if self._client.finalised_head().number - block < _PROVABLE:
                raise
            proof = "null"
        kept = proof if len(proof) <= MAX_PROOF else "null"
        self._own.execute("INSERT INTO proofs VALUES (?, ?)", (number, kept))
        return True

    def _last(self) -> int:
        row = self._own.execute("SELECT last FROM batches ORDER BY number DESC LIMIT 1").fetchone()
        last = 0 if row is None else int(row[0])
        newest = self._receipts.execute("SELECT coalesce(max(rowid), 0) FROM receipts").fetchone()[0]
        return last if newest >= last else 0  # what is kept ran out, and its numbers began again

    def _plan(self) -> tuple[int, int, str] | None:
        """Write the next batch down."""
        sql = "SELECT rowid, id, document FROM receipts WHERE rowid > ? ORDER BY rowid LIMIT ?"
        rows = self._receipts.execute(sql, (self._last(), MAX_BATCH)).fetchall()
        if not rows:
            return None
        tree = Tree([leaf_of(json.loads(document)) for _, _, document in rows])
        number = int(self._own.execute("SELECT coalesce(max(number), -1) + 1 FROM batches").fetchone()[0])
        batch = (number, rows[-1][0], len(rows), tree.root.hex(), self._client.genesis.hex(), self._account())
        leaves = [
            (name, number, position, json.dumps([step.hex() for step in tree.path(position)]))
            for position, (_, name, _) in enumerate(rows)
        ]
        with _transaction(self._own):
            self._own.execute(
                "INSERT INTO batches (number, last, count, root, genesis, account) VALUES (?, ?, ?, ?, ?, ?)",
                batch,
            )
            self._own.executemany("INSERT INTO leaves VALUES (?, ?, ?, ?)", leaves)
        return number, len(rows), tree.root.hex()

    def _account(self) -> str:
        return bytes(self._signer.public_key).hex()


def keep(
    state: Path,
    client: SubstrateClient,
    signer: Signer,
    told: Callable[[Anchored], None],
    failed: Callable[[ProofwardError], None] | None = None,
    *,
    every: int = 64,
    seconds: float = 60.0,
    once: bool = False,
    stop: threading.Event | None = None,
) -> None:
    """Anchor when `every` receipts wait, or one has waited `seconds`; until `stop`, or what there is, `once`.

    A chain that does not answer is told to `failed`, where there is one, and asked again: the batch waits.
    Raises GatewayError, and ChainError or NotFound where there is no `failed`.
    """
    stop = stop or threading.Event()
    with closing(Anchors(state, client, signer)) as anchors:
        since: float | None = None
        while not stop.is_set():
            waiting = anchors.waiting()
            since = None if not waiting else since or time.monotonic()
            late = since is not None and time.monotonic() - since >= seconds
            due = once or anchors.unsent() or waiting >= every or late
            try:
                if due and (done := anchors.anchor()) is not None:
                    told(done)
                    since = None
                    continue
                if anchors.prove():
                    continue
            except (ChainError, NotFound) as error:
                if failed is None:
                    raise
                failed(error)
                stop.wait(_RETRY_SECONDS)
                continue
            if once:
                return
            stop.wait(_LOOK_SECONDS)


@contextmanager
def _transaction(file: sqlite3.Connection) -> Iterator[None]:
    file.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        file.execute("ROLLBACK")
        raise
    file.execute("COMMIT")


def fields(found: Anchored) -> dict[str, Any]:
    """One root for a reader of JSON."""
    return {
        "batch": found.number,
        "receipts": found.count,
        "root": f"0x{found.root}",
        "block": found.block,
        "fee_planck": str(found.fee),
    }
