"""A process under the gateway's: it serves on a loopback port, says one line, and ends with its parent."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any, Final, TextIO

from aiohttp import web

PROVED_HEADER: Final = "X-Proofward-Proved"
"""Of an answer of a proved model: what the process has verified, as JSON."""


def only_speaker() -> TextIO:
    """Standard output, for the caller alone: what a library prints may hold a prompt."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    return own


def announce(out: TextIO, value: dict[str, Any]) -> None:
    """One line of JSON to the gateway: `{"port": …, "weights": …}`, or `{"error": …}`."""
    print(json.dumps(value), file=out, flush=True)


def error_of(message: str, *, status: int = 400) -> web.Response:
    """An error in OpenAI's shape."""
    told = {"message": message, "type": "invalid_request_error", "code": None, "param": None}
    return web.json_response({"error": told}, status=status)


async def serve_app(app: web.Application, out: TextIO, told: dict[str, Any]) -> None:
    """Serve on a port of the system's choice, and `announce` it with what is `told`, until standard input
    ends: the gateway holds its other side, so this ends with it.
    """
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    announce(out, {"port": runner.addresses[0][1], **told})
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, ended.set)  # nothing is ever written there: it has ended
    await ended.wait()
    await runner.cleanup()
