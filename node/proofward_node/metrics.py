"""Prometheus metrics and `/healthz`, by aiohttp. Ids, counts and seconds only: nothing that a job
contains.
"""

from __future__ import annotations

import asyncio
import json
import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from proofward.chain import Finality
from proofward_node.artefacts import PublicArtefacts
from proofward_node.page import Page
from proofward_node.reasons import Code, Reason
from proofward_node.session_door import SessionDoor

STALE_SECONDS = 60.0
"""Seconds after which a chain that brings no new block counts as unhealthy."""
IDLE_SECONDS = 15.0
"""Seconds for which a connection may say nothing, or no whole request."""
CONNECTIONS = 512
"""Connections at once: for one more, the oldest that waits for a request is ended."""
DESCRIPTORS = 8192
"""Descriptors that the process asks for."""
OUTCOMES = (
    "accepted", "rejected", "faulty-proof", "no-verdict", "refused", "declined", "failed", "lapsed", "lost",
    "refunded", "handed-back", "too-late", "worked-before", "not-served", "unknown",
)  # fmt: skip
"""How a job may end for this worker, as `proofward_jobs_total` counts it."""
WINDOW_OUTCOMES = ("posted", "finished", "failed", "waived", "unseen", "dropped")
"""What may become of a session's window, as `proofward_session_windows_total` counts it; failed, waived and
unseen end the session.
"""
HOLDS = (Code.DRAINING, Code.STOPPING, Code.BROKEN_CIRCUIT)
"""Why a worker may claim nothing new until somebody acts."""


@dataclass
class Metrics:
    """The node's metrics, in a registry of their own."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"proofward_{name}", text, registry=self.registry)

        self.jobs = Counter("proofward_jobs", "Jobs by outcome", ["outcome"], registry=self.registry)
        for outcome in OUTCOMES:  # a series that begins at 1 has no increase that an alert could see
            self.jobs.labels(outcome)
        self.stage = Histogram(
            "proofward_stage_seconds", "Seconds in the enclave by stage", ["stage"], registry=self.registry,
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
        )  # fmt: skip
        self.chain_up = gauge("chain_up", "1 while the chain answers")
        self.chain_errors = Counter(
            "proofward_chain_errors", "Times the chain did not answer", registry=self.registry
        )
        self.chain_calls = gauge("chain_calls", "Requests made to the chain's node")
        self.head = gauge("finalised_block", "Number of the latest finalised block seen")
        self.lag = gauge("finality_lag_blocks", "Blocks between the newest and the finalised one")
        self.stalled = gauge("finality_stalled", "1 while finality stands and nothing new is claimed")
        self.enclave_up = gauge("enclave_up", "1 while the enclave answers")
        self.enclave_restarts = gauge("enclave_restarts", "Times the enclave process was replaced")
        self.registered = gauge("registered", "1 while the chain holds a valid registration")
        self.epoch = gauge("epoch", "Epoch of the registered keys")
        self.expires = gauge("registration_expires_seconds", "Chain time left until the registration expires")
        self.claims = gauge("claims_held", "Claims that this node holds")
        self.models = gauge("models_served", "Published models that this node serves")
        self.holding = Gauge(
            "proofward_holding", "1 while nothing new is claimed, by reason", ["reason"],
            registry=self.registry,
        )  # fmt: skip
        for code in HOLDS:
            self.holding.labels(code.value).set(0)
        self.tcb = gauge("tcb_days_left", "Days until the TCB stops counting; +Inf when no end is known")
        self.collateral = gauge("collateral_days_left", "Days until the chain's collateral ends unrefreshed")
        self.tcb.set(math.nan)
        self.collateral.set(math.nan)
        self.balance = gauge("free_balance_units", "Free balance of the worker's account, in UNIT")
        self.sessions = gauge("sessions", "Sessions that run")
        self.session_clients = gauge("session_clients", "Clients of sessions that are connected")
        self.session_bytes = gauge("session_bytes", "Bytes of pages that the enclave keeps for proofs")
        self.session_owed = gauge("session_proofs_owed", "Pages of sessions that are still to be proved")
        self.session_proof_seconds = gauge(
            "session_proof_seconds", "Of a page's proof of late, of the model where it takes longest"
        )
        self.session_pace = gauge(
            "session_pace_records", "A second that one session of the offered terms is let in, at the least"
        )
        self.session_pace.set(math.nan)
        self.session_held = Counter(
            "proofward_session_held_seconds",
            "For which clients' records waited for proofs of earlier ones",
            registry=self.registry,
        )
        self.session_records = Counter(
            "proofward_session_records", "Inferences that clients vouched for", registry=self.registry
        )
        self.session_proofs = Counter(
            "proofward_session_proofs", "Pages proved on the chain", registry=self.registry
        )
        self.session_windows = Counter(
            "proofward_session_windows", "Windows by what became of them", ["outcome"], registry=self.registry
        )
        for outcome in WINDOW_OUTCOMES:
            self.session_windows.labels(outcome)
        self._head_seen = self.clock()
        self._stall: str | None = None
        self._hold: Reason | None = None

    def saw_finality(self, finality: Finality) -> None:
        """Note how finality stands."""
        self.saw_head(finality.finalised)
        self.lag.set(finality.lag)
        self.stalled.set(int(finality.stalled))
        self._stall = finality.reason

    def saw_head(self, number: int) -> None:
        """Note a finalised head."""
        if number != self.head._value.get():
            self._head_seen = self.clock()
        self.head.set(number)
        self.chain_up.set(1)

    def hold(self, reason: Reason | None) -> None:
        """Note why nothing new is claimed, or that it is."""
        self._hold = reason
        for code in HOLDS:
            self.holding.labels(code.value).set(int(reason is not None and reason.code is code))

    def lost_chain(self) -> None:
        """Note that the chain did not answer."""
        self.chain_up.set(0)
        self.chain_errors.inc()

    def outcome(self, name: str) -> None:
        """Count a job's outcome; the detail after a colon stays in the log, so that labels stay few."""
        self.jobs.labels(name.split(":", 1)[0]).inc()

    def health(self) -> dict[str, bool]:
        """What must hold for the worker to earn: each by name."""
        return {
            "chain": bool(self.chain_up._value.get()) and self.clock() - self._head_seen < STALE_SECONDS,
            "finality": self._stall is None,
            "enclave": bool(self.enclave_up._value.get()),
            "registered": bool(self.registered._value.get()),
        }

    def reasons(self) -> list[str]:
        """Why the worker does not earn now; empty when it can."""
        said = {
            "chain": "the chain does not answer, or brings no new block",
            "finality": f"finality is stalled, nothing new is claimed: {self._stall}",
            "enclave": "the enclave does not answer",
            "registered": "the chain holds no valid registration",
        }
        found = [said[name] for name, good in self.health().items() if not good]
        if self._hold is not None:
            found.append(str(self._hold))
        if not self.models._value.get():
            found.append(
                "no model is served: enclave.models holds none that is published, or worker.publishers and "
                "worker.models name none of them"
            )
        return found

    def said(self) -> dict[str, Any]:
        """What `/healthz` answers: `status` is "ok" or "degraded"."""
        reasons = self.reasons()
        return {"status": "degraded" if reasons else "ok", "reasons": reasons, **self.health()}


