"""A statement's file: a sentence, the commitments that it is about, and the proof. It holds no secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from proofward_prover import ProverError, statement_root
from pydantic import BaseModel, ConfigDict, Field

from proofward.check import Check
from proofward.files import write_whole
from proofward.statements.document import read_document
from proofward.statements.errors import StatementError
from proofward.statements.keys import StatementKey
from proofward.statements.meaning import Meaning, Subject, meaning, place
from proofward.statements.program import MAX_RECORDS
from proofward.statements.sentence import MAX_SENTENCE, parse
from proofward.zkml import PublicArtifact

FORMAT: Literal["proofward/statement/v1"] = "proofward/statement/v1"
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Statement(BaseModel):
    """Hex without a prefix. `commitments`: one a job, or the one of a batch (`together`); `jobs`: whose they
    are, on the chain with this genesis, where they are any job's. `key`: SHA-256 of the verifying key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["proofward/statement/v1"] = FORMAT
    sentence: str = Field(max_length=MAX_SENTENCE)
    subject: Subject = "output"
    manifest_hash: Hash
    together: bool = False
    commitments: list[Hash] = Field(min_length=1, max_length=MAX_RECORDS)
    genesis: Hash | None = None
    jobs: list[Hash] | None = Field(default=None, min_length=1, max_length=MAX_RECORDS)
    key: Hash
    proof: str = Field(pattern=r"^[0-9a-f]{512}$")

    def meaning(self, public: PublicArtifact) -> Meaning:
        """What the sentence says of this model. Raises StatementError."""
        records = public.manifest.batch if self.together else len(self.commitments)
        return meaning(parse(self.sentence), public.manifest, self.subject, records, self.together)

    @property
    def roots(self) -> list[bytes]:
        """The commitments."""
        return [bytes.fromhex(one) for one in self.commitments]

    def first_input(self) -> bytes:
        """The proof's first public input. Raises StatementError."""
        try:
            return statement_root(self.roots)
        except ProverError as error:
            raise StatementError(f"the statement's commitments are none: {error}") from error

    def save(self, path: Path) -> None:
        """Write it whole."""
        write_whole(path, self.model_dump_json(indent=1, exclude_none=True).encode())


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """What opens commitments: the integers of each record, and its own salt. Secret.

    Args:
        commitments: one a record, or one of all where the records are `together` under it.
        values: [records][values], as the model has them. salts: 32 bytes a record, the last of them 0.
    """

    commitments: Sequence[bytes]
    values: Sequence[Sequence[int]]
    salts: Sequence[bytes]
    together: bool = False
    genesis: bytes | None = None
    jobs: Sequence[bytes] = field(default=())


def prove(
    sentence: str, public: PublicArtifact, opened: Opened, key: StatementKey, subject: Subject = "output"
) -> Statement:
    """A statement about what is opened. Raises StatementError: `false` where it is not true."""
    meant = meaning(parse(sentence), public.manifest, subject, len(opened.values), opened.together)
    if key.shape != meant.shape:
        raise StatementError(
            f"the keys in {key.folder} are for {key.shape.name}, the statement's shape is {meant.shape.name}",
            code="other-shape",
        )
    records = place(public.manifest, subject, opened.values)
    if not meant.claim.holds(meant.shape, records):
        raise StatementError(f"it is not true that {meant.words}; nothing was proved", code="false")
    made = key.prove(meant.shape.assignment(meant.claim, records), opened.salts)
    statement = Statement(
        sentence=sentence,
        subject=subject,
        manifest_hash=public.manifest_hash.hex(),
        together=meant.shape.together,
        commitments=[one.hex() for one in opened.commitments],
        genesis=None if opened.genesis is None else opened.genesis.hex(),
        jobs=[one.hex() for one in opened.jobs] or None,
        key=key.hash.hex(),
        proof=made.proof.hex(),
    )
    public_inputs = statement.first_input(), meant.shape.word(meant.claim)
    if (made.input_commitment, made.output_commitment) != public_inputs:
        raise StatementError("the proof is about other commitments than it was asked for; report this")
    return statement


def load(path: Path) -> Statement:
    """Read a statement. Raises StatementError."""
    return read_document(path, Statement, f"statement ({FORMAT})")


def checks(
    statement: Statement, public: PublicArtifact, key: StatementKey, *, development: bool, own_key: bool
) -> list[Check]:
    """Model, sentence, key, setup and proof. Whose the commitments are is checked elsewhere."""
    mine = public.manifest_hash.hex() == statement.manifest_hash
    found = [
        Check(
            "model",
            mine,
            f"{public.manifest.name!r}, manifest 0x{public.manifest_hash.hex()}"
            + ("" if mine else f"; the statement is about 0x{statement.manifest_hash}"),
        )
    ]
    if not mine:
        return found
    try:
        meant = statement.meaning(public)
        root, word = statement.first_input(), meant.shape.word(meant.claim)
    except StatementError as error:
        return [*found, Check("sentence", False, error.message)]
    same = key.hash.hex() == statement.key and key.shape == meant.shape
    told = f"0x{key.hash.hex()}, of {key.shape.name}"
    holds = key.verify(root, word, bytes.fromhex(statement.proof))
    circuit = key.is_circuits()
    whole = {True: "every point checked", False: "its proving key is not of this circuit",
             None: "its maker's word: the proving key is not here"}[circuit]  # fmt: skip
    return [
        *found,
        Check("sentence", True, meant.words),
        Check("key", same, told if same else f"{told}; the statement names 0x{statement.key}"),
        Check("key's circuit", circuit, whole, required=circuit is not None),
        _setup(key, development, own_key),
        Check("proof", holds, f"claim 0x{word.hex()} of commitment 0x{root.hex()}"),
    ]


def setup_check(public: PublicArtifact, development: bool) -> Check:
    """Who made the model's own keys, where no bundle shows it: the manifest's word at best."""
    setup = public.manifest.setup
    if setup == "dev":
        told = "dev: one party made the model's keys and could forge its outputs"
        return Check("model's setup", development, told if development else f"{told}; refused without --dev")
    return Check("model's setup", None, f"{setup} is the manifest's own word; give the job's --bundle")


def _setup(key: StatementKey, development: bool, own_key: bool) -> Check:
    if own_key:
        return Check("setup", True, "dev: made by the reader, who need believe nobody else")
    told = f"{key.setup}: one party made the keys and could forge statements"
    return Check("setup", development, told if development else f"{told}; refused without --dev or --own-key")


def commitments_said(statement: Statement) -> Check:
    """That nothing was looked up."""
    whose = "of no job" if statement.jobs is None else f"of {len(statement.jobs)} job(s), by its own word"
    return Check("commitments", None, f"{whose}; give --bundle or --chain to have them checked")


def flags(key: StatementKey, own_key: bool) -> tuple[str, ...]:
    """What a verdict says beside its word."""
    return () if own_key else (f"setup: {key.setup}",)


def as_json(statement: Statement, meant: Meaning) -> dict[str, Any]:
    """For `statement show`."""
    return {
        "sentence": statement.sentence,
        "proves": meant.words,
        "shape": meant.shape.name,
        "low": meant.claim.low,
        "high": meant.claim.high,
        "claim": meant.shape.word(meant.claim),
        "first_input": statement.first_input(),
    }


__all__ = ["Opened", "Statement", "as_json", "checks", "commitments_said", "flags", "load", "prove"]
