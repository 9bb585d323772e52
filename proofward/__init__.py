"""Proofward: a worker network for confidential, provable inference.

```python
from proofward import Client

with Client("ws://127.0.0.1:9944", signer="//Alice", development=True) as client:
    job = client.submit("breast-cancer-mlp", record, artifact="build/models/mlp/public")
    client.wait(job)
    print(client.open(job))    # a line a record
    print(client.verify(job))  # a line a check, then the verdict
```

The names are loaded on first use, so that importing one room does not load the chain's libraries.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proofward.check import Check as Check
    from proofward.client import Answer as Answer
    from proofward.client import AsyncClient as AsyncClient
    from proofward.client import Client as Client
    from proofward.client import Job as Job
    from proofward.client import JobRefunded as JobRefunded
    from proofward.client import JobTimeout as JobTimeout
    from proofward.client import Outcome as Outcome
    from proofward.client import OutputMismatch as OutputMismatch
    from proofward.client import Policy as Policy
    from proofward.client import Verdict as Verdict
    from proofward.client import verify_bundle as verify_bundle
    from proofward.errors import NotFound as NotFound
    from proofward.errors import ProofwardError as ProofwardError
    from proofward.errors import Refused as Refused
    from proofward.evidence.bundle import load_bundle as load_bundle
    from proofward.publisher.predictions import expected as expected

    __version__: str

_MODULES = {
    "Answer": "proofward.client",
    "AsyncClient": "proofward.client",
    "Check": "proofward.check",
    "Client": "proofward.client",
    "Job": "proofward.client",
    "JobRefunded": "proofward.client",
    "JobTimeout": "proofward.client",
    "NotFound": "proofward.errors",
    "Outcome": "proofward.client",
    "OutputMismatch": "proofward.client",
    "Policy": "proofward.client",
    "ProofwardError": "proofward.errors",
    "Refused": "proofward.errors",
    "Verdict": "proofward.client",
    "expected": "proofward.publisher.predictions",
    "load_bundle": "proofward.evidence.bundle",
    "verify_bundle": "proofward.client",
}

__all__ = [
    "Answer",
    "AsyncClient",
    "Check",
    "Client",
    "Job",
    "JobRefunded",
    "JobTimeout",
    "NotFound",
    "Outcome",
    "OutputMismatch",
    "Policy",
    "ProofwardError",
    "Refused",
    "Verdict",
    "__version__",
    "expected",
    "load_bundle",
    "verify_bundle",
]


if not TYPE_CHECKING:  # a type checker has the names above, and shall refuse all others

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return _version("proofward")
        if name in _MODULES:
            return getattr(import_module(_MODULES[name]), name)
        raise AttributeError(f"module 'proofward' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
