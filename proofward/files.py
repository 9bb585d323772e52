"""Files that are read and written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import BinaryIO

from proofward.errors import ProofwardError


class TooLong(ProofwardError, ValueError):
    """A file or stream has more bytes than its reader takes."""

    code = "too-long"


def read_whole(path: Path, limit: int) -> bytes:
    """All bytes of a file, which are `limit` at most. Raises OSError, TooLong."""
    with path.open("rb") as file:
        return read_stream(file, limit)


def read_stream(stream: BinaryIO, limit: int) -> bytes:
    """What is left of a stream, which are `limit` bytes at most. Raises OSError, TooLong."""
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise TooLong(f"it has more than {limit} bytes")
    return data


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put `data` in the place of a file, in one step that survives a loss of power: others see the old file
    or the new one. `mode` is the file's, less the process's umask.

    Raises OSError, with the old file as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
