"""Names of services, answered over DNS (RFC 1035) as an engine does: A records of one list, and no others."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

A, HEADER = 1, 12


def answer(question: bytes, addresses: Mapping[str, str]) -> bytes:
    """The answer to a query of one question; a name that is not in the list does not exist."""
    labels, place = [], HEADER
    while question[place]:
        labels.append(question[place + 1 : place + 1 + question[place]].decode().lower())
        place += 1 + question[place]
    end = place + 5
    kind = int.from_bytes(question[place + 1 : place + 3], "big")
    address = addresses.get(".".join(labels))
    flags = b"\x81\x80" if address else b"\x81\x83"
    records = b""
    if address and kind == A:
        packed = socket.inet_aton(address)
        records = b"\xc0\x0c\x00\x01\x00\x01" + (60).to_bytes(4, "big") + b"\x00\x04" + packed
    counts = b"\x00\x01" + (1 if records else 0).to_bytes(2, "big") + bytes(4)
    return question[:2] + flags + counts + question[HEADER:end] + records


class Names:
    """A server on one address; use it as a context manager."""

    def __init__(self, host: str, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 53))

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                question, sender = self._socket.recvfrom(512)
                self._socket.sendto(answer(question, self._addresses), sender)
            except (IndexError, UnicodeDecodeError):
                continue
            except OSError:
                return
