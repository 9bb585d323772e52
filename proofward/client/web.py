"""One bounded `GET` of something that a server may have."""

from __future__ import annotations

import http.client
import io
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from proofward.errors import ProofwardError
from proofward.files import TooLong, read_stream

SECONDS: Final = 20.0
"""How long a server may be silent."""
WHOLE: Final = 600.0
"""How long it may take for all: one that sends a byte now and then is never silent."""


class FetchError(ProofwardError):
    """A server does not have what was asked of it, or has something else."""

    code = "fetch-failed"


def get(address: str, limit: int, seconds: float = SECONDS, *, whole: float = WHOLE) -> bytes:
    """What is at an address, `limit` bytes at most, without redirects; a server may be silent for `seconds`,
    and have `whole` for all of it but the look-up of its name. Raises FetchError.
    """
    if not address.startswith(("http://", "https://")):
        raise FetchError("is no http:// or https:// address")
    clock = _Clock(seconds, time.monotonic() + whole)
    opener = urllib.request.build_opener(_NoRedirects, _Plain(clock), _Secure(clock))
    try:
        with opener.open(address, timeout=seconds) as reply:
            return read_stream(reply, limit)
    except urllib.error.HTTPError as error:
        raise FetchError(f"answers {error.code}") from error
    except TooLong:
        raise FetchError(f"sends more than {limit} bytes") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        if clock.over():
            raise FetchError(f"takes longer than {whole:g} s") from None
        raise FetchError(f"does not answer ({error})") from error


@dataclass(frozen=True, slots=True)
class _Clock:
    """How long each step may take, and, by the monotonic clock, when all must be done."""

    seconds: float
    end: float

    def over(self) -> bool:
        return time.monotonic() >= self.end

    def left(self) -> float:
        """For the next step. Raises TimeoutError."""
        if (left := self.end - time.monotonic()) <= 0:
            raise TimeoutError("timed out")
        return min(left, self.seconds)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """A redirect is an answer that is not the file: a server must not lead a client elsewhere."""
        return None


class _Bounded(urllib.request.AbstractHTTPHandler):
    """Opens connections whose every step looks at the clock: a timeout of a socket's begins anew with each
    byte, and each of a name's addresses.
    """

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock

    def do_open(
        self,
        http_class: Callable[..., http.client.HTTPConnection],
        req: urllib.request.Request,
        **options: Any,
    ) -> http.client.HTTPResponse:
        def connection(host: str, **more: Any) -> http.client.HTTPConnection:
            made = http_class(host, **more)
            made.response_class = partial(_Response, self._clock)  # type: ignore[assignment]
            made._create_connection = self._connected  # type: ignore[attr-defined]
            return made

        return super().do_open(connection, req, **options)

    def _connected(self, place: tuple[str, int], *_: object) -> socket.socket:
        """A connection to the first of a name's addresses that answers."""
        failure = OSError("its name has no address")
        for family, kind, protocol, _name, address in socket.getaddrinfo(*place, type=socket.SOCK_STREAM):
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(self._clock.left())
                connection.connect(address)
            except OSError as error:
                connection.close()
                failure = error
            else:
                return connection
        raise failure


class _Plain(_Bounded, urllib.request.HTTPHandler):
    pass


class _Secure(_Bounded, urllib.request.HTTPSHandler):
    pass


class _Response(http.client.HTTPResponse):
    def __init__(self, clock: _Clock, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Reader(clock, sock))


class _Reader(io.RawIOBase):
    """What a socket sends, where each read has what is left on the clock."""

    def __init__(self, clock: _Clock, sock: socket.socket) -> None:
        self._clock, self._socket = clock, sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        self._socket.settimeout(self._clock.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
