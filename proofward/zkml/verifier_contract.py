"""A model's verifier contract, rebuilt from its published files: what must stand on the chain, byte for
byte."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofward import checkout
from proofward.check import Check
from proofward.protocol import keccak256
from proofward.zkml.artifact import PublicArtifact
from proofward.zkml.cache import recall, remember
from proofward.zkml.errors import ContractError
from proofward.zkml.lanes import ContractSource, lane

CONTRACTS = checkout.part("contracts")
COMPILE_SECONDS = 600
MAX_CODE_BYTES = 24_576  # EIP-170

# No metadata hash and no CBOR trailer: the code depends on the sources and the compiler alone.
SETTINGS: dict[str, Any] = {
    "optimizer": {"enabled": True, "runs": 200},
    "evmVersion": "cancun",
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}


@dataclass(frozen=True)
class Contract:
    """abi (JSON), bytecode (init code to deploy; no constructor arguments), runtime_code and its
    keccak256."""

    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime_code: bytes

    @property
    def code_hash(self) -> bytes:
        return keccak256(self.runtime_code)


def expected_contract(public: PublicArtifact, cache: Path | None = None) -> Contract:
    """The contract that this artifact's verifying key demands. Needs Node and contracts/node_modules; `cache`
    keeps compiled code by the digest of artifact and compiler (a folder that only this user writes). Raises
    ContractError, LaneUnavailable, ArtifactError."""
    if not (CONTRACTS / "package-lock.json").is_file():
        raise ContractError(
            "rebuilding a model's own verifier needs the contracts' sources and their compiler, which only a "
            "checkout has: run this from one, after `make setup`",
            code="compiler-missing",
        )
    key = _cache_key(public)
    stored = cache / f"contract-{key}.json" if cache else None
    kept = recall(stored)
    if kept is not None:
        return Contract(kept["abi"], bytes.fromhex(kept["bytecode"]), bytes.fromhex(kept["runtime_code"]))
    contract = compile_contract(lane(public.manifest.lane).contract_source(public.manifest, public.files))
    code = {"bytecode": contract.bytecode.hex(), "runtime_code": contract.runtime_code.hex()}
    remember(stored, {"abi": contract.abi, **code})
    return contract


def compile_contract(source: ContractSource) -> Contract:
    """Compile a lane's verifier. Raises ContractError, also when its code is larger than a contract may
    be."""
    contract = compile_solidity(source.sources)[source.contract]
    size = len(contract.runtime_code)
    if size > MAX_CODE_BYTES:
        raise ContractError(
            f"the verifier's code is {size} bytes, a contract holds {MAX_CODE_BYTES}", code="too-large"
        )
    return contract


def compile_solidity(sources: dict[str, str]) -> dict[str, Contract]:
    """Compile file name -> text with the pinned solc (npm); contracts by name, interfaces left out. Raises
    ContractError with the compiler's first error."""
    node = shutil.which("node")
    if node is None or not (CONTRACTS / "node_modules" / "solc").is_dir():
        raise ContractError(
            "compiling a verifier needs Node 20 and contracts/node_modules (npm ci in contracts/)",
            code="compiler-missing",
        )
    outputs = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": {**SETTINGS, "outputSelection": {"*": {"*": outputs}}},
    }
    try:
        done = subprocess.run(
            [node, str(CONTRACTS / "compile.mjs")],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=COMPILE_SECONDS,
            check=True,
            cwd=CONTRACTS,
        )
        reply = json.loads(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        raise ContractError(f"the Solidity compiler failed: {error}", code="compiler-failed") from error
    errors = [entry["formattedMessage"] for entry in reply.get("errors", []) if entry["severity"] == "error"]
    if errors:
        raise ContractError(f"the verifier does not compile: {errors[0]}", code="compiler-failed")
    return {
        name: Contract(
            built["abi"],
            bytes.fromhex(built["evm"]["bytecode"]["object"]),
            bytes.fromhex(built["evm"]["deployedBytecode"]["object"]),
        )
        for found in reply["contracts"].values()
        for name, built in found.items()
        if built["evm"]["bytecode"]["object"]
    }


def check_code(public: PublicArtifact, runtime_code: bytes, cache: Path | None = None) -> Check:
    """Whether the code found on the chain is the one that the verifying key demands."""
    expected = expected_contract(public, cache)
    same = runtime_code == expected.runtime_code
    detail = f"keccak256 {keccak256(runtime_code).hex()}"
    if not same:
        detail += f", expected {expected.code_hash.hex()}: this contract does not verify this model"
    return Check("verifier contract", same, detail)


def _cache_key(public: PublicArtifact) -> str:
    hasher = hashlib.sha256(public.manifest_hash)
    for path in [CONTRACTS / "package-lock.json", *sorted((CONTRACTS / "src").rglob("*.sol*"))]:
        hasher.update(path.read_bytes())
    hasher.update(json.dumps(SETTINGS, sort_keys=True).encode())
    return hasher.hexdigest()
