"""A chain, a worker that offers sessions, and a client: real processes, a small model in pages of sixteen."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proofward.amounts import UNIT
from proofward.chain import Event, SubstrateClient, accounts
from proofward.chain.outbox import Outbox
from proofward.chain.pallets import attestation, balances, sessions
from proofward.chain.pallets.models import Terms
from proofward.client import Client
from proofward.devnet.chains import Devnet
from proofward.publisher.publish import publish
from proofward.zkml import Artifact
from proofward_demo.processes import Worker
from proofward_enclave.measure import simulated_measurement

PRICE = 1_000_000
"""Plancks an inference."""
PUBLISHER, CLIENT, WORKER = "//Bob", "//Charlie", "//Dave"
_MORE = """
[sessions]
price = {price}
capacity = 8
most_sampled_percent = 50.0
least_window_blocks = 5
checkpoint_blocks = {blocks}
"""


@dataclass
class Running:
    """A chain that others run, whose blocks nobody can hurry."""

    url: str
    pid: int | None = None

    def connect(self) -> SubstrateClient:
        """A connection of the caller's."""
        return SubstrateClient.connect(self.url)

    def skip_to(self, height: int) -> None:
        """Wait for a finalised block."""
        with self.connect() as chain:
            end = time.monotonic() + 20 + 10 * max(0, height - chain.finalised_head().number)
            while chain.finalised_head().number < height:
                assert time.monotonic() < end, f"block {height} does not come"
                time.sleep(0.5)


@dataclass
class Scene:
    """What a test of sessions acts on."""

    chain: Devnet | Running
    rpc: SubstrateClient
    client: Client
    worker: Worker
    model: bytes
    account: bytes
    artifact: Path
    _seen: dict[int, Sequence[Event]] = field(default_factory=dict)

    def owned(self) -> dict[str, int]:
        """Plancks: what the publisher can spend, and what is held from the client for sessions, but for the
        deposit of its last nonce.
        """
        publisher = bytes(accounts.dev_keypair(PUBLISHER).public_key)
        holds = balances.holds(self.rpc, self.client.account)
        held = sum(amount for reason, amount in holds.items() if reason.startswith(sessions.PALLET))
        latest = sessions.latest_nonce(self.rpc, self.client.account)
        held -= latest[1] if latest else 0
        return {"publisher": self.rpc.balance(publisher), "client held": held}

    def events(self, name: str, session: bytes) -> list[dict[str, Any]]:
        """The pallet's events of a session, by name, in their order."""
        found = []
        for number in range(1, self.rpc.finalised_head().number + 1):
            for event in self._events_of(number):
                if (event.pallet, event.name) == (sessions.PALLET, name) and event.fields.get(
                    "session"
                ) == session:
                    found.append(dict(event.fields))
        return found

    def _events_of(self, number: int) -> Sequence[Event]:
        if number not in self._seen:
            self._seen[number] = self.rpc.events(self.rpc.block_hash(number))
        return self._seen[number]

    def finished(self, name: bytes, records: int) -> None:
        """See a closed session of so many records to its end: the beacon's blocks at once, the proofs
        in their time.
        """
        self.until(lambda: (found := sessions.get(self.rpc, name)) is None or found.records == records)
        record = sessions.get(self.rpc, name)
        if record is None:
            return  # settled while nobody looked
        for window in sessions.windows(self.rpc, record).values():
            self.chain.skip_to(window.until - record.window)
        self.until(lambda: self._proved(name), 90)
        for window in sessions.windows(self.rpc, record).values():
            self.chain.skip_to(window.due + 1)
        self.until(lambda: sessions.get(self.rpc, name) is None, 60)

    def _proved(self, name: bytes) -> bool:
        record = sessions.get(self.rpc, name)
        if record is None:
            return True
        return all(one.drawn and not one.owed for one in sessions.windows(self.rpc, record).values())

    def kill_enclave(self) -> None:
        """SIGKILL it; the node starts another."""
        os.kill(self.worker.events("enclave-started")[-1]["pid"], signal.SIGKILL)

    def blocks(self, count: int) -> None:
        """So many empty blocks at once."""
        self.chain.skip_to(self.rpc.finalised_head().number + count)

    def until(self, condition: object, seconds: float = 300.0, *, blocks: int = 0) -> None:
        """Wait until a condition holds, making blocks the while."""
        end = time.monotonic() + seconds
        while not condition():  # type: ignore[operator]
            assert self.worker.running, self.worker.log_tail(40)
            assert time.monotonic() < end, self.worker.log_tail(40)
            if blocks:
                self.blocks(blocks)
            time.sleep(0.1)


def metrics(stage: Scene) -> bytes:
    """The worker's metrics, as they are scraped."""
    with urllib.request.urlopen(f"{stage.worker.endpoint}/metrics", timeout=60) as reply:
        return bytes(reply.read())


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def scene(
    chain: Devnet | Running,
    artifact: Artifact,
    folder: Path,
    blocks: int = 2,
    price: int = PRICE,
    *,
    key: str = WORKER,
    others: Sequence[Artifact] = (),
) -> Iterator[Scene]:
    """Publish the model and `others`, open the first to sessions, and start a worker that offers them;
    `blocks`: of a window. `key`: where the worker's is.
    """
    port = free_port()
    worker = None
    with (
        Client(
            chain.url, CLIENT, development=True, artifacts=[artifact.path], state=folder / "client"
        ) as client,
        chain.connect() as rpc,
        tempfile.TemporaryDirectory(dir="/tmp") as sockets,
    ):
        rpc.submit(
            attestation.sudo(attestation.allow_measurement(simulated_measurement(), "test")),
            accounts.dev_keypair("//Alice"),
        )
        outbox = Outbox(folder / "outbox.sqlite", rpc)
        publisher = accounts.dev_keypair(PUBLISHER)
        terms = Terms(UNIT, 100_000, 10**11, 60)
        model = publish(rpc, outbox, publisher, artifact.public, terms=terms).model
        for other in others:
            publish(rpc, outbox, publisher, other.public, terms=terms)
        rpc.submit(sessions.allow(model, PRICE // 2), publisher)
        worker = Worker(
            "w", key, folder / "worker", Path(sockets), chain.url, artifact.path.parent, PUBLISHER,
            endpoint=f"http://127.0.0.1:{port}", port=port, more=_MORE.format(price=price, blocks=blocks),
        )  # fmt: skip
        worker.start()
        account = accounts.named(key)
        found = Scene(chain, rpc, client, worker, model, account, artifact.path)
        try:
            found.until(lambda: sessions.offer_of(rpc, model, account) is not None, 120)
            yield found
        finally:
            worker.stop()
            outbox.close()
