"""Files that people and programs keep or hand on: secrets, receipts, proofs, exports, a worker's report."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from proofward.attestation import DEVELOPMENT_ROOTS, AttestationError, Collateral
from proofward.attestation.tcb import stand
from proofward.client.session_calls import own_receipts
from proofward.client.session_double import load_double
from proofward.client.session_store import SessionSecrets
from proofward.client.store import JobSecrets, read_secrets
from proofward.edge import log as logs
from proofward.edge.errors import EdgeError
from proofward.edge.verify import verify_log
from proofward.errors import NotFound, Refused
from proofward.evidence import audit_file, proof_file
from proofward.evidence.audit_file import AuditError, Manifest
from proofward.evidence.bundle import BundleError
from proofward.evidence.page import load_page, verify_page
from proofward.zkml import ZkmlError
from proofward_node import holding, report
from proofward_node.pcs import signed_part
from proofward_node.report import ReportRefused
from tests.fuzz.edits import document
from tests.fuzz.targets.evidence import artefact, evidence
from tests.fuzz.targets.scratch import file_of

HASH, SIGNATURE = "ab" * 32, "cd" * 64
_JOB = (
    "genesis",
    "job",
    "client",
    "model",
    "manifest_hash",
    "input_commitment",
    "input_salt",
    "reply_secret",
)
_SESSION = ("genesis", "session", "client", "worker", "model", "manifest_hash", "secret", "voucher_seed")
JOB: dict[str, Any] = {**dict.fromkeys(_JOB, HASH), "records": 1, "artifact": "a"}
SESSION: dict[str, Any] = {
    **dict.fromkeys((*_SESSION, "hpke_key", "receipt_key"), HASH),
    **dict.fromkeys(("epoch", "price", "sample", "bond", "since"), 7),
    "endpoint": "http://a.example",
    "artifact": None,
}
RECEIPT = {
    "page": 3, "first": 60, "records": 20, "input_commitment": HASH, "output_commitment": HASH,
    "signature": SIGNATURE,
}  # fmt: skip
DOUBLE = {
    "format": "proofward/double-page/v1", "genesis": HASH, "session": HASH, "receipt_key": HASH, "page": 3,
    "first": RECEIPT, "second": {**RECEIPT, "output_commitment": "cd" * 32},
}  # fmt: skip
LINES = [audit_file.line_of({"block": number}) for number in range(3)]
EXPORT = json.loads(
    Manifest(
        genesis=HASH, chain="a chain", first=1, last=3, head=HASH, lines=len(LINES),
        root=audit_file.merkle_root([*map(audit_file.leaf, LINES)]).hex(),
        leaves=b"".join(map(audit_file.leaf, LINES)).hex(),
    ).model_dump_json()
)  # fmt: skip
PROOF = {
    "format": proof_file.PROOF_FORMAT, "manifest_hash": artefact().manifest_hash.hex(),
    "input_commitment": HASH, "output_commitment": HASH, "proof": "00" * 256,
}  # fmt: skip
SALTS = {"format": proof_file.SALTS_FORMAT, "input_salt": HASH, "output_salt": HASH}
REPORT = {
    "report": {
        "format": report.FORMAT, "genesis": f"0x{HASH}", "worker": f"0x{HASH}", "head": None, "made_at": 7,
        "findings": [{"code": "a", "detail": "b"}], "sessions": [], "not_read": [],
    },
    "signature": {"receipt_key": f"0x{HASH}", "signature": f"0x{SIGNATURE}", "epoch": 1},
}  # fmt: skip
HOLD = {"code": "broken-circuit", "detail": "a", "since": 7, "id": "b"}
PCS = {"tcbInfo": {"fmspc": "00"}, "signature": SIGNATURE}


def kept(data: bytes) -> None:
    """By the first byte, which file it is."""
    kind, data = data[:1], data[1:]
    match kind:
        case b"j" | b"e":
            _secrets(kind, data)
        case b"o" | b"d":
            _pages(kind, data)
        case b"u":
            _export(data)
        case b"f" | b"l":
            _proof(kind, data)
        case b"w":
            _report(file_of(document(data, REPORT), "report.json"))
        case b"h":
            assert holding.read(file_of(document(data, HOLD), "hold.json")) is not None
        case b"q":
            _collateral(data)
        case b"g":
            _log(data)
        case _:
            _page(data)


def _secrets(kind: bytes, data: bytes) -> None:
    with contextlib.suppress(NotFound, Refused):
        if kind == b"j":
            job = read_secrets(JobSecrets, file_of(document(data, JOB), "job.json"), "absent")
            assert JobSecrets.model_validate_json(job.model_dump_json()) == job
        else:
            session = read_secrets(SessionSecrets, file_of(document(data, SESSION), "s.json"), "absent")
            assert SessionSecrets.model_validate_json(session.model_dump_json()) == session


def _pages(kind: bytes, data: bytes) -> None:
    if kind == b"o":
        lines = document(data, RECEIPT) + b"\n" + json.dumps(RECEIPT).encode()
        found = own_receipts(file_of(lines, "pages"))
        assert all(type(page) is int and page == one["page"] for page, one in found.items())
        return
    with contextlib.suppress(NotFound, Refused):
        load_double(file_of(document(data, DOUBLE), "double.json")).check()


def _export(data: bytes) -> None:
    """Lines and manifest: where the verdict is good, the root that was pinned is that of these lines."""
    path = file_of(b"\n".join(LINES) + b"\n", "export.jsonl")
    file_of(document(data, EXPORT), "export.jsonl.manifest.json")
    with contextlib.suppress(AuditError):
        root = bytes.fromhex(EXPORT["root"])
        if audit_file.verify(path, root=root).accepted:
            assert audit_file.load_manifest(path).leaf_hashes() == [*map(audit_file.leaf, LINES)]


def _proof(kind: bytes, data: bytes) -> None:
    with contextlib.suppress(ZkmlError):
        if kind == b"f":
            read = proof_file.load(file_of(document(data, PROOF), "proof.json"))
            assert not read.check(artefact()).ok
        else:
            file_of(document(data, SALTS), "proof.json.salts")
            assert all(proof_file.load_salts(file_of(b"", "proof.json")))


def _report(path: Path) -> None:
    with contextlib.suppress(ReportRefused):
        found = report.read(path)
        with contextlib.suppress(ReportRefused):
            assert len(report.worker_of(found)) == 32
        report.vouched(found, bytes.fromhex(HASH), None)


LOG: dict[str, Any] = {
    "lines": [
        {
            "kind": "run", "format": logs.FORMAT, "level": "device", "run": HASH, "sample": 50_000,
            "manifest_hash": artefact().manifest_hash.hex(), "account": HASH, "genesis": HASH,
        },
        {"kind": "window", "number": 0, "input": HASH, "output": HASH},
        {"kind": "proof", "number": 0, "proof": "00" * 256},
        {"kind": "left", "number": 1},
        {"kind": "post", "number": 0, "first": 0, "count": 1, "root": HASH, "block": 7},
    ]
}  # fmt: skip


def _log(data: bytes) -> None:
    """A device's log: a verdict is always reached, and none of these windows is proved."""
    try:
        lines = json.loads(document(data, LOG))
    except (ValueError, RecursionError):
        return
    told = lines.get("lines") if isinstance(lines, dict) else None
    text = "".join(f"{json.dumps(one)}\n" for one in told) if isinstance(told, list) else str(told)
    with contextlib.suppress(EdgeError):
        read = logs.load(file_of(text.encode("utf-8", "replace"), "log.jsonl"))
        assert not verify_log(read, artefact(), development=True).accepted


