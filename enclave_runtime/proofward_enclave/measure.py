"""The simulated measurement: SHA-384 over the source files of the rooms that run inside the enclave.

It tells two versions of the code apart and proves nothing: a process that lies about its code can sign any
value. The native prover and third-party packages are outside of it; a hardware TEE measures the whole image
instead.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import proofward.protocol
import proofward.zkml
import proofward_enclave

_PACKAGES = {
    "proofward_enclave": proofward_enclave.__path__,
    "proofward/protocol": proofward.protocol.__path__,
    "proofward/zkml": proofward.zkml.__path__,
}


def _sources() -> list[tuple[str, Path]]:
    """(name, path) of every Python file of the rooms, sorted by name (with slashes)."""
    found = []
    for room, paths in _PACKAGES.items():
        folder = Path(paths[0])
        found += [(f"{room}/{path.relative_to(folder).as_posix()}", path) for path in folder.rglob("*.py")]
    return sorted(found)


@cache
def code_digest() -> bytes:
    """48 bytes: SHA-384 of all (u32 LE name length || name || u32 LE content length || content)."""
    digest = hashlib.sha384(b"proofward/code/v1")
    for name, path in _sources():
        for part in (name.encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(4, "little") + part)
    return digest.digest()
