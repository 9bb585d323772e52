"""A job under keys of a ceremony: what its bundle shows of who made them, and to whom."""

from __future__ import annotations

import os
from pathlib import Path

import proofward_prover as prover
import pytest

from proofward.check import Check
from proofward.evidence.bundle import save_bundle
from proofward.evidence.ceremony import ceremony_checks
from proofward.evidence.policy import Certificate, KeySources
from proofward.evidence.verify import Outcome, Verdict, verify_bundle
from proofward.protocol import sha256
from proofward.zkml import ArtifactError, PublicArtifact
from proofward.zkml.groth16 import ceremony
from proofward.zkml.manifest import TRANSCRIPT
from tests.ceremonial import FAULTS, Ceremonial, spoilt, with_transcript
from tests.ceremony import cli
from tests.consensus.test_inclusion import FOUR, records, with_proof
from tests.evidence import GENESIS, RECORD, pinned


def checks_of(verdict: Verdict) -> dict[str, Check]:
    return {check.name: check for check in verdict}


def test_a_bundle_shows_its_ceremony_and_says_what_was_not_checked(ceremonial: Ceremonial) -> None:
    verdict = verify_bundle(ceremonial.evidence.bundle, pinned(ceremonial.evidence))
    assert verdict.word == "incomplete (simulated)"
    assert [check.name for check in verdict if check.required and check.ok is not True] == ["setup"]
    found = checks_of(verdict)
    assert "2 contributed a secret ('Ada', 'Grace')" in found["transcript"].detail
    assert sha256(ceremonial.sources.ptau.read_bytes()).hex() in found["setup"].detail


def test_model_and_powers_show_the_whole_key_without_a_chain(ceremonial: Ceremonial, tmp_path: Path) -> None:
    evidence, sources = ceremonial.evidence, ceremonial.sources
    assert verify_bundle(evidence.bundle, pinned(evidence, sources=sources)).word == "accepted (simulated)"
    other = tmp_path / "other.ptau"
    circuit = prover.Circuit((evidence.artifact.path / "private" / "program.bin").read_bytes(), 1)
    prover.make_ptau(other, circuit.domain.bit_length())
    for wrong in (KeySources(sources.onnx, other), KeySources(b"another model", sources.ptau)):
        verdict = verify_bundle(evidence.bundle, pinned(evidence, sources=wrong))
        assert [check.name for check in verdict if check.ok is False] == ["setup"]


def test_the_readers_chain_certifies_this_transcript_and_no_other(ceremonial: Ceremonial) -> None:
    evidence, model = ceremonial.evidence, ceremonial.evidence.bundle.job.model
    last = bytes.fromhex(ceremony.read(ceremonial.public).contributions[-1].hash)
    for name, outcome in (
        (sha256(ceremonial.transcript), Outcome.ACCEPTED),
        (last, Outcome.ACCEPTED),
        (sha256(b"another one"), Outcome.REFUSED),
    ):
        certified = {model: Certificate(name, "the reader's node")}
        verdict = verify_bundle(evidence.bundle, pinned(evidence, certified=certified))
        assert verdict.outcome is outcome
        assert (checks_of(verdict)["transcript"].ok is False) is (outcome is Outcome.REFUSED)


def test_a_final_state_certifies_it_offline(ceremonial: Ceremonial) -> None:
    evidence = ceremonial.evidence
    policy = pinned(evidence, authorities=FOUR.authorities)

    def verdict(setup: str, transcript: bytes | None) -> Verdict:
        stored = records(evidence.bundle)
        stored["model"] |= {"setup": setup, "evidence_hash": transcript}
        return verify_bundle(with_proof(evidence.bundle, stored), policy)

    certified = verdict("Ceremony", sha256(ceremonial.transcript))
    assert certified.accepted
    assert "in the state of block 300" in checks_of(certified)["setup"].detail
    assert verdict("Ceremony", sha256(b"another one")).outcome is Outcome.REFUSED
    assert verdict("Dev", None).outcome is Outcome.INCOMPLETE


@pytest.mark.parametrize("fault", FAULTS)
def test_a_transcript_that_does_not_make_the_key_is_refused(fault: str, ceremonial: Ceremonial) -> None:
    """Whoever certifies it: a chain's governance sees 32 bytes."""
    bundle = with_transcript(ceremonial.evidence, spoilt(ceremonial, fault))
    certificate = Certificate(sha256(bundle.model.files[TRANSCRIPT]), "the reader's node")
    verdict = verify_bundle(bundle, pinned(ceremonial.evidence, certified={bundle.job.model: certificate}))
    assert [check.name for check in verdict if check.ok is False] == ["receipt", "transcript"]
    assert "setup" not in checks_of(verdict)


def test_a_transcript_of_another_circuit_is_refused(ceremonial: Ceremonial) -> None:
    manifest = ceremonial.public.manifest.model_copy(update={"circuit_digest": sha256(b"x").hex()})
    public = PublicArtifact(manifest, ceremonial.public.files)
    found = ceremony_checks(public, None, pinned(ceremonial.evidence))
    assert [(check.name, check.ok) for check in found] == [("transcript", False)]
    assert "circuit" in found[0].detail


def test_what_has_no_end_is_neither_phase_1_nor_a_ceremony(ceremonial: Ceremonial, tmp_path: Path) -> None:
    """A pipe or device in the folder from which an enclave contributes, or among an auditor's files."""
    os.mkfifo(tmp_path / "pipe")
    for endless in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ArtifactError, match="no regular file"):
            ceremony.contribute(endless, "Eve", tmp_path / "out")
        sources = KeySources(ceremonial.sources.onnx, endless)
        verdict = verify_bundle(ceremonial.evidence.bundle, pinned(ceremonial.evidence, sources=sources))
        assert "no regular file" in checks_of(verdict)["setup"].detail


def test_the_verb_takes_model_and_powers(ceremonial: Ceremonial, tmp_path: Path) -> None:
    bundle, onnx, record = tmp_path / "job.bundle", tmp_path / "m.onnx", tmp_path / "record.csv"
    save_bundle(ceremonial.evidence.bundle, bundle)
    onnx.write_bytes(ceremonial.sources.onnx)
    (pin,) = pinned(ceremonial.evidence).measurements or ()
    pins = ["--genesis", f"0x{GENESIS.hex()}", "--measurement", f"0x{pin.hex()}", "--dev"]
    sources = ["--onnx", str(onnx), "--ptau", str(ceremonial.sources.ptau)]
    assert cli("verify", str(bundle), *pins, code=7)["outcome"] == "incomplete"
    assert cli("verify", str(bundle), *pins, *sources)["accepted"]
    assert cli("verify", str(bundle), *sources[:2], code=2)["error"]["code"] == "usage"
    record.write_text(",".join(map(str, RECORD[0])) + "\n")
    artifact, proof = ceremonial.evidence.artifact.path, tmp_path / "proof.json"
    cli("prove", str(artifact), "--input", str(record), "--out", str(proof))
    alone = cli("verify", str(proof), "--artifact", str(artifact), *sources, code=6)
    assert {check["name"]: check["ok"] for check in alone["checks"]}["setup"] is True
    cli("verify", str(proof), "--artifact", str(artifact), code=7)
