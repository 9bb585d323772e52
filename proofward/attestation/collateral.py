"""Collateral: what Intel (or the simulator) publishes about a platform family, and its encoding for the
chain.

Field names and order are those of dcap-qvl's `QuoteCollateralV3`, which is what the attestation pallet
decodes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import dcap_qvl

from proofward.attestation.errors import AttestationError, Code
from proofward.files import read_whole
from proofward.protocol import ProtocolError
from proofward.protocol.collateral import PLATFORM_CHAIN, decode_collateral, encode_collateral

INTEL_PCS_URL: Final = dcap_qvl.INTEL_PCS_URL
MAX_FILE: Final = 1 << 20


class Collateral:
    """Certificate chains (PEM), CRLs (DER), TCB info and QE identity (JSON) with their signatures (64
    bytes).

    A certificate chain of one platform's own is left out, as the pallet leaves it out: with it dcap-qvl would
    verify that chain and not the quote's.
    """

    def __init__(self, inner: dcap_qvl.QuoteCollateralV3) -> None:
        fields = json.loads(inner.to_json())
        if fields.pop(PLATFORM_CHAIN, None) is not None:
            inner = dcap_qvl.QuoteCollateralV3.from_json(json.dumps(fields))
        self.inner = inner

    @classmethod
    def from_json(cls, text: str) -> Collateral:
        """Read the JSON form: chains and documents as text, the rest as hex. Raises AttestationError."""
        try:
            return cls(dcap_qvl.QuoteCollateralV3.from_json(text))
        except ValueError as error:
            raise AttestationError(f"it is no collateral: {error}", code=Code.MALFORMED_COLLATERAL) from None

    @classmethod
    def from_file(cls, path: Path) -> Collateral:
        """Read the JSON form from a file. Raises AttestationError."""
        try:
            text = read_whole(path, MAX_FILE).decode()
        except OSError as error:
            raise AttestationError(
                f"{path} cannot be read ({error.strerror}): give a file of collateral JSON",
                code=Code.NO_COLLATERAL,
            ) from None
        except ValueError as error:
            raise AttestationError(
                f"{path} is no collateral: {error}", code=Code.MALFORMED_COLLATERAL
            ) from None
        return cls.from_json(text)

    def to_json(self) -> str:
        """The inverse of `from_json`."""
        return str(self.inner.to_json())

    def encode(self) -> bytes:
        """SCALE, for `Attestation.refresh_collateral`. Raises AttestationError above 65,536 bytes."""
        try:
            return encode_collateral(json.loads(self.to_json()))
        except ProtocolError as error:
            raise AttestationError(error.message, code=Code.MALFORMED_COLLATERAL) from None

    @classmethod
    def decode(cls, data: bytes) -> Collateral:
        """The inverse of `encode`. Raises AttestationError."""
        try:
            return cls.from_json(json.dumps(decode_collateral(data)))
        except ProtocolError as error:
            raise AttestationError(error.message, code=Code.MALFORMED_COLLATERAL) from None


async def fetch_collateral(url: str, quote: bytes) -> Collateral:
    """Fetch a quote's collateral from a PCCS or Intel's PCS. Raises AttestationError(no-collateral)."""
    try:
        return Collateral(await dcap_qvl.get_collateral(url, quote))
    except ValueError as error:
        raise AttestationError(
            f"{url} gave no collateral for this quote: {error}; try another PCCS", code=Code.NO_COLLATERAL
        ) from None
