"""One bounded `GET` of something that a server may have."""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.request
from concurrent.futures import Future
from typing import Final

from proofward.errors import ProofwardError
from proofward.files import TooLong, read_stream

SECONDS: Final = 20.0
"""How long a server may be silent."""
WHOLE: Final = 600.0
"""How long it may take for all: one that sends a byte now and then is never silent."""


class FetchError(ProofwardError):
    """A server does not have what was asked of it, or has something else."""

    code = "fetch-failed"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """A redirect is an answer that is not the file: a server must not lead a client elsewhere."""
        return None


def get(address: str, limit: int, seconds: float = SECONDS, *, whole: float = WHOLE) -> bytes:
    """What is at an address, `limit` bytes at most, without redirects; a server may be silent for `seconds`,
    and have `whole` for all of it. Raises FetchError.
    """
    found: Future[bytes] = Future()

    def run() -> None:
        try:
            found.set_result(_got(address, limit, seconds))
        except Exception as error:  # noqa: BLE001 - it is whoever waits that is to have it
            found.set_exception(error)

    threading.Thread(target=run, name="fetch", daemon=True).start()
    try:
        return found.result(whole)
    except TimeoutError:
        raise FetchError(f"takes longer than {whole:g} s") from None


def _got(address: str, limit: int, seconds: float) -> bytes:
    if not address.startswith(("http://", "https://")):
        raise FetchError("is no http:// or https:// address")
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(address, timeout=seconds) as reply:
            return read_stream(reply, limit)
    except urllib.error.HTTPError as error:
        raise FetchError(f"answers {error.code}") from error
    except TooLong:
        raise FetchError(f"sends more than {limit} bytes") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise FetchError(f"does not answer ({error})") from error
