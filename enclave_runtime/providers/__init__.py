"""Quote providers: simulator, dstack, tsm."""

from __future__ import annotations

from enclave_runtime.errors import EnclaveError
from enclave_runtime.providers.base import Evidence, ProviderError, QuoteProvider

NAMES = ("simulator", "dstack", "tsm")


def make_provider(name: str) -> QuoteProvider:
    """The provider of a name; its libraries load only when it is used. Raises EnclaveError."""
    if name == "simulator":
        from enclave_runtime.providers.simulator import SimulatorProvider

        return SimulatorProvider()
    if name == "dstack":
        from enclave_runtime.providers.dstack import DstackProvider

        return DstackProvider()
    if name == "tsm":
        from enclave_runtime.providers.tsm import TsmProvider

        return TsmProvider()
    raise EnclaveError("unknown-provider", f"{name!r} is no quote provider: use one of {', '.join(NAMES)}")


__all__ = ["NAMES", "Evidence", "ProviderError", "QuoteProvider", "make_provider"]
