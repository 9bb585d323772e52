"""Write the fuzzers' seeds: a small valid input of every reader. `python -m tests.fuzz.seeds`."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import cbor2

from proofward.evidence.bundle import Bundle
from proofward.protocol import HpkePrivateKey, HpkeSuite, JobContext, JobPayload, RecipientKey, seal_job
from proofward.protocol.collateral import encode_collateral
from proofward.protocol.requests import JobRequest
from proofward.protocol.types import Level, Setup, SetupKind
from proofward_federation.consents import ShownTree
from proofward_federation.enclave import Wanted, seal_payload
from proofward_federation.transcript import Part, Told, Transcript
from proofward_federation.update import Update
from tests.evidence import RECORD, compile_tiny, make_evidence
from tests.federation.world import POLICY, study_of

HERE = Path(__file__).parent
HASH = "ab" * 32
CONTEXT = JobContext(**{name: bytes([i]) * 32 for i, name in enumerate(JobContext.__dataclass_fields__)})


def bundle() -> bytes:
    """Every field, the optional part too; nothing in it is true."""
    quote = {"quote": "0400", "collateral": "00", "time": 1_700_000_000}
    hashes = {
        name: HASH for name in ("weights_digest", "manifest_hash", "vk_hash", "circuit_digest", "key_hash")
    }
    value = {
        "chain": {"genesis": HASH, "name": "a chain", "type": "Development"},
        "job": {
            **{name: HASH for name in ("id", "client", "model", "input_commitment")},
            "min_level": "simulated",
            "allow_dev_setup": True,
            "deadline": 9,
            "submitted_at": 1,
        },
        "result": {
            "worker": HASH,
            "level": "hardware",
            "setup": "0100",
            "output_commitment": HASH,
            "proof": "00",
            "sealed_output": "00",
            "receipt_block": 3,
            "receipt_signature": "cd" * 64,
            "block": 4,
        },
        "model": {
            **hashes,
            "publisher": HASH,
            "name": "a model",
            "lane": "groth16",
            "verifier": "ef" * 20,
            "contract_code": "00",
            "files": {"public/vk.bin": "00"},
        },
        "worker": {
            "level": "simulated",
            **{name: HASH for name in ("measurement", "receipt_key", "quote_hash", "block_hash")},
            "hpke_key": HASH,
            "epoch": 1,
            "attestation": quote,
        },
        "setup_evidence": {**quote, "block_hash": HASH},
    }
    return Bundle.model_validate(value).model_dump_json().encode()


def evidence() -> Bundle:
    """A bundle of a tiny network's job, in which everything is true."""
    with tempfile.TemporaryDirectory() as folder:
        return make_evidence(compile_tiny(Path(folder) / "tiny"), RECORD, Path(folder)).bundle


def envelope() -> bytes:
    """To two recipients."""
    keys = [HpkePrivateKey.generate(suite) for suite in (HpkeSuite.X25519, HpkeSuite.X25519)]
    recipients = [RecipientKey(bytes([i]) * 32, 1, key.public) for i, key in enumerate(keys)]
    payload = JobPayload(1, (1, 2, 3), bytes(32), keys[0].public)
    return seal_job(CONTEXT, payload, recipients)


def frames() -> dict[str, bytes]:
    """A request with a job, and both replies."""
    job = JobRequest(
        CONTEXT,
        worker=bytes(32),
        manifest_hash=bytes(32),
        weights_digest=bytes(32),
        publisher=bytes(32),
        setup=Setup(SetupKind.DEV),
        level=Level.SIMULATED,
    )
    params = job.encode()
    return {
        "request": cbor2.dumps({"id": 7, "method": "work", "params": params}),
        "result": cbor2.dumps({"id": 7, "result": {"a": [1.5, None, True, b"x", "y"]}}),
        "error": cbor2.dumps({"id": 7, "error": {"code": "busy", "message": "later"}}),
    }


def collateral() -> bytes:
    """The sample's, each field cut short."""
    fields = json.loads((HERE.parent / "samples" / "tdx_quote_collateral.json").read_text())
    return encode_collateral({name: value[:24] for name, value in fields.items()})


def federation() -> dict[str, bytes]:
    """A study, a site's rules, a sealed update's inside, a transcript of one round that does not hold."""
    study = study_of()
    update = Update((1, -2, 3, 4), 1, bytes(32), bytes(32))
    wanted = Wanted(2, 1, (bytes(32),))
    part = Part(HASH, HASH, HASH, 32, "00")
    told = Told(0, HASH, 1, HASH, HASH, "cd" * 64, (part,), (), (1, 2, 3, 4), "00" * 32, "cd" * 64)
    said = Transcript(HASH, HASH, study.document().hex(), (told,))
    return {
        "study": study.document(),
        "site.toml": POLICY.encode(),
        "update": seal_payload(update, wanted, bytes(64), ShownTree([bytes(32)], [0], [1])),
        "transcript": json.dumps(asdict(said)).encode(),
    }


def main() -> None:
    """Seeds of all readers but tables and programs, which lie elsewhere."""
    true = evidence()
    (HERE / "evidence.json").write_text(true.model_dump_json(indent=1) + "\n")
    seeds = {
        "bundle": {"every_field.json": bundle()},
        "manifest": {"tiny.json": true.model.files["public/manifest.json"]},
        "envelope": {"two_recipients": envelope()},
        "frame": frames(),
        "federation": federation(),
        "scale": {"collateral": collateral(), "setup": Setup(SetupKind.DEV).encode()},
    }
    for target, files in seeds.items():
        (HERE / "corpus" / target).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (HERE / "corpus" / target / name).write_bytes(content)


if __name__ == "__main__":
    main()
