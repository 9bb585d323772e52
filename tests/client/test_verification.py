"""A bundle of a real job passes; one changed byte anywhere is named by the check that it breaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proofward.attestation import parse_quote
from proofward.evidence.bundle import Bundle, BundleError, load_bundle, save_bundle
from proofward.evidence.verify import Policy, Verdict, verify_bundle
from proofward.protocol import Level, sha256
from tests.evidence import Evidence

DEV = Policy.for_development()


def _flip(data: bytes, at: int = -1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def _change(bundle: Bundle, part: str, **fields: Any) -> Bundle:
    return bundle.model_copy(update={part: getattr(bundle, part).model_copy(update=fields)})


def _attestation(bundle: Bundle, **fields: Any) -> Bundle:
    return _change(bundle, "worker", attestation=bundle.worker.attestation.model_copy(update=fields))


def _failed(verdict: Verdict) -> set[str]:
    return {check.name for check in verdict.checks if not check.ok}


def test_a_real_job_is_accepted_and_says_what_it_rests_on(evidence: Evidence) -> None:
    verdict = verify_bundle(evidence.bundle, DEV, cache=evidence.cache)
    assert verdict.accepted, [check for check in verdict if not check.ok]
    assert verdict.word == "accepted (simulated, setup: dev)"
    names = [check.name for check in verdict]
    for wanted in ("quote", "binding", "measurement", "receipt", "proof", "contract", "setup", "level"):
        assert wanted in names


def test_outside_development_what_is_simulated_or_made_by_one_party_is_refused(evidence: Evidence) -> None:
    verdict = verify_bundle(evidence.bundle, cache=evidence.cache)
    assert verdict.word == "refused (simulated, setup: dev)"
    assert _failed(verdict) == {"quote", "setup", "level"}


def _other_code(bundle: Bundle) -> Bundle:
    return _change(bundle, "model", contract_code=_flip(bundle.model.contract_code))


def _other_file(bundle: Bundle) -> Bundle:
    files = dict(bundle.model.files)
    files["public/vk.bin"] = _flip(files["public/vk.bin"])
    return _change(bundle, "model", files=files)


FAULTS: list[tuple[str, Callable[[Bundle], Bundle], str]] = [
    ("proof-bit-flipped", lambda b: _change(b, "result", proof=_flip(b.result.proof)), "proof"),
    ("proof-bit-flipped-receipt", lambda b: _change(b, "result", proof=_flip(b.result.proof)), "receipt"),
    ("proof-cut", lambda b: _change(b, "result", proof=b.result.proof[:-1]), "proof"),
    ("other-input", lambda b: _change(b, "job", input_commitment=sha256(b"x")), "proof"),
    ("other-output", lambda b: _change(b, "result", output_commitment=sha256(b"x")), "proof"),
    ("other-job", lambda b: _change(b, "job", id=sha256(b"x")), "receipt"),
    ("other-worker", lambda b: _change(b, "result", worker=sha256(b"x")), "receipt"),
    ("other-sealed-output", lambda b: _change(b, "result", sealed_output=b"x"), "receipt"),
    (
        "other-signature",
        lambda b: _change(b, "result", receipt_signature=_flip(b.result.receipt_signature)),
        "receipt",
    ),
    ("other-receipt-block", lambda b: _change(b, "result", receipt_block=8), "receipt"),
    ("other-chain", lambda b: _change(b, "chain", genesis=sha256(b"x")), "receipt"),
    ("other-receipt-key", lambda b: _change(b, "worker", receipt_key=sha256(b"x")), "receipt"),
    ("other-model-id", lambda b: _change(b, "job", model=sha256(b"x")), "model"),
    ("other-weights", lambda b: _change(b, "model", weights_digest=sha256(b"x")), "model"),
    ("other-verifying-key", _other_file, "model"),
    ("other-circuit", lambda b: _change(b, "model", circuit_digest=sha256(b"x")), "model"),
    ("yes-contract", _other_code, "contract"),
    ("claims-hardware", lambda b: _change(b, "result", level="hardware"), "receipt"),
    ("record-claims-hardware", lambda b: _change(b, "worker", level="hardware"), "level"),
    ("claims-ceremony", lambda b: _change(b, "result", setup=b"\x02"), "receipt"),
    ("quote-bit-flipped", lambda b: _attestation(b, quote=_flip(b.worker.attestation.quote, 100)), "quote"),
    ("collateral-cut", lambda b: _attestation(b, collateral=b.worker.attestation.collateral[:-9]), "quote"),
    (
        "quote-out-of-date",
        lambda b: _attestation(b, time=b.worker.attestation.time + 10 * 365 * 86400),
        "quote",
    ),
]


@pytest.mark.parametrize(("fault", "change", "check"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_faults(fault: str, change: Callable[[Bundle], Bundle], check: str, evidence: Evidence) -> None:
    verdict = verify_bundle(change(evidence.bundle), DEV, cache=evidence.cache)
    assert not verdict.accepted
    assert check in _failed(verdict), (fault, _failed(verdict))


def test_a_bound_key_of_another_epoch_is_refused(evidence: Evidence) -> None:
    verdict = verify_bundle(_change(evidence.bundle, "worker", epoch=2), DEV, cache=evidence.cache)
    assert "binding" in _failed(verdict)


def test_pins(evidence: Evidence) -> None:
    measurement = parse_quote(evidence.bundle.worker.attestation.quote).measurement
    good = Policy.for_development(genesis=evidence.bundle.chain.genesis, measurements={measurement})
    assert verify_bundle(evidence.bundle, good, cache=evidence.cache).accepted
    other = Policy.for_development(genesis=sha256(b"other"), measurements={sha256(b"other")})
    assert _failed(verify_bundle(evidence.bundle, other, cache=evidence.cache)) == {
        "chain",
        "measurement allowed",
    }


def test_a_job_that_demanded_more_is_refused(evidence: Evidence) -> None:
    changed = _change(evidence.bundle, "job", min_level=Level.HARDWARE.label)
    assert _failed(verify_bundle(changed, DEV, cache=evidence.cache)) == {"level"}


def test_a_bundle_survives_its_file_and_a_damaged_file_is_refused(evidence: Evidence, tmp_path: Path) -> None:
    path = tmp_path / "job.bundle"
    save_bundle(evidence.bundle, path)
    assert load_bundle(path) == evidence.bundle
    text = path.read_text()
    for damaged in (
        text[:-10],
        text.replace('"level"', '"lewel"', 1),
        "[]",
        text.replace('"proof": "', '"proof": "zz'),
    ):
        path.write_text(damaged)
        with pytest.raises(BundleError):
            load_bundle(path)


def test_a_bundle_cannot_write_outside_its_folder(evidence: Evidence) -> None:
    files = {**evidence.bundle.model.files, "public/../../escaped": b"x"}
    assert "model" in _failed(
        verify_bundle(_change(evidence.bundle, "model", files=files), DEV, cache=evidence.cache)
    )
