"""A key behind a Unix socket: this machine's other user has it, and signs what its rules let through.

One request a connection, both ways four bytes of length (big-endian) and JSON:
`{"op": "key"}` gives `{"public_key": hex, "crypto_type": n}`; `{"op": "sign", "payload": hex}` gives
`{"signature": hex}`. A refusal is `{"error": {"code", "message"}}`.
"""

from __future__ import annotations

import json
import socket
import struct
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from proofward.chain.errors import ChainError
from proofward.chain.signing_rules import MOST_PAYLOAD, SigningRefused
from proofward.protocol import strict_json

MOST_FRAME: Final = 2 * MOST_PAYLOAD + 1024
SCHEME: Final = "unix:"
_SECONDS: Final = 30.0


class SignerUnreachable(ChainError):
    """Nobody signs behind the socket, or answers nonsense."""

    code = "signer-unreachable"


def read_frame(stream: socket.socket) -> dict[str, Any]:
    """One message. Raises ValueError for what is none, OSError when the other end is gone."""
    (length,) = struct.unpack(">I", _exactly(stream, 4))
    if length > MOST_FRAME:
        raise ValueError(f"a message has {MOST_FRAME} bytes at most, not {length}")
    value = strict_json.loads(_exactly(stream, length), limit=MOST_FRAME)
    if not isinstance(value, dict):
        raise ValueError("a message is an object")
    return value


def write_frame(stream: socket.socket, value: dict[str, Any]) -> None:
    """Send one message."""
    data = json.dumps(value, separators=(",", ":")).encode()
    stream.sendall(struct.pack(">I", len(data)) + data)


def _exactly(stream: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = stream.recv(min(length - len(data), 1 << 16))
        if not part:
            raise ConnectionError("the other end hung up")
        data += part
    return bytes(data)


class SocketSigner:
    """The key behind a socket, as `client.sign` and the outbox take a key."""

    def __init__(self, path: str | Path) -> None:
        """Asks nobody yet."""
        self.path = Path(path)

    @cached_property
    def _key(self) -> tuple[bytes, int]:
        answer = self._ask({"op": "key"})
        try:
            public_key, crypto_type = bytes.fromhex(answer["public_key"]), int(answer["crypto_type"])
        except (KeyError, ValueError, TypeError):
            raise self._nonsense() from None
        if len(public_key) != 32 or crypto_type not in (0, 1):
            raise self._nonsense()
        return public_key, crypto_type

    @property
    def public_key(self) -> bytes:
        """The account. Raises SignerUnreachable."""
        return self._key[0]

    @property
    def crypto_type(self) -> int:
        """0 for ed25519, 1 for sr25519. Raises SignerUnreachable."""
        return self._key[1]

    def sign(self, data: bytes) -> bytes:
        """Bytes that nobody can read are not signed: raises SigningRefused."""
        raise SigningRefused(f"the signer at {self.path} signs extrinsics, and nothing else")

    def sign_payload(self, payload: bytes) -> bytes:
        """The signature (64 bytes) of an extrinsic's payload, which is given whole.

        Raises SigningRefused with the signer's reason, SignerUnreachable.
        """
        answer = self._ask({"op": "sign", "payload": payload.hex()})
        try:
            signature = bytes.fromhex(answer["signature"])
        except (KeyError, ValueError, TypeError):
            raise self._nonsense() from None
        if len(signature) != 64:
            raise self._nonsense()
        return signature

    def _nonsense(self) -> SignerUnreachable:
        return SignerUnreachable(f"what answers at {self.path} is no signer: start `proofward signer serve`")

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
                stream.settimeout(_SECONDS)
                stream.connect(str(self.path))
                write_frame(stream, request)
                answer = read_frame(stream)
        except OSError as error:
            raise SignerUnreachable(
                f"nobody signs at {self.path} ({error}): start `proofward signer serve --socket {self.path}`"
            ) from None
        except ValueError:
            raise self._nonsense() from None
        if isinstance(refusal := answer.get("error"), dict):
            message = f"the signer at {self.path} refused: {refusal.get('message')}"
            raise SigningRefused(message, code=str(refusal.get("code", "signing-refused")))
        return answer