def _collateral(data: bytes) -> None:
    """A set of collateral that a server gives for a true quote: its documents changed."""
    attestation = evidence()[0].worker.attestation
    fields = json.loads(Collateral.decode(attestation.collateral).to_json())
    for name in ("tcb_info", "qe_identity"):
        cut = data[: len(data) // 2] if name == "tcb_info" else data[len(data) // 2 :]
        fields[name] = document(cut, json.loads(fields[name])).decode("utf-8", "replace")
    with contextlib.suppress(ValueError):
        assert signed_part(document(data, PCS).decode("utf-8", "replace"), "tcbInfo")
    with contextlib.suppress(AttestationError):
        changed = Collateral.from_json(json.dumps(fields))
        told = stand(attestation.quote, changed, now=attestation.time, roots=DEVELOPMENT_ROOTS)
        assert told.counts or told.reason
        assert told.newest is None or told.newest.counts


PAGE = {
    "format": "proofward/page-bundle/v1",
    "session": {
        **dict.fromkeys(("id", "client", "nonce", "worker", "model", "voucher_key", "receipt_key"), HASH),
        "epoch": 1, "level": "simulated", "min_level": "simulated", "sample": 50_000,
    },
    "page": {
        "number": 5, "input_commitment": HASH, "output_commitment": HASH, "path": [HASH],
        "signature": SIGNATURE, "proof": "00" * 256,
    },
    "window": {
        "number": 1, "first": 4, "pages": 2, "records": 120, "root": HASH, "signature": SIGNATURE,
        "voucher": SIGNATURE, "block": 7,
    },
    "beacon": {"value": HASH, "choices": 2}, "forced": True, "at": 9, "setup": "00", "setup_evidence": None,
}  # fmt: skip


def _page(data: bytes) -> None:
    """A verdict is always reached, and no page of this session is accepted: nobody signed it."""
    made, policy = evidence()
    whole = {**PAGE, **made.model_dump(mode="json", include={"chain", "model", "worker"})}
    with contextlib.suppress(BundleError):
        read = load_page(file_of(document(data, whole), "page.json"))
        assert not verify_page(read, policy).accepted
