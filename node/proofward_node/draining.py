"""`proofward worker drain` and `resume`: nothing new is taken, and it is said when it is safe to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from proofward.chain import SubstrateClient
from proofward.chain.pallets import sessions
from proofward.chain.pallets.sessions import SessionRecord
from proofward.errors import ProofwardError
from proofward_node import holding
from proofward_node.chain_port import ChainPort
from proofward_node.choice import only_ours
from proofward_node.config import NodeConfig
from proofward_node.holding import Hold
from proofward_node.journal import HELD, JournalError, peek, select
from proofward_node.ports import ChainDown
from proofward_node.reasons import Code
from proofward_node.status import health

LOOK_SECONDS, MOST_JOBS = 1.0, 4096
"""Between two looks, and open jobs looked at."""


class DrainRefused(ProofwardError):
    """The worker cannot be drained, or not in time. `code` says which."""

    code = "refused"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left. `noticed`: the daemon has seen the hold, so that nothing new comes to it; `waiting` are
    extrinsics that are signed and not settled; `only` are open jobs that nobody but this worker may do;
    `sessions` run, or wait for their windows to end, the last in block `due`.
    """

    noticed: bool
    running: bool
    held: int
    waiting: int
    open_claims: int
    only: int
    sessions: int = 0
    due: int | None = None

    @property
    def safe(self) -> bool:
        """Whether the process, and the enclave with its keys, can end without loss to anybody."""
        settled = self.held == self.waiting == self.open_claims == self.only == self.sessions == 0
        return settled and (self.noticed or not self.running)

    def __str__(self) -> str:
        if not self.noticed and self.running:
            return "the daemon has not looked yet"
        ends = "" if self.due is None else f", the last window due at block {self.due}"
        return (
            f"{max(self.held, self.open_claims)} claims held, {self.waiting} extrinsics on their way, "
            f"{self.only} jobs that only this worker may do, {self.sessions} sessions{ends}"
        )


def drain(
    config: NodeConfig, *, now: bool, seconds: float, progress: Callable[[str], None]
) -> tuple[Hold, Standing]:
    """Hold the worker, and wait until it is safe to stop it.

    Jobs that only this worker may do are still done, since their keys end with its enclave; with `now` they
    are left to be declined, and claims without a proof are handed back. The hold stays until `resume`.

    Raises DrainRefused: timeout (it stays held), not-running while something is left to do; ChainMoved,
    ConfigError.
    """
    code = Code.STOPPING if now else Code.DRAINING
    before = holding.read(config.hold)
    detail = "by `worker drain`"
    if before is not None and before.code is Code.BROKEN_CIRCUIT:
        detail += f"; before that: {before.detail}"
    hold = Hold(code, detail, int(time.time()))
    if not config.worker.data_dir.is_dir():
        raise DrainRefused(
            f"there is no {config.worker.data_dir}: this worker has not run yet", code="not-found"
        )
    try:
        holding.write(config.hold, hold)
    except OSError as error:
        raise DrainRefused(
            f"{config.hold} cannot be written ({error.strerror}); run this as the daemon's account"
        ) from error
    return hold, asyncio.run(_wait(config, hold, seconds, progress))


def resume(config: NodeConfig) -> Hold | None:
    """Take the hold away, whoever put it there; gives it. Raises DrainRefused."""
    hold = holding.read(config.hold)
    try:
        config.hold.unlink(missing_ok=True)
    except OSError as error:
        raise DrainRefused(f"{config.hold} cannot be removed ({error.strerror})") from error
    return hold


async def _wait(config: NodeConfig, hold: Hold, seconds: float, progress: Callable[[str], None]) -> Standing:
    port = ChainPort(config.chain.url, config.signer, None, config.chain.genesis)
    ends, said = time.monotonic() + seconds, ""
    try:
        while True:
            try:
                standing = await _standing(config, port, hold)
            except ChainDown as error:
                text = f"the chain does not answer: {error}"
            else:
                text = str(standing)
                if standing.safe:
                    return standing
                if not standing.running:
                    raise DrainRefused(
                        f"the daemon does not run, and there is left: {text}; start it, it takes nothing new",
                        code="not-running",
                    )
            if text != said:
                progress(text)
                said = text
            if time.monotonic() >= ends:
                raise DrainRefused(
                    f"not safe yet: {text}; the worker stays held, ask again, or give --now", code="timeout"
                )
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await port.close()


async def _standing(config: NodeConfig, port: ChainPort, hold: Hold) -> Standing:
    if not port.connected:
        await port.connect()
    noticed = holding.taken_note_of(_meta(config), hold)
    running = (await health(config)).get("status") != "not running"
    try:
        entries = peek(config.journal)
    except JournalError:
        entries = []
    held = sum(entry.state in HELD for entry in entries)
    record = await port.worker()
    only = 0
    if record is not None and hold.code is Code.DRAINING:
        open_jobs = await port.jobs(await port.open_jobs(MOST_JOBS))
        given_up = {entry.job for entry in entries if entry.outcome is not None}
        head = await port.finalised()
        only = sum(
            only_ours(one, port.account) and one.deadline > head.number and one.id not in given_up
            for one in open_jobs.values()
        )
    found = await port.ask(lambda client: sessions.of_worker(client, port.account))
    due = max(await port.ask(lambda client: _dues(client, found)), default=None)
    claims = 0 if record is None else max(0, record.open_claims - len(found))  # a session counts as one
    return Standing(noticed, running, held, _pending(config), claims, only, len(found), due)


def _dues(client: SubstrateClient, found: list[SessionRecord]) -> list[int]:
    return [one.due for record in found for one in sessions.windows(client, record).values()]


def _meta(config: NodeConfig) -> bytes | None:
    rows = select(config.journal, "SELECT value FROM meta WHERE key = 'hold_seen'")
    return bytes(rows[0][0]) if rows else None


def _pending(config: NodeConfig) -> int:
    rows = select(config.outbox, "SELECT count(*) FROM outbox WHERE state = 'signed'")
    return int(rows[0][0]) if rows else 0
