"""The proxy's process: attest, listen, wait for the signal to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from proofward.errors import ProofwardError
from proofward_gateway.channel import Attested, client_session
from proofward_gateway.proxy.server import Proxy, Settings


@dataclass(frozen=True, slots=True)
class Ready:
    """Where the proxy listens, and what it has found the gateway to be."""

    url: str
    attested: Attested


async def serve(settings: Settings, port: int, stop: asyncio.Event, ready: Callable[[Ready], None]) -> None:
    """Serve on 127.0.0.1 until `stop`; nothing listens before the gateway is attested.

    Raises GatewayError, AnswerRefused, ProofwardError(cannot-listen).
    """
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with client_session() as client:
        proxy = Proxy(settings, client)
        attested = await proxy.attested()
        runner = web.AppRunner(proxy.app, access_log=None, handler_cancellation=True, shutdown_timeout=2.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            ready(Ready(f"http://127.0.0.1:{runner.addresses[0][1]}", attested))
            await stop.wait()
        except OSError as error:
            raise ProofwardError(
                f"port {port} cannot be listened on ({error.strerror}): choose another --port", code="usage"
            ) from None
        finally:
            await runner.cleanup()


def run(settings: Settings, port: int, ready: Callable[[Ready], None]) -> None:
    """As `serve`, until SIGTERM or SIGINT."""

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(settings, port, stop, ready)

    asyncio.run(main())
