"""A fuzzer's own files, in a folder that goes with the run (TMPDIR is in it)."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path


@functools.cache
def scratch() -> Path:
    """A folder of this process alone."""
    return Path(tempfile.mkdtemp(prefix="proofward-fuzz-"))


def file_of(data: bytes, name: str) -> Path:
    """A file that holds `data` until the next of its name."""
    path = scratch() / name
    path.write_bytes(data)
    return path
