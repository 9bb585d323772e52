"""Answers of HTTP servers, read to their end."""

from __future__ import annotations

from aiohttp import ClientPayloadError, ClientResponse


async def body(reply: ClientResponse, limit: int) -> bytes:
    """All bytes of an answer, which are `limit` at most. Raises aiohttp.ClientError."""
    found = bytearray()
    async for part in reply.content.iter_any():
        found += part
        if len(found) > limit:
            raise ClientPayloadError(f"it answers with more than {limit} bytes")
    return bytes(found)
