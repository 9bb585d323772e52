"""What anyone with the ONNX file can recompute of a model, and compare."""

from __future__ import annotations

from pathlib import Path

from proofward.chain.ethereum.revive import contract_code
from proofward.check import Check
from proofward.client import Client
from proofward.client.store import default_directory
from proofward.errors import NotFound
from proofward.zkml import load_public
from proofward.zkml.external import whole
from proofward.zkml.verifier_contract import audit as audit_model


def audit(onnx: Path, artifact: Path, which: str | None, url: str) -> list[Check]:
    """Recompute weights digest, circuit and verifying key from the ONNX file; with a model on the chain,
    its record and contract too."""
    try:
        data, _ = whole(onnx)
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
        origin = Check("key's origin", True, f"setup: {record.setup}")
        return [Check("published model", same, said), *audit_model(data, public, code, cache), origin]
