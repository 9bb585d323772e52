"""What the command line shows: records of the chain as JSON-ready values, audits and verifications by what
they are about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from proofward import files
from proofward.attestation import Check
from proofward.bundle import load_bundle, save_bundle
from proofward.chain import SubstrateClient, accounts
from proofward.chain import account as account
from proofward.chain.pallets import models as chain_models
from proofward.chain.pallets import workers as chain_workers
from proofward.chain.revive import contract_code
from proofward.client import Client, NotFound, Policy, Refused, Verdict, verify_bundle
from proofward.client.ids import hash32
from proofward.client.store import default_directory
from proofward.protocol import Level, ProtocolError, Setup
from proofward.zkml import ArtifactError, load_public
from proofward.zkml.verifier_contract import audit as audit_model

_JOB_ID = re.compile(r"^(0x)?[0-9a-fA-F]{64}$")
_ACCOUNTS = ("publisher", "client", "worker", "account", "recipients", "rejected_by", "released_by")


def address(account_id: bytes) -> str:
    """An account as people write it."""
    return accounts.ss58(account_id)


def level(label: str | None) -> Level | None:
    """A level by its label. Raises Refused."""
    if label is None:
        return None
    try:
        return Level.from_label(label)
    except ProtocolError as error:
        raise Refused(error.message, code="usage") from error


def plain(value: Any, name: str = "") -> Any:
    """A record as JSON-ready values: bytes as 0x hex, accounts as addresses, enums by their label."""
    if isinstance(value, Setup):
        return value.label if value.level is None else f"{value.label} ({value.level.label})"
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: plain(getattr(value, field.name), field.name) for field in fields(value)}
        return found or type(value).__name__.lower()
    if isinstance(value, Enum):
        return str(getattr(value, "label", value.name.lower()))
    if isinstance(value, bytes):
        return address(value) if name in _ACCOUNTS and len(value) == 32 else "0x" + value.hex()
    if isinstance(value, tuple | list):
        return [plain(one, name) for one in value]
    return value


def models(url: str, retired: bool) -> list[dict[str, Any]]:
    """Every published model; retired ones when asked for."""
    with SubstrateClient.connect(url) as client:
        return [plain(record) for _, record in chain_models.all(client) if retired or not record.retired]


def model(url: str, which: str) -> dict[str, Any]:
    """One model's record, by id or name. Raises NotFound, Refused."""
    with Client(url) as client:
        return dict(plain(client.model(which)))


def workers(url: str) -> list[dict[str, Any]]:
    """Every registered worker, and the chain time left until it expires."""
    with SubstrateClient.connect(url) as client:
        now = client.timestamp()
        return [
            {**plain(record), "expires_in_seconds": (record.expires_at - now) // 1000}
            for _, record in chain_workers.all(client)
        ]


def audit(onnx: Path, artifact: Path, which: str | None, url: str) -> list[Any]:
    """Recompute weights digest, circuit and verifying key from the ONNX file; with a model on the chain,
    its record and contract too."""
    try:
        data = onnx.read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read {onnx}: {error.strerror}") from error
    public = load_public(artifact)
    cache = default_directory() / "contracts"
    if which is None:
        return list(audit_model(data, public, None, cache))
    with Client(url) as client:
        record = client.model(which)
        code = contract_code(client.chain, record.verifier)
        same = record.manifest_hash == public.manifest_hash
        said = f"manifest 0x{public.manifest_hash.hex()}, on the chain 0x{record.manifest_hash.hex()}"
        origin = Check("key's origin", True, f"setup: {plain(record.setup)}")
        return [Check("published model", same, said), *audit_model(data, public, code, cache), origin]


def verify(
    target: str,
    *,
    artifact: Path | None,
    export: Path | None,
    genesis: str | None,
    measurements: Sequence[str],
    development: bool,
    chain: str,
) -> Verdict:
    """Verify what `target` names: a job on the chain, or a bundle or proof file.

    Raises Refused, NotFound, BundleError, ZkmlError, ChainError.
    """
    path = Path(target)
    if path.exists() or not _JOB_ID.match(target):
        if export is not None:
            raise Refused("--export is for a job on the chain; a file is evidence already", code="usage")
        return _verify_file(path, artifact, _policy(development, genesis, measurements))
    with Client(chain, development=development) as client:
        bundle = client.bundle(target, artifact=artifact)
        if export is not None:
            save_bundle(bundle, export)
        asked, policy = _policy(development, genesis, measurements), client.policy()
        policy = replace(
            policy,
            genesis=asked.genesis or policy.genesis,
            measurements=asked.measurements or policy.measurements,
        )
        return verify_bundle(bundle, policy, cache=default_directory() / "contracts")


def _policy(development: bool, genesis: str | None, measurements: Sequence[str]) -> Policy:
    make = Policy.for_development if development else Policy
    return make(
        genesis=None if genesis is None else hash32(genesis, "genesis"),
        measurements=frozenset(hash32(one, "measurement") for one in measurements) or None,
    )


def _verify_file(path: Path, artifact: Path | None, policy: Policy) -> Verdict:
    if not path.exists():
        raise NotFound(f"{path} is neither a job's id (0x and 64 hex digits) nor a file")
    kind = files.kind_of(path)
    if kind == "bundle":
        return verify_bundle(load_bundle(path), policy, cache=default_directory() / "contracts")
    if kind != "proof":
        raise Refused(f"{path} is neither a bundle nor a proof file")
    if artifact is None:
        raise ArtifactError(
            "verifying a proof file needs the model's public artefact: give --artifact", code="usage"
        )
    return _verify_proof(path, artifact, policy)


def _verify_proof(path: Path, artifact: Path, policy: Policy) -> Verdict:
    """A proof by itself: no worker, so no level; and nobody but the manifest vouches for the setup."""
    proof, public = files.load(path), load_public(artifact)
    setup, lane = public.manifest.setup, public.manifest.lane
    dev = "one party made the keys and could forge proofs"
    told = dev if setup == "dev" else "only the manifest says so; a job on a chain has the evidence"
    checks = (
        Check(
            "proof", proof.verify(public), f"{len(proof.proof)} bytes, {lane}, model {public.manifest.name!r}"
        ),
        Check("setup", policy.allow_dev_setup, f"{setup}: {told}"),
    )
    flag = f"setup: {setup}" if setup == "dev" else f"setup: {setup}, unverified"
    return Verdict(b"", all(check.ok for check in checks), (flag,), checks)
