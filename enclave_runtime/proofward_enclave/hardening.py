"""What a process can do to keep its memory to itself. Each step is best effort, and says whether it worked.

None of this helps against a host that can read a simulated enclave's memory; a TEE does.
"""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK: Final = 14

_libc = ctypes.CDLL(None, use_errno=True)


def harden() -> dict[str, bool]:
    """No core dumps, no ptrace by the same user, no swap; and files that only their owner reads."""
    os.umask(0o077)
    return {"no_core": _no_core(), "not_dumpable": _not_dumpable(), "memory_locked": _lock_memory()}


def _no_core() -> bool:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)


def _not_dumpable() -> bool:
    """prctl(2): no core dump, no ptrace, /proc/self belongs to root."""
    return bool(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)


def _lock_memory() -> bool:
    """mlockall(2) with MCL_ONFAULT. Only where no limit can fail a later allocation."""
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    if not unlimited and not _may_lock():
        return False
    return bool(_libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def _may_lock() -> bool:
    """Whether this process has CAP_IPC_LOCK in effect (capabilities(7))."""
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_IPC_LOCK & 1)
