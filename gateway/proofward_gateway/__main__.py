"""The command: python -m proofward_gateway CONFIG."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from pathlib import Path

from aiohttp import web

from proofward.attestation import AttestationError, Collateral
from proofward.processes import begin_from_sources
from proofward.protocol.enclave import EnclaveError
from proofward_enclave import log
from proofward_enclave.hardening import harden
from proofward_enclave.providers import make_provider
from proofward_gateway.channel import GatewayError, client_session
from proofward_gateway.config import Config, load
from proofward_gateway.keys import Workload
from proofward_gateway.measure import code_digest
from proofward_gateway.models import with_models
from proofward_gateway.service import Service
from proofward_gateway.store import Store

_STOP_SECONDS = 5.0


async def run(config: Config, stop: asyncio.Event, *, ready: asyncio.Future[int] | None = None) -> None:
    """Serve until `stop`; `ready` gets the port.

    Raises GatewayError, EnclaveError, AttestationError, OSError.
    """
    collateral = None if config.collateral is None else Collateral.from_file(config.collateral)
    workload = Workload(
        make_provider(config.provider, code_digest),
        domain=config.domain,
        seconds=config.keyset_seconds,
        direct=config.direct,
        clock=time.time,
        collateral=collateral,
    )
    store = Store(config.state, retention_days=config.retention_days, clock=time.time)
    died = asyncio.Event()

    def model_died() -> None:
        died.set()
        stop.set()

    try:
        async with with_models(config, model_died) as config, client_session() as client:
            service = Service(config, workload, store, client, clock=time.time)
            runner = web.AppRunner(
                service.app, access_log=None, handler_cancellation=True, shutdown_timeout=_STOP_SECONDS
            )
            await runner.setup()
            try:
                await web.TCPSite(runner, config.listen, config.port, ssl_context=workload.tls).start()
                port = runner.addresses[0][1]
                log.info("ready", provider=config.provider, port=port, keyset=workload.keys.digest)
                if ready is not None:
                    ready.set_result(port)
                await stop.wait()
            finally:
                await runner.cleanup()
    finally:
        store.close()
    log.info("stopped")
    if died.is_set():
        raise GatewayError("a model has ended, and the gateway with it: see the log", code="model-failed")


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 0, or 2 when it cannot start."""
    parser = argparse.ArgumentParser(
        prog="python -m proofward_gateway", description="The gateway of private language-model calls."
    )
    parser.add_argument("config", type=Path, help="gateway.toml; docs/gateway.md has its keys")
    path = parser.parse_args().config

    async def serve() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run(load(path), stop)

    log.info("hardening", **harden())
    try:
        asyncio.run(serve())
    except (GatewayError, EnclaveError, AttestationError) as error:
        log.error("cannot-start", code=error.code, message=error.message)
        return 2
    except OSError as error:
        log.error(
            "cannot-start",
            code="cannot-listen" if error.filename is None else "files-unusable",
            message=str(error),
        )
        return 2
    return 0


if __name__ == "__main__":
    begin_from_sources()
    sys.exit(main())
