"""Starting programs: such as must not outlive their parent, and such as run measured sources."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_SOURCES_ONLY: Final = ("-B", "-X", f"pycache_prefix={os.devnull}")


def from_sources(*arguments: str | Path) -> list[str]:
    """The command of a Python that compiles whatever it imports: byte code that somebody put beside a
    measured source is not run.
    """
    return [sys.executable, *_SOURCES_ONLY, *map(str, arguments)]


def begin_from_sources() -> None:
    """Start this process over by `from_sources`, with its own arguments, unless it was started so."""
    if not sys.dont_write_bytecode or sys.pycache_prefix != os.devnull:
        os.execv(sys.executable, from_sources(*sys.orig_argv[1:]))


def bound_to_parent(command: Sequence[str | Path]) -> list[str]:
    """Let the kernel end the program when its parent dies, however it dies (prctl(2), PR_SET_PDEATHSIG,
    through util-linux's setpriv).
    """
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    return [*prefix, *(str(part) for part in command)]
