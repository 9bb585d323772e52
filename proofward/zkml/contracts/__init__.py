"""The lanes' verifier contracts as artefacts of this package, and how to call them. Needs no compiler: a client, an
auditor or a publisher compares one known hash. `make contracts` rebuilds the artefacts and compares."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import eth_abi

from proofward.protocol import keccak256
from proofward.zkml.errors import ContractError
from proofward.zkml.manifest import LaneName

MAX_PROOFS = 64
"""Most proofs that one verifyMany takes (MOST_PROOFS of the contract)."""

_NAMES: dict[LaneName, str] = {"groth16": "Groth16Verifier"}
_WELL_FORMED = "wellFormed(bytes)"
_VERIFY = "verify(bytes,bytes32,bytes32,bytes)"
_VERIFY_MANY = "verifyMany(bytes,bytes32[],bytes32[],bytes[])"


@dataclass(frozen=True)
class VerifierCode:
    """A lane's contract: runtime_code as `eth_getCode` gives it, code_hash its keccak256 (32 bytes), init_code to
    deploy it (no constructor arguments), abi in JSON form."""

    runtime_code: bytes
    code_hash: bytes
    init_code: bytes
    abi: list[dict[str, Any]]


@cache
def verifier_code(lane: LaneName) -> VerifierCode:
    """The one contract that verifies every model of the lane. Raises ContractError: a lane without one
    (no-lane-verifier), or an artefact that is not what it says of itself (bad-artefact)."""
    name = _NAMES.get(lane)
    if name is None:
        raise ContractError(
            f"the {lane} lane has no verifier contract of its own: each of its models brings one",
            code="no-lane-verifier",
        )
    text = resources.files(__name__).joinpath(f"{name}.json").read_text()
    try:
        document = json.loads(text)
        runtime = bytes.fromhex(document["runtime_code"])
        init = bytes.fromhex(document["init_code"])
        code_hash = bytes.fromhex(document["code_hash"])
        abi = document["abi"]
    except (ValueError, KeyError, TypeError) as error:
        raise ContractError(f"{name}.json is damaged: {error}; install again", code="bad-artefact") from error
    if keccak256(runtime) != code_hash:
        raise ContractError(
            f"{name}.json is damaged: its code does not have the hash it names; install again", code="bad-artefact"
        )
    return VerifierCode(runtime, code_hash, init, abi)


def well_formed_calldata(vk: bytes) -> bytes:
    """Calldata of `wellFormed(key)`: is this a verifying key of the lane?"""
    return _call(_WELL_FORMED, vk)


def verify_calldata(vk: bytes, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bytes:
    """Calldata of `verify`. Commitments are 32 bytes. Raises ContractError (bad-arguments)."""
    return _call(_VERIFY, vk, _word(input_commitment), _word(output_commitment), proof)


def verify_many_calldata(
    vk: bytes, inputs: Sequence[bytes], outputs: Sequence[bytes], proofs: Sequence[bytes]
) -> bytes:
    """Calldata of `verifyMany`: proof i leads from input commitment i to output commitment i. Raises ContractError
    (bad-arguments): no proofs, more than MAX_PROOFS, or sequences of unequal length."""
    if not proofs:
        raise ContractError("there are no proofs to verify", code="bad-arguments")
    if len(proofs) > MAX_PROOFS:
        raise ContractError(f"{len(proofs)} proofs: one call takes {MAX_PROOFS}", code="bad-arguments")
    if not len(inputs) == len(outputs) == len(proofs):
        raise ContractError(
            f"{len(inputs)} inputs, {len(outputs)} outputs, {len(proofs)} proofs: there must be one of each",
            code="bad-arguments",
        )
    return _call(_VERIFY_MANY, vk, [_word(c) for c in inputs], [_word(c) for c in outputs], list(proofs))


def accepted(answer: bytes) -> bool:
    """Whether what a call gave is a yes: the one word 1. A revert is a no; it gives no answer."""
    return answer == (1).to_bytes(32, "big")


def _call(signature: str, *arguments: object) -> bytes:
    types = signature[signature.index("(") + 1 : -1].split(",")
    return keccak256(signature.encode())[:4] + eth_abi.encode(types, arguments)


def _word(commitment: bytes) -> bytes:
    # eth_abi pads what is shorter: the caller's mistake would become another commitment.
    if len(commitment) != 32:
        raise ContractError(f"a commitment has 32 bytes, not {len(commitment)}", code="bad-arguments")
    return commitment
