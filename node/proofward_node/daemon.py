"""`proofward worker run`: puts the parts together and keeps them going until SIGTERM or SIGINT.

Exit codes: 0 stopped cleanly, 1 another process works this account, 2 the configuration or the journal cannot
be used, 75 the disk is full or fails: start again when it has room. An unreachable chain and a dead enclave
are reported and tried again for as long as it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from proofward.amounts import UNIT
from proofward.attestation import AttestationError
from proofward.chain import FinalityWatch
from proofward.chain.pallets import sessions
from proofward.chain.pallets.sessions import Terms
from proofward.chain.pallets.workers import WorkerRecord
from proofward.database import DiskFailed, blame_disk, by_disk
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.sessions import PARTS
from proofward_node import log as node_log
from proofward_node import tcb
from proofward_node.artefacts import PublicArtefacts
from proofward_node.chain_port import SWEEP_BLOCKS, ChainPort
from proofward_node.choice import Choice
from proofward_node.config import ConfigError, NodeConfig, SessionsConfig, load
from proofward_node.diary import Diary
from proofward_node.enclave_link import (
    BACKOFF_MAX_SECONDS,
    EnclaveDown,
    EnclaveImpossible,
    EnclaveLink,
    LoadedModel,
    artefacts,
    enclave_command,
)
from proofward_node.holding import Holding
from proofward_node.jobs import Jobs
from proofward_node.journal import HELD, Journal, JournalError, State
from proofward_node.metrics import HttpServer, Metrics
from proofward_node.page import Page
from proofward_node.ports import ChainDown, ChainMoved, Head
from proofward_node.reasons import Code, Reason
from proofward_node.registration import Registration, RegistrationRefused, RivalWorker
from proofward_node.serving import Offer, Serving
from proofward_node.session_door import SessionDoor
from proofward_node.session_journal import SessionJournal
from proofward_node.sessions import SessionPolicy, Sessions, withdraw_offer
from proofward_node.view import View

log = structlog.get_logger("proofward_node")

MODELS_EVERY_BLOCKS = 3
"""How often the published models are read again, in blocks."""
REFUSED_PAUSE_SECONDS = 15.0
REFUSED_PAUSE_MAX_SECONDS = 900.0
"""Pause after the chain or the enclave refused the registration; it doubles while they go on refusing."""
ENCLAVE_SECONDS = 15.0
ENCLAVE_LOOK_SECONDS = 0.1
"""How long a start waits for the enclave before it hands back the claims that need one, and how often it
looks.
"""
ROUND_SHARE = 0.2
"""Part of a block time that passes between two rounds, however many blocks come."""
HAND_BACK_SECONDS = 10.0
"""After the time for finishing is over: how long handing the claim back may take."""
TCB_SECONDS = 3600.0
"""How often the platform's TCB is judged anew."""
WATCH_SECONDS = 15.0
"""How often chain and enclave are looked at beside the work, so that a long job does not look like a fault.
"""

PASSING = 75
"""The exit code of a fault that may pass: `EX_TEMPFAIL` of sysexits.h."""

_REFUSALS = {"TcbNotAllowed": Code.TCB, "MeasurementNotAllowed": Code.MEASUREMENT}
"""What some refusals of a registration mean."""


def run(path: Path) -> int:
    """Run the worker of a configuration file until a signal stops it; returns the exit code."""
    try:
        config = load(path)
    except ConfigError as error:
        node_log.configure()
        log.error("config-refused", message=str(error))
        return 2
    node_log.configure(config.log.level)
    try:
        return asyncio.run(_main(config))
    except (JournalError, ChainMoved, ConfigError) as error:
        log.error("cannot-start", message=str(error))
        return 2
    except RivalWorker as error:
        log.error("stopped", message=str(error))
        return 1
    except DiskFailed as error:
        log.error("disk-failed", message=error.message)
        return PASSING
    except sqlite3.Error as error:
        log.error(
            "disk-failed",
            message=f"journal or outbox in {config.worker.data_dir} cannot be used ({error}): free space or "
            "mend the permissions, and start again; what was written down goes on",
        )
        return PASSING if by_disk(error) else 2


