"""What the reader of evidence accepts, and what he knows from elsewhere: his pins."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from proofward.attestation import DEVELOPMENT_ROOTS, PRODUCTION_ROOTS, TrustRoot
from proofward.consensus import Authorities, Checkpoint
from proofward.protocol import Level

BUNDLE_WORD = "the bundle's own word"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a chain's governance has certified of a model's keys: `transcript` is the SHA-256 of the
    ceremony's transcript or its last hash; `witness` says what shows that the chain holds it.
    """

    transcript: bytes
    witness: str


@dataclass(frozen=True, slots=True)
class KeySources:
    """What a ceremony's key follows from, as the reader has it: the ONNX file and phase 1."""

    onnx: bytes = field(repr=False)
    ptau: Path


@dataclass(frozen=True, slots=True)
class Policy:
    """What the reader accepts, and his pins.

    `development` admits the development root, level `simulated` and `setup: dev`. `genesis` pins the chain,
    `measurements` the software of the worker and of the enclave that made the model's keys: without both no
    verdict is better than `consistent, not anchored`. `certified` has the certificates of ceremonies by
    model, as the reader's own chain has them; with `sources` a ceremony's key is computed. `now` is the
    reader's clock (Unix seconds; None: this machine's): no evidence is younger. `authorities` are the first
    of the reader's chain, out of its spec: with them a bundle must prove that the chain's final state holds
    it. With a `checkpoint` besides it must be of that block or a later one, and those finalise it whom the
    checkpoint names. `witness` says whose word an unproven statement is.
    """

    development: bool = False
    min_level: Level = Level.HARDWARE
    allow_dev_setup: bool = False
    genesis: bytes | None = None
    measurements: Collection[bytes] | None = None
    certified: Mapping[bytes, Certificate] = field(default_factory=dict)
    sources: KeySources | None = None
    now: int | None = None
    authorities: Authorities | None = None
    checkpoint: Checkpoint | None = None
    witness: str = BUNDLE_WORD

    @classmethod
    def for_development(cls, **changes: object) -> Policy:
        """Admits what one party alone set up or simulated; the verdict still says so."""
        return cls(development=True, min_level=Level.SIMULATED, allow_dev_setup=True, **changes)  # type: ignore[arg-type]

    @property
    def roots(self) -> tuple[TrustRoot, ...]:
        """The roots that a quote may chain to."""
        return DEVELOPMENT_ROOTS if self.development else PRODUCTION_ROOTS
