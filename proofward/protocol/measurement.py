"""One hash for what a trust domain runs, so that an allow-list holds 32 bytes an entry."""

from __future__ import annotations

from collections.abc import Sequence

from proofward.protocol.bounds import MEASUREMENT_REGISTER_LENGTH
from proofward.protocol.errors import Code, ProtocolError
from proofward.protocol.hashes import sha256
from proofward.protocol.types import require_length

_DOMAIN = b"proofward/measurement/v1"


def measurement(
    *, mrtd: bytes, rtmrs: Sequence[bytes], mr_config_id: bytes, mr_owner: bytes, mr_owner_config: bytes
) -> bytes:
    """SHA-256("proofward/measurement/v1" || mrtd || rtmr0..3 || mr_config_id || mr_owner || mr_owner_config).

    Every register is 48 bytes, as in a TDX report body (Intel TDX DCAP quoting library API, section A.3.2).
    """
    if len(rtmrs) != 4:
        raise ProtocolError("a trust domain has four runtime measurement registers", code=Code.MALFORMED)
    registers = [mrtd, *rtmrs, mr_config_id, mr_owner, mr_owner_config]
    for register in registers:
        require_length("a measurement register", register, MEASUREMENT_REGISTER_LENGTH)
    return sha256(_DOMAIN + b"".join(registers))
