"""A job under keys of a ceremony, without a chain; and transcripts that did not make its keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import proofward_prover as prover
import pytest

from proofward.evidence.bundle import Bundle
from proofward.evidence.policy import KeySources
from proofward.protocol import Lane, Setup, SetupKind, model_id, sha256
from proofward.zkml import Artifact, PublicArtifact, load_artifact
from proofward.zkml.groth16 import ceremony
from proofward.zkml.manifest import TRANSCRIPT
from tests.ceremony import shares
from tests.evidence import RECORD, Evidence, make_evidence
from tests.once import once

CEREMONY = Setup(SetupKind.CEREMONY)


@dataclass(frozen=True)
class Ceremonial:
    """A job's evidence, phase 1, and the ceremony's file before it was finished."""

    evidence: Evidence
    sources: KeySources
    state: bytes

    @property
    def public(self) -> PublicArtifact:
        return self.evidence.artifact.public

    @property
    def transcript(self) -> bytes:
        return self.public.files[TRANSCRIPT]


@pytest.fixture(scope="session")
def ceremonial(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Ceremonial:
    folder = once(tmp_path_factory, "ceremonial", lambda folder: hold(artifact, folder))
    made = load_artifact(folder / "models" / "m")
    evidence = make_evidence(made, RECORD, tmp_path_factory.mktemp("ceremonial"), CEREMONY)
    sources = KeySources(artifact.onnx, folder / "phase1.ptau")
    return Ceremonial(evidence, sources, (folder / "2.ceremony").read_bytes())


def hold(plain: Artifact, folder: Path) -> None:
    """Ada, Grace and a beacon make the keys of `models/m`."""
    (folder / "models").mkdir()
    ptau, states = folder / "phase1.ptau", [folder / f"{number}.ceremony" for number in range(3)]
    circuit = prover.Circuit((plain.path / "private" / "program.bin").read_bytes(), 1)
    prover.make_ptau(ptau, circuit.domain.bit_length())
    ceremony.begin(plain.path, ptau, states[0])
    ceremony.contribute(states[0], "Ada", states[1])
    ceremony.contribute(states[1], "Grace", states[2])
    ceremony.finish(states[2], plain.path, ptau, folder / "models" / "m", (bytes(32), 2))


def with_transcript(evidence: Evidence, data: bytes) -> Bundle:
    """The bundle of a publisher who puts another transcript into the artefact; no receipt is of its model."""
    public, bundle = evidence.artifact.public, evidence.bundle
    files = {**public.manifest.files, TRANSCRIPT: sha256(data).hex()}
    manifest = public.manifest.model_copy(update={"files": files}).canonical()
    model = bundle.model.model_copy(
        update={
            "manifest_hash": sha256(manifest),
            "files": {**bundle.model.files, "public/manifest.json": manifest, TRANSCRIPT: data},
        }
    )
    name = model_id(
        publisher=model.publisher,
        weights_digest=model.weights_digest,
        manifest_hash=model.manifest_hash,
        lane=Lane.from_label(model.lane),
        vk_hash=model.vk_hash,
        key_hash=model.key_hash,
    )
    return bundle.model_copy(update={"model": model, "job": bundle.job.model_copy(update={"model": name})})


FAULTS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "forged": lambda parts: [parts[0], parts[1][:-128] + parts[0][-128:], parts[2]],
    "dropped": lambda parts: parts[1:],
    "the last dropped": lambda parts: parts[:-1],
    "reordered": lambda parts: [parts[1], parts[0], parts[2]],
    "twice": lambda parts: [parts[0], *parts],
    "a beacon alone": lambda parts: parts[2:],
    "nobody": lambda parts: [],
}


def spoilt(ceremonial: Ceremonial, fault: str) -> bytes:
    """A transcript of other contributions than Ada's, Grace's and the beacon."""
    (ada, grace), transcript = shares(ceremonial.state)[1], ceremonial.transcript
    beacon = transcript[76 + len(ada) + len(grace) :]
    chosen = FAULTS[fault]([ada, grace, beacon])
    return transcript[:72] + len(chosen).to_bytes(4, "little") + b"".join(chosen)
