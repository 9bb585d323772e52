"""Statements: sentences, their files, proofs of accuracy, and the keys of both."""

from __future__ import annotations

import contextlib
import functools
import itertools
from pathlib import Path
from typing import Any

from proofward.statements import accuracy, keys
from proofward.statements import statement as statements
from proofward.statements.errors import StatementError
from proofward.statements.keys import VERIFYING_KEY_BYTES, StatementKey
from proofward.statements.meaning import Subject, meaning
from proofward.statements.program import SCALAR, Shape
from proofward.statements.sentence import parse
from proofward.zkml.manifest import Manifest
from tests.fuzz.edits import document
from tests.fuzz.targets.evidence import artefact
from tests.fuzz.targets.scratch import file_of, scratch

HASH = "ab" * 32
SHAPE = Shape(1, (SCALAR,), SCALAR)
FACTS = {
    "format": keys.FORMAT,
    "records": 1,
    "widths": [SCALAR],
    "span": SCALAR,
    "together": False,
    "circuit_digest": SHAPE.circuit.digest.hex(),
    "proving_key": HASH,
    "setup": "dev",
}


def statement(data: bytes) -> None:
    """By the first byte: a sentence about a model, a statement, a proof of accuracy, a key's facts."""
    kind, data = data[:1], data[1:]
    with contextlib.suppress(StatementError):
        match kind:
            case b"s":
                _sentence(data)
            case b"a":
                read = accuracy.load(file_of(document(data, _accuracy()), "accuracy.json"))
                assert 0 <= read.right <= read.records, read.words
            case b"k":
                found = keys.load(_folder(document(data, FACTS)))
                assert found.shape == SHAPE
            case _:
                _statement(document(data, _statement_of(f"{names()[0]} >= 0")))


def names() -> list[str]:
    """Of the model's outputs."""
    return artefact().output_names


@functools.cache
def _manifests() -> list[Manifest]:
    """The model's, which gives a value, and one that decides between two classes."""
    value = artefact().manifest
    return [value, value.model_copy(update={"output": value.output.model_copy(update=CLASSES)})]


CLASSES = {"decision": "sigmoid", "labels": ["well", "ill"]}


def _sentence(data: bytes) -> None:
    """For one record and for several, of outputs and of inputs."""
    said = parse(data.decode("utf-8", "replace"))
    subjects: tuple[Subject, ...] = ("output", "input")
    for manifest, subject, records in itertools.product(_manifests(), subjects, (1, 3)):
        with contextlib.suppress(StatementError):
            meant = meaning(said, manifest, subject, records, False)
            assert 0 <= meant.claim.low <= meant.claim.high < 1 << meant.shape.span
            assert meant.shape.word(meant.claim)
            assert meant.words


def _statement(data: bytes) -> None:
    read = statements.load(file_of(data, "statement.json"))
    key = StatementKey(SHAPE, bytes(VERIFYING_KEY_BYTES), scratch() / "no-key")
    found = statements.checks(read, artefact(), key, development=True, own_key=False)
    assert any(one.ok is False for one in found), "no proof is one under a key of zeros"
    assert statements.as_json(read, read.meaning(artefact()))


def _folder(facts: bytes) -> Path:
    folder = scratch() / "statement-key"
    folder.mkdir(exist_ok=True)
    (folder / "key.json").write_bytes(facts)
    (folder / "vk.bin").write_bytes(bytes(VERIFYING_KEY_BYTES))
    return folder


def _statement_of(sentence: str) -> dict[str, Any]:
    return {
        "format": statements.FORMAT,
        "sentence": sentence,
        "subject": "output",
        "manifest_hash": artefact().manifest_hash.hex(),
        "together": False,
        "commitments": [HASH],
        "genesis": HASH,
        "jobs": [HASH],
        "key": HASH,
        "proof": "00" * 256,
    }


def _accuracy() -> dict[str, Any]:
    return {
        "format": accuracy.FORMAT,
        "manifest_hash": artefact().manifest_hash.hex(),
        "records": 20,
        "right": 17,
        "root": HASH,
        "key": HASH,
        "proof": "00" * 256,
    }
