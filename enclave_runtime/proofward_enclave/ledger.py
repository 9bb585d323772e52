"""What one epoch has worked, so that no job is proved twice.

A second proof of one job with other randomness would be a second look at the client's secret, and a second
try after a fault one bit of it. So a job is marked before it is proved; from then on its one result, or its
one failure, is all that anybody gets.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from proofward.protocol.enclave import EnclaveError

MAX_JOBS: Final = 1 << 17
"""Jobs that an epoch works; then a new one has to begin. About 200 bytes each."""
MAX_BYTES: Final = 64 << 20
"""Of results that are kept; of an older job only the mark stays."""

_OVERHEAD: Final = 1024
"""Bytes that a kept result is taken to need beside what it holds."""


@dataclass(slots=True)
class _Mark:
    """A job that was begun: the digest of the request, and what came of it as long as it is kept."""

    request: bytes
    block: int
    result: dict[str, Any] | EnclaveError | None = None


class Ledger:
    """The jobs of one epoch by their key. Not for several threads at once, but for `worked`."""

    def __init__(self, max_jobs: int = MAX_JOBS, max_bytes: int = MAX_BYTES) -> None:
        self._max_jobs, self._max_bytes = max_jobs, max_bytes
        self._marks: dict[bytes, _Mark] = {}
        self._kept: OrderedDict[bytes, int] = OrderedDict()
        self._bytes = 0

    @property
    def room(self) -> int:
        """How many more jobs this epoch takes."""
        return self._max_jobs - len(self._marks)

    def worked(self, key: bytes) -> int | None:
        """The block that the job was begun at; None for a new one. Raises EnclaveError(epoch-full)."""
        mark = self._marks.get(key)
        if mark is None and self.room <= 0:
            raise EnclaveError(
                f"this epoch has worked {self._max_jobs} jobs: begin the next", code="epoch-full"
            )
        return None if mark is None else mark.block

    def begin(self, key: bytes, request: bytes, block: int) -> dict[str, Any] | None:
        """Mark a job as begun; the result, when the same request had one before.

        Raises EnclaveError: the failure that the same request had; already-worked when the job was begun and
        nothing of it is left to give; epoch-full.
        """
        if self.worked(key) is None:
            self._marks[key] = _Mark(request, block)
            return None
        mark = self._marks[key]
        if mark.request != request or mark.result is None:
            raise EnclaveError("this job was worked already; it is not proved again", code="already-worked")
        if isinstance(mark.result, EnclaveError):
            raise EnclaveError(mark.result.message, code=mark.result.code)
        return mark.result

    def end(self, key: bytes, result: dict[str, Any] | EnclaveError) -> None:
        """Keep what came of a job that was begun, and let go of the oldest results above the bound."""
        self._marks[key].result = result
        size = _OVERHEAD
        if isinstance(result, dict):
            size += sum(len(value) for value in result.values() if isinstance(value, bytes))
        self._kept[key] = size
        self._bytes += size
        while self._bytes > self._max_bytes:
            oldest, size = self._kept.popitem(last=False)
            self._bytes -= size
            self._marks[oldest].result = None

    def clear(self) -> None:
        """Forget all: the epoch's keys are gone, so nothing of it can be opened again."""
        self._marks.clear()
        self._kept.clear()
        self._bytes = 0
