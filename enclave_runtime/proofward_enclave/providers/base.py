"""What every quote provider offers: a quote over 64 bytes of report_data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from proofward.protocol.enclave import EnclaveError

_SEALING: Final = b"proofward/sealing-key/v1"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A quote, and the collateral (SCALE) when the provider has it at hand."""

    quote: bytes
    collateral: bytes | None = None


class ProviderError(EnclaveError):
    """The TEE gave no quote: code `quote-unavailable`."""

    code = "quote-unavailable"


class NoSealingKey(EnclaveError):
    """The TEE gives no key that only this measurement gets: code `no-sealing-key`."""

    code = "no-sealing-key"


def derived(secret: bytes, *registers: bytes) -> bytes:
    """A sealing key of a secret and of the measurement, so that honest programs cannot take each other's."""
    return HKDF(SHA256(), 32, None, _SEALING + b"".join(registers)).derive(secret)


class QuoteProvider(Protocol):
    """A source of quotes. `simulated` is what the runtime knows itself; the chain decides by the root."""

    name: str
    simulated: bool

    def quote(self, report_data: bytes) -> Evidence:
        """A quote that carries `report_data` (64 bytes). Raises ProviderError."""
        ...


class SealingProvider(QuoteProvider, Protocol):
    """One that may have a key of its measurement besides."""

    def sealing_key(self) -> bytes:
        """32 bytes that this measurement gets on this platform, now and when it starts again, and no other
        measurement. Raises NoSealingKey.
        """
        ...


def quote_over(provider: QuoteProvider, report_data: bytes) -> Evidence:
    """A quote that holds `report_data`. Raises ProviderError when the provider gives another."""
    evidence = provider.quote(report_data)
    if report_data not in evidence.quote:
        raise ProviderError(f"{provider.name} gave a quote over something else")
    return evidence
