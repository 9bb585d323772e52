"""An answer on its way back: encrypted, padded, hashed as it leaves; its receipt before its last byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any, Final

import aiohttp
from aiohttp import web

from proofward.aci import e2ee, jcs, sse
from proofward.aci.documents import MAX_ANSWER
from proofward.aci.errors import AciError
from proofward.errors import ProofwardError
from proofward_gateway.channel import GatewayError, read_bounded
from proofward_gateway.exchange import Exchange, Refusal

MAX_STREAM: Final = 256 << 20
_MAX_CHAT_ID: Final = 128
Finish = Callable[[str | None], asyncio.Future[None]]
"""Signs the receipt and hands it to the store, once; with a reason when the answer ends early."""


class Broken(ProofwardError):
    """The upstream's answer cannot be relayed further; `reason` goes into the receipt."""

    code = "upstream-broken"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the upstream's answer cannot be relayed: {reason}")
        self.reason = reason


class Gone(ProofwardError):
    """The client has closed the connection."""

    code = "client-gone"


class _Stream(web.StreamResponse):
    """One whose headers may wait for the first bytes of its body, as aiohttp's own whole responses do."""

    _send_headers_immediately = True


class Answer:
    """One answer. Whatever happens, `finish` is called once: at its end, by a refusal, or by `abort`."""

    def __init__(self, exchange: Exchange, request: web.Request, finish: Finish, *, pad: int) -> None:
        self.exchange, self.request, self._finish, self._pad = exchange, request, finish, pad
        self._encryption: e2ee.Exchange | None = None
        self._stream: web.StreamResponse | None = None

    async def relay(
        self, response: aiohttp.ClientResponse, encryption: e2ee.Exchange | None
    ) -> web.StreamResponse:
        """Pass an upstream's answer on. Raises Broken, StoreError, Gone."""
        self._encryption = encryption
        try:
            if response.status == 200 and response.content_type == "text/event-stream":
                return await self._events(response.content)
            return await self._whole(response)
        except GatewayError:
            raise Broken("upstream-too-long") from None
        except AciError:
            raise Broken("upstream-malformed") from None

    async def refuse(self, refusal: Refusal) -> web.StreamResponse:
        """Answer with an error, under a receipt."""
        body = json.dumps(refusal.document()).encode()
        return await self._send(body, refusal.status)

    async def broken(self, reason: str, status: int) -> web.StreamResponse:
        """End an answer that cannot go on: by an error, or by an error event where it has begun."""
        told = Refusal(status, "upstream_error", f"the answer cannot be completed: {reason}", code=reason)
        if self._stream is None:
            return await self._send(json.dumps(told.document()).encode(), status, aborted=reason)
        try:
            await self._last(
                b"event: error\ndata: " + json.dumps(told.document()).encode() + b"\n\n", aborted=reason
            )
        except Gone:
            self.abort("client-gone")
        return self._stream

    def abort(self, reason: str) -> None:
        """The receipt of an answer that nobody waits for; nothing when it has one."""
        if not self.exchange.closed:
            self._finish(reason).add_done_callback(_noted)

    # ---- whole answers -----------------------------------------------------------------------------

    async def _whole(self, response: aiohttp.ClientResponse) -> web.StreamResponse:
        body = await read_bounded(response.content, MAX_ANSWER)
        status = response.status if 200 <= response.status < 600 else 502
        if status != 200:
            return await self._failed(status, body)
        value = _object(body)
        if value is None:  # no API answers so; and what readers would parse otherwise, nobody has checked
            raise Broken("upstream-malformed")
        self._note_id(value)
        if self._encryption is not None:
            self._encryption.seal_response(self.exchange.endpoint, value)
            body = jcs.compact(value)
        return await self._send(body, status)

    async def _failed(self, status: int, body: bytes) -> web.StreamResponse:
        """An upstream's error. Under encryption its text stays here: it may repeat the prompt."""
        if status < 400:  # to a client no failure, and unlike 200 nothing that a proxy checks
            raise Broken("upstream-redirects" if status >= 300 else "upstream-malformed")
        if self._encryption is None and _object(body) is not None:
            return await self._send(body, status)
        told = Refusal(status, "upstream_error", f"the upstream answered {status}", code=f"upstream_{status}")
        return await self.refuse(told)

    async def _send(self, body: bytes, status: int, *, aborted: str | None = None) -> web.StreamResponse:
        self.exchange.emitted(body)
        await self._finish(aborted)
        headers = self._headers()
        headers["Content-Type"] = "application/json"
        return web.Response(body=body, status=status, headers=headers)

    # ---- streams -----------------------------------------------------------------------------------

    async def _events(self, content: aiohttp.StreamReader) -> web.StreamResponse:
        """Each event as it comes; from the one that ends the stream on, only after the receipt."""
        splitter, length, noted, ended = sse.Splitter(), 0, False, False
        held: list[bytes] = []
        async for chunk in content.iter_any():
            length += len(chunk)
            if length > MAX_STREAM:
                raise Broken("upstream-too-long")
            parts: list[bytes] = []
            fault: AciError | Broken | None = None
            try:
                for event in splitter.feed(chunk):
                    if not noted:
                        self._note_first(event)
                        noted = True
                    out = self._sealed(event)
                    ended = ended or sse.ends(event)
                    if out:
                        (held if ended else parts).append(out)
            except (AciError, Broken) as error:  # what came before it in this chunk goes out all the same
                fault = error
            if noted:
                await self._pass_on(parts)
            if fault is not None:
                raise fault
            if sum(map(len, held)) > sse.MAX_EVENT:
                raise Broken("upstream-too-long")
        if not ended or splitter.rest().strip():
            raise Broken("upstream-truncated")
        await self._last(*held)
        assert self._stream is not None
        return self._stream

    async def _begin(self, *, alone: bool) -> None:
        """Headers, `alone` or before the first event in one piece: each piece wakes the client once."""
        headers = self._headers()
        headers["Content-Type"] = "text/event-stream; charset=utf-8"
        self._stream = _Stream(status=200, headers=headers)
        self._stream._send_headers_immediately = alone
        try:
            await self._stream.prepare(self.request)
        except ConnectionError:
            raise Gone("the client has closed the connection") from None

    async def _pass_on(self, events: list[bytes]) -> None:
        """Events that came in one piece, in one piece."""
        if self._stream is None:
            await self._begin(alone=not events)
        if not events:
            return
        assert self._stream is not None
        out = self._padded(events)
        try:
            await self._stream.write(out)
        except ConnectionError:
            raise Gone("the client has closed the connection") from None
        self.exchange.emitted(out)

    async def _last(self, *events: bytes, aborted: str | None = None) -> None:
        assert self._stream is not None
        out = self._padded(events)
        self.exchange.emitted(out)
        await self._finish(aborted)
        try:
            await self._stream.write_eof(out)
        except ConnectionError:
            raise Gone("the client has closed the connection") from None

    def _padded(self, events: Iterable[bytes]) -> bytes:
        return b"".join(sse.padded(event, self._pad) if self._pad else event for event in events)

    def _sealed(self, event: bytes) -> bytes:
        if self._encryption is None:
            return sse.plain(event) or b":\n\n"  # a comment may be all that keeps a client waiting
        data = sse.data_of(event)
        if data is None:
            return b""  # an upstream's comment may hold anything
        if data == b"[DONE]":
            return sse.plain(event)
        value = jcs.loads(data)
        if not isinstance(value, dict):
            raise AciError("an event holds no object")
        if value.get("error") is not None:
            raise Broken("upstream-failed")  # its text stays here: it may repeat the prompt
        self._encryption.seal_response(self.exchange.endpoint, value)
        return sse.with_data(event, jcs.compact(value))

    def _note_first(self, event: bytes) -> None:
        value = _object(sse.data_of(event) or b"")
        if value is not None:
            inner = value.get("message", value.get("response"))  # Anthropic's first event, and a response's
            self._note_id(inner if isinstance(inner, dict) and "id" not in value else value)

    # ---- both --------------------------------------------------------------------------------------

    def _note_id(self, value: dict[str, Any]) -> None:
        found = value.get("id")
        if isinstance(found, str) and 0 < len(found) <= _MAX_CHAT_ID:
            self.exchange.chat_id = found

    def _headers(self) -> dict[str, str]:
        headers = {"X-Receipt-Id": self.exchange.id, "X-ACI-Keyset-Digest": self.exchange.keys.digest}
        if self._encryption is not None:
            headers["X-E2EE-Applied"] = "true"
            headers["X-E2EE-Version"] = e2ee.VERSION
            headers["X-E2EE-Algo"] = self._encryption.context.suite
        return headers


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value = jcs.loads(data, limit=MAX_ANSWER)
    except AciError:
        return None
    return value if isinstance(value, dict) else None


def _noted(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()  # the store has said why in its own log; nobody waits for this one
