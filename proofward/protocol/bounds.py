"""Constant bounds of every length on the wire. The pallets (chain/primitives) hold the same numbers."""

from __future__ import annotations

from typing import Final

HASH_LENGTH: Final = 32
ACCOUNT_LENGTH: Final = 32
SALT_LENGTH: Final = 32
NONCE_LENGTH: Final = 12
"""ChaCha20-Poly1305 nonce, bytes (RFC 8439)."""
CONTENT_KEY_LENGTH: Final = 32
RECEIPT_KEY_LENGTH: Final = 32
SIGNATURE_LENGTH: Final = 64
REPORT_DATA_LENGTH: Final = 64
MEASUREMENT_REGISTER_LENGTH: Final = 48
"""Bytes in one TDX measurement register (SHA-384)."""

MAX_ENVELOPE: Final = 65_536
MAX_SEALED_OUTPUT: Final = 65_536
MAX_PROOF: Final = 16_384
MAX_QUOTE: Final = 16_384
MAX_COLLATERAL: Final = 65_536
MAX_RECIPIENTS: Final = 8
MAX_WRAPPED: Final = 2_048
"""Bytes of one HPKE-wrapped content key; the hybrid KEM needs 1,168."""
MAX_HPKE_KEY: Final = 1_216
MAX_VALUES: Final = 8_192
"""Integers in one payload: all that fit an envelope."""
MAX_BATCH: Final = 32
PAYLOAD_BLOCK: Final = 256
"""A payload is padded to a multiple of this many bytes before encryption."""
