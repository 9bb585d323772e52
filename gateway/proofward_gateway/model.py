"""A language model inside the trust domain: python -m proofward_gateway.model WEIGHTS NAME.

A process of its own under the gateway's, because what runs a model is large. It reads the weights once,
measures the bytes that it has read, and loads those: not the file, which is the host's and may change. Then
it serves OpenAI's chat and text completions on a loopback port and prints one line of JSON, port and digest.
Prefixes of prompts are kept for nobody: their cache would tell one caller what another has asked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import math
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final, TextIO

from aiohttp import web

from proofward.errors import ProofwardError
from proofward_enclave.hardening import harden
from proofward_gateway.process import announce, error_of, only_speaker, serve_app

MAX_WEIGHTS: Final = 64 << 30
MAX_TOKENS: Final = 4096
DEFAULT_TOKENS: Final = 256
_TOKENS: Final = ("max_completion_tokens", "max_tokens")
_KNOBS: Final = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_MEMORY: Final = Path("/dev/shm")
_BLOCK: Final = 1 << 22


class Unanswerable(ProofwardError):
    """A request that the model cannot answer; its text goes to the caller."""

    code = "unanswerable"


@contextlib.contextmanager
def measured(path: Path) -> Iterator[tuple[Path, str]]:
    """A private copy of the weights in memory, and `sha256:` of the very bytes in it.

    Raises OSError, ValueError above `MAX_WEIGHTS`.
    """
    base = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="weights-", dir=base) as folder, path.open("rb") as source:
        copy, state, length = Path(folder) / "model.gguf", hashlib.sha256(), 0
        with copy.open("wb") as target:
            while block := source.read(_BLOCK):
                length += len(block)
                if length > MAX_WEIGHTS:
                    raise ValueError(f"{path} has more than {MAX_WEIGHTS} bytes")
                state.update(block)
                target.write(block)
        yield copy, f"sha256:{state.hexdigest()}"


class Model:
    """The loaded model, and its HTTP."""

    def __init__(self, copy: Path, name: str) -> None:
        from mistralrs import Runner, Which

        which = Which.GGUF(
            quantized_model_id=str(copy.parent), quantized_filename=copy.name, tok_model_id=None
        )
        self._runner = Runner(which=which, prefix_cache_n=0, token_source="none")
        self._name = name
        self.app = web.Application(client_max_size=16 << 20)
        self.app.router.add_post("/v1/chat/completions", self._chat)
        self.app.router.add_post("/v1/completions", self._text)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=True)

    async def _text(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=False)

    async def _answer(self, request: web.Request, *, chat: bool) -> web.StreamResponse:
        try:
            body = json.loads(await request.read())
            asked = _chat_options(body) if chat else _text_options(body)
        except (ValueError, TypeError, KeyError, AttributeError):
            return error_of("the request has a member of another kind than OpenAI's")
        except Unanswerable as told:
            return error_of(told.message)
        head = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{secrets.token_hex(12)}",
            "object": "chat.completion" if chat else "text_completion",
            "created": int(time.time()),
            "model": self._name,
        }
        if not body.get("stream"):
            try:
                found = await asyncio.to_thread(self._whole, asked, chat)
            except ValueError:
                return error_of("the model cannot take this prompt: is it too long?")
            return web.json_response({**head, **found})
        if not chat:
            return error_of("text completions are not streamed here: ask for a chat completion")
        return await self._stream(request, head, asked, usage=_usage_wanted(body))

    def _whole(self, asked: dict[str, Any], chat: bool) -> dict[str, Any]:
        import mistralrs

        if chat:
            found = self._runner.send_chat_completion_request(
                mistralrs.ChatCompletionRequest(model="default", **asked)
            )
            one = found.choices[0]
            inner: dict[str, Any] = {"message": {"role": "assistant", "content": one.message.content or ""}}
        else:
            found = self._runner.send_completion_request(
                mistralrs.CompletionRequest(model="default", **asked)
            )
            one = found.choices[0]
            inner = {"text": one.text, "logprobs": None}
        choice = {"index": 0, "finish_reason": one.finish_reason, **inner}
        return {"choices": [choice], "usage": _usage(found.usage)}

    async def _stream(
        self, request: web.Request, head: dict[str, Any], asked: dict[str, Any], *, usage: bool
    ) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        head = {**head, "object": "chat.completion.chunk"}
        counted: Any = None
        try:
            async for chunk in self._chunks(asked):
                counted = chunk.usage or counted
                choices = [
                    {
                        "index": 0,
                        "finish_reason": one.finish_reason,
                        "delta": {"content": one.delta.content or ""},
                    }
                    for one in chunk.choices
                ]
                await stream.write(_event({**head, "choices": choices}))
        except Unanswerable:
            return stream  # without its last event: the gateway says so in the receipt
        if usage and counted is not None:
            await stream.write(_event({**head, "choices": [], "usage": _usage(counted)}))
        await stream.write(b"data: [DONE]\n\n")
        return stream

    async def _chunks(self, asked: dict[str, Any]) -> AsyncIterator[Any]:
        """The chunks as the model makes them; its iterator blocks, so a thread of its own runs it.

        Raises Unanswerable when the model stops before its end.
        """
        import mistralrs

        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Any]()
        left = threading.Event()

        def work() -> None:
            end: Unanswerable | None = Unanswerable("the model stopped in the middle of its answer")
            try:
                wanted = mistralrs.ChatCompletionRequest(model="default", stream=True, **asked)
                for chunk in self._runner.send_chat_completion_request(wanted):
                    if left.is_set():
                        return
                    loop.call_soon_threadsafe(queue.put_nowait, chunk)
                end = None
            except ValueError:
                pass  # its text may repeat the prompt
            finally:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(queue.put_nowait, end)

        threading.Thread(target=work, daemon=True).start()
        try:
            while (chunk := await queue.get()) is not None:
                if isinstance(chunk, Unanswerable):
                    raise chunk
                yield chunk
        finally:
            left.set()


def _chat_options(body: dict[str, Any]) -> dict[str, Any]:
    messages = []
    for message in body["messages"]:
        content = message.get("content")
        if isinstance(content, list):
            if any(part.get("type") != "text" for part in content):
                raise Unanswerable("this model reads text alone")
            content = "".join(str(part["text"]) for part in content)
        messages.append({"role": str(message["role"]), "content": str(content or "")})
    if body.get("tools"):
        raise Unanswerable("this model calls no tools")
    return {"messages": messages, **_sampling(body)}


def _text_options(body: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(body["prompt"], str):
        raise Unanswerable("a prompt is one text here")
    return {"prompt": body["prompt"], **_sampling(body)}


def _sampling(body: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: _number(body, name) for name in ("n", *_TOKENS, *_KNOBS)}
    if numbers["n"] not in (None, 1):
        raise Unanswerable("one answer a request: n is 1")
    tokens = next((numbers[name] for name in _TOKENS if numbers[name]), None) or DEFAULT_TOKENS
    found: dict[str, Any] = {"max_tokens": min(int(tokens), MAX_TOKENS)}
    found |= {name: float(value) for name in _KNOBS if (value := numbers[name]) is not None}
    stop = body.get("stop")
    if stop:
        found["stop_seqs"] = [stop] if isinstance(stop, str) else [str(one) for one in stop]
    return found


def _number(body: dict[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unanswerable(f"{name} is a number here")
    return value


def _usage_wanted(body: dict[str, Any]) -> bool:
    return bool((body.get("stream_options") or {}).get("include_usage"))


def _usage(found: Any) -> dict[str, int]:
    return {
        "prompt_tokens": found.prompt_tokens,
        "completion_tokens": found.completion_tokens,
        "total_tokens": found.total_tokens,
    }


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


async def serve(weights: Path, name: str, out: TextIO) -> None:
    """Load, and serve until the gateway ends."""
    with measured(weights) as (copy, digest):
        model = await asyncio.to_thread(Model, copy, name)
    await serve_app(model.app, out, {"weights": digest})


def main() -> int:
    """Exit code 2, with a line of JSON, when the weights cannot be loaded."""
    parser = argparse.ArgumentParser(prog="python -m proofward_gateway.model")
    parser.add_argument("weights", type=Path)
    parser.add_argument("name")
    options = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "RUST_LOG": "off"}
    harden()
    told = only_speaker()
    try:
        asyncio.run(serve(options.weights, options.name, told))
    except ImportError:
        return _failed(told, "mistralrs is not installed: pip install mistralrs==0.9.5")
    except OSError as error:
        return _failed(told, f"{options.weights} cannot be read: {error.strerror}")
    except ValueError as error:
        return _failed(told, f"{options.weights} cannot be loaded: {str(error)[:500]}")
    return 0


def _failed(out: TextIO, message: str) -> int:
    announce(out, {"error": message})
    return 2


if __name__ == "__main__":
    sys.exit(main())
