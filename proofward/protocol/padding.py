"""ISO/IEC 7816-4 padding: one 0x80, then zeros, up to a multiple of the block."""

from __future__ import annotations

from proofward.protocol.bounds import PAYLOAD_BLOCK
from proofward.protocol.errors import Code, ProtocolError


def pad(data: bytes, block: int = PAYLOAD_BLOCK) -> bytes:
    """`data` padded to the next multiple of `block` bytes; always at least one byte longer."""
    return data + b"\x80" + bytes(-(len(data) + 1) % block)


def unpad(padded: bytes, block: int = PAYLOAD_BLOCK) -> bytes:
    """The inverse. Raises ProtocolError on anything that `pad` cannot have made."""
    data, mark, zeros = padded.rpartition(b"\x80")
    if not mark or len(padded) % block or len(zeros) >= block or zeros.strip(b"\0"):
        raise ProtocolError("the payload is not padded as the protocol says", code=Code.MALFORMED_ENVELOPE)
    return data
