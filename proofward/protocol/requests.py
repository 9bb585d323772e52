"""What the host asks of the enclave: params taken apart with types and bounds checked, and the `job` map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from proofward.protocol import bounds
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.errors import ProtocolError
from proofward.protocol.types import JobContext, Level, Setup

_HASHES: Final = ("genesis", "job", "client", "model", "input_commitment")
_U32: Final = 1 << 32


class Params:
    """A map from the host. Every getter raises EnclaveError(malformed-request) on a wrong type or length."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def _get(self, name: str, kind: type) -> Any:
        value = self._values.get(name)
        if type(value) is not kind:
            raise EnclaveError(f"{name} must be {kind.__name__}", code="malformed-request")
        return value

    def has(self, name: str) -> bool:
        """Whether it was given."""
        return name in self._values

    def raw(self, name: str, length: int = bounds.HASH_LENGTH) -> bytes:
        """Exactly `length` bytes."""
        value: bytes = self._get(name, bytes)
        if len(value) != length:
            raise EnclaveError(f"{name} must be {length} bytes, not {len(value)}", code="malformed-request")
        return value

    def blob(self, name: str, limit: int) -> bytes:
        """At most `limit` bytes."""
        value: bytes = self._get(name, bytes)
        if len(value) > limit:
            raise EnclaveError(f"{name} has {len(value)} bytes, at most {limit} are taken", code="oversize")
        return value

    def u32(self, name: str) -> int:
        """0 to 2^32 - 1."""
        value: int = self._get(name, int)
        if not 0 <= value < _U32:
            raise EnclaveError(f"{name} must fit 32 bits", code="malformed-request")
        return value

    def text(self, name: str, limit: int, default: str | None = None) -> str:
        """At most `limit` characters."""
        if default is not None and name not in self._values:
            return default
        value: str = self._get(name, str)
        if len(value) > limit:
            raise EnclaveError(f"{name} has more than {limit} characters", code="malformed-request")
        return value

    def map(self, name: str) -> Params:
        """A nested map."""
        return Params(self._get(name, dict))


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job as the host describes it; nothing of it is believed before the envelope opens under it."""

    context: JobContext
    worker: bytes
    manifest_hash: bytes
    weights_digest: bytes
    publisher: bytes
    setup: Setup
    level: Level

    def encode(self) -> dict[str, Any]:
        """The `job` map of `inspect` and `work`."""
        return {
            **{name: getattr(self.context, name) for name in _HASHES},
            "worker": self.worker,
            "manifest_hash": self.manifest_hash,
            "weights_digest": self.weights_digest,
            "publisher": self.publisher,
            "setup": self.setup.encode(),
            "level": self.level.label,
        }

    @classmethod
    def parse(cls, job: Params) -> JobRequest:
        """From the `job` map. Raises EnclaveError(malformed-request)."""
        try:
            return cls(
                context=JobContext(**{name: job.raw(name) for name in _HASHES}),
                worker=job.raw("worker"),
                manifest_hash=job.raw("manifest_hash"),
                weights_digest=job.raw("weights_digest"),
                publisher=job.raw("publisher"),
                setup=Setup.decode(job.blob("setup", 2)),
                level=Level.from_label(job.text("level", 16)),
            )
        except ProtocolError as error:
            raise EnclaveError(error.message, code="malformed-request") from None