class HttpServer:
    """Serves `/metrics`, `/livez` (200), `/healthz` (200 when all of it holds, else 503), the artefacts'
    public halves, and the operator's page.
    """

    def __init__(
        self,
        metrics: Metrics,
        host: str,
        port: int,
        artefacts: PublicArtefacts | None = None,
        page: Page | None = None,
        door: SessionDoor | None = None,
    ) -> None:
        self._metrics, self._host, self._port = metrics, host, port
        app = web.Application(client_max_size=1024)
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/healthz", self._serve_health)
        app.router.add_get("/livez", self._serve_life)
        if artefacts is not None:
            artefacts.add_to(app)
        if page is not None:
            page.add_to(app)
        if door is not None:
            door.add_to(app)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=IDLE_SECONDS)
        self._listener: asyncio.Server | None = None
        self._most = CONNECTIONS

    async def start(self) -> int:
        """Listen; returns the port. Raises OSError when it is taken."""
        self._most = min(CONNECTIONS, _descriptors() // 4)
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._protocol, self._host, self._port)
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()

    def _protocol(self) -> asyncio.Protocol:
        """One connection's. Whoever opens very many leaves the worker its descriptors and others a way in."""
        server = self._runner.server
        held = [] if server is None else [one for one in server.connections if one.transport is not None]
        if server is not None and len(held) < self._most:
            return server()
        idle = next((one for one in held if not one._request_in_progress), None)
        if server is None or idle is None:
            return _Closed()
        idle.force_close()  # `close` would leave it open, and unwatched
        return server()

    async def _serve_metrics(self, request: web.Request) -> web.Response:
        """The format that the scraper asks for: OpenMetrics, or Prometheus' own text."""
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": kind})

    async def _serve_life(self, _request: web.Request) -> web.Response:
        """200 whenever the process can answer at all: only what fails this should be restarted."""
        return web.Response(text='{"status": "ok"}', content_type="application/json")

    async def _serve_health(self, _request: web.Request) -> web.Response:
        body = self._metrics.said()
        reasons = body["reasons"]
        return web.Response(
            text=json.dumps(body, sort_keys=True),
            content_type="application/json",
            status=503 if reasons else 200,
        )


class _Closed(asyncio.Protocol):
    """A connection that is closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _descriptors() -> int:
    """How many this process may have: as many as it is allowed, within what it can use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
