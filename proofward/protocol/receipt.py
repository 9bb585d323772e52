"""The receipt: an enclave's signed statement of what it ran on what, for which job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proofward.protocol import scale
from proofward.protocol.keys import ReceiptKey, verify_signature
from proofward.protocol.types import SCALE_LEVEL, SCALE_SETUP, Level, Setup

_DOMAIN = b"proofward/receipt/v1"
_HASHES = (
    "genesis",
    "job",
    "model",
    "worker",
    "weights_digest",
    "input_commitment",
    "output_commitment",
    "sealed_output_hash",
    "proof_hash",
)
_RECORD = scale.Record(
    "Receipt",
    {**dict.fromkeys(_HASHES, scale.H256), "level": SCALE_LEVEL, "setup": SCALE_SETUP, "block": scale.U32},
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Hashes and accounts are 32 bytes; `sealed_output_hash` and `proof_hash` are SHA-256.

    `block` is the number of the finalised block at which the work began, as the node told the enclave.
    """

    genesis: bytes
    job: bytes
    model: bytes
    worker: bytes
    weights_digest: bytes
    input_commitment: bytes
    output_commitment: bytes
    sealed_output_hash: bytes
    proof_hash: bytes
    level: Level
    setup: Setup
    block: int

    def message(self) -> bytes:
        """The signed bytes: "proofward/receipt/v1" || SCALE(fields in order). Raises ProtocolError on a bad
        field.
        """
        return _DOMAIN + _RECORD.encode(self.values())

    def values(self) -> dict[str, Any]:
        """The fields as SCALE and the chain's calls take them."""
        return {
            **{name: getattr(self, name) for name in _HASHES},
            "level": self.level.name.capitalize(),
            "setup": self.setup.scale_value(),
            "block": self.block,
        }


def sign_receipt(receipt: Receipt, key: ReceiptKey) -> bytes:
    """Ed25519 over `receipt.message()`, 64 bytes."""
    return key.sign(receipt.message())


def verify_receipt(receipt: Receipt, signature: bytes, receipt_key: bytes) -> None:
    """Raises ProtocolError(bad-receipt) unless `receipt_key` signed exactly this receipt."""
    verify_signature(receipt_key, receipt.message(), signature)
