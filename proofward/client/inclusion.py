"""A proof, out of a chain with GRANDPA, that its state says what a bundle says: for who was not there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from proofward.chain import SubstrateClient
from proofward.chain.errors import RpcError
from proofward.consensus import Authorities, Change, Checkpoint, decode_header
from proofward.consensus.final import MAX_CHANGES
from proofward.errors import NotFound
from proofward.evidence.bundle import ChangePart, InclusionPart
from proofward.evidence.inclusion import keys
from proofward.protocol.scale import Reader
from proofward.protocol.types import Lane

STEPS: Final = 64
"""Blocks in which a justification is looked for: GRANDPA leaves one every eight, and at each change."""
_GRANDPA: Final = "FRNK"
_FINALITY_PROOFS: Final = "grandpa_proveFinality"


def prove(
    client: SubstrateClient, *, job: bytes, model: bytes, lane: Lane, measurement: bytes, block: int,
    patience: float = 60.0,
) -> InclusionPart | None:  # fmt: skip
    """The proof at a final block not before `block`, the verdict's; None from a node that has no GRANDPA.

    Waits up to `patience` seconds for GRANDPA to justify such a block. Raises NotFound when the node has no
    such block, or no longer the older proofs; RpcError, ChainUnreachable.
    """
    wanted = keys(job=job, model=model, lane=lane, measurement=measurement)
    return prove_keys(client, wanted, block=block, patience=patience)


def prove_keys(
    client: SubstrateClient, names: Sequence[bytes], *, block: int, patience: float = 60.0
) -> InclusionPart | None:
    """The proof of what stands under some storage keys, otherwise as `prove`."""
    if _FINALITY_PROOFS not in client.rpc("rpc_methods"):
        return None
    number, at, justification = _justified(client, block, patience)
    return InclusionPart(
        header=client.header(at).encoded,
        justification=justification,
        changes=[
            ChangePart(header=change.header, justification=change.justification)
            for change in _changes(client, number)
        ],
        nodes=client.read_proof(names, at),
    )


def checkpoint(client: SubstrateClient) -> Checkpoint:
    """The finalised head as a node says it, and who finalises behind it. Raises ChainError."""
    head = client.finalised_head()
    stored = client.query("Grandpa", "Authorities", at=head.hash)
    voters = [(bytes(key), int(weight)) for key, weight in stored]
    set_id = int(client.query("Grandpa", "CurrentSetId", at=head.hash))
    return Checkpoint(head.number, head.hash, Authorities(tuple(voters), set_id) if voters else None)


def _justified(client: SubstrateClient, block: int, patience: float) -> tuple[int, bytes, bytes]:
    """The newest final block with a justification: its number, hash and justification."""
    deadline = time.monotonic() + patience
    seen = block - 1
    while True:
        head = client.finalised_head().number
        for number in range(head, max(seen, head - STEPS), -1):
            at = client.block_hash(number)
            for engine, justification in client.rpc("chain_getBlock", f"0x{at.hex()}").justifications:
                if _engine(engine) == _GRANDPA:
                    return number, at, _unhex(justification)
        seen = max(seen, head)
        if time.monotonic() > deadline:
            raise NotFound(
                f"GRANDPA justified no block from {block} on within {patience:g} s (the chain is at {head}): "
                "is its finality stalled?"
            )
        client.wait_block(head + 1, timeout=patience)


def _changes(client: SubstrateClient, before: int) -> list[Change]:
    """Every block before `before` that changed the authorities, in order."""
    found: list[Change] = []
    number = 1
    while client.query("Grandpa", "CurrentSetId", at=client.block_hash(before)) > len(found):
        try:
            proof = _unhex(client.rpc(_FINALITY_PROOFS, number))
        except RpcError as error:
            raise NotFound(
                f"the node has no proof of change {len(found)} of the authorities: {error}"
            ) from None
        at, justification = proof[:32], _justification(proof)
        header = client.header(at).encoded
        decoded = decode_header(header)
        if decoded.number == before and decoded.next_authorities is not None:
            break  # the very block that changes them: those before it have finalised it
        if decoded.next_authorities is None or decoded.number >= before or len(found) >= MAX_CHANGES:
            raise NotFound(
                f"the node does not prove change {len(found)} of the authorities before block {before}: it "
                f"names block {decoded.number}"
            )
        found.append(Change(header, justification))
        number = decoded.number + 1
    return found


def _justification(proof: bytes) -> bytes:
    """Out of a `FinalityProof { block: H256, justification: Vec<u8>, unknown_headers: Vec<Header> }`."""
    reader = Reader(proof)
    reader.take(32)
    return reader.take(reader.count(1 << 20, 1))


def _engine(value: Any) -> str:
    return bytes(value).decode("ascii", "replace") if isinstance(value, list) else str(value)


def _unhex(value: Any) -> bytes:
    return bytes(value) if isinstance(value, list) else bytes.fromhex(value.removeprefix("0x"))
