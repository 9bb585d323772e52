"""A frozen enclave: a proxy in front of a worker's enclave that lets everything through but `work`.

The demo kills a worker *while it holds a claim*. Proving takes milliseconds, so without this the kill would
race the result. The proxy stands outside worker and enclave: neither has a switch for faults.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

from proofward.protocol.enclave import HEADER_LENGTH, FrameError, content_length, parse_request


class FrozenEnclave:
    """Listens on `listen`, forwards to `target`; sets `frozen` when it has swallowed a `work` request."""

    def __init__(self, listen: Path, target: Path) -> None:
        self.frozen = threading.Event()
        self._target = target
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(listen))
        listen.chmod(0o600)
        self._server.listen(8)
        threading.Thread(target=self._accept, name="frozen-enclave", daemon=True).start()

    def close(self) -> None:
        """Stop listening; connections end with their peers."""
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with peer, upstream, contextlib.suppress(OSError):
            upstream.connect(str(self._target))
            threading.Thread(target=_copy, args=(upstream, peer), daemon=True).start()
            while (frame := _read_frame(peer)) is not None:
                if parse_request(frame[HEADER_LENGTH:]).method == "work":
                    self.frozen.set()
                    continue
                upstream.sendall(frame)
            upstream.shutdown(socket.SHUT_RDWR)  # wakes the copying thread; a close alone would not


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)


def _read_frame(peer: socket.socket) -> bytes | None:
    """The next frame, its header included; None when the peer is done or announces too much."""
    header = _read_exactly(peer, HEADER_LENGTH)
    if header is None:
        return None
    try:
        content = _read_exactly(peer, content_length(header))
    except FrameError:
        return None
    return None if content is None else header + content


def _read_exactly(peer: socket.socket, length: int) -> bytes | None:
    data = bytearray()
    while len(data) < length:
        part = peer.recv(length - len(data))
        if not part:
            return None
        data += part
    return bytes(data)
