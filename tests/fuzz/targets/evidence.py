"""A bundle and a manifest that a stranger hands over."""

from __future__ import annotations

import contextlib
import functools
import json

import numpy as np
from pydantic import ValidationError

from proofward.errors import ProofwardError
from proofward.evidence.bundle import Bundle, BundleError, load_bundle
from proofward.evidence.policy import Policy
from proofward.evidence.verify import verify_bundle
from proofward.zkml import PublicArtifact
from proofward.zkml.errors import ArtifactError
from proofward.zkml.manifest import Manifest
from tests.evidence import RECORD, Evidence, compile_tiny, make_evidence, pinned
from tests.fuzz.edits import edited
from tests.fuzz.targets.scratch import file_of, scratch


@functools.cache
def _evidence() -> tuple[Evidence, Policy]:
    folder = scratch()
    made = make_evidence(compile_tiny(folder / "tiny"), RECORD, folder)
    return made, pinned(made)


def bundle(data: bytes) -> None:
    """A bundle that a stranger hands over: raw bytes, or changes of one that is true.

    A verdict is always reached, and `accepted` only while everything that it rests on is as it was.
    """
    if data[:1] == b"{":
        try:
            read = load_bundle(file_of(data, "bundle.json"))
        except BundleError:
            return
        assert Bundle.model_validate_json(read.model_dump_json()) == read
        return
    evidence, policy = _evidence()
    try:
        changed = Bundle.model_validate(edited(data, evidence.bundle.model_dump(mode="json")))
    except ValidationError:
        return
    if verify_bundle(changed, policy).accepted:
        assert _checked(changed) == _checked(evidence.bundle)


def _checked(read: Bundle) -> object:
    """A bundle without what its verdict prints as its own word, and without dates in their order."""
    values = read.model_dump()
    for part, names in OWN_WORD.items():
        for name in names:
            values[part].pop(name, None)
    values["worker"]["attestation"].pop("time", None)
    return values


OWN_WORD = {
    "chain": ("name", "type"),
    "job": ("client", "min_level", "allow_dev_setup", "deadline", "submitted_at"),
    "result": ("block",),
}


def manifest(data: bytes) -> None:
    """A manifest, raw or a valid one with changes: it has one canonical form, and a client may use it."""
    artefact = _evidence()[0].artifact.public
    if data[:1] != b"{":
        changed = edited(data, json.loads(artefact.manifest.canonical()))
        try:
            data = json.dumps(changed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return
    try:
        read = Manifest.parse(data)
    except ArtifactError:
        return
    assert read.canonical() == data
    model = PublicArtifact(read, artefact.files)
    with contextlib.suppress(ProofwardError):
        values = model.pad(model.quantize(np.zeros((1, read.input.quantiser.features))))
        model.commit_input(values, bytes(32))
    with contextlib.suppress(ProofwardError):
        outputs = np.zeros((read.batch, read.output.length), dtype=np.int64)
        assert len(model.decide(outputs)) == read.batch
        assert len(model.output_names) == read.output.length
        model.commit_output(outputs, bytes(32))
        assert not model.verify(bytes(32), bytes(32), bytes(256))
