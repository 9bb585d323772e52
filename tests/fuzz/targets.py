"""What each fuzzer runs: a reader refuses with its own error, or gives what is written as the same bytes.

Any other exception is a finding.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import cbor2
import numpy as np
import proofward_prover as prover
from pydantic import ValidationError

from proofward.errors import ProofwardError
from proofward.evidence.bundle import Bundle, BundleError, load_bundle
from proofward.evidence.policy import Policy
from proofward.evidence.verify import verify_bundle
from proofward.protocol.collateral import decode_collateral, encode_collateral
from proofward.protocol.enclave import EnclaveError, parse_reply, parse_request
from proofward.protocol.errors import ProtocolError
from proofward.protocol.requests import JobRequest, Params
from proofward.protocol.sealing import decode_envelope
from proofward.protocol.types import Setup
from proofward.tables import read_table
from proofward.tables.errors import TableError
from proofward.zkml import PublicArtifact
from proofward.zkml.errors import ArtifactError
from proofward.zkml.groth16.program.program import Program
from proofward.zkml.manifest import Manifest
from proofward_federation.enclave import SEALED_UPDATE
from proofward_federation.errors import FederationError
from proofward_federation.policy import SitePolicy
from proofward_federation.study import Study
from proofward_federation.transcript import Transcript, audit
from tests.evidence import RECORD, Evidence, compile_tiny, make_evidence, pinned
from tests.fuzz.edits import edited

_MEMORY = Path("/dev/shm")
_SCRATCH = (_MEMORY if _MEMORY.is_dir() else Path(tempfile.gettempdir())) / f"proofward-fuzz-{os.getpid()}"


def _file(data: bytes, suffix: str) -> Path:
    path = _SCRATCH.with_suffix(suffix)
    path.write_bytes(data)
    return path


@functools.cache
def _evidence() -> tuple[Evidence, Policy]:
    folder = _SCRATCH.with_suffix(".evidence")
    made = make_evidence(compile_tiny(folder / "tiny"), RECORD, folder)
    return made, pinned(made)


def bundle(data: bytes) -> None:
    """A bundle that a stranger hands over: raw bytes, or changes of one that is true.

    A verdict is always reached, and `accepted` only while everything that it rests on is as it was.
    """
    if data[:1] == b"{":
        try:
            read = load_bundle(_file(data, ".json"))
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


def envelope(data: bytes) -> None:
    """A client's sealed input, as worker and enclave take it apart."""
    try:
        read = decode_envelope(data)
    except ProtocolError:
        return
    assert len({one.account for one in read.recipients}) == len(read.recipients) > 0
    for one in read.recipients:
        assert read.recipient(one.account) == one


def frame(data: bytes) -> None:
    """A frame of the enclave's socket, read by the enclave and by its host, and the job in it."""
    try:
        request = parse_request(data)
    except EnclaveError:
        pass
    else:
        assert cbor2.loads(request.frame()[4:]) == {"params": {}} | cbor2.loads(data)
        try:
            job = JobRequest.parse(Params(request.params))
        except EnclaveError:
            pass
        else:
            assert JobRequest.parse(Params(job.encode())) == job
    with contextlib.suppress(EnclaveError):
        assert isinstance(parse_reply(data, 7), dict)


def scale(data: bytes) -> None:
    """SCALE: a collateral, and an origin of keys."""
    with contextlib.suppress(ProtocolError):
        assert encode_collateral(decode_collateral(data)) == data
    with contextlib.suppress(ProtocolError):
        assert Setup.decode(data).encode() == data


def table(data: bytes) -> None:
    """A table as people have them."""
    try:
        read = read_table(_file(data, ".csv"))
    except TableError:
        return
    assert read.values.ndim == 2
    assert read.values.shape[1] == read.columns
    assert not np.isinf(read.values).any()


def program(data: bytes) -> None:
    """An integer program: what the prover takes, the reference reads as the same."""
    read: Program | None = None
    with contextlib.suppress(ValueError):
        read = Program.decode(data)
    assert read is None or read.encode() == data
    try:
        circuit = prover.Circuit(data, 1)
    except prover.ProverError:
        return
    assert read is not None
    bounds = zip(read.input.low.tolist(), read.input.high.tolist(), strict=True)
    assert circuit.input_bounds == list(bounds)


def federation(data: bytes) -> None:
    """What hospitals, researchers and auditors hand each other: studies, rules, updates, transcripts."""
    with contextlib.suppress(FederationError):
        assert Study.parse(data).document() == data
    with contextlib.suppress(FederationError):
        policy = SitePolicy.parse(data)
        assert 0 < policy.round <= policy.yearly
    with contextlib.suppress(ProtocolError):
        read = SEALED_UPDATE.decode(data)
        assert SEALED_UPDATE.encode(read) == data
    with contextlib.suppress(FederationError):
        audit(Transcript.load(_file(data, ".json")))


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (bundle, manifest, envelope, frame, scale, table, program, federation)
}
