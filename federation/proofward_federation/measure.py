"""The aggregator's simulated measurement: SHA-384 over what its process runs, but for Python itself.

As `proofward_enclave.measure` has it for the worker's enclave: it tells versions apart on a development
machine and proves nothing. A hardware TEE measures the whole image instead.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import proofward.protocol
import proofward_enclave
import proofward_federation
from proofward_enclave import measure
from proofward_enclave.measure import CLOSURE, OURS, digest, prover, sources, third_party
from proofward_federation.errors import EngineMissing

ENGINE: Final = ("opendp", "py-sr25519-bindings", "rfc8785")
"""Third-party distributions that the aggregator imports beside the worker's."""


@cache
def code_digest() -> bytes:
    """48 bytes. Raises EngineMissing or EnclaveError(not-measurable): a distribution is not installed."""
    for name in ENGINE:
        try:
            distribution(name)
        except PackageNotFoundError:
            raise EngineMissing.of(name) from None
    parts = [
        *sources(Path(proofward.protocol.__path__[0]).parent, OURS),
        *sources(Path(proofward_enclave.__path__[0]), ("**/*.py",)),
        *sources(Path(proofward_federation.__path__[0]), ("*.py",)),
        *prover(),
        *third_party((*CLOSURE, *ENGINE)),
    ]
    return digest("sha384", b"proofward/federation-code/v1", sorted(parts))


def simulated_measurement() -> bytes:
    """The measurement (32 bytes) in the quotes of a simulated aggregator of this very software."""
    return measure.simulated_measurement(code_digest())
