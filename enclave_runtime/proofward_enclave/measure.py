"""The simulated measurement: SHA-384 over all that runs inside the enclave, but for Python itself.

That is the source of every module of ours that the process loads, the native prover, and name, version and
content of each third-party distribution that a job needs (`CLOSURE`). It tells two versions of the software
apart and proves nothing: a process that lies about its code can sign any value. A hardware TEE measures the
whole image instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import proofward_prover

import proofward.protocol
import proofward_enclave
from proofward.protocol import bounds, measurement
from proofward.protocol.enclave import EnclaveError

CLOSURE: Final = (
    "annotated-types",
    "cbor2",
    "cffi",
    "cryptography",
    "numpy",
    "pycparser",
    "pycryptodome",
    "pydantic",
    "pydantic-core",
    "pynacl",
    "typing-extensions",
    "typing-inspection",
)
"""Third-party distributions that the process imports for a whole groth16 job: these and no others."""

OURS: Final = (
    "__init__.py",
    "check.py",
    "checkout.py",
    "errors.py",
    "files.py",
    "processes.py",
    "terminal.py",
    "protocol/**/*.py",
    "zkml/**/*.py",
)
"""What it may import of the library."""

_INSTALLERS: Final = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
"""Files of a distribution that its installer writes."""

Part = tuple[str, bytes]


@cache
def code_digest() -> bytes:
    """48 bytes: SHA-384 of all (u32 LE name length || name || u32 LE content length || content).

    A third-party distribution's name is `name==version`, its content the SHA-256 of its files, told apart in
    the same way. Raises EnclaveError(not-measurable) when one of `CLOSURE` is not installed.
    """
    return digest("sha384", b"proofward/code/v2", sorted([*_ours(), *prover(), *third_party(CLOSURE)]))


def simulated_measurement(code: bytes | None = None) -> bytes:
    """The measurement (32 bytes) in the simulator's quotes, for a development chain's allow-list; `code` is
    the digest (48 bytes) of another program than the worker's enclave.
    """
    empty = bytes(bounds.MEASUREMENT_REGISTER_LENGTH)
    return measurement(
        mrtd=code_digest() if code is None else code,
        rtmrs=(empty,) * 4,
        mr_config_id=empty,
        mr_owner=empty,
        mr_owner_config=empty,
    )


def _ours() -> Iterator[Part]:
    yield from sources(Path(proofward.protocol.__path__[0]).parent, OURS)
    yield from sources(Path(proofward_enclave.__path__[0]), ("**/*.py",))


def sources(package: Path, patterns: Iterable[str]) -> Iterator[Part]:
    """The files of a package that match, each under its path from the package's own name on."""
    for pattern in patterns:
        for path in package.glob(pattern):
            yield f"{package.name}/{path.relative_to(package).as_posix()}", path.read_bytes()


def prover() -> Iterator[Part]:
    """The native module's files."""
    folder = Path(proofward_prover.__path__[0])
    for path in folder.rglob("*"):
        if path.suffix in (".py", ".so"):
            yield f"proofward_prover/{path.relative_to(folder).as_posix()}", path.read_bytes()


def third_party(names: Iterable[str]) -> Iterator[Part]:
    """Each distribution as `name==version`, with a digest of its files. Raises EnclaveError."""
    for name in names:
        try:
            found = distribution(name)
        except PackageNotFoundError:
            raise EnclaveError(
                f"{name} is not installed: install enclave_runtime/requirements.lock", code="not-measurable"
            ) from None
        yield f"{name}=={found.version}", digest("sha256", b"proofward/distribution/v1", _contents(found))


def _contents(found: Distribution) -> Iterator[Part]:
    """The files of a distribution as its wheel brought them, sorted by name."""
    for file in sorted(found.files or (), key=lambda file: file.as_posix()):
        ours = file.parts[0] != ".." and file.name not in _INSTALLERS
        if ours and file.suffix != ".pyc":
            yield file.as_posix(), Path(str(file.locate())).read_bytes()


def digest(algorithm: str, domain: bytes, parts: Iterable[Part]) -> bytes:
    """The hash that `code_digest` describes, after a domain of its own."""
    state = hashlib.new(algorithm, domain)
    for name, content in parts:
        for part in (name.encode(), content):
            state.update(len(part).to_bytes(4, "little"))
            state.update(part)
    return state.digest()
