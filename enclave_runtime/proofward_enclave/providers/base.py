"""What every quote provider offers: a quote over 64 bytes of report_data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from proofward.protocol.enclave import EnclaveError


@dataclass(frozen=True, slots=True)
class Evidence:
    """A quote, and the collateral (SCALE) when the provider has it at hand."""

    quote: bytes
    collateral: bytes | None = None


class ProviderError(EnclaveError):
    """The TEE gave no quote: code `quote-unavailable`."""

    code = "quote-unavailable"


class QuoteProvider(Protocol):
    """A source of quotes. `simulated` is what the runtime knows itself; the chain decides by the root."""

    name: str
    simulated: bool

    def quote(self, report_data: bytes) -> Evidence:
        """A quote that carries `report_data` (64 bytes). Raises ProviderError."""
        ...


def quote_over(provider: QuoteProvider, report_data: bytes) -> Evidence:
    """A quote that holds `report_data`. Raises ProviderError when the provider gives another."""
    evidence = provider.quote(report_data)
    if report_data not in evidence.quote:
        raise ProviderError(f"{provider.name} gave a quote over something else")
    return evidence