async def _main(config: NodeConfig) -> int:
    chain = ChainPort(config.chain.url, config.signer, config.outbox, config.chain.genesis)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics, shown, page = Metrics(), PublicArtefacts(), Page(config.http.host)
    door = SessionDoor()
    http = None
    if config.http.enabled:
        http = HttpServer(metrics, config.http.host, config.http.port, shown, page, door)
    if http is not None:
        try:
            port = await http.start()
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            hint = "does this worker run already (`proofward worker status`)? Else " if taken else ""
            raise ConfigError(
                f"cannot listen on {config.http.host}:{config.http.port} ({error.strerror}): {hint}set "
                "http.port, or 0 for a free one"
            ) from error
        log.info("http-listening", host=config.http.host, port=port)
    try:
        _make_data_dir(config.worker.data_dir)
        if not config.enclave.models.is_dir():
            raise ConfigError(
                f"enclave.models {config.enclave.models} is no folder: make it, or name the artefacts' one"
            )
        node = await _connect(config, chain, metrics, stop)
        if node is not None:
            node.shown = shown
            page.view = View(config, chain, metrics.said, lambda: metrics.tcb._value.get())
            door.host = node.sessions
            await node.run(stop)
    finally:
        await chain.close()
        if http is not None:
            await http.stop()
    log.info("stopped")
    return 0


