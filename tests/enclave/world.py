"""An enclave served from a thread, and the client and the host around it."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cbor2
import numpy as np

from proofward.protocol import (
    DEV_SETUP,
    HpkePrivateKey,
    HpkeSuite,
    JobContext,
    JobPayload,
    Level,
    OutputContext,
    OutputPayload,
    Receipt,
    RecipientKey,
    job_id,
    open_output,
    reply_nonce,
    seal_job,
    sha256,
)
from proofward.zkml import PublicArtifact
from proofward_enclave.epochs import Epochs
from proofward_enclave.kept import KeptKeys
from proofward_enclave.models import ModelStore
from proofward_enclave.providers.simulator import SimulatorProvider
from proofward_enclave.server import Server
from proofward_enclave.service import Service
from tests.enclave.fake_model import FakePublic, fake_loader
from tests.vectors.make import value

GENESIS, ACCOUNT, CLIENT = value("genesis"), value("account"), value("client")
PUBLISHER = value("publisher")
BLOCK_HASH = value("block_hash")


class Refused(Exception):
    """An error reply."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Host:
    """The node's end of the socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(120)
        connection.connect(str(self.path))
        return connection

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        with self.connect() as connection:
            send(connection, cbor2.dumps({"id": 1, "method": method, "params": params}))
            reply = receive(connection)
        if reply is None:
            raise ConnectionError("the enclave hung up")
        if "error" in reply:
            raise Refused(**reply["error"])
        assert reply["id"] == 1
        return dict(reply["result"])


def send(connection: socket.socket, content: bytes) -> None:
    """One frame."""
    connection.sendall(struct.pack(">I", len(content)) + content)


def receive(connection: socket.socket) -> dict[str, Any] | None:
    """One frame's message; None when the peer hung up."""
    with connection.makefile("rb") as stream:
        head = stream.read(4)
        if len(head) < 4:
            return None
        return dict(cbor2.loads(stream.read(struct.unpack(">I", head)[0])))


@contextmanager
def enclave(
    models: Path,
    suite: HpkeSuite = HpkeSuite.X25519,
    load: Callable[[Path], Any] = fake_loader,
    kept: KeptKeys | None = None,
    folder: Path | None = None,
) -> Iterator[tuple[Host, Service]]:
    """Serve an enclave with fake models on models/../e.sock, or folder/e.sock, until the block ends."""
    path = (folder or models.parent) / "e.sock"
    store = ModelStore(models, load)
    epochs = Epochs(suite, kept)
    epochs.restore()
    service = Service(SimulatorProvider(), store, epochs)
    ready, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with await Server(service).start(path):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(120)
    try:
        yield Host(path), service
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(20)
        service.close()


def add_model(models: Path, name: str, fault: str = "") -> FakePublic:
    """Put a fake artefact into the models' directory."""
    (models / name).mkdir(parents=True)
    (models / name / "fake").write_text(fault)
    return FakePublic(name)


@dataclass
class Job:
    """A client's job: what it sealed, what the chain holds, what it keeps."""

    public: FakePublic | PublicArtifact
    values: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    records: int = 2
    name: bytes = value("a job")
    salt: bytes = value("salt")
    reply_key: bytes | None = None

    @property
    def reply(self) -> HpkePrivateKey:
        """The key that the job's id commits to; another name makes another job."""
        return HpkePrivateKey.from_bytes(HpkeSuite.X25519, sha256(self.name))

    @property
    def context(self) -> JobContext:
        values = np.array(self.values, dtype=np.int64).reshape(self.public.manifest.batch, -1)
        commitment = self.public.commit_input(values, self.salt)
        name = job_id(CLIENT, reply_nonce(self.reply.public))
        return JobContext(GENESIS, name, CLIENT, self.model, commitment)

    @property
    def model(self) -> bytes:
        return self.public.model_id(PUBLISHER)

    def seal(self, hpke_key: bytes, epoch: int = 1, context: JobContext | None = None) -> bytes:
        payload = JobPayload(self.records, self.values, self.salt, self.reply_key or self.reply.public)
        return seal_job(context or self.context, payload, [RecipientKey(ACCOUNT, epoch, hpke_key)])

    def seal_as(self, other: Job, keys: dict[str, Any]) -> bytes:
        """This payload under another job's context, as a dishonest client may send it."""
        return self.seal(keys["hpke_key"], context=other.context)

    def request(self, **changes: Any) -> dict[str, Any]:
        """The `job` map that an honest host sends, with changes."""
        fields = self.context
        return {
            "genesis": fields.genesis,
            "job": fields.job,
            "client": fields.client,
            "model": fields.model,
            "input_commitment": fields.input_commitment,
            "manifest_hash": self.public.manifest_hash,
            "weights_digest": bytes.fromhex(self.public.manifest.weights_digest),
            "publisher": PUBLISHER,
            "setup": DEV_SETUP.encode(),
            "level": "simulated",
            "worker": ACCOUNT,
        } | changes

    def open(self, result: dict[str, Any]) -> OutputPayload:
        fields = self.context
        context = OutputContext(
            fields.genesis,
            fields.job,
            fields.model,
            ACCOUNT,
            fields.input_commitment,
            result["output_commitment"],
        )
        return open_output(context, result["sealed_output"], self.reply)

    def receipt(self, result: dict[str, Any], block: int) -> Receipt:
        fields = self.context
        return Receipt(
            genesis=fields.genesis,
            job=fields.job,
            model=fields.model,
            worker=ACCOUNT,
            weights_digest=bytes.fromhex(self.public.manifest.weights_digest),
            input_commitment=fields.input_commitment,
            output_commitment=result["output_commitment"],
            sealed_output_hash=sha256(result["sealed_output"]),
            proof_hash=sha256(result["proof"]),
            level=Level.SIMULATED,
            setup=DEV_SETUP,
            block=block,
        )

    def but(self, **changes: Any) -> Job:
        return replace(self, **changes)


def begin(host: Host, epoch: int = 1, **changes: Any) -> dict[str, Any]:
    """Begin an epoch as an honest host does."""
    params = {"genesis": GENESIS, "account": ACCOUNT, "epoch": epoch, "block_hash": BLOCK_HASH}
    return host.call("begin_epoch", **(params | changes))
