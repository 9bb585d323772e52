"""Files in sealed anonymous memory: what was hashed is what is used, whoever can write to the folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from proofward.zkml.errors import ArtifactError

_CHUNK = 1 << 20
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class SealedMemory:
    """Bytes that nobody can change any more, under a path for libraries that read files (memfd_create(2)).

    A child process reads them at the same `path` when `descriptor` is passed on to it.
    """

    def __init__(self, name: str, parts: Iterable[bytes]) -> None:
        self.descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        weakref.finalize(self, os.close, self.descriptor)
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
            view = memoryview(part)
            while view:
                view = view[os.write(self.descriptor, view) :]
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)
        self.sha256 = digest.hexdigest()

    @property
    def path(self) -> str:
        """Where this process, and children that inherit the descriptor, can open it."""
        return f"/proc/self/fd/{self.descriptor}"


def read_sealed(path: Path, sha256: str) -> SealedMemory:
    """A file's content, read once. Raises ArtifactError when its hash is not `sha256` (hex)."""
    try:
        with path.open("rb") as file:
            memory = SealedMemory(path.name, _parts(file))
    except OSError as error:
        raise ArtifactError(f"cannot read {path.name}: {error.strerror}; compile the model again") from error
    if memory.sha256 != sha256:
        raise ArtifactError(f"{path.name} does not match the manifest's hash; compile the model again")
    return memory


def _parts(file: IO[bytes]) -> Iterable[bytes]:
    while part := file.read(_CHUNK):
        yield part
