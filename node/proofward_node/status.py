"""What `proofward worker status` shows: the journal, the chain's record and the daemon's own health."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Any

import aiohttp

from proofward_node import diary, holding, replies
from proofward_node.chain_port import ChainPort
from proofward_node.config import ConfigError, NodeConfig
from proofward_node.enclave_link import EnclaveDown, enclave_of
from proofward_node.journal import HELD, JournalError, in_use, peek
from proofward_node.ports import ChainDown

RECENT = 10
"""Last jobs shown."""


async def health(config: NodeConfig) -> dict[str, Any]:
    """What the daemon says of itself at its port, or, without one, what its lock and its diary say of it.

    `status` is "ok", "degraded" or "running", "not running", or "unknown" where nobody can tell.
    """
    said = await _asked(config)
    if said is not None:
        return said
    running = in_use(config.journal)
    found: dict[str, Any] = {
        "status": {True: "running", False: "not running", None: "unknown"}[running],
        "port": "no answer" if config.http.enabled and config.http.port else "not asked: none is set",
    }
    last = diary.read(config.diary, since=0.0).stretches[-1:]
    if last:
        (stretch,) = last
        found |= {"at": str(stretch.reason), "block": stretch.last_block, "since": int(stretch.began)}
    return found


async def _asked(config: NodeConfig) -> dict[str, Any] | None:
    if not config.http.enabled or config.http.port == 0:
        return None
    url = f"http://{config.http.host}:{config.http.port}/healthz"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session,
            session.get(url) as reply,
        ):
            return dict(json.loads((await replies.body(reply, 4096)).decode()))
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None


def _journal(config: NodeConfig) -> dict[str, Any]:
    try:
        entries = peek(config.journal)
    except JournalError as error:
        return {"error": str(error)}
    return {
        "held": [entry.job.hex() for entry in entries if entry.state in HELD],
        "recent": [
            {
                "job": entry.job.hex(),
                "state": entry.state.value,
                "outcome": entry.outcome,
                "attempts": entry.attempt,
            }
            for entry in entries[-RECENT:]
        ],
        "jobs": len(entries),
    }


async def _chain(config: NodeConfig) -> dict[str, Any]:
    port = ChainPort(config.chain.url, config.signer, None, config.chain.genesis)
    try:
        await port.connect()
        record = await port.worker()
        found: dict[str, Any] = {
            "account": port.account.hex(),
            "balance": await port.balance(),
            "registered": record is not None,
        }
        if record is not None:
            head = await port.finalised()
            found |= {
                "level": record.level.label,
                "epoch": record.epoch,
                "measurement": record.measurement.hex(),
                "expires_in_seconds": (record.expires_at - head.time_ms) // 1000,
                "open_claims": record.open_claims,
                "tally": asdict(record.tally),
                "serves": {f"0x{model.hex()}": price for model, price in (await port.serving()).items()},
                "retired_at": record.retired_at,
                "banned": record.banned,
            }
        return found
    except ChainDown as error:
        return {"error": str(error)}
    finally:
        await port.close()


def enclave_measurement(config: NodeConfig) -> bytes:
    """The measurement that the configured enclave will register with; an enclave is started for the
    question if none runs.

    Raises ConfigError: it does not start, or its measurement is only in its quotes (hardware).
    """

    async def ask() -> bytes | None:
        async with enclave_of(config) as enclave:
            found = (await enclave.status()).get("measurement")
            return found if isinstance(found, bytes) else None

    try:
        measurement = asyncio.run(ask())
    except EnclaveDown as error:
        raise ConfigError(f"the enclave cannot be asked for its measurement: {error}") from error
    if measurement is None:
        raise ConfigError(
            f"a {config.enclave.provider} enclave's measurement is in its quotes; compute it from the "
            "image and give it by hand"
        )
    return measurement


def status(config: NodeConfig) -> dict[str, Any]:
    """Everything, as JSON-ready values. Raises ChainMoved, ConfigError."""

    async def collect() -> dict[str, Any]:
        daemon, chain = await asyncio.gather(health(config), _chain(config))
        hold = holding.read(config.hold)
        held = (
            {}
            if hold is None
            else {"hold": {"code": str(hold.code), "detail": hold.detail, "since": hold.since}}
        )
        return {"daemon": daemon, "journal": _journal(config), "chain": chain, **held}

    return asyncio.run(collect())
