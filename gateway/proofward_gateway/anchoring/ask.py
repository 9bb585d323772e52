"""A question to a gateway whose answer speaks for itself: over whatever TLS key it shows."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import aiohttp

from proofward.aci import jcs
from proofward.aci.errors import AciError
from proofward.aci.jcs import MAX_DOCUMENT
from proofward_gateway.channel import CONNECT_SECONDS, GatewayError, client_session, read_bounded

_TOLD: Final = 300


def ask(gateway: str, path: str) -> dict[str, Any]:
    """A JSON object from a gateway. Raises GatewayError: unreachable, or what it says itself, under the code
    that its error has.
    """

    async def get() -> tuple[int, Any]:
        try:
            async with (
                asyncio.timeout(3 * CONNECT_SECONDS),
                client_session() as session,
                session.get(f"{gateway}{path}", ssl=False, allow_redirects=False) as response,
            ):
                return response.status, jcs.loads(await read_bounded(response.content, MAX_DOCUMENT))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise GatewayError(
                f"{gateway} does not answer: {type(error).__name__}", code="gateway-unreachable"
            ) from None
        except AciError as error:
            raise GatewayError(f"{gateway} answers with no JSON: {error.message}") from None

    status, value = asyncio.run(get())
    if status == 200 and isinstance(value, dict):
        return value
    error = value.get("error") if isinstance(value, dict) else None
    told = str(error.get("message"))[:_TOLD] if isinstance(error, dict) else "no more than that"
    code = error.get("code") if isinstance(error, dict) else None
    named = {"not_anchored": "not-anchored", "not_bonded": "not-bonded"}.get(str(code), "gateway-refused")
    raise GatewayError(f"{gateway} answers {status}: {told}", code=named)
