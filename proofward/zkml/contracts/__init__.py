"""The lanes' verifier contracts as artefacts of this package, and how to call them.

No compiler is needed: a client, an auditor or a publisher compares one known hash. `make contracts` rebuilds
the artefacts and compares.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from proofward.check import Check
from proofward.protocol import keccak256
from proofward.zkml.errors import ContractError

MAX_PROOFS = 64
"""Most proofs that one verifyMany takes (MOST_PROOFS of the contract)."""

_NAMES: dict[str, str] = {"groth16": "Groth16Verifier"}
_WORD = 32


@dataclass(frozen=True)
class VerifierCode:
    """A lane's contract: runtime_code as `eth_getCode` gives it, code_hash its keccak256 (32 bytes),
    init_code to deploy it (no constructor arguments), abi in JSON form.
    """

    runtime_code: bytes
    code_hash: bytes
    init_code: bytes
    abi: list[dict[str, Any]]


@cache
def verifier_code(lane: str) -> VerifierCode:
    """The one contract that verifies every model of the lane. Raises ContractError: a lane without one
    (no-lane-verifier), or an artefact that is not what it says of itself (bad-artefact).
    """
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
            f"{name}.json is damaged: its code does not have the hash it names; install again",
            code="bad-artefact",
        )
    return VerifierCode(runtime, code_hash, init, abi)


def check_code(lane: str, runtime_code: bytes) -> Check:
    """Whether the code found on the chain is the lane's contract. Raises ContractError."""
    expected = verifier_code(lane)
    same = runtime_code == expected.runtime_code
    detail = f"code hash 0x{keccak256(runtime_code).hex()}"
    if not same:
        detail += f", the {lane} lane's verifier has 0x{expected.code_hash.hex()}: its word proves nothing"
    return Check("verifier contract", same, detail)


def well_formed_calldata(vk: bytes) -> bytes:
    """Calldata of `wellFormed(key)`: whether this is a verifying key of the lane."""
    return _call("wellFormed(bytes)", vk)


def verify_calldata(vk: bytes, input_commitment: bytes, output_commitment: bytes, proof: bytes) -> bytes:
    """Calldata of `verify`. Commitments are 32 bytes. Raises ContractError (bad-arguments)."""
    commitments = _commitment(input_commitment), _commitment(output_commitment)
    return _call("verify(bytes,bytes32,bytes32,bytes)", vk, *commitments, proof)


def verify_many_calldata(
    vk: bytes, inputs: Sequence[bytes], outputs: Sequence[bytes], proofs: Sequence[bytes]
) -> bytes:
    """Calldata of `verifyMany`: proof i leads from input commitment i to output commitment i. Raises
    ContractError (bad-arguments): no proofs, more than MAX_PROOFS, or sequences of unequal length.
    """
    if not proofs:
        raise ContractError("there are no proofs to verify", code="bad-arguments")
    if len(proofs) > MAX_PROOFS:
        raise ContractError(f"{len(proofs)} proofs: one call takes {MAX_PROOFS}", code="bad-arguments")
    if not len(inputs) == len(outputs) == len(proofs):
        raise ContractError(
            f"{len(inputs)} inputs, {len(outputs)} outputs, {len(proofs)} proofs: there must be one of each",
            code="bad-arguments",
        )
    columns = [_commitment(c) for c in inputs], [_commitment(c) for c in outputs]
    return _call("verifyMany(bytes,bytes32[],bytes32[],bytes[])", vk, *columns, list(proofs))


def accepted(answer: bytes) -> bool:
    """Whether what a call gave is a yes: the one word 1. A revert is a no; it gives no answer."""
    return answer == _number(1)


def _call(signature: str, *arguments: bytes | list[bytes]) -> bytes:
    types = signature[signature.index("(") + 1 : -1].split(",")
    return keccak256(signature.encode())[:4] + _sequence(types, arguments)


def _sequence(types: Sequence[str], values: Sequence[bytes | list[bytes]]) -> bytes:
    """The ABI's one canonical encoding: words and offsets, then what these point at, without gaps."""
    head, tail = b"", b""
    for kind, value in zip(types, values, strict=True):
        encoded = _encode(kind, value)
        if kind == "bytes32":
            head += encoded
        else:
            head += _number(_WORD * len(types) + len(tail))
            tail += encoded
    return head + tail


def _encode(kind: str, value: bytes | list[bytes]) -> bytes:
    if isinstance(value, list):
        element = kind.removesuffix("[]")
        return _number(len(value)) + _sequence([element] * len(value), value)
    return value if kind == "bytes32" else _number(len(value)) + value + bytes(-len(value) % _WORD)


def _number(n: int) -> bytes:
    return n.to_bytes(_WORD, "big")


def _commitment(commitment: bytes) -> bytes:
    if len(commitment) != _WORD:
        raise ContractError(f"a commitment has 32 bytes, not {len(commitment)}", code="bad-arguments")
    return commitment
