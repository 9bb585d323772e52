"""A gateway in this process, the upstream behind it, and who talks to both: real TLS, quotes and sockets."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proofward.attestation import DEVELOPMENT_ROOTS
from proofward.attestation.gateway import GatewayPolicy
from proofward_gateway.__main__ import run
from proofward_gateway.channel import Attested, Origin, attest, client_session
from proofward_gateway.config import Config, UpstreamConfig
from proofward_gateway.keys import Workload
from proofward_gateway.measure import simulated_measurement
from proofward_gateway.proxy.run import serve
from proofward_gateway.proxy.server import Settings
from proofward_gateway.proxy.settings import settings_of

POLICY = GatewayPolicy(DEVELOPMENT_ROOTS, frozenset({simulated_measurement()}))
MODEL = "echo-1"
UNVERIFIED: dict[str, Any] = {"provider": {"aci_verified": False}}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Echo:
    """An upstream that says what it was told, and fails in the way that `fault` names."""

    fault: str | None = None
    script: list[bytes] | None = None
    """Events that it streams in place of its own."""
    seen: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    origin: Origin = field(default=Origin("http", "127.0.0.1", 0))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(body)
        self.headers.append(dict(request.headers))
        value = json.loads(body)
        self.entered.set()
        fault = self.fault or _asked(value)
        if fault == "hangs":
            await asyncio.Event().wait()
        if fault == "is busy":
            return web.json_response({"error": {"message": "later"}}, status=429)
        if fault == "is down":
            return web.json_response({"error": {"message": f"cannot: {body.decode()}"}}, status=500)
        if fault == "redirects":
            raise web.HTTPTemporaryRedirect("http://127.0.0.1:1/v1/elsewhere")
        if fault == "talks nonsense":
            return web.Response(body=b"<html>", content_type="text/html")
        if fault == "compresses":
            packed = gzip.compress(json.dumps(_completion(request.path, "x", value)).encode())
            return web.Response(body=packed, headers={"Content-Encoding": "gzip"})
        if fault == "names a member twice":
            return web.Response(body=b'{"id":"a","choices":[],"id":"b"}', content_type="application/json")
        if fault == "is endless":
            return web.Response(body=b" " * (33 << 20), content_type="application/json")
        text = _said(value)
        if request.path == "/v1/embeddings":
            vector: Any = [0.5, -1.0]
            if value.get("encoding_format") == "base64":
                vector = base64.b64encode(struct.pack("<2f", *vector)).decode()
            items = [{"object": "embedding", "index": 0, "embedding": vector}]
            return web.json_response({"object": "list", "data": items, "model": MODEL, "usage": USAGE})
        if value.get("stream"):
            return await self._stream(request, value, text, fault)
        status = 201 if fault == "creates" else 200
        if request.path == "/v1/messages":
            return web.json_response(_message(text, tool=bool(value.get("tools"))), status=status)
        if request.path == "/v1/responses":
            return web.json_response(_response(text), status=status)
        return web.json_response(_completion(request.path, text, value), status=status)

    async def _stream(
        self, request: web.Request, value: dict[str, Any], text: str, fault: str | None
    ) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        if request.path == "/v1/messages":
            events = _message_events(text)
        elif request.path == "/v1/responses":
            events = _response_events(text)
        else:
            events = _chunks(request.path, value, text)
        for number, event in enumerate(self.script or events):
            if fault == "dies in the middle" and number == 2:
                assert request.transport is not None
                request.transport.abort()
                return stream
            if fault == "stops in the middle" and number == 2:
                await asyncio.Event().wait()
            if fault == "ends without its end" and number == 2:
                return stream
            if fault == "breaks an event" and number == 2:
                event = b"data: {broken\n\n"
            if fault == "errs in the middle" and number == 2:
                event = b"data: " + json.dumps({"error": {"message": text}}).encode() + b"\n\n"
            if fault == "breaks after its end" and number == len(events) - 1:
                event += b": more\n\ndata: {broken\n\n"
            await stream.write(event)
        return stream


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def _asked(value: dict[str, Any]) -> str | None:
    """The fault that a request itself asks for, where its client cannot reach `Echo.fault`."""
    user = value.get("user") or (value.get("metadata") or {}).get("user_id") or ""
    return str(user).removeprefix("fault: ") if user else None


def _said(value: dict[str, Any]) -> str:
    if "messages" in value:
        content = value["messages"][-1]["content"]
        return content if isinstance(content, str) else json.dumps(content)
    said = value.get("prompt", value.get("input"))
    return str(said[-1]["content"] if isinstance(said, list) and isinstance(said[0], dict) else said)


def _completion(path: str, text: str, value: dict[str, Any]) -> dict[str, Any]:
    common = {"id": "cmpl-1", "created": 1, "model": MODEL, "usage": USAGE}
    if path == "/v1/completions":
        choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}
        return {**common, "object": "text_completion", "choices": [choice]}
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if value.get("tools"):
        call = {"id": "call-1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"message": message, "finish_reason": "tool_calls" if value.get("tools") else "stop"}
    if value.get("logprobs"):
        choice["logprobs"] = {
            "content": [{"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": []}]
        }
    choices = [{"index": index, **choice} for index in range(value.get("n") or 1)]
    return {**common, "object": "chat.completion", "choices": choices}


def _chunks(path: str, value: dict[str, Any], text: str) -> list[bytes]:
    chat = path == "/v1/chat/completions"
    common = {"id": "chunk-1", "created": 1, "model": MODEL}
    common["object"] = "chat.completion.chunk" if chat else "text_completion"
    found = []
    if value.get("tools"):
        call = {"index": 0, "id": "call-1", "type": "function", "function": {"name": "f", "arguments": ""}}
        rest = {"index": 0, "function": {"arguments": '{"a":1}'}}
        for delta in ({"role": "assistant", "content": None, "tool_calls": [call]}, {"tool_calls": [rest]}):
            found.append({**common, "choices": [{"index": 0, "finish_reason": None, "delta": delta}]})
        text = ""
    for part in [text[at : at + 4] for at in range(0, len(text), 4)]:
        inner: dict[str, Any] = {"delta": {"content": part}} if chat else {"text": part}
        found.append({**common, "choices": [{"index": 0, "finish_reason": None, **inner}]})
    last: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
    found.append({**common, "choices": [{"index": 0, "finish_reason": "stop", **last}]})
    if (value.get("stream_options") or {}).get("include_usage"):
        found.append({**common, "choices": [], "usage": USAGE})
    return [*(b"data: " + json.dumps(one).encode() + b"\n\n" for one in found), b"data: [DONE]\n\n"]


def _message(text: str, *, tool: bool = False) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": text}
    if tool:
        block = {"type": "tool_use", "id": "tool-1", "name": "f", "input": {"a": 1}}
    return {
        "id": "msg-1", "type": "message", "role": "assistant", "model": MODEL, "content": [block],
        "stop_reason": "tool_use" if tool else "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }  # fmt: skip


def _message_events(text: str) -> list[bytes]:
    start = {**_message(""), "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": text[at : at + 4]},
            }
            for at in range(0, len(text), 4)
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    return [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events]


def _response(text: str, *, status: str = "completed") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "item-1", "role": "assistant", "status": status, "content": [part]}
    return {
        "id": "resp-1", "object": "response", "created_at": 1, "model": MODEL, "status": status,
        "output": [item] if status == "completed" else [], "tools": [], "tool_choice": "auto",
        "parallel_tool_calls": False,
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
    }  # fmt: skip


def _response_events(text: str) -> list[bytes]:
    at = {"item_id": "item-1", "output_index": 0, "content_index": 0}
    deltas = [{"delta": text[n : n + 4], "logprobs": [], **at} for n in range(0, len(text), 4)]
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": _response("", status="in_progress")}),
        *(("response.output_text.delta", delta) for delta in deltas),
        ("response.completed", {"response": _response(text)}),
    ]
    return [
        f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': n, **value})}\n\n".encode()
        for n, (kind, value) in enumerate(events)
    ]


def workloads(monkeypatch: pytest.MonkeyPatch) -> list[Workload]:
    """The identities of the gateways that begin from here on, in that order."""
    made: list[Workload] = []
    begin = Workload.__init__

    def note(one: Workload, *args: Any, **named: Any) -> None:
        begin(one, *args, **named)
        made.append(one)

    monkeypatch.setattr(Workload, "__init__", note)
    return made


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Origin]:
    """A server with one handler for every path: plain HTTP, or under a certificate."""
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield Origin("https" if tls else "http", "127.0.0.1", runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def echo() -> AsyncIterator[Echo]:
    one = Echo()
    async with serving(one.answer) as origin:
        one.origin = origin
        yield one


def upstream(origin: Origin, kind: str, **more: Any) -> UpstreamConfig:
    pins = frozenset({simulated_measurement()}) if kind == "aci" else frozenset[bytes]()
    return UpstreamConfig("behind", origin, kind, (MODEL,), **{"measurements": pins, **more})


def config(folder: Path, one: UpstreamConfig, **more: Any) -> Config:
    return Config(
        "127.0.0.1", 0, "127.0.0.1", folder / "state", "simulator", (one,), **{"development": True, **more}
    )


@asynccontextmanager
async def gateway(whole: Config) -> AsyncIterator[Origin]:
    """The real gateway, TLS and all, in this loop."""
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(run(whole, stop, ready=ready))
    await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield Origin("https", "127.0.0.1", ready.result())
    finally:
        stop.set()
        await task


@dataclass
class Caller:
    """Who has attested a gateway and posts to it."""

    session: aiohttp.ClientSession
    attested: Attested

    async def post(
        self, path: str, body: Any, *, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer; a body of bytes is sent as it is."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"{self.attested.origin}{path}"
        async with self.session.post(url, data=data, ssl=self.attested.pin, headers=headers) as response:
            return response.status, dict(response.headers), await response.read()

    async def get(self, path: str, *, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        url = f"{self.attested.origin}{path}"
        async with self.session.get(url, ssl=self.attested.pin, headers=headers) as response:
            return response.status, json.loads(await response.read())


@asynccontextmanager
async def caller(origin: Origin, policy: GatewayPolicy = POLICY) -> AsyncIterator[Caller]:
    async with client_session() as session:
        yield Caller(session, await attest(session, origin, policy))


@dataclass
class Desk:
    """A user's machine: the proxy's address, its settings, and the files it has written."""

    url: str
    settings: Settings

    def answers(self) -> list[Path]:
        return sorted(self.settings.folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)


@asynccontextmanager
async def desk(origin: Origin, folder: Path, **options: Any) -> AsyncIterator[Desk]:
    """The real proxy in this loop."""
    settings = settings_of(
        str(origin),
        **{
            "pins": [],
            "upstream_pins": [],
            "folder": folder / "answers",
            "development": True,
            "allow_unverified": False,
            **options,
        },
    )
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(settings, 0, stop, ready.set_result))
    await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield Desk(ready.result().url, settings)
    finally:
        stop.set()
        await task


@asynccontextmanager
async def house(folder: Path, **more: Any) -> AsyncIterator[tuple[Echo, Origin]]:
    """Two gateways: the outer one attests the inner, behind which the echo runs inside."""
    async with (
        echo() as behind,
        gateway(config(folder / "inner", upstream(behind.origin, "inside"))) as inner,
        gateway(config(folder / "outer", upstream(inner, "aci"), **more)) as outer,
    ):
        yield behind, outer


def ask(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}
