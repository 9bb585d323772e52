"""Solidity, compiled: the lanes' contracts and those of the tests. A checkout has the compiler."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from proofward import checkout
from proofward.protocol import keccak256
from proofward.zkml.errors import ContractError
from proofward.zkml.lanes import ContractSource

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
    keccak256.
    """

    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime_code: bytes

    @property
    def code_hash(self) -> bytes:
        """keccak256 of the runtime code."""
        return keccak256(self.runtime_code)


def compile_contract(source: ContractSource) -> Contract:
    """Compile a lane's verifier. Raises ContractError, also when its code is larger than a contract may
    be.
    """
    contract = compile_solidity(source.sources)[source.contract]
    size = len(contract.runtime_code)
    if size > MAX_CODE_BYTES:
        raise ContractError(
            f"the verifier's code is {size} bytes, a contract holds {MAX_CODE_BYTES}", code="too-large"
        )
    return contract


def compile_solidity(sources: dict[str, str]) -> dict[str, Contract]:
    """Compile file name -> text with the pinned solc (npm); contracts by name, interfaces left out. Raises
    ContractError with the compiler's first error.
    """
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
