"""Quotes without a TEE: a real signer under the dev root, whose measurement is a digest of the runtime's
own code.
"""

from __future__ import annotations

import datetime as dt

from proofward.protocol.collateral import encode_collateral
from proofward_enclave.measure import code_digest
from proofward_enclave.providers import dev_pki
from proofward_enclave.providers.base import Evidence, derived
from proofward_enclave.providers.dev_platform import DevPlatform, TdIdentity


class SimulatorProvider:
    """Signs TDX quotes (version 4 by default) and publishes the collateral that goes with them."""

    name = "simulator"
    simulated = True

    def __init__(self, *, version: int = 4, mrtd: bytes | None = None) -> None:
        """`mrtd`: 48 bytes that measure another program than the worker's enclave."""
        self._platform = DevPlatform()
        self._version = version
        self._td = TdIdentity(mrtd=code_digest() if mrtd is None else mrtd)

    def quote(self, report_data: bytes) -> Evidence:
        """A quote of this process, with today's collateral."""
        quote = self._platform.quote(report_data, self._td, version=self._version)
        today = dt.datetime.now(dt.UTC).date()
        return Evidence(quote, encode_collateral(self._platform.collateral(today)))

    def sealing_key(self) -> bytes:
        """A stand-in: of a secret that everybody has, and of this program's measurement. It keeps nothing
        from anybody, as nothing of the simulator does.
        """
        return derived(dev_pki.published_secret(), self._td.mrtd)
