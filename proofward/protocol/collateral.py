"""Collateral on the wire: the SCALE form that `Attestation.refresh_collateral` takes.

Names and order are those of dcap-qvl's `QuoteCollateralV3`; the pallet decodes it into that type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proofward.protocol import bounds, scale
from proofward.protocol.errors import Code, ProtocolError

_BYTES = scale.byte_vec(bounds.MAX_COLLATERAL)
PLATFORM_CHAIN: Final = "pck_certificate_chain"

TEXT_FIELDS: Final = (
    "pck_crl_issuer_chain",
    "tcb_info_issuer_chain",
    "tcb_info",
    "qe_identity_issuer_chain",
    "qe_identity",
    PLATFORM_CHAIN,
)
"""PEM chains and JSON documents; the other fields are CRLs (DER) and raw signatures, in hex."""

_FIELDS: Final = (
    "pck_crl_issuer_chain",
    "root_ca_crl",
    "pck_crl",
    "tcb_info_issuer_chain",
    "tcb_info",
    "tcb_info_signature",
    "qe_identity_issuer_chain",
    "qe_identity",
    "qe_identity_signature",
)
_RECORD = scale.Record("Collateral", {**dict.fromkeys(_FIELDS, _BYTES), PLATFORM_CHAIN: scale.option(_BYTES)})


def encode_collateral(fields: Mapping[str, str]) -> bytes:
    """SCALE of the JSON form's fields. Raises ProtocolError: malformed, oversize (65,536 bytes)."""
    try:
        values: dict[str, bytes | None] = {
            name: fields[name].encode() if name in TEXT_FIELDS else bytes.fromhex(fields[name])
            for name in _FIELDS
        }
    except (KeyError, ValueError) as error:
        raise ProtocolError(
            f"collateral lacks a field or has bad hex: {error}", code=Code.MALFORMED
        ) from None
    chain = fields.get(PLATFORM_CHAIN)
    values[PLATFORM_CHAIN] = None if chain is None else chain.encode()
    encoded = _RECORD.encode(values)
    if len(encoded) > bounds.MAX_COLLATERAL:
        raise ProtocolError(
            f"the collateral takes {len(encoded)} bytes, above {bounds.MAX_COLLATERAL}", code=Code.OVERSIZE
        )
    return encoded


def decode_collateral(data: bytes) -> dict[str, str]:
    """The inverse. Raises ProtocolError(malformed)."""
    values = _RECORD.decode(data)
    try:
        return {
            name: value.decode() if name in TEXT_FIELDS else value.hex()
            for name, value in values.items()
            if value is not None
        }
    except UnicodeDecodeError:
        raise ProtocolError("a text field of the collateral is not UTF-8", code=Code.MALFORMED) from None
