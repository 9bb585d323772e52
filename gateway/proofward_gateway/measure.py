"""The gateway's simulated measurement: SHA-384 over all that its process runs, but for Python itself.

As `proofward_enclave.measure` has it for the worker's enclave: it tells versions apart on a development
machine and proves nothing. A hardware TEE measures the whole image instead.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import proofward.protocol
import proofward_enclave
import proofward_gateway
from proofward_enclave import measure
from proofward_enclave.measure import Part, digest, sources, third_party

CLOSURE: Final = (
    "aiohappyeyeballs",
    "aiohttp",
    "aiosignal",
    "attrs",
    "cbor2",
    "cffi",
    "cryptography",
    "dcap-qvl",
    "frozenlist",
    "idna",
    "multidict",
    "propcache",
    "pycparser",
    "pycryptodome",
    "pynacl",
    "rfc8785",
    "typing-extensions",
    "xxhash",
    "yarl",
)
"""Third-party distributions that the gateway's process may import: no others."""

RUNS_MODELS: Final = ("mistralrs",)
"""What the process of a model imports besides; measured where it is installed."""

LIBRARY: Final = (
    "__init__.py",
    "amounts.py",
    "check.py",
    "database.py",
    "errors.py",
    "files.py",
    "processes.py",
    "terminal.py",
    "aci/*.py",
    "attestation/*.py",
    "consensus/*.py",
    "protocol/**/*.py",
)
ENCLAVE: Final = ("__init__.py", "hardening.py", "log.py", "measure.py", "providers/**/*.py")
GATEWAY: Final = ("[!v]*.py",)  # all but verbs.py, which is the command line's
"""What it may import of ours, by package."""


@cache
def code_digest() -> bytes:
    """48 bytes. Raises EnclaveError(not-measurable) when one of `CLOSURE` is not installed."""
    third = [*CLOSURE, *(one for one in RUNS_MODELS if find_spec(one) is not None)]
    return digest("sha384", b"proofward/gateway-code/v1", sorted([*ours(), *third_party(third)]))


def simulated_measurement() -> bytes:
    """The measurement (32 bytes) in the quotes of a simulated gateway of this very software."""
    return measure.simulated_measurement(code_digest())


def ours() -> list[Part]:
    """The source of ours that is measured, by its path."""
    return [
        *sources(Path(proofward.protocol.__path__[0]).parent, LIBRARY),
        *sources(Path(proofward_enclave.__path__[0]), ENCLAVE),
        *sources(Path(proofward_gateway.__path__[0]), GATEWAY),
    ]
