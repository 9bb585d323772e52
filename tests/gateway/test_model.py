"""A language model inside the gateway's trust domain: its receipts name the weights that were loaded."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import math
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proofward.aci import documents, jcs
from proofward.evidence import answer_file
from proofward.evidence.policy import Policy
from proofward_gateway.__main__ import run
from proofward_gateway.channel import GatewayError, Origin
from proofward_gateway.config import UpstreamConfig
from proofward_gateway.model import Model, Unanswerable, _sampling
from tests.canary import Canary, in_files, in_text
from tests.gateway import tiny
from tests.gateway.world import MODEL, POLICY, ask, caller, config, desk, gateway, serving, upstream

needs_runtime = pytest.mark.skipif(
    importlib.util.find_spec("mistralrs") is None or importlib.util.find_spec("gguf") is None,
    reason="mistralrs and gguf are not installed: make test-gateway",
)
DEVELOPMENT = Policy.for_development(measurements=POLICY.measurements)


def own(weights: Path) -> UpstreamConfig:
    return UpstreamConfig("own", Origin("http", "127.0.0.1", 80), "model", (MODEL,), weights=weights)


@needs_runtime
async def test_neither_prompt_nor_answer_of_a_model_is_in_log_or_state(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    weights, secret = tmp_path / "tiny.gguf", secrets.token_bytes(24)
    canary, text = Canary.of_bytes(secret), secret.hex()
    tiny.write(weights)
    async with gateway(config(tmp_path, own(weights))) as origin, caller(origin) as one:
        for body in (ask(text, max_tokens=4), ask(text * 99), ask(text, stream=True, max_tokens=4)):
            await one.post("/v1/chat/completions", body)
    log = "".join(capfd.readouterr())
    assert '"event": "model-ready"' in log
    assert not in_text(canary, log=log)
    assert not in_files(canary, tmp_path)


@pytest.mark.parametrize("value", [True, "1", [1], math.nan])
@pytest.mark.parametrize("name", ["n", "max_tokens", "temperature"])
def test_what_is_no_number_is_no_number_of_tokens_or_answers(name: str, value: object) -> None:
    with pytest.raises(Unanswerable, match=f"{name} is a number"):
        _sampling({name: value})


@needs_runtime
async def test_receipts_name_the_weights_that_were_loaded(tmp_path: Path) -> None:
    weights = tmp_path / "tiny.gguf"
    tiny.write(weights)
    digest = jcs.tagged(weights.read_bytes())
    async with gateway(config(tmp_path, own(weights))) as origin, caller(origin) as one:
        weights.write_bytes(b"another model, put there after the load")
        said = []
        for body in (ask("hello", temperature=0, max_tokens=8), ask("hello", temperature=0, max_tokens=8)):
            status, headers, wire = await one.post("/v1/chat/completions", body)
            assert status == 200, wire
            said.append(json.loads(wire)["choices"][0]["message"]["content"])
            _, receipt = await one.get(f"/v1/aci/receipts/{headers['X-Receipt-Id']}")
            events = documents.check_receipt(receipt, one.attested.keyset)
            assert [event["type"] for event in events] == [
                "request.received", "request.forwarded", "model.weights", "response.returned",
            ]  # fmt: skip
            assert events[2]["digest"] == digest
        assert said[0] == said[1] != ""
        status, headers, wire = await one.post("/v1/chat/completions", ask(tools=[{"type": "function"}]))
        assert (status, b"calls no tools" in wire) == (400, True)
        async with desk(origin, tmp_path) as user:
            url = f"{user.url}/v1/chat/completions"
            body = ask("hello", stream=True, max_tokens=4, stream_options={"include_usage": True})
            async with one.session.post(url, json=body) as response:
                text = await response.text()
            assert text.endswith("data: [DONE]\n\n")
            assert '"completion_tokens": 4' in text or '"completion_tokens":4' in text
            (file,) = user.answers()
        verdict = answer_file.load(file).verdict(DEVELOPMENT)
        assert verdict.word == "accepted (simulated)"
        assert [digest in check.detail for check in verdict.checks if check.name == "weights"] == [True]


@needs_runtime
async def test_a_model_that_ends_takes_the_gateway_along(tmp_path: Path) -> None:
    """Its port may be another program's by then: no prompt goes there."""
    weights = tmp_path / "tiny.gguf"
    tiny.write(weights)
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(run(config(tmp_path, own(weights)), stop, ready=ready))
    await ready
    (child,) = [int(name) for name in os.listdir("/proc") if name.isdecimal() and _is_ours(int(name))]
    os.kill(child, signal.SIGKILL)
    with pytest.raises(GatewayError) as caught:
        await asyncio.wait_for(task, 30)
    assert caught.value.code == "model-failed"


class Broken:
    """A runtime that breaks in its second chunk."""

    def send_chat_completion_request(self, _request: object) -> Iterator[Any]:
        delta = SimpleNamespace(finish_reason=None, delta=SimpleNamespace(content="a"))
        yield SimpleNamespace(usage=None, choices=[delta])
        raise ValueError("the prompt")


async def test_a_model_that_breaks_in_the_middle_sends_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = SimpleNamespace(ChatCompletionRequest=lambda **_: None)
    monkeypatch.setitem(sys.modules, "mistralrs", runtime)
    model = Model.__new__(Model)
    model._runner, model._name = Broken(), MODEL
    async with (
        serving(model._chat) as behind,
        gateway(config(tmp_path, upstream(behind, "inside"))) as origin,
        caller(origin) as one,
    ):
        _, headers, wire = await one.post("/v1/chat/completions", ask(stream=True))
        _, receipt = await one.get(f"/v1/aci/receipts/{headers['X-Receipt-Id']}")
        assert b'"a"' in wire
        assert b"[DONE]" not in wire
        assert receipt["event_log"][-1]["reason"] == "upstream-truncated"


def _is_ours(pid: int) -> bool:
    """Whether a process is a model's, and this process's child."""
    try:
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return int(parent) == os.getpid() and b"proofward_gateway.model" in command


@needs_runtime
async def test_weights_that_are_none_stop_the_gateway(tmp_path: Path) -> None:
    weights = tmp_path / "none.gguf"
    for content in (None, b"", b"GGUF" + bytes(100)):
        if content is not None:
            weights.write_bytes(content)
        with pytest.raises(GatewayError) as caught:
            async with gateway(config(tmp_path, own(weights))):
                pass
        assert caught.value.code == "model-failed"
        assert str(weights) in caught.value.message


async def test_a_gateway_without_the_runtime_says_what_to_install(tmp_path: Path) -> None:
    if importlib.util.find_spec("mistralrs") is not None:
        pytest.skip("the runtime is installed")
    weights = tmp_path / "any.gguf"
    weights.write_bytes(b"GGUF")
    with pytest.raises(GatewayError, match="pip install mistralrs"):
        async with gateway(config(tmp_path, own(weights))):
            pass
