"""The aggregator's enclave as a process beside its host, and how the host calls it."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from proofward.processes import bound_to_parent, from_sources
from proofward.protocol.enclave import HEADER_LENGTH, Request, content_length, parse_reply
from proofward_federation.errors import FederationError

START_SECONDS: Final = 60.0
CALL_SECONDS: Final = 120.0
EnclaveCall = Callable[..., dict[str, Any]]
"""(method, **parameters) -> the enclave's answer. Raises EnclaveError, FederationError(aggregator-down)."""


@contextmanager
def aggregator(provider: str = "simulator") -> Iterator[EnclaveCall]:
    """The aggregator's process, which ends with the context; it may be called from several threads."""
    with tempfile.TemporaryDirectory(prefix="proofward-") as folder:
        path = Path(folder) / "aggregator.sock"
        command = from_sources("-m", "proofward_federation.service", "--socket", path, "--provider", provider)
        process = subprocess.Popen(bound_to_parent(command), stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + START_SECONDS
            while not path.exists():
                if process.poll() is not None or time.monotonic() > end:
                    state = f"did not start in {START_SECONDS:g} s"
                    if process.returncode is not None:
                        state = f"ended at once with exit code {process.returncode}"
                    raise FederationError(
                        f"the aggregator's process {state}: see `make federation`, and what "
                        f"`python -m proofward_federation.service --provider {provider}` says",
                        code="aggregator-down",
                    )
                time.sleep(0.02)
            yield lambda method, **params: _called(path, method, params)
        finally:
            process.terminate()
            process.wait()


def _called(path: Path, method: str, params: dict[str, Any]) -> dict[str, Any]:
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(CALL_SECONDS)
            peer.connect(str(path))
            peer.sendall(Request(1, method, params).frame())
            stream = peer.makefile("rb")
            return parse_reply(stream.read(content_length(stream.read(HEADER_LENGTH))), 1)
    except (OSError, IndexError, ValueError) as error:
        raise FederationError(
            f"the aggregator does not answer {method}: {error}", code="aggregator-down"
        ) from None
