"""A bundle and a manifest that a stranger hands over."""

from __future__ import annotations

import contextlib
import functools
import json
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from proofward.attestation import parse_quote
from proofward.errors import ProofwardError
from proofward.evidence.bundle import Bundle, BundleError, load_bundle
from proofward.evidence.model import model_checks
from proofward.evidence.policy import Policy
from proofward.evidence.verify import verify_bundle
from proofward.protocol.collateral import decode_collateral
from proofward.zkml import PublicArtifact
from proofward.zkml.errors import ArtifactError
from proofward.zkml.manifest import Manifest
from tests.fuzz.edits import edited
from tests.fuzz.targets.scratch import file_of

EVIDENCE = Path(__file__).parents[1] / "evidence.json"
"""A true bundle, the same in every process; `python -m tests.fuzz.seeds` makes it."""


@functools.cache
def evidence() -> tuple[Bundle, Policy]:
    """The bundle, and a reader who pins its chain and software and accepts it."""
    made = load_bundle(EVIDENCE)
    attestation = made.worker.attestation
    pins = {"genesis": made.chain.genesis, "measurements": {parse_quote(attestation.quote).measurement}}
    policy = Policy.for_development(**pins, now=attestation.time)
    assert verify_bundle(made, policy).accepted, "it is of an earlier version: `python -m tests.fuzz.seeds`"
    return made, policy


@functools.cache
def artefact() -> PublicArtifact:
    """The model of the true bundle."""
    made, _ = evidence()
    public, _ = model_checks(made.model, made.job.model)
    assert public is not None
    return public


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
    made, policy = evidence()
    try:
        changed = Bundle.model_validate(edited(data, made.model_dump(mode="json")))
    except ValidationError:
        return
    if verify_bundle(changed, policy).accepted:
        assert _checked(changed) == _checked(made)


def _checked(read: Bundle) -> object:
    """A bundle without what its verdict prints as its own word (tests/client/test_verification.py has the
    list), and without dates in their order.
    """
    values = read.model_dump()
    for part, names in OWN_WORD.items():
        for name in names:
            del values[part][name]
    del values["worker"]["attestation"]
    collateral = decode_collateral(read.worker.attestation.collateral)
    # what counts of a collateral is signed: how the certificates of its signers are written is not
    signed = {name: one for name, one in collateral.items() if "issuer_chain" not in name}
    return values, read.worker.attestation.quote, signed


OWN_WORD = {
    "chain": ("name", "type"),
    "job": ("client", "allow_dev_setup", "deadline", "submitted_at"),
    "result": ("block",),
    "model": ("verifier",),
}


def manifest(data: bytes) -> None:
    """A manifest, raw or a valid one with changes: it has one canonical form, and a client may use it."""
    if data[:1] != b"{":
        changed = edited(data, json.loads(artefact().manifest.canonical()))
        try:
            data = json.dumps(changed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return
    try:
        read = Manifest.parse(data)
    except ArtifactError:
        return
    assert read.canonical() == data
    model = PublicArtifact(read, artefact().files)
    with contextlib.suppress(ProofwardError):
        values = model.pad(model.quantize(np.zeros((1, read.input.quantiser.features))))
        model.commit_input(values, bytes(32))
    with contextlib.suppress(ProofwardError):
        outputs = np.zeros((read.batch, read.output.length), dtype=np.int64)
        assert len(model.decide(outputs)) == read.batch
        assert len(model.output_names) == read.output.length
        model.commit_output(outputs, bytes(32))
        assert not model.verify(bytes(32), bytes(32), bytes(256))
