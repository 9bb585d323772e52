"""Quote providers: simulator, dstack, tsm."""

from __future__ import annotations

from proofward.protocol.enclave import EnclaveError
from proofward_enclave.providers.base import Evidence, ProviderError, QuoteProvider, SealingProvider

NAMES = ("simulator", "dstack", "tsm")


def make_provider(name: str) -> SealingProvider:
    """The provider of a name; its libraries load only when it is used. Raises EnclaveError."""
    if name == "simulator":
        from proofward_enclave.providers.simulator import SimulatorProvider

        return SimulatorProvider()
    if name == "dstack":
        from proofward_enclave.providers.dstack import DstackProvider

        return DstackProvider()
    if name == "tsm":
        from proofward_enclave.providers.tsm import TsmProvider

        return TsmProvider()
    raise EnclaveError(
        f"{name!r} is no quote provider: use one of {', '.join(NAMES)}", code="unknown-provider"
    )


__all__ = ["NAMES", "Evidence", "ProviderError", "QuoteProvider", "SealingProvider", "make_provider"]
