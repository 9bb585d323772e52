"""The models pallet: what can be run, and which contract judges it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from proofward.chain.client import SubstrateClient
from proofward.chain.pallets import _read
from proofward.chain.values import Call
from proofward.protocol.types import Lane, Setup

PALLET: Final = "Models"


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A published model. `price` is in the smallest unit, `claim_blocks` the life of a claim;
    `evidence_hash` the SHA-256 of the setup's quote, or the hash of the ceremony's transcript.
    """

    id: bytes
    publisher: bytes
    name: str
    weights_digest: bytes
    manifest_hash: bytes
    input_shape: tuple[int, ...]
    batch: int
    lane: Lane
    vk_hash: bytes
    circuit_digest: bytes
    verifier: bytes
    code_hash: bytes
    price: int
    claim_blocks: int
    setup: Setup
    evidence_hash: bytes | None
    published_at: int
    retired: bool


def _record(model: bytes, value: dict[str, Any]) -> ModelRecord:
    return _read.record(
        ModelRecord,
        id=model,
        **{
            **value,
            "name": _read.text(value["name"]),
            "lane": _read.lane(value["lane"]),
            "setup": _read.setup(value["setup"]),
            "input_shape": tuple(value["input_shape"]),
        },
    )


def get(client: SubstrateClient, model: bytes, at: bytes | None = None) -> ModelRecord | None:
    value = client.query(PALLET, "Models", model, at=at)
    return value and _record(model, value)


def all(client: SubstrateClient, at: bytes | None = None) -> list[tuple[bytes, ModelRecord]]:
    """Every model ever published, retired ones included."""
    return [(model, _record(model, value)) for model, value in client.iterate(PALLET, "Models", at=at)]


def publish(
    *,
    name: str,
    weights_digest: bytes,
    manifest_hash: bytes,
    input_shape: Sequence[int],
    batch: int,
    lane: Lane,
    vk_hash: bytes,
    circuit_digest: bytes,
    verifier: bytes,
    code_hash: bytes,
    price: int,
    claim_blocks: int,
    setup_quote: tuple[bytes, int] | None = None,
) -> Call:
    """Publish a model. With a `setup_quote` and the number of the block that dates it, its setup is
    attested, else `dev`."""
    return Call(
        PALLET,
        "publish",
        {
            "name": name.encode(),
            "weights_digest": weights_digest,
            "manifest_hash": manifest_hash,
            "input_shape": list(input_shape),
            "batch": batch,
            "lane": lane.name.capitalize(),
            "vk_hash": vk_hash,
            "circuit_digest": circuit_digest,
            "verifier": verifier,
            "code_hash": code_hash,
            "price": price,
            "claim_blocks": claim_blocks,
            "evidence": "Dev"
            if setup_quote is None
            else {"Attested": {"quote": setup_quote[0], "block": setup_quote[1]}},
        },
    )


def retire(model: bytes) -> Call:
    """Take no new jobs for a model of one's own."""
    return Call(PALLET, "retire", {"model": model})


def certify_ceremony(model: bytes, transcript_hash: bytes) -> Call:
    """Root origin."""
    return Call(PALLET, "certify_ceremony", {"model": model, "transcript_hash": transcript_hash})
