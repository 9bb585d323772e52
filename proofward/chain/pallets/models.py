"""The models pallet: what can be run, on what terms, and which contract of the lane judges it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

from proofward.chain.client import SubstrateClient
from proofward.chain.pallets import _read
from proofward.chain.values import Call
from proofward.protocol.types import Lane, Setup

PALLET: Final = "Models"


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a model is run: least price of a job and a worker's bond in the smallest unit, the
    publisher's share of each price in millionths, the life of a claim in blocks.
    """

    price: int
    share: int
    bond: int
    claim_blocks: int


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A published model. `key_hash` is the SHA-256 of the verifying key as the lane's contract takes it,
    `evidence_hash` that of the setup's quote, or the hash of the ceremony's transcript; `grounds` says what
    an attested setup rests on (root, measurement, platform); `deposit` is held from the publisher.
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
    key_hash: bytes
    circuit_digest: bytes
    terms: Terms
    setup: Setup
    grounds: dict[str, bytes] | None
    evidence_hash: bytes | None
    published_at: int
    retired_at: int | None
    deposit: int

    @property
    def price(self) -> int:
        """Least price of a job, in the smallest unit."""
        return self.terms.price

    @property
    def claim_blocks(self) -> int:
        """Blocks after which a claim lapses."""
        return self.terms.claim_blocks

    @property
    def retired(self) -> bool:
        """Whether it takes no new jobs."""
        return self.retired_at is not None


@dataclass(frozen=True, slots=True)
class LaneContract:
    """The contract of the allow-list that judges a lane's proofs: its address (20 bytes), and the Keccak-256
    of its runtime code.
    """

    address: bytes
    code_hash: bytes


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
            "terms": _read.record(Terms, **value["terms"]),
        },
    )


def get(client: SubstrateClient, model: bytes, at: bytes | None = None) -> ModelRecord | None:
    """A model's record, or None."""
    value = client.query(PALLET, "Models", model, at=at)
    return value and _record(model, value)


def all(client: SubstrateClient, at: bytes | None = None) -> list[tuple[bytes, ModelRecord]]:
    """Every model ever published, retired ones included: for who lists them; others' entries cost it time."""
    return [(model, _record(model, value)) for model, value in client.iterate(PALLET, "Models", at=at)]


def named(client: SubstrateClient, name: str, most: int) -> list[ModelRecord] | None:
    """The unretired models of a name; None when the chain has more than `most` models, which anybody can
    bring about.
    """
    seen = [*islice(client.iterate(PALLET, "Models"), most + 1)]
    if len(seen) > most:
        return None
    records = [_record(model, value) for model, value in seen]
    return [record for record in records if record.name == name and not record.retired]


def live(
    client: SubstrateClient, pairs: Sequence[tuple[bytes, bytes]], at: bytes | None = None
) -> list[bytes]:
    """The ids of live entries by (publisher, manifest hash): a publisher has one at most for a manifest."""
    found = _read.found(client, PALLET, "Live", {pair: pair for pair in pairs}, at)
    return [bytes(model) for model in found.values()]


def many(client: SubstrateClient, ids: Sequence[bytes], at: bytes | None = None) -> dict[bytes, ModelRecord]:
    """Some models, in one request; unknown ones are left out."""
    found = _read.found(client, PALLET, "Models", {model: (model,) for model in ids}, at)
    return {model: _record(model, value) for model, value in found.items()}


def verifier(client: SubstrateClient, lane: Lane, at: bytes | None = None) -> LaneContract | None:
    """The lane's contract; None when the lane is closed on this chain."""
    value = client.query(PALLET, "Verifiers", lane.name.capitalize(), at=at)
    return value and _read.record(LaneContract, **value)


def key(client: SubstrateClient, model: bytes, at: bytes | None = None) -> bytes | None:
    """The verifying key that a model's proofs are judged by."""
    value = client.query(PALLET, "Keys", model, at=at)
    return None if value is None else bytes(value)


def publish(  # noqa: PLR0913 - the call's own, by keyword
    *,
    name: str,
    weights_digest: bytes,
    manifest_hash: bytes,
    input_shape: Sequence[int],
    batch: int,
    lane: Lane,
    vk_hash: bytes,
    key: bytes,
    circuit_digest: bytes,
    terms: Terms,
    setup_quote: tuple[bytes, int] | None = None,
) -> Call:
    """Publish a model. With a `setup_quote` and the number of the block that dates it, its setup is
    attested, else `dev`.
    """
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
            "key": key,
            "circuit_digest": circuit_digest,
            "terms": asdict(terms),
            "evidence": "Dev"
            if setup_quote is None
            else {"Attested": {"quote": setup_quote[0], "block": setup_quote[1]}},
        },
    )


def set_price(model: bytes, price: int) -> Call:
    """Change the least price of a model of one's own, in the smallest unit."""
    return Call(PALLET, "set_price", {"model": model, "price": price})


def remove(model: bytes) -> Call:
    """Give a retired model's deposit back, once the furthest deadline is over; anybody may."""
    return Call(PALLET, "remove", {"model": model})


def set_verifier(lane: Lane, contract: LaneContract | None) -> Call:
    """Governance origin: the lane's contract, or none."""
    value = None if contract is None else asdict(contract)
    return Call(PALLET, "set_verifier", {"lane": lane.name.capitalize(), "contract": value})


def retire(model: bytes) -> Call:
    """Take no new jobs for a model of one's own."""
    return Call(PALLET, "retire", {"model": model})


def certify_ceremony(model: bytes, transcript_hash: bytes) -> Call:
    """Root origin."""
    return Call(PALLET, "certify_ceremony", {"model": model, "transcript_hash": transcript_hash})
