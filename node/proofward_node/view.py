"""What an operator looks at, in one value: the same for the page at the worker's port and for the console.

Read from the chain, the journal and the diary; nothing is changed by looking. JSON-ready throughout.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from proofward.amounts import UNIT
from proofward.chain import accounts
from proofward.chain.pallets.jobs import Accepted, JobRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward_node import diary, holding
from proofward_node.chain_port import ChainPort
from proofward_node.config import NodeConfig
from proofward_node.journal import HELD, Entry, JournalError, peek
from proofward_node.ports import ChainDown, Head
from proofward_node.status import health

CLAIMS, OUTCOMES, LINES = 16, 12, 20
"""Lines shown of each kind."""
FRESH_SECONDS = 2.0
"""A view is not made anew more often than this, however often it is asked for."""
BACK_SECONDS = 6 * 3600
"""How far the lines reach back."""


class Reads(Protocol):
    """What the view needs of the chain: a part of `proofward_node.chain_port.ChainPort`."""

    @property
    def account(self) -> bytes:
        """The worker's account."""

    async def finalised(self) -> Head:
        """The finalised head."""

    async def best(self) -> int:
        """The newest block's number."""
        ...

    async def worker(self) -> WorkerRecord | None:
        """The worker's record."""

    async def balance(self) -> int:
        """What the account can spend."""
        ...

    async def serving(self) -> dict[bytes, int]:
        """The models that are served."""
        ...

    async def jobs(self, jobs: list[bytes]) -> dict[bytes, JobRecord]:
        """Records of some jobs."""
        ...


@dataclass
class View:
    """Makes views for a configuration over a chain; `tcb` gives the days that the platform's TCB counts."""

    config: NodeConfig
    chain: Reads
    daemon: Callable[[], dict[str, Any]] | None = None
    tcb: Callable[[], float | None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    _made: tuple[float, dict[str, Any]] | None = None
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> dict[str, Any]:
        """The view, at most two seconds old."""
        async with self._making:
            if self._made is None or self.clock() - self._made[0] >= FRESH_SECONDS:
                self._made = (self.clock(), await self._look())
            return self._made[1]

    async def _look(self) -> dict[str, Any]:
        now = time.time()
        entries = await asyncio.to_thread(_entries, self.config)
        pages = await asyncio.to_thread(diary.read, self.config.diary, now - BACK_SECONDS)
        hold = holding.read(self.config.hold)
        left = self.tcb()
        view: dict[str, Any] = {
            "account": accounts.ss58(self.chain.account),
            "made_at": int(now),
            "daemon": self.daemon() if self.daemon is not None else await health(self.config),
            "hold": None if hold is None else str(hold.reason),
            "tcb_days_left": None if left is None or left != left or left == float("inf") else round(left, 1),
            "log": _lines(pages),
        }
        try:
            return view | await self._chain(entries) | {"chain": "answers"}
        except ChainDown as error:
            return view | {
                "chain": str(error),
                "claims": _without_chain(entries),
                "outcomes": _ended(entries, {}),
            }

    async def _chain(self, entries: list[Entry]) -> dict[str, Any]:
        head, best = await self.chain.finalised(), await self.chain.best()
        record, balance = await self.chain.worker(), await self.chain.balance()
        done = [entry for entry in entries if entry.outcome is not None][-OUTCOMES:]
        held = [entry for entry in entries if entry.state in HELD][:CLAIMS]
        records = await self.chain.jobs([entry.job for entry in (*held, *done)])
        mine = [
            one.price for one in records.values()
            if isinstance(one.status, Accepted) and one.status.worker == self.chain.account
        ]  # fmt: skip
        return {
            "head": {
                "number": head.number,
                "hash": f"0x{head.hash.hex()}",
                "lag": max(0, best - head.number),
            },
            "registration": None if record is None else _registration(record, head),
            "serves": {
                f"0x{model.hex()}": _unit(price) for model, price in (await self.chain.serving()).items()
            },
            "money": {
                "free": _unit(balance),
                "stake": _unit(0 if record is None else record.stake),
                "bonds": _unit(sum(one.claim.bond for one in records.values() if one.claim is not None)),
                "earned_by_last_outcomes": _unit(sum(mine)),
            },
            "claims": [_claim(entry, records.get(entry.job), head) for entry in held],
            "outcomes": _ended(done, records),
        }


def _registration(record: WorkerRecord, head: Head) -> dict[str, Any]:
    tally = record.tally
    return {
        "level": record.level.label,
        "epoch": record.epoch,
        "measurement": f"0x{record.measurement.hex()}",
        "ends_in_seconds": (record.expires_at - head.time_ms) // 1000,
        "working": record.working,
        "endpoint": record.endpoint,
        "tally": {
            "accepted": tally.accepted, "rejected": tally.rejected, "lapsed": tally.lapsed,
            "released": tally.released, "declined": tally.declined,
        },
    }  # fmt: skip


def _claim(entry: Entry, record: JobRecord | None, head: Head) -> dict[str, Any]:
    claim = None if record is None else record.claim
    return {
        "job": f"0x{entry.job.hex()}",
        "model": f"0x{entry.model.hex()}",
        "state": entry.state.value,
        "blocks_left": None if claim is None else claim.lapses_at - head.number,
    }


def _without_chain(entries: list[Entry]) -> list[dict[str, Any]]:
    return [
        {
            "job": f"0x{one.job.hex()}",
            "model": f"0x{one.model.hex()}",
            "state": one.state.value,
            "blocks_left": None,
        }
        for one in entries
        if one.state in HELD
    ][:CLAIMS]


def _ended(entries: list[Entry], records: dict[bytes, JobRecord]) -> list[dict[str, Any]]:
    found = []
    for entry in [one for one in entries if one.outcome is not None][-OUTCOMES:]:
        record = records.get(entry.job)
        found.append(
            {
                "job": f"0x{entry.job.hex()}",
                "outcome": entry.outcome,
                "at": int(entry.updated),
                "price": None if record is None else _unit(record.price),
            }
        )
    return found[::-1]


def _lines(pages: diary.Pages) -> list[dict[str, Any]]:
    """The diary's newest lines, newest first."""
    lines = [
        (note.at, f"job 0x{note.job.hex()[:16]}", note.reason, note.block) for note in pages.notes[-LINES:]
    ]
    lines += [(one.began, "worker", one.reason, one.block) for one in pages.stretches[-LINES:]]
    lines.sort(key=lambda line: line[0], reverse=True)
    return [
        {"at": int(at), "of": of, "code": str(reason.code), "text": str(reason), "block": block}
        for at, of, reason, block in lines[:LINES]
    ]


def _entries(config: NodeConfig) -> list[Entry]:
    try:
        return peek(config.journal, OUTCOMES)
    except (JournalError, sqlite3.Error):
        return []


def _unit(plancks: int) -> str:
    return f"{plancks / UNIT:.4f}"


async def looked(config: NodeConfig, port: ChainPort) -> dict[str, Any]:
    """A view from the files and the chain alone, for a console beside a daemon whose page does not answer."""
    try:
        if not port.connected:
            await port.connect()
    except ChainDown:
        pass  # the view says so: its reads fail as well
    return await View(config, port).look()
