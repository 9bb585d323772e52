"""Who acts on the simulated chain: workers as the daemon runs them, a client, and somebody hostile."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from proofward.amounts import UNIT
from proofward.chain import Call
from proofward.chain.errors import ChainError, ChainUnreachable
from proofward.chain.outbox import Outbox
from proofward.chain.pallets import jobs as pallet
from proofward.chain.pallets import workers
from proofward.chain.pallets.jobs import JobRecord
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward.protocol import (
    HpkePrivateKey,
    JobContext,
    JobPayload,
    Lane,
    Level,
    RecipientKey,
    seal_job,
    sha256,
)
from proofward.protocol.enclave import EnclaveError
from proofward_node.chain_port import SWEEP_BLOCKS
from proofward_node.choice import Choice
from proofward_node.enclave_link import EnclaveDown
from proofward_node.holding import Holding
from proofward_node.jobs import Jobs
from proofward_node.journal import HELD, Journal
from proofward_node.outgoing import Outgoing
from proofward_node.ports import ChainDown, Head, Sent
from proofward_node.registration import Registration, RegistrationRefused
from proofward_node.serving import Offer, Serving
from tests.node.world import GENESIS, LOADED, MODEL
from tests.simulation.fibers import bridge
from tests.simulation.market import PRICE
from tests.simulation.network import Network, SimulatedClient, simulated_outbox

#: What may happen to a worker, and to everybody.
KINDS = (
    "death", "chain away", "pause", "enclave dies", "disk full", "outbox lost", "outbox old", "journal lost",
    "journal old", "pool lost", "reorganisation", "finality stalls",
)  # fmt: skip
EVERYBODYS = KINDS[-3:]
#: Blocks between two faults of one actor, and the most that one costs.
GAP, MOST = 12, 6
RATE = 0.02
#: Where a chain that is away does not show.
NOT_THE_CHAIN = ("disk", "written", "enclave", "worked")
BLOCK_MS = 1000


class Death(BaseException):
    """SIGKILL, as far as the code under test can tell."""


@dataclass
class World:
    """The clock, the chain and the faults. `on` ends when peace begins."""

    rng: random.Random
    network: Network
    kinds: Sequence[str]
    on: bool = True
    _next: asyncio.Event = field(default_factory=asyncio.Event)
    hits: list[tuple[int, str, str, str]] = field(default_factory=list)
    sealed_to: dict[bytes, dict[bytes, bytes]] = field(default_factory=dict)
    troubles: list[tuple[int, int]] = field(default_factory=list)

    def tick(self) -> None:
        self.network.tick()
        woken, self._next = self._next, asyncio.Event()
        woken.set()

    async def block(self) -> None:
        """Wait for the next block time."""
        await self._next.wait()

    async def blocks(self, count: int) -> None:
        for _ in range(count):
            await self.block()


class Machine(ABC):
    """One actor's machine: what survives its processes, and what befalls them."""

    keeps_copies = False

    def __init__(self, world: World, name: str, folder: Path) -> None:
        self.world, self.name, self.folder = world, name, folder
        self.account = sha256(name.encode())
        folder.mkdir()
        self.last_fault = self.now
        self.away_until = self.full_until = 0
        self.paused_until = 0
        self.troubles: list[tuple[int, int]] = []
        self.dead = False
        self.copies: dict[str, list[Path]] = {}
        self.port: Port | None = None

    @property
    def now(self) -> int:
        return self.world.network.best

    def point(self, where: str) -> None:
        """Something may go wrong here. Raises Death, ChainUnreachable, sqlite3.OperationalError."""
        if self.dead:
            raise Death
        self._suffer(where)
        world = self.world
        if not (world.on and world.kinds) or self.now < self.last_fault + GAP or world.rng.random() >= RATE:
            return
        kind = world.rng.choice(world.kinds)
        self.last_fault = self.now
        world.hits.append((self.now, self.name, kind, where))
        self._befall(kind, world.rng.randrange(1, MOST))
        self._suffer(where)

    def _suffer(self, where: str) -> None:
        if where == "disk" and self.now < self.full_until:
            raise sqlite3.OperationalError("database or disk is full")
        if where not in NOT_THE_CHAIN and self.now < self.away_until:
            raise ChainUnreachable("ws://simulated", "nobody answers")

    def _befall(self, kind: str, blocks: int) -> None:
        network = self.world.network
        whose = self.world if kind in EVERYBODYS else self
        whose.troubles.append((self.now, self.now + blocks))
        match kind:
            case "chain away":
                self.away_until = self.now + blocks
            case "disk full":
                self.full_until = self.now + blocks
            case "pause":
                self.paused_until = self.now + blocks
            case "pool lost":
                network.pool.clear()
            case "reorganisation":
                network.reorganise(blocks)
            case "finality stalls":
                network.stalled = blocks
            case "enclave dies":
                self.enclave_dies()
            case _:
                self._die(kind)

    def _die(self, kind: str) -> None:
        self.dead = True
        self._close()
        what, _, how = kind.partition(" ")
        if how == "lost":
            self._drop(what)
        elif how == "old" and self.copies.get(what):
            self._drop(what)
            shutil.copyfile(self.world.rng.choice(self.copies[what]), self._path(what))
        raise Death

    def enclave_dies(self) -> None:  # noqa: B027 - most machines have none
        """Its enclave loses its keys."""

    @abstractmethod
    async def _process(self) -> None:
        """One process, until something ends it."""

    def _takes(self, error: BaseException) -> bool:
        """Whether a process may end so, though nothing killed it."""
        return False

    def _close(self) -> None:
        """Let go of the files, as the end of a process does."""
        if self.port is not None:
            self.port.outbox._db.close()
            self.port = None

    async def _down(self) -> None:
        """Let go of all that an ended process had."""
        self._close()

    async def live(self) -> None:
        """Start the process again and again, until the simulation ends."""
        while True:
            self.dead = False
            try:
                await self._process()
            except asyncio.CancelledError:
                self.dead = True
                raise
            except BaseException as error:
                if not self._takes(error) and not self.dead:
                    raise
            finally:
                self.dead = True
                await self._down()
            if self.keeps_copies:
                self.back_up()
            await self.world.blocks(self.world.rng.randrange(1, MOST))

    def pending(self) -> int:
        """Extrinsics that the running process has signed and not seen settled."""
        return 0 if self.port is None else len(self.port.outbox.pending())

    def back_up(self) -> None:
        """An operator's copy, taken while the process is down: the database as it is then."""
        for what in ("journal", "outbox"):
            if self._path(what).exists() and self.world.rng.random() < 0.5:
                copies = self.copies.setdefault(what, [])
                copy = self.folder / f"{what}.{len(copies)}"
                with sqlite3.connect(self._path(what)) as source, sqlite3.connect(copy) as target:
                    source.backup(target)
                source.close()
                target.close()
                copies.append(copy)

    def _path(self, what: str) -> Path:
        return self.folder / f"{what}.sqlite"

    def _drop(self, what: str) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._path(what)}{suffix}").unlink(missing_ok=True)

    async def turn(self) -> None:
        """One await: others go on, and a process that is stopped waits."""
        await asyncio.sleep(0)
        while self.now < self.paused_until:
            await self.world.block()

    async def call(self, action: Callable[[], Any]) -> Any:
        """A blocking call, as the chain port makes it on a thread."""

        async def turn() -> None:
            await self.world.block()
            await self.turn()

        try:
            return await bridge(action, turn)
        except (ChainError, OSError) as error:
            raise ChainDown(str(error)) from error


