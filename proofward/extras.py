"""Which extra of the distribution brings a third-party package, to say so where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from proofward.errors import ProofwardError

EXTRAS = {
    "aiohttp": "web3",
    "eth_abi": "web3",
    "eth_account": "web3",
    "ezkl": "ezkl",
    "fhir": "fhir",
    "hexbytes": "web3",
    "onnx": "publish",
    "onnxruntime": "publish",
    "py_ecc": "ezkl",
    "pyarrow": "parquet",
    "rlp": "web3",
    "scipy": "publish",
    "smoldot_light": "light",
    "textual": "console",
    "web3": "web3",
}
"""Import name -> extra. What the base dependencies hold is not here."""


class MissingExtra(ProofwardError):
    """A package that only some need is not installed."""

    code = "missing-extra"


def missing(error: ImportError) -> MissingExtra | None:
    """What to tell the user about a failed import; None if it is none of our extras' packages."""
    package = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(package)
    if extra is None:
        return None
    return MissingExtra(
        f"this needs the package {package}, which is not installed: pip install 'proofward[{extra}]'"
    )


def need(extra: str) -> None:
    """Raise MissingExtra unless every package of this extra can be imported."""
    for name, of in EXTRAS.items():
        if of == extra:
            with explained():
                import_module(name)


@contextmanager
def explained() -> Iterator[None]:
    """Turn a failed import of an extra's package into MissingExtra."""
    try:
        yield
    except ImportError as error:
        told = missing(error)
        if told is None:
            raise
        raise told from error
