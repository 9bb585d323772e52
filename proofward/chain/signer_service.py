"""The other end of the socket: whoever runs this has the key, and the worker does not."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from proofward.chain.errors import ChainError
from proofward.chain.extrinsic import Signer, signature_of
from proofward.chain.runtime import Runtime
from proofward.chain.signer import read_frame, write_frame
from proofward.chain.signing_rules import Rules, SigningRefused
from proofward.logs import Logger

log = Logger(__name__)

_MOST_CALLERS: Final = 16
_SECONDS: Final = 10.0


class SignerService:
    """Answers at a socket. `runtime` gives the chain's present one, and raises ChainError when it cannot."""

    def __init__(self, path: Path, key: Signer, rules: Rules, runtime: Callable[[], Runtime]) -> None:
        self.path, self._key, self._rules, self._runtime = path, key, rules, runtime
        self._callers = threading.BoundedSemaphore(_MOST_CALLERS)
        self._signing = threading.Lock()
        self._listener: socket.socket | None = None
        self.signed = 0
        self.refused = 0

    def open(self, group: str | None = None) -> None:
        """Listen, for the own user alone, or for a group as well. Raises ChainError when that cannot be."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._clear()
            before = os.umask(0o177)
            try:
                listener.bind(str(self.path))
            finally:
                os.umask(before)
            if group is not None:
                os.chown(self.path, -1, grp.getgrnam(group).gr_gid)
                self.path.chmod(0o660)
            listener.listen(_MOST_CALLERS)
        except (OSError, KeyError) as error:
            listener.close()
            raise ChainError(
                f"the socket {self.path} cannot be opened ({error}): choose another path or group",
                code="bad-config",
            ) from None
        self._listener = listener

    def _clear(self) -> None:
        """Take away a socket that a service left which is gone; nothing else."""
        if not os.path.lexists(self.path):
            return
        if not stat.S_ISSOCK(self.path.lstat().st_mode):
            raise FileExistsError("there is a file of that name")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(str(self.path)) == 0:
                raise FileExistsError("another signer listens there")
        self.path.unlink()

    def serve(self) -> None:
        """Answer until `close`."""
        listener = self._listener
        assert listener is not None, "open first"
        while True:
            self._callers.acquire()
            try:
                stream, _ = listener.accept()
            except OSError:
                self._callers.release()
                return
            threading.Thread(target=self._answer, args=(stream,), daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self.path.unlink(missing_ok=True)

    def _answer(self, stream: socket.socket) -> None:
        try:
            with stream:
                stream.settimeout(_SECONDS)
                write_frame(stream, self._judged(read_frame(stream)))
        except (OSError, ValueError) as error:
            log.warning("caller went wrong", reason=str(error))
        finally:
            self._callers.release()

    def _judged(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            match request:
                case {"op": "key"}:
                    public_key = bytes(self._key.public_key).hex()
                    return {"public_key": public_key, "crypto_type": int(self._key.crypto_type)}
                case {"op": "sign", "payload": str(payload)}:
                    return {"signature": self._signed(payload).hex()}
            raise SigningRefused("ask for op `key`, or `sign` with a payload")
        except ChainError as error:
            with self._signing:
                self.refused += 1
            log.warning("not signed", code=error.code, reason=error.message)
            return {"error": {"code": error.code, "message": error.message}}

    def _signed(self, text: str) -> bytes:
        try:
            payload = bytes.fromhex(text)
        except ValueError:
            raise SigningRefused("a payload is hexadecimal") from None
        said = self._rules.check(payload, self._runtime())
        with self._signing:
            signature = signature_of(self._key, payload)
            self.signed += 1
        log.info("signed", calls=list(said.calls), nonce=said.nonce, tip=said.tip)
        return signature
