"""Somebody else's test server as upstream: llm-katan's echo, and its ways to fail."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from proofward.devnet.chains import free_port
from proofward.evidence import answer_file
from proofward_gateway.channel import Origin
from proofward_gateway.config import UpstreamConfig
from tests.gateway.test_gateway import receipt_of, types
from tests.gateway.test_proxy import PINNED, post
from tests.gateway.world import MODEL, ask, caller, config, desk, gateway, upstream

pytestmark = pytest.mark.skipif(find_spec("llm_katan") is None, reason="make gateway installs llm-katan")
MESSAGES = {"max_tokens": 20}


def behind_key(folder: Path, behind: Origin) -> UpstreamConfig:
    """It wants an API key, whichever."""
    (folder / "katan.key").write_text("any\n")
    return upstream(behind, "inside", key_file=folder / "katan.key")


START_SECONDS = 60.0


@asynccontextmanager
async def katan(folder: Path, *options: str) -> AsyncIterator[Origin]:
    """Its process, listening."""
    port = free_port()
    command = [
        *(sys.executable, "-c", "from llm_katan.cli import main; main()"),
        *("--backend", "echo", "--model", MODEL, "--host", "127.0.0.1", "--port", str(port)),
        *("--providers", "openai,anthropic", "--disable-dashboard", "--log-level", "error"),
        *("--stats-file", str(folder / "katan.json"), "--max-concurrent", "4", *options),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:
                assert process.returncode is None, "llm-katan does not start"
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except OSError:
                    await asyncio.sleep(0.1)
        yield Origin("http", "127.0.0.1", port)
    finally:
        process.kill()
        await process.wait()


async def test_its_answers_pass_proxy_and_gateways_with_their_proofs(tmp_path: Path) -> None:
    async with (
        katan(tmp_path) as behind,
        gateway(config(tmp_path / "in", behind_key(tmp_path, behind))) as inner,
        gateway(config(tmp_path / "out", upstream(inner, "aci"))) as outer,
        desk(outer, tmp_path) as one,
    ):
        for path, body in (
            ("/v1/chat/completions", ask("a question")),
            ("/v1/chat/completions", ask("a question", stream=True)),
            ("/v1/messages", ask("a question", **MESSAGES)),
            ("/v1/messages", ask("a question", stream=True, **MESSAGES)),
        ):
            status, got = await post(one, path, body)
            assert status == 200, got
            assert b"answer-refused" not in got
            kept = answer_file.load(one.answers()[-1])
            assert kept.verdict(PINNED).word == "accepted (simulated)"
        assert len(one.answers()) == 4


FAULTS: dict[str, tuple[tuple[str, ...], int, str | None]] = {
    "fails every time": (("--error-rate", "1"), 500, None),
    "limits after the first": (("--rate-limit-after", "1"), 429, None),
    "times out after the first": (("--timeout-after", "1"), 504, None),
    "falls silent": (("--ttft-ms", "20000"), 502, "upstream-timeout"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_of_its_failures_leaves_a_receipt(fault: str, tmp_path: Path) -> None:
    options, wanted, reason = FAULTS[fault]
    async with (
        katan(tmp_path, *options) as behind,
        gateway(config(tmp_path, behind_key(tmp_path, behind), idle_seconds=1)) as origin,
        caller(origin) as one,
    ):
        if "first" in fault:
            assert (await one.post("/v1/chat/completions", ask()))[0] == 200
        body: dict[str, Any] = ask(stream=reason is not None)
        status, headers, wire = await one.post("/v1/chat/completions", body)
        assert status == wanted, wire
        assert json.loads(wire)["error"]
        _, events = await receipt_of(one, headers)
        assert types(events)[:2] == ["request.received", "request.forwarded"]
        ended = [event["reason"] for event in events if event["type"] == "response.aborted"]
        assert ended == ([] if reason is None else [reason])
