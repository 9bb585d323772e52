"""One process at a time in a folder whose files are read, changed and written whole."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proofward_federation.errors import FederationError


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Wait until no other holds this folder, and hold it. Raises FederationError(no-folder)."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise FederationError(f"cannot open {folder}: {error.strerror}", code="no-folder") from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