class DiskJournal(Journal):
    """The journal on a machine whose disk may fill, and which may die at each write."""

    point: Callable[[str], None] = staticmethod(lambda where: None)

    @contextmanager
    def _transaction(self, *, lasting: bool = True) -> Iterator[None]:
        self.point("disk")
        with super()._transaction(lasting=lasting):
            yield
        self.point("written")


class Port:
    """`proofward_node.ports.Chain` on a machine."""

    genesis = GENESIS

    def __init__(self, machine: Machine) -> None:
        self.machine, self.account = machine, machine.account
        self.client = SimulatedClient(machine.world.network, machine.point)
        self.outbox = simulated_outbox(Outbox(machine.folder / "outbox.sqlite", self.client), machine.point)
        signer: Any = SimpleNamespace(public_key=self.account, crypto_type=1)
        self._outgoing = Outgoing(self.outbox, signer, machine.call)

    @property
    def _market(self) -> Any:
        return self.machine.world.network.market

    async def _read(self) -> None:
        await self.machine.turn()
        try:
            self.machine.point("read")
        except ChainError as error:
            raise ChainDown(str(error)) from error

    async def finalised(self) -> Head:
        await self._read()
        number = self.machine.world.network.final
        return Head(number, self.machine.world.network.blocks[number].hash, number * BLOCK_MS)

    async def best(self) -> int:
        await self._read()
        return self.machine.world.network.best

    async def job(self, job: bytes) -> JobRecord | None:
        await self._read()
        return self._market.jobs.get(job)  # type: ignore[no-any-return]

    async def jobs(self, jobs: Sequence[bytes]) -> dict[bytes, JobRecord]:
        await self._read()
        return {job: self._market.jobs[job] for job in jobs if job in self._market.jobs}

    async def sealed(self, job: bytes) -> bytes | None:
        await self._read()
        return self._market.sealed.get(job)  # type: ignore[no-any-return]

    async def open_jobs(self, limit: int, after: bytes | None = None) -> list[bytes]:
        await self._read()
        mine = (
            job
            for job, record in self._market.jobs.items()
            if record.is_open and (record.is_for(self.account) or record.claimed_by(self.account))
        )
        return sorted(job for job in mine if after is None or job > after)[:limit]

    async def models(self, ids: Sequence[bytes]) -> list[ModelRecord]:
        return [MODEL] if MODEL.id in ids else []

    async def live_models(self, pairs: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        return [MODEL.id]

    async def judge(self, lane: Lane) -> bytes | None:
        return LOADED.verifier_hash

    async def serving(self) -> dict[bytes, int]:
        await self._read()
        return {model: price for (who, model), price in self._market.serving.items() if who == self.account}

    async def worker(self) -> WorkerRecord | None:
        await self._read()
        return self._market.workers.get(self.account)  # type: ignore[no-any-return]

    async def last_epoch(self) -> int | None:
        record = await self.worker()
        return None if record is None else record.epoch

    async def collateral_missing(self, quote: bytes) -> bool:
        return False

    async def balance(self) -> int:
        await self._read()
        return int(self._market.free[self.account])

    async def send(self, key: str, call: Call) -> Sent:
        return await self._outgoing.send(key, call)

    async def reconcile(self) -> None:
        await self.machine.call(self.outbox.reconcile)

    async def sweep(self) -> None:
        await self.machine.call(self.outbox.sweep)


class Enclave:
    """The enclave's rules about keys: two epochs, one result a job, and a death that erases both."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.generation, self.up = 1, True
        self.quote = b"q"
        self.life = 0
        self.epochs: dict[int, dict[bytes, Any]] = {}
        self._bench = asyncio.Lock()

    @property
    def epoch(self) -> int | None:
        return max(self.epochs, default=None)

    def die(self) -> None:
        self.epochs.clear()
        self.generation += 1
        self.life += 1

    async def call(self, method: str, params: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        life = self.life
        await self.machine.turn()
        self.machine.point("enclave")
        if life != self.life:
            raise EnclaveDown("it was killed")
        if method == "status":
            return {"epoch": self.epoch, "models": [LOADED.manifest_hash]}
        if method == "begin_epoch":
            return self._begin(params["epoch"])
        job, key = params["job"]["job"], self.opened_by(params["envelope"])
        if key is None:
            raise EnclaveError("sealed to keys of another process", code="unknown-epoch")
        worked = self.epochs[key]
        if method == "inspect":
            return {"records": 1, "block": worked[job]["block"] if job in worked else None}
        if job in worked:
            if worked[job]["block"] != params["block"]:
                raise EnclaveError("worked already", code="already-worked")
            return worked[job]  # type: ignore[no-any-return]
        async with self._bench:
            await self.machine.world.blocks(self.machine.world.rng.randrange(3))
            await self.machine.turn()
            if life != self.life or job in worked:
                raise EnclaveDown("it was killed")
            worked[job] = {
                "sealed_output": b"s" + job,
                "output_commitment": answer(job),
                "proof": b"p" + job,
                "receipt_signature": _receipt_key(self.machine.account, self.life, key) + bytes(32),
                "block": params["block"],
                "seconds": {"prove": 0.1},
            }
        self.machine.point("worked")
        return worked[job]  # type: ignore[no-any-return]

    def _begin(self, epoch: int) -> dict[str, Any]:
        self.epochs.setdefault(epoch, {})
        while len(self.epochs) > 2:
            del self.epochs[min(self.epochs)]
        return {
            "hpke_key": hpke_key(self.machine.account, self.life, epoch),
            "receipt_key": _receipt_key(self.machine.account, self.life, epoch),
            "possession": b"p" * 64,
            "quote": self.quote,
            "collateral": None,
        }

    def opened_by(self, envelope: bytes) -> int | None:
        """The epoch whose key the envelope is sealed to, if this process has it."""
        account, wanted = self.machine.account, self.machine.world.sealed_to[sha256(envelope)]
        return next((e for e in self.epochs if hpke_key(account, self.life, e) == wanted.get(account)), None)


def hpke_key(account: bytes, life: int, epoch: int) -> bytes:
    return sha256(b"hpke %d %d " % (life, epoch) + account)


def _receipt_key(account: bytes, life: int, epoch: int) -> bytes:
    return sha256(b"receipt %d %d " % (life, epoch) + account)


def answer(job: bytes) -> bytes:
    """The commitment of the one right output."""
    return sha256(b"answer " + job)


class Worker(Machine):
    """A worker's machine: a daemon that is started again whenever it ends, and an enclave beside it."""

    keeps_copies = True

    def __init__(self, world: World, name: str, folder: Path) -> None:
        super().__init__(world, name, folder)
        self.enclave = Enclave(self)
        self.journal: DiskJournal | None = None
        self.jobs: Jobs | None = None
        self.exits: list[str] = []
        self.hold = folder / "hold.json"

    def enclave_dies(self) -> None:
        self.enclave.die()

    def _takes(self, error: BaseException) -> bool:
        if isinstance(error, sqlite3.Error):
            self.exits.append(str(error))  # exit code 2: the operator frees space and starts it again
            return True
        return False

    def _close(self) -> None:
        if self.journal is not None:
            self.journal.close()
            self.journal = None
        super()._close()

    async def _down(self) -> None:
        await super()._down()
        if self.jobs is not None:
            await self.jobs.abandon()

    async def _process(self) -> None:
        journal = self.journal = DiskJournal(self.folder / "journal.sqlite", GENESIS + self.account)
        journal.sync = "OFF", "OFF"
        journal.point = self.point
        chain = self.port = Port(self)
        jobs = self.jobs = Jobs(chain, self.enclave, journal, Choice(expected_seconds=2.0))
        serving = Serving(chain, Offer(publishers=frozenset({MODEL.publisher}), max_bond=UNIT))
        registration = Registration(chain, self.enclave, journal, "", 150, 60, _no_collateral)
        holding = Holding(self.hold, journal)
        jobs.on_outcome = holding.outcome
        await self._patiently(lambda: self._begin(chain, jobs))
        seen = -1
        while True:
            try:
                head = await chain.finalised()
                if head.number != seen:
                    await holding.apply(jobs, serving)
                    await self._round(head, jobs, serving, registration)
                    seen = head.number
            except ChainDown:
                await self.world.blocks(2)
            else:
                await self.world.block()

    async def _patiently(self, action: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await action()
            except ChainDown:
                await self.world.blocks(2)

    async def _begin(self, chain: Port, jobs: Jobs) -> None:
        await chain.reconcile()
        jobs.reopen()
        await jobs.adopt()

    async def _round(self, head: Head, jobs: Jobs, serving: Serving, registration: Registration) -> None:
        try:
            if head.number % SWEEP_BLOCKS == 0:
                assert self.port is not None
                await self.port.sweep()
            if head.number % 3 == 0 or not jobs.models:
                await serving.refresh([LOADED])
                jobs.serve(serving.models)
            worker = await registration.ensure(head)
            await serving.declare(head)
            await jobs.discover()
            await jobs.run(head, worker, asyncio.Event())
        except (EnclaveDown, EnclaveError, RegistrationRefused):
            pass

    def held(self) -> int:
        return 0 if self.journal is None else len(self.journal.entries(*HELD))


async def _no_collateral(quote: bytes) -> bytes:
    raise RegistrationRefused("there is none")


class Client(Machine):
    """A client: submits as `proofward.Client` does, through the outbox, and expires what was not done."""

    def __init__(self, world: World, name: str, folder: Path, workers: Sequence[bytes], count: int) -> None:
        super().__init__(world, name, folder)
        self.workers, self.count = workers, count
        self.wanted: dict[bytes, Call] = {}

    def _takes(self, error: BaseException) -> bool:
        return isinstance(error, ChainDown | sqlite3.Error)

    async def _process(self) -> None:
        chain = self.port = Port(self)
        await chain.reconcile()
        for call in list(self.wanted.values()):
            await self._hand_in(chain, call)
        while True:
            head = await chain.finalised()
            if len(self.wanted) < self.count:
                another = await self._another(chain, head)
                if another is not None:
                    await self._hand_in(chain, another)
            for job in list(self.wanted):
                record = await chain.job(job)
                if record and record.is_open and (record.deadline < head.number or record.is_exhausted):
                    await chain.send(f"expire:{job.hex()}", pallet.expire(job))
            await self.world.blocks(self.world.rng.randrange(1, 8))

    async def _hand_in(self, chain: Port, call: Call) -> None:
        head = await chain.finalised()
        job = sha256(self.account + call.args["nonce"])
        if await chain.job(job) is None and call.args["deadline"] > head.number + 3:
            await chain.send(f"submit:{job.hex()}", call)

    async def _another(self, chain: Port, head: Head) -> Call | None:
        market, rng = self.world.network.market, self.world.rng
        ready = [one for one in self.workers if (one, MODEL.id) in market.serving]
        if not ready:
            return None
        chosen = rng.sample(ready, rng.randrange(1, len(ready) + 1))
        nonce = b"%s %d" % (self.name.encode(), len(self.wanted))
        job = sha256(self.account + nonce)
        keys = [RecipientKey(one, market.workers[one].epoch, market.workers[one].hpke_key) for one in chosen]
        call = pallet.submit(
            model=MODEL.id, nonce=nonce, sealed=_sealed(self.world, job, self.account, keys),
            input_commitment=b"c" * 32,
            recipients=chosen, price=PRICE, deadline=head.number + rng.choice([70, 150, 300]),
            min_level=Level.SIMULATED, allow_dev_setup=True,
        )  # fmt: skip
        self.wanted[job] = call  # its secrets are on the disk before it is signed
        return call


def _sealed(world: World, job: bytes, client: bytes, keys: Sequence[RecipientKey]) -> bytes:
    """A real envelope, since the node reads the epochs in it; the world keeps to which keys."""
    context = JobContext(GENESIS, job, client, MODEL.id, b"c" * 32)
    reply = HpkePrivateKey.generate().public
    envelope = seal_job(context, JobPayload(1, (1,), b"s" * 32, reply), keys)
    world.sealed_to[sha256(envelope)] = {key.account: key.hpke_key for key in keys}
    return envelope


class Hostile(Machine):
    """A registered worker that claims what it can and does nothing, and puts the others' claims back the
    moment they lapse.
    """

    def point(self, where: str) -> None:
        """Nothing befalls it."""

    async def _process(self) -> None:
        chain, number = Port(self), 0
        head = await chain.finalised()
        quote, keys = b"q", hpke_key(self.account, 0, 1)
        await chain.send("register", workers.register(
            quote=quote, hpke_key=keys, receipt_key=keys, possession=b"p" * 64, epoch=1, block=head.number
        ))  # fmt: skip
        await chain.send("serve", workers.serve(MODEL.id, 0))
        while True:
            number += 1
            await self.world.blocks(self.world.rng.randrange(1, 12))
            head = await chain.finalised()
            for job, record in list(self.world.network.market.jobs.items()):
                with suppress(ChainDown):
                    if record.claim and record.claim.lapses_at < head.number:
                        await chain.send(f"{number}:lapse:{job.hex()}", pallet.lapse(job))
                    elif record.is_open and record.claim is None and self.account in record.recipients:
                        await chain.send(f"{number}:claim:{job.hex()}", pallet.claim(job, UNIT))
