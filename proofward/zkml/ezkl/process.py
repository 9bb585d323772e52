"""The parent's side of an ezkl child process: one call at a time, each with a limit on time, all with one on
memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any

from proofward import checkout
from proofward.zkml.errors import ProvingError
from proofward.zkml.memory import SealedMemory

MEMORY_LIMIT = 12 << 30
MAX_REPLY = 64 << 20
DEFAULT_TIMEOUT = 300.0


class EzklProcess:
    """A warm child, started at the first call and again after a crash or a timeout. Thread-safe."""

    def __init__(self, memory_limit: int = MEMORY_LIMIT, files: Sequence[SealedMemory] = ()) -> None:
        """`files` are there in the child as well, under their paths."""
        self._memory_limit = memory_limit
        self._files = tuple(files)
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def call(self, op: str, timeout: float = DEFAULT_TIMEOUT, **args: Any) -> Any:
        """Run one operation of child.py. Raises ProvingError: code prover-failed when ezkl refused,
        prover-timeout after `timeout` seconds, prover-crashed when the child died. The next call gets a child
        that works.
        """
        with self._lock:
            child = self._running()
            request = json.dumps({"op": op, "args": args}).encode() + b"\n"
            try:
                reply = json.loads(_exchange(child, request, time.monotonic() + timeout))
            except TimeoutError as error:
                self._stop()
                raise ProvingError(
                    f"ezkl {op} took more than {timeout:.0f} s and was stopped", code="prover-timeout"
                ) from error
            except (OSError, EOFError, ValueError) as error:
                self._stop()
                raise ProvingError(
                    f"the ezkl process died in {op} (exit {child.returncode}); this attempt is lost",
                    code="prover-crashed",
                ) from error
        if "error" in reply:
            raise ProvingError(f"ezkl {op} failed: {reply['error']}")
        return reply["result"]

    def close(self) -> None:
        """Stop the child. A later call starts another."""
        with self._lock:
            self._stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._child = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "proofward.zkml.ezkl.child",
                    str(self._memory_limit),
                    str(os.getpid()),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=checkout.ROOT,
                env=_environment(),
                start_new_session=True,
                pass_fds=[file.descriptor for file in self._files],
            )
            weakref.finalize(self, _kill, self._child)
        return self._child

    def _stop(self) -> None:
        if self._child is not None:
            _kill(self._child)
            self._child = None


def _environment() -> dict[str, str]:
    """No secrets from the parent, and no way out: ezkl would fetch a compiler or an SRS if it could."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "RAYON_NUM_THREADS") if name in os.environ
    }
    nowhere = "http://127.0.0.1:9"
    return {**kept, "http_proxy": nowhere, "https_proxy": nowhere, "all_proxy": nowhere, "RUST_LOG": "off"}


def _exchange(child: subprocess.Popen[bytes], request: bytes, deadline: float) -> bytes:
    """Write the request and read one line, both without ever blocking past the deadline."""
    assert child.stdin is not None
    assert child.stdout is not None
    source, sink = child.stdout.fileno(), child.stdin.fileno()
    os.set_blocking(sink, False)
    sent, received = 0, bytearray()
    while not received.endswith(b"\n"):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        waiting = [sink] if sent < len(request) else []
        readable, writable, _ = select.select([source], waiting, [], remaining)
        if writable:
            sent += os.write(sink, request[sent : sent + 65_536])
        if readable:
            chunk = os.read(source, 1 << 20)
            if not chunk or len(received) + len(chunk) > MAX_REPLY:
                child.wait(timeout=5) if not chunk else None
                raise EOFError
            received += chunk
    return bytes(received)


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
