"""Models in this trust domain: a process each, measured at load or known by proofs, and watched."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

from proofward.aci.documents import DIGEST
from proofward.processes import from_sources
from proofward_enclave import log
from proofward_gateway.channel import GatewayError, Origin
from proofward_gateway.config import STARTED, Config, UpstreamConfig

_LOAD_SECONDS: Final = 900
_STOP_SECONDS: Final = 5
_LONGEST_LINE: Final = 4096


@asynccontextmanager
async def with_models(config: Config, died: Callable[[], None]) -> AsyncIterator[Config]:
    """The configuration with its models running: their ports, and the digests of what they have loaded.

    `died` is called when a model ends before the gateway. Raises GatewayError(model-failed).
    """
    async with AsyncExitStack() as stack:
        yield replace(
            config,
            upstreams=tuple(
                [
                    await stack.enter_async_context(_running(one, config, died))
                    if one.kind in STARTED
                    else one
                    for one in config.upstreams
                ]
            ),
        )


@asynccontextmanager
async def _running(
    one: UpstreamConfig, config: Config, died: Callable[[], None]
) -> AsyncIterator[UpstreamConfig]:
    log.info("model-loading", upstream=one.name)
    process = await asyncio.create_subprocess_exec(
        *from_sources("-m", *_command(one, config)),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LONGEST_LINE,
    )  # fmt: skip
    try:
        port, digest = await _ready(process, one)
        log.info("model-ready", upstream=one.name, weights=digest)
        watch = asyncio.create_task(_watch(process, one, died))
        try:
            yield replace(one, origin=Origin("http", "127.0.0.1", port), digest=digest)
        finally:
            watch.cancel()
    finally:
        await _end(process)


def _command(one: UpstreamConfig, config: Config) -> list[str]:
    """The module that serves an upstream, and its arguments."""
    if one.proved is None:
        return ["proofward_gateway.model", str(one.weights), one.models[0]]
    what, bond = one.proved, config.bond
    assert bond is not None  # the configuration demands it
    # Less than the caller is given, so that he is told how it ended.
    seconds = 0.9 * min(config.request_seconds, config.idle_seconds)
    return [
        "proofward_gateway.proved", what.node, f"0x{what.model.hex()}", str(what.artifact), what.signer,
        "--genesis", f"0x{bond.genesis.hex()}", "--seconds", str(seconds),
        *(part for pin in sorted(one.measurements) for part in ("--measurement", f"0x{pin.hex()}")),
        *(["--dev"] if config.development else []),
    ]  # fmt: skip


async def _ready(process: asyncio.subprocess.Process, one: UpstreamConfig) -> tuple[int, str]:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_LOAD_SECONDS):
            value = json.loads(await process.stdout.readline())
        if "error" in value:
            raise GatewayError(f"model {one.name}: {value['error']}", code="model-failed")
        port, digest = int(value["port"]), str(value["weights"])
    except TimeoutError:
        raise GatewayError(
            f"model {one.name} was not loaded in {_LOAD_SECONDS} s: is the file larger than the memory?",
            code="model-failed",
        ) from None
    except (ValueError, KeyError, TypeError):
        raise GatewayError(
            f"model {one.name} ended as it was loaded: is {one.weights} a GGUF, and is there memory for it?"
            if one.proved is None
            else f"model {one.name} ended as it began: is the package `proofward` installed whole?",
            code="model-failed",
        ) from None
    if not DIGEST.fullmatch(digest):
        raise GatewayError(f"model {one.name} gives no digest of its weights", code="model-failed")
    return port, digest


async def _watch(process: asyncio.subprocess.Process, one: UpstreamConfig, died: Callable[[], None]) -> None:
    """Its port may go to another program once it has ended: nothing is sent there then."""
    code = await process.wait()
    log.error("model-ended", upstream=one.name, code=code)
    died()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
