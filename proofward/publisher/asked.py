"""What an artefact was compiled from and with, kept beside it: the same command finds it again, and another
one never takes it for its own.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from proofward.files import read_whole, write_whole
from proofward.zkml.errors import CompileError

NAME = "asked.json"
MAX_BYTES = 1 << 16

Asked = Mapping[str, str | None]
"""What was asked for, by name: a file's SHA-256, or the value as text. None: nothing was said of it."""


def digest(source: Path | None) -> str | None:
    """SHA-256 of a file, None where there is none. What is read once or has no end (standard input, a pipe,
    a device) equals nothing. Raises CompileError.
    """
    if source is None:
        return None
    try:
        if str(source) == "-" or not stat.S_ISREG(source.stat().st_mode):
            return secrets.token_hex(32)
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CompileError(f"cannot read {source}: {error.strerror}", code="not-found") from error


def keep(folder: Path, asked: Asked) -> None:
    """Write what the artefact in `folder` was asked for."""
    told = f"{json.dumps(dict(asked), sort_keys=True, indent=1)}\n"
    write_whole(folder / NAME, told.encode(), mode=0o666)


def differing(folder: Path, asked: Asked) -> list[str]:
    """The names in `asked` under which the artefact in `folder` was made with something else, or does not
    say.
    """
    try:
        made = json.loads(read_whole(folder / NAME, MAX_BYTES))
    except (OSError, ValueError):
        made = None
    if not isinstance(made, dict):
        return sorted(asked)
    return sorted(name for name, value in asked.items() if name not in made or made[name] != value)
