"""Programs that must not outlive the process that started them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path


def bound_to_parent(command: Sequence[str | Path]) -> list[str]:
    """Let the kernel end the program when its parent dies, however it dies (prctl(2), PR_SET_PDEATHSIG,
    through util-linux's setpriv).
    """
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    return [*prefix, *(str(part) for part in command)]
