"""Proof that whoever registers a receipt key holds it: nobody registers another's."""

from __future__ import annotations

from proofward.protocol.bounds import REPORT_DATA_LENGTH
from proofward.protocol.keys import ReceiptKey, verify_signature
from proofward.protocol.types import require_length

_DOMAIN = b"proofward/possession/v1"


def sign_possession(report_data: bytes, key: ReceiptKey) -> bytes:
    """Ed25519 over "proofward/possession/v1" || report_data, 64 bytes. `report_data` is that of the quote
    which names the key (64 bytes, see `worker_report_data`).
    """
    require_length("report_data", report_data, REPORT_DATA_LENGTH)
    return key.sign(_DOMAIN + report_data)


def verify_possession(report_data: bytes, signature: bytes, receipt_key: bytes) -> None:
    """Raises ProtocolError(bad-receipt) unless `receipt_key` signed exactly this report data."""
    require_length("report_data", report_data, REPORT_DATA_LENGTH)
    verify_signature(receipt_key, _DOMAIN + report_data, signature)