def _make_data_dir(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        blame_disk(error, path)
        raise ConfigError(
            f"worker.data_dir {path} cannot be used ({error.strerror}); give a folder that this account may "
            "write"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"worker.data_dir {path} cannot be written by this account; mend its permissions")


async def _connect(
    config: NodeConfig, chain: ChainPort, metrics: Metrics, stop: asyncio.Event
) -> Daemon | None:
    async def connected() -> bool:
        await chain.connect()
        return True

    if await _until(connected, metrics, config.chain.retry_seconds, stop) is None:
        return None
    journal = Journal(config.journal, chain.genesis + chain.account)
    command = (
        enclave_command(
            config.socket,
            config.enclave.provider,
            config.enclave.models,
            None if config.sessions is None else config.sessions.memory_mebibytes,
            config.kept_keys,
        )
        if config.enclave.spawn
        else None
    )
    enclave = EnclaveLink(config.socket, command, config.enclave.restart_backoff_seconds)
    return Daemon(config, chain, journal, enclave, metrics)


async def _until(
    action: Callable[[], Awaitable[bool]], metrics: Metrics, pause: float, stop: asyncio.Event
) -> bool | None:
    """Try until it works or `stop` is set (then None)."""
    while not stop.is_set():
        try:
            return await action()
        except ChainDown as error:
            metrics.lost_chain()
            log.error("chain-failed", message=str(error), retry_seconds=pause)
            await _pause(stop, pause)
    return None


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


@dataclass
class Daemon:
    """The running worker."""

    config: NodeConfig
    chain: ChainPort
    journal: Journal
    enclave: EnclaveLink
    metrics: Metrics
    jobs: Jobs = field(init=False)
    serving: Serving = field(init=False)
    registration: Registration = field(init=False)
    finality: FinalityWatch = field(init=False)
    sessions: Sessions | None = field(init=False, default=None)
    watch_seconds: float = WATCH_SECONDS
    shown: PublicArtefacts = field(default_factory=PublicArtefacts)
    _generation: int = 0
    _loaded: list[LoadedModel] = field(default_factory=list)
    _folders: list[Path] = field(default_factory=list)
    _models_at: int = -MODELS_EVERY_BLOCKS
    _quiet_until: float = 0.0
    _refused: int = 0
    _refusal: Reason | None = None
    _tcb_at: float = -TCB_SECONDS
    _never: asyncio.Event = field(default_factory=asyncio.Event)
    _impossible: ConfigError | None = None
    _head: Head | None = None
    diary: Diary = field(init=False)
    holding: Holding = field(init=False)

    def __post_init__(self) -> None:
        worker, enclave = self.config.worker, self.config.enclave
        self.finality = FinalityWatch(
            blocks=self.config.chain.stall_blocks, seconds=self.config.chain.stall_seconds
        )
        self.diary = Diary(self.config.diary)
        self.holding = Holding(self.config.hold, self.journal)
        self.jobs = Jobs(
            self.chain,
            self.enclave,
            self.journal,
            Choice(
                worker.min_price,
                worker.max_bond,
                self.config.chain.block_seconds,
                worker.expected_seconds,
                worker.margin_blocks,
                enclave.work_timeout_seconds,
                keeps_keys=enclave.keep_keys,
            ),
            on_outcome=self._outcome,
            on_reason=lambda job, reason: self.diary.note(job, reason, self._head),
            on_seconds=lambda stage, seconds: self.metrics.stage.labels(stage).observe(seconds),
        )
        offer = Offer(
            frozenset(worker.publishers), frozenset(worker.models), worker.min_price, worker.max_bond
        )
        if offer.empty:
            log.warning(
                "serves-nothing",
                message="worker.publishers and worker.models name nobody, so no job will be taken; name the "
                "publishers or the models that you trust",
            )
        self.serving = Serving(self.chain, offer)
        if (told := self.config.sessions) is not None:
            terms = Terms(
                told.price,
                told.bond,
                told.capacity,
                round(told.most_sampled_percent * PARTS / 100),
                told.least_window_blocks,
            )
            self.sessions = self._keeper(told, terms)
        self.registration = Registration(
            self.chain,
            self.enclave,
            self.journal,
            worker.endpoint,
            worker.epoch_seconds,
            worker.renew_before_seconds,
            lambda quote: self.chain.fetch_collateral(quote, enclave.pccs_url),
            fresh_keys=self.config.sessions is not None,
        )

    def _keeper(self, told: SessionsConfig, terms: Terms | None) -> Sessions:
        policy = SessionPolicy(
            terms,
            told.checkpoint_blocks,
            told.checkpoint_pages,
            told.proofs_at_once,
            told.voucher_blocks,
        )
        journal = SessionJournal(self.config.session_journal)
        return Sessions(
            self.chain,
            self.config.socket,
            journal,
            policy,
            self.metrics,
            self.holding.outcome,
            self.diary.note,
        )

    async def _without_sessions(self) -> None:
        """No [sessions]: what was offered before is taken back, and what runs comes to its end."""
        if any([await withdraw_offer(self.chain, model) for model in await self.chain.serving()]):
            log.info(
                "sessions-withdrawn", message="the configuration has no [sessions]: their offers are gone"
            )
        if await self.chain.ask(lambda client: sessions.of_worker(client, self.chain.account)):
            self.sessions = self._keeper(SessionsConfig(price=1), None)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then finish or hand back the claims within `worker.shutdown_seconds`, and stop
        the enclave.
        """
        enclave_stop = asyncio.Event()
        supervisor = asyncio.create_task(self._kept("supervisor", self._supervise, enclave_stop))
        rounds = asyncio.create_task(self._rounds(stop))
        watch = asyncio.create_task(self._kept("watch", self._watch, enclave_stop))
        try:
            stopped = asyncio.create_task(stop.wait())
            never = asyncio.create_task(self._never.wait())
            await asyncio.wait({rounds, stopped, never}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            never.cancel()
            if stop.is_set():
                log.info("stopping", within_seconds=self.config.worker.shutdown_seconds)
                await self._finish(rounds)
            if rounds.done():
                rounds.result()
            rounds.cancel()
            await asyncio.wait({rounds})
            await self._hand_back(stop)
            if self._impossible is not None:
                raise self._impossible
        finally:
            enclave_stop.set()
            rounds.cancel()
            await asyncio.wait({supervisor, rounds, watch})
            await self.jobs.abandon()
            if self.sessions is not None:
                await self.sessions.abandon()
            await self.enclave.stop()
            self.diary.close()
            self.journal.close()

    async def _finish(self, rounds: asyncio.Task[None]) -> None:
        """Let what is under way come to its end, within the time for it."""
        seconds = float(self.config.worker.shutdown_seconds)
        began = time.monotonic()
        await asyncio.wait({rounds}, timeout=seconds)
        await self.jobs.drain(max(0.0, seconds - (time.monotonic() - began)))

    async def _kept(
        self, name: str, task: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event
    ) -> None:
        """A task that ends with `stop` alone: without the one no enclave is started any more, without the
        other `/healthz` stays at its last word.
        """
        pause = self.config.enclave.restart_backoff_seconds
        while not stop.is_set():
            try:
                return await task(stop)
            except Exception:
                log.exception("task-failed", task=name, retry_seconds=pause)
                await _pause(stop, pause)

    async def _supervise(self, stop: asyncio.Event) -> None:
        pause = self.config.enclave.restart_backoff_seconds
        while not stop.is_set():
            try:
                await self.enclave.start()
                break
            except EnclaveImpossible as error:
                self._impossible = ConfigError(str(error))
                self._never.set()
                return
            except (EnclaveDown, OSError) as error:
                log.error("enclave-start-failed", message=str(error))
                await _pause(stop, pause)
                pause = min(pause * 2, BACKOFF_MAX_SECONDS)
        await self.enclave.supervise(stop)

    async def _watch(self, stop: asyncio.Event) -> None:
        """Keep what `/healthz` and the gauges say true while a job takes long."""
        while not stop.is_set():
            await _pause(stop, self.watch_seconds)
            try:
                await self._look()
                if self.jobs.stalled is not None:
                    self.diary.state(self.jobs.stalled, self._head)
            except ChainDown as error:
                self.metrics.lost_chain()
                self.diary.state(Reason(Code.CHAIN_AWAY, str(error)), self._head)
            self._gauges()
            await self._judge_tcb()

    async def _judge_tcb(self) -> None:
        """Once an hour, as `worker tcb` does; what cannot be judged now is tried again in an hour."""
        if time.monotonic() - self._tcb_at < TCB_SECONDS:
            return
        try:
            attested = await self.chain.attested()
            if attested is None:
                return
            self._tcb_at = time.monotonic()
            report = await tcb.judged(self.config, attested, None, {}, "the chain holds none")
        except (ChainDown, AttestationError) as error:
            log.warning("tcb-unknown", message=str(error))
            return
        self.metrics.tcb.set(math.inf if report.days_left is None else report.days_left)
        if attested.collateral_until is not None:
            self.metrics.collateral.set((attested.collateral_until - attested.now) / tcb.DAY)
        log.info("tcb", verdict=str(report.verdict), days_left=report.days_left)

    async def _hand_back(self, stop: asyncio.Event) -> None:
        entries = self.jobs.hand_back()
        if not entries:
            return
        try:
            async with asyncio.timeout(HAND_BACK_SECONDS):
                worker = await self.chain.worker()
                if worker is not None:
                    await self.jobs.run(await self.chain.finalised(), worker, stop)
        except (ChainDown, TimeoutError) as error:
            jobs = [entry.job.hex() for entry in entries]
            log.error("hand-back-failed", jobs=jobs, message=str(error) or "no answer in time")

    # rounds ---------------------------------------------------------------------------------------

    async def _rounds(self, stop: asyncio.Event) -> None:
        pause = self.config.chain.retry_seconds
        if await _until(lambda: self._begin(stop), self.metrics, pause, stop) is None:
            return
        seen: Head | None = None
        while not stop.is_set():
            try:
                head = self._head = await self._look()
                if seen is None or head.number != seen.number:
                    await self._round(head, stop)
                    self.diary.state(self._state(), head)
                    seen = head
                elif self.jobs.stalled is not None:
                    self.diary.state(self.jobs.stalled, head)
            except ChainDown as error:
                self.metrics.lost_chain()
                self.diary.state(Reason(Code.CHAIN_AWAY, str(error)), self._head)
                log.error("chain-failed", message=str(error), retry_seconds=pause)
                await _pause(stop, pause)
            else:
                # a chain that makes a block of each extrinsic would have us look at every one of them
                await _pause(stop, self.config.chain.block_seconds * ROUND_SHARE)
                await self._news(stop)

    async def _look(self) -> Head:
        """The finalised head. While finality stalls no job is claimed, and the log, `/healthz` and a gauge
        say so.
        """
        head = await self.chain.finalised()
        finality = self.finality.saw(head.number, await self.chain.best())
        self.metrics.saw_finality(finality)
        if finality.stalled and self.jobs.stalled is None:
            log.error("finality-stalled", finalised=head.number, lag=finality.lag, message=finality.reason)
        elif self.jobs.stalled is not None and not finality.stalled:
            log.info("finality-resumed", finalised=head.number, lag=finality.lag)
        self.jobs.stalled = None if finality.reason is None else Reason(Code.CHAIN_STALLED, finality.reason)
        return head

    async def _news(self, stop: asyncio.Event) -> None:
        """Wait for a new head, or for `stop`; a head that nobody told of is looked for once a block."""
        waits = [
            asyncio.create_task(self.chain.news(self.config.chain.block_seconds)),
            asyncio.create_task(stop.wait()),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _begin(self, stop: asyncio.Event) -> bool:
        await self.chain.reconcile()
        self.jobs.reopen()
        await self.jobs.adopt()
        if self.sessions is None:
            await self._without_sessions()
        for _ in range(round(ENCLAVE_SECONDS / ENCLAVE_LOOK_SECONDS)):
            if self.enclave.up or stop.is_set():
                break
            await _pause(stop, ENCLAVE_LOOK_SECONDS)
        return True

    async def _round(self, head: Head, stop: asyncio.Event) -> None:
        """One finalised block: registration and models are seen to, and jobs set going. What they wait for
        goes on beside the rounds.
        """
        hold = await self.holding.apply(self.jobs, self.serving)
        if head.number % SWEEP_BLOCKS == 0:
            await self.chain.sweep()
        self._gauges()
        if self.sessions is not None:
            self.sessions.closing = hold is not None and hold.code is not Code.BROKEN_CIRCUIT
            await self.sessions.step(head)
        held = self.jobs.bound
        if not self.enclave.up and not held:
            return
        try:
            await self._refresh_models(head)
            worker = await self._registered(head)
            if worker is None and held:  # what is held comes to its end in any case
                worker = await self.chain.worker()
            if worker is None:
                return
            self._show(worker, head)
            await self.serving.declare(head)
            if self.sessions is not None:
                await self.sessions.offer(head, self.serving.models)
            await self.jobs.discover()
            await self.jobs.start(head, worker, stop)
        except (EnclaveDown, EnclaveError) as error:
            log.error("enclave-failed", message=str(error))
            if held and (worker := await self.chain.worker()) is not None:
                await self.jobs.start(head, worker, stop)

    async def _registered(self, head: Head) -> WorkerRecord | None:
        if time.monotonic() < self._quiet_until:
            return None
        try:
            record = await self.registration.ensure(head)
            self._refused, self._refusal = 0, None
            return record
        except RegistrationRefused as error:
            self.metrics.registered.set(0)
            pause = min(REFUSED_PAUSE_SECONDS * 2 ** min(self._refused, 16), REFUSED_PAUSE_MAX_SECONDS)
            self._refused += 1
            self._refusal = Reason(
                _REFUSALS.get(error.error or "", Code.REGISTRATION), error.error or error.message
            )
            self._quiet_until = time.monotonic() + pause
            log.error("registration-refused", message=str(error), retry_seconds=pause)
            return None

    async def _refresh_models(self, head: Head) -> None:
        if (
            head.number - self._models_at < MODELS_EVERY_BLOCKS
            and self.enclave.generation == self._generation
        ):
            return
        if self.enclave.up:
            folders = artefacts(self.config.enclave.models)
            held = set((await self.enclave.status()).get("models", ()))
            if folders != self._folders or not {model.manifest_hash for model in self._loaded} <= held:
                self._loaded = await self.enclave.load_models(folders)
                self._folders = folders
                await asyncio.to_thread(self.shown.show, folders)
            self._generation = self.enclave.generation
        await self.serving.refresh(self._loaded)
        self.jobs.serve(self.serving.models, self.serving.left)
        self._models_at = head.number
        self.metrics.balance.set(await self.chain.balance() / UNIT)

    def _outcome(self, name: str) -> None:
        self.metrics.outcome(name)
        self.holding.outcome(name)

    def _state(self) -> Reason:
        """What the worker is at after a round: the first thing that keeps it from work, or the work."""
        if self.jobs.stalled is not None:
            return self.jobs.stalled
        if not self.enclave.up:
            return Reason(Code.ENCLAVE_DOWN)
        if self._refusal is not None:
            return self._refusal
        if self.jobs.closed is not None:
            return self.jobs.closed
        if held := len(self.journal.entries(*HELD)):
            return Reason(Code.WORKING, f"{held} claims")
        if looked_into := self.jobs.looked_into:
            return Reason(Code.WORKING, f"{looked_into} jobs looked into")
        if not self.jobs.models:
            return Reason(Code.NO_MODELS)
        if left := len(self.journal.entries(State.SEEN, State.INSPECTED)):
            return Reason(Code.WAITING, f"{left} jobs")
        return Reason(Code.NO_JOBS)

    def _gauges(self) -> None:
        self.metrics.enclave_up.set(int(self.enclave.up))
        self.metrics.enclave_restarts.set(self.enclave.restarts)
        self.metrics.claims.set(len(self.journal.entries(*HELD)))
        self.metrics.chain_calls.set(self.chain.calls)
        self.metrics.models.set(len(self.jobs.models))
        self.metrics.hold(self.jobs.closed)

    def _show(self, worker: WorkerRecord, head: Head) -> None:
        left = (worker.expires_at - head.time_ms) / 1000
        self.metrics.registered.set(int(left > 0))
        self.metrics.expires.set(left)
        self.metrics.epoch.set(worker.epoch)
