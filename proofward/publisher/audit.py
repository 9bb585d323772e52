"""What anyone with the ONNX file can recompute of a model and compare, and the one line that it comes to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from proofward.chain.ethereum.revive import contract_code
from proofward.chain.pallets import models
from proofward.check import Check, said
from proofward.client import Client
from proofward.errors import NotFound
from proofward.publisher import cards
from proofward.publisher.predictions import read_expected
from proofward.tables import arrange, read_table, split_truth
from proofward.zkml import PublicArtifact, load_public
from proofward.zkml.audit import audit_fields, rests_on
from proofward.zkml.contracts import check_code
from proofward.zkml.ends import single
from proofward.zkml.expected import Expected
from proofward.zkml.external import whole
from proofward.zkml.lanes import KEYS, Auditor, HeldOut
from proofward.zkml.manifest import Manifest


class AuditOutcome(Enum):
    """Worst last. `NOT_VERIFIABLE`: whose keys these are, nobody can check; `INCOMPLETE`: something was not
    checked that could be.
    """

    VERIFIED = "verified"
    NOT_VERIFIABLE = "NOT VERIFIABLE"
    INCOMPLETE = "incomplete"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit's checks, and who made the keys: the manifest's `setup`."""

    setup: str
    checks: tuple[Check, ...] = field(repr=False)

    @property
    def outcome(self) -> AuditOutcome:
        """What the checks come to; NOT VERIFIABLE is said of keys even where other checks are missing."""
        if any(check.ok is False for check in self.checks):
            return AuditOutcome.REFUSED
        if rests_on(self.setup) is not None:
            return AuditOutcome.NOT_VERIFIABLE
        return AuditOutcome.INCOMPLETE if self._open else AuditOutcome.VERIFIED

    @property
    def line(self) -> str:
        """The verdict."""
        failed = [check.name for check in self.checks if check.ok is False]
        told = self.outcome.value
        if failed:
            return f"{told}: {', '.join(failed)}"
        if self.outcome is AuditOutcome.NOT_VERIFIABLE:
            told += f": the keys rest on {rests_on(self.setup)}"
        others = [name for name in self._open if name != KEYS or self.outcome is AuditOutcome.INCOMPLETE]
        return told + (f"; not checked: {', '.join(others)}" if others else "")

    @property
    def _open(self) -> list[str]:
        return [check.name for check in self.checks if check.required and check.ok is None]


@dataclass(frozen=True, slots=True)
class Brought:
    """What an auditor brings.

    Args:
        records: of his own, with the truth in the column `truth` where they have it. max_disagreement: the
            greatest share of decisions that may differ on them. expected: what the training library says of
            some records. ptau: the powers that a ceremony began with: its transcript is checked. max_shift:
            the largest shift of the circuit's answers from `expected`, as the publisher accepted it.
    """

    records: Path | None = None
    truth: str | None = None
    max_disagreement: float = Auditor.max_disagreement
    expected: Path | None = None
    ptau: Path | None = None
    max_shift: float = Auditor.max_shift

    def auditor(self, manifest: Manifest) -> Auditor:
        """The files read, as the model takes them. Raises TableError, CompileError."""
        own = None if self.records is None else own_records(manifest, self.records, self.truth)
        told = None if self.expected is None else _expected(manifest, self.expected)
        return Auditor(
            own,
            max_disagreement=self.max_disagreement,
            ptau=self.ptau,
            expected=told,
            max_shift=self.max_shift,
        )


NOTHING = Brought()


def audit(
    onnx: Path,
    artifact: Path,
    which: str | None,
    url: str,
    *,
    brought: Brought = NOTHING,
    card: Path | None = None,
    output: str | None = None,
) -> Audit:
    """Recompute every field of the manifest from the ONNX file, run both models on random records and on what
    the auditor brings; with a model on the chain, compare its record and contract too. `card` says where the
    model comes from: it is followed back, on the chain too. `output` is the one of several that was proven. A
    model of several inputs is joined as its publisher's was.

    Raises NotFound, ZkmlError, TableError, ChainError, CardError.
    """
    try:
        data, _ = whole(onnx)
    except OSError as error:
        raise NotFound(f"cannot read {onnx}: {error.strerror}") from error
    public = load_public(artifact)
    data, names = _as_published(data, output, public.manifest.weights_digest)
    checks = audit_fields(data, public, brought.auditor(public.manifest), names)
    if which is not None:
        checks += _published(public, which, url)
    if card is not None:
        checks += _origin(data, card, None if which is None else url)
    return Audit(public.manifest.setup, tuple(checks))


def _as_published(data: bytes, output: str | None, digest: str) -> tuple[bytes, list[str] | None]:
    """The model as an artefact of this digest has it, with its features' names where inputs were joined.

    Raises UnsupportedModel.
    """
    if hashlib.sha256(data).hexdigest() == digest:
        return data, None
    found = single(data, output)
    return found.onnx, found.features


def own_records(manifest: Manifest, source: Path, truth: str | None) -> HeldOut:
    """Read the auditor's records as the model takes them; columns that are no feature are the truth. Raises
    TableError.
    """
    features, width = manifest.input.features, manifest.input.quantiser.features
    gaps = manifest.input.missing
    table = read_table(source, truth=truth, classes=manifest.output.labels or ())
    if truth is None and table.columns == width:
        return HeldOut(arrange(table, features, width, allow_missing=gaps), None)
    names = None if features is None else [feature.name for feature in features]
    given, answers = split_truth(table, names, width, truth)
    y = answers.values[:, 0] if answers.columns == 1 else answers.values
    return HeldOut(arrange(given, features, width, allow_missing=gaps), y)


def _expected(manifest: Manifest, source: Path) -> Expected:
    given = manifest.input
    return read_expected(
        source, given.features, given.quantiser.features, classes=manifest.output.labels or ()
    )


def _origin(data: bytes, card: Path, url: str | None) -> list[Check]:
    if url is None:
        return cards.follow(data, card, None)
    with Client(url) as client:
        return cards.follow(data, card, client.chain)


def _published(public: PublicArtifact, which: str, url: str) -> list[Check]:
    with Client(url) as client:
        record = client.model(which)
        contract = models.verifier(client.chain, record.lane)
        code = b"" if contract is None else contract_code(client.chain, contract.address)
        same = record.manifest_hash == public.manifest_hash and record.key_hash == public.key_hash
        told = f"manifest 0x{public.manifest_hash.hex()}, on the chain 0x{record.manifest_hash.hex()}"
        return [
            Check("published model", same, told),
            check_code(public.manifest.lane, code),
            said("published setup", f"{record.setup}: the word of the node at {url}"),
        ]
