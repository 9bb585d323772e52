"""`python -m bench.gateway`: what the gateway adds to a call; writes build/bench-gateway.json.

Upstream (an echo, plain HTTP), gateway (TLS, receipts on disk, padding) and client are a process each. A
direct call and one through the gateway take turns. Simulated quotes; a TEE's own cost is not in here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import aiohttp
from aiohttp import web

from proofward.attestation import DEVELOPMENT_ROOTS
from proofward.attestation.gateway import GatewayPolicy
from proofward_gateway.channel import Origin, attest, client_session
from proofward_gateway.measure import simulated_measurement

CHUNKS: Final = 100
CHAT: Final = "/v1/chat/completions"
TARGETS: Final = {
    "first_token_added_p50_ms": 3.0,
    "first_token_added_p95_ms": 8.0,
    "chunk_added_ms": 0.3,
    "requests_per_second": 300.0,
}


async def _echo(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    if not body.get("stream"):
        message = {"role": "assistant", "content": body["messages"][-1]["content"]}
        return web.json_response({"id": "c", "choices": [{"index": 0, "message": message}]})
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await stream.prepare(request)
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "word "}}]}
    event = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    for _ in range(CHUNKS):
        await stream.write(event)
    await stream.write(b"data: [DONE]\n\n")
    return stream


def _upstream(pipe: Connection) -> None:
    async def serve() -> None:
        app = web.Application()
        app.router.add_post(CHAT, _echo)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())


@contextmanager
def _processes(folder: Path) -> Iterator[tuple[int, int, int]]:
    """Ports of upstream and gateway, and the gateway's process id."""
    here, there = multiprocessing.Pipe()
    upstream = multiprocessing.Process(target=_upstream, args=(there,), daemon=True)
    upstream.start()
    port = int(here.recv())
    config = folder / "gateway.toml"
    config.write_text(
        'listen = "127.0.0.1:0"\nmax_requests = 1024\n[[upstream]]\nname = "echo"\nkind = "inside"\n'
        f'models = ["echo"]\nurl = "http://127.0.0.1:{port}"\n'
    )
    command = [sys.executable, "-m", "proofward_gateway", str(config)]
    gateway = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert gateway.stderr is not None
        line = next(line for line in gateway.stderr if '"ready"' in line)
        yield port, int(json.loads(line)["port"]), gateway.pid
    finally:
        gateway.terminate()
        gateway.wait(30)
        upstream.terminate()


@dataclass(frozen=True)
class Way:
    """One way to the model: directly, or through the gateway."""

    session: aiohttp.ClientSession
    url: str
    pin: Any

    async def whole(self) -> bool:
        """Whether a call that is not streamed came back whole."""
        async with self.session.post(self.url, data=_body(False), ssl=self.pin) as response:
            return response.status == 200 and b"question" in await response.read()

    async def streamed(self) -> tuple[float, float, int]:
        """Seconds to the first chunk and to the end, and how many chunks came."""
        began = time.perf_counter()
        first, parts = 0.0, []
        async with self.session.post(self.url, data=_body(True), ssl=self.pin) as response:
            async for data in response.content.iter_any():
                first = first or time.perf_counter() - began
                parts.append(data)
        return first, time.perf_counter() - began, b"".join(parts).count(b"word")


def _body(stream: bool) -> bytes:
    message = {"role": "user", "content": "a question of some words, as people ask them"}
    return json.dumps({"model": "echo", "messages": [message], "stream": stream}).encode()


@asynccontextmanager
async def _ways(upstream: int, gateway: int) -> AsyncIterator[tuple[Way, Way]]:
    policy = GatewayPolicy(DEVELOPMENT_ROOTS, frozenset({simulated_measurement()}))
    async with client_session() as session:
        held = await attest(session, Origin("https", "127.0.0.1", gateway), policy)
        yield (
            Way(session, f"http://127.0.0.1:{upstream}{CHAT}", True),
            Way(session, f"{held.origin}{CHAT}", held.pin),
        )


async def _added(direct: Way, through: Way, rounds: int) -> dict[str, float]:
    """First token and chunks, by turns."""
    firsts, chunks = [], []
    for number in range(rounds + 20):
        pair = {}
        for way in (direct, through) if number % 2 else (through, direct):
            pair[way is through] = await way.streamed()
        if number < 20:
            continue
        (first, whole, _), (first_through, whole_through, count) = pair[False], pair[True]
        assert count == CHUNKS
        firsts.append(1000 * (first_through - first))
        chunks.append(1000 * ((whole_through - first_through) - (whole - first)) / CHUNKS)
    return {
        "first_token_added_p50_ms": round(statistics.median(firsts), 2),
        "first_token_added_p95_ms": round(statistics.quantiles(firsts, n=20)[-1], 2),
        "chunk_added_ms": round(statistics.median(chunks), 4),
    }


async def _throughput(way: Way, requests: int, at_once: int) -> tuple[float, int]:
    """Requests a second, and how many were lost."""
    left, lost = iter(range(requests)), 0

    async def work() -> None:
        nonlocal lost
        for _ in left:
            try:
                lost += not await way.whole()
            except aiohttp.ClientError:
                lost += 1

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return requests / (time.perf_counter() - began), lost


def _memory(pid: int) -> float:
    """MiB that are resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def _cpu(pid: int) -> float:
    """Seconds that a process has computed: what others on the machine do is not in it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(rounds: int, requests: int) -> dict[str, Any]:
    """All figures."""
    found: dict[str, Any] = {"cpus": os.cpu_count(), "load_before": os.getloadavg()[0]}
    with TemporaryDirectory() as folder, _processes(Path(folder)) as (upstream, gateway, pid):
        async with _ways(upstream, gateway) as (direct, through):
            found |= await _added(direct, through, rounds)
            rates = {"direct": [], "through": []}  # type: dict[str, list[float]]
            lost, memory, computed = 0, [], 0.0
            await _throughput(through, requests // 10, 32)
            for _ in range(5):
                rates["direct"].append((await _throughput(direct, requests // 10, 32))[0])
                began = _cpu(pid)
                rate, missing = await _throughput(through, requests // 5, 32)
                computed += _cpu(pid) - began
                rates["through"].append(rate)
                lost += missing
                memory.append(round(_memory(pid), 1))
            streams = await asyncio.gather(*(through.streamed() for _ in range(100)))
    return {
        **found,
        "requests_per_second": round(statistics.median(rates["through"]), 1),
        "requests_per_second_direct": round(statistics.median(rates["direct"]), 1),
        "cpu_ms_per_request": round(1000 * computed / requests, 3),
        "requests": requests,
        "requests_lost": lost,
        "streams_at_once": len(streams),
        "chunks_lost": sum(CHUNKS - count for _, _, count in streams),
        "memory_mib_by_fifth": memory,
        "load_after": os.getloadavg()[0],
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway")
    parser.add_argument("--rounds", type=int, default=400, help="pairs of streamed calls")
    parser.add_argument("--requests", type=int, default=10_000, help="calls that are not streamed")
    options = parser.parse_args()
    found = asyncio.run(measure(options.rounds, options.requests))
    for name, value in found.items():
        goal = TARGETS.get(name)
        print(f"{name:28} {value}" + ("" if goal is None else f"   (wanted: {goal})"))
    path = Path("build/bench-gateway.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"targets": TARGETS, **found}, indent=2) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
