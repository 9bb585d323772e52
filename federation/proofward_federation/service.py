"""The aggregator's process: python -m proofward_federation.service --socket PATH --provider simulator.

It registers as a worker does, by the same quote over the same keys; its measurement is its own.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from proofward.processes import begin_from_sources
from proofward.protocol.enclave import EnclaveError, Request
from proofward.protocol.requests import Params
from proofward_enclave import log
from proofward_enclave.epochs import Epochs
from proofward_enclave.hardening import harden
from proofward_enclave.providers import NAMES, QuoteProvider, make_provider
from proofward_enclave.registration import registration
from proofward_enclave.server import Server
from proofward_federation.enclave import Aggregator
from proofward_federation.measure import code_digest
from proofward_federation.noise import discrete_gaussian


class Service:
    """Dispatches requests of the host."""

    def __init__(self, provider: QuoteProvider, epochs: Epochs) -> None:
        self._provider, self._epochs = provider, epochs
        aggregator = Aggregator(epochs, discrete_gaussian)
        self._methods: Final[dict[str, Callable[[Params], dict[str, Any]]]] = {
            "status": self._status,
            "begin_epoch": self._begin_epoch,
            "open_round": aggregator.open,
            "take_update": aggregator.take,
            "close_round": aggregator.close,
        }

    async def handle(self, request: Request, _: Callable[[], bool]) -> dict[str, Any]:
        """The result of a request. Raises EnclaveError, and nothing else."""
        method = self._methods.get(request.method)
        if method is None:
            raise EnclaveError(f"use one of {', '.join(self._methods)}", code="unknown-method")
        code = "ok"
        try:
            return await asyncio.to_thread(method, Params(request.params))
        except EnclaveError as error:
            code = error.code
            raise
        except Exception as error:  # noqa: BLE001 - a fault in one round must not end the others
            # neither text nor traceback: both can quote plaintext
            code = "internal"
            log.error("internal-error", method=request.method, kind=type(error).__name__)
            raise EnclaveError(f"{request.method} failed inside the enclave", code=code) from None
        finally:
            log.info("request", method=request.method, code=code)

    def _status(self, _: Params) -> dict[str, Any]:
        return {"provider": self._provider.name, "epoch": self._epochs.current}

    def _begin_epoch(self, params: Params) -> dict[str, Any]:
        genesis, account, number = params.raw("genesis"), params.raw("account"), params.u32("epoch")
        epoch = self._epochs.begin(genesis, account, number)
        return registration(epoch, self._provider, params.raw("block_hash"))


async def _run(socket: Path, provider: QuoteProvider) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    epochs = Epochs()
    try:
        async with await Server(Service(provider, epochs)).start(socket):
            log.info("ready", provider=provider.name, simulated=provider.simulated)
            await stop.wait()
            socket.unlink(missing_ok=True)
    finally:
        epochs.erase()


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 0, or 2 when it cannot start."""
    parser = argparse.ArgumentParser(
        prog="python -m proofward_federation.service", description="The enclave that sums sites' updates."
    )
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket to listen on")
    parser.add_argument("--provider", choices=NAMES, required=True, help="where quotes come from")
    arguments = parser.parse_args()
    log.info("hardening", **harden())
    try:
        asyncio.run(_run(arguments.socket, make_provider(arguments.provider, code_digest)))
    except (EnclaveError, OSError) as error:
        code = error.code if isinstance(error, EnclaveError) else "cannot-listen"
        log.error("cannot-start", code=code, message=str(error))
        return 2
    return 0


if __name__ == "__main__":
    begin_from_sources()
    sys.exit(main())
