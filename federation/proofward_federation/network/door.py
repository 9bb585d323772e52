"""The host's door: `GET /study`, `POST /rounds`, `GET /healthz`, `GET /metrics`, over HTTP.

What passes is public, or sealed to the enclave and signed by its site, so a proxy with a certificate is for
what remains: who speaks to whom, when, and how much.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

from aiohttp import web

from proofward.errors import ProofwardError
from proofward.protocol.enclave import EnclaveError
from proofward_federation.errors import FederationError
from proofward_federation.network.host import Host
from proofward_federation.network.wire import MAX_DELIVERY

AT_ONCE: Final = 8
"""Deliveries that are looked at together; others wait."""

HELD: Final = 32
"""Deliveries that are read or wait; who brings another one is asked to come again."""

BODY_SECONDS: Final = 30.0
"""How long a delivery may take to arrive."""


class Door:
    """Serves one host until `close`."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._room = asyncio.Semaphore(AT_ONCE)
        self._held = 0
        self._runner: web.AppRunner | None = None

    async def open(self, address: str, port: int) -> int:
        """Listen; gives the port, a free one for 0. Raises FederationError(cannot-listen)."""
        app = web.Application(client_max_size=MAX_DELIVERY)
        app.add_routes(
            [
                web.get("/study", self._study),
                web.post("/rounds", self._delivery),
                web.get("/healthz", self._healthz),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, address, port)
            await site.start()
        except OSError as error:
            await self.close()
            raise FederationError(
                f"cannot listen on {address}:{port}: {error.strerror}", code="cannot-listen"
            ) from None
        found: int = self._runner.addresses[0][1]
        return found

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _study(self, _: web.Request) -> web.Response:
        return web.json_response(self._host.told().body())

    async def _delivery(self, request: web.Request) -> web.Response:
        if self._held >= HELD:
            return web.Response(status=503)
        self._held += 1
        try:
            async with asyncio.timeout(BODY_SECONDS):
                data = await request.read()
            async with self._room:
                await asyncio.to_thread(self._host.deliver, data)
        except TimeoutError:
            return web.Response(status=408)
        except (FederationError, EnclaveError) as error:
            return _refused(error, 409)
        except ProofwardError as error:
            return _refused(error, 503)
        finally:
            self._held -= 1
        return web.Response(status=204)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        host = self._host
        lines = [
            "# TYPE proofward_federation_updates_total counter",
            f'proofward_federation_updates_total{{outcome="taken"}} {host.taken}',
            f'proofward_federation_updates_total{{outcome="refused"}} {host.refused}',
            "# TYPE proofward_federation_rounds_published gauge",
            f"proofward_federation_rounds_published {len(host.logged)}",
        ]
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")


def _refused(error: ProofwardError, status: int) -> web.Response:
    body = json.dumps({"code": error.code, "message": error.message})
    return web.Response(status=status, text=body, content_type="application/json")
