"""One salt for each record of a batch, from the one salt of the job."""

from __future__ import annotations

from proofward.protocol.bounds import MAX_BATCH, SALT_LENGTH
from proofward.protocol.errors import Code, ProtocolError
from proofward.protocol.hashes import sha256
from proofward.protocol.types import require_length

_DOMAIN = b"proofward/salt/v2"


def record_salts(salt: bytes, batch: int) -> list[bytes]:
    """The salts of `batch` records, 32 bytes each, the last of them 0.

    salt_i = sha256("proofward/salt/v2" || salt || u32 LE i)[:31] || 0. Raises ProtocolError when `batch` is
    not 1 to 32.
    """
    require_length("salt", salt, SALT_LENGTH)
    if not 1 <= batch <= MAX_BATCH:
        raise ProtocolError(f"a batch has 1 to {MAX_BATCH} records, not {batch}", code=Code.MALFORMED)
    return [sha256(_DOMAIN + salt + index.to_bytes(4, "little"))[:31] + b"\0" for index in range(batch)]
