"""Quote providers: simulator, dstack, tsm."""

from __future__ import annotations

from collections.abc import Callable

from proofward.protocol.enclave import EnclaveError
from proofward_enclave.providers.base import Evidence, ProviderError, QuoteProvider, SealingProvider

NAMES = ("simulator", "dstack", "tsm")


def make_provider(name: str, code: Callable[[], bytes] | None = None) -> SealingProvider:
    """The provider of a name; its libraries load only when it is used. `code` gives the digest (48 bytes)
    that a simulated one measures, when that is not the worker's enclave's. Raises EnclaveError.
    """
    if name == "simulator":
        from proofward_enclave.providers.simulator import SimulatorProvider

        return SimulatorProvider(mrtd=None if code is None else code())
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
