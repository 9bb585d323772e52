"""A statement of a worker's operator, signed by the enclave with the receipt key.

It says who speaks, not that it is true: the enclave signs whatever 32 bytes its host hands it. The domain
keeps it from ever being taken for a receipt or a proof of possession.
"""

from __future__ import annotations

from proofward.protocol import scale
from proofward.protocol.keys import ReceiptKey, verify_signature

_DOMAIN = b"proofward/statement/v1"
_RECORD = scale.Record(
    "Statement", {"genesis": scale.H256, "account": scale.H256, "epoch": scale.U32, "digest": scale.H256}
)


def _message(**fields: object) -> bytes:
    return _DOMAIN + _RECORD.encode(fields)


def sign_statement(*, genesis: bytes, account: bytes, epoch: int, digest: bytes, key: ReceiptKey) -> bytes:
    """Ed25519 over "proofward/statement/v1" || SCALE(genesis, account, epoch u32, digest), 64 bytes.
    `digest` is the SHA-256 of the statement's text, `epoch` that of the key.
    """
    return key.sign(_message(genesis=genesis, account=account, epoch=epoch, digest=digest))


def verify_statement(
    *, genesis: bytes, account: bytes, epoch: int, digest: bytes, signature: bytes, receipt_key: bytes
) -> None:
    """Raises ProtocolError(bad-receipt) unless `receipt_key` signed exactly this."""
    verify_signature(
        receipt_key, _message(genesis=genesis, account=account, epoch=epoch, digest=digest), signature
    )
