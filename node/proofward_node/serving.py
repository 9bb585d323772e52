"""Which models this worker serves: those that the operator trusts, that the enclave has loaded, and whose
terms are within what the operator set. What is served is declared on the chain, since clients seal only to
workers that say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from proofward.chain import Call
from proofward.chain.pallets import attestation, workers
from proofward.chain.pallets.models import ModelRecord
from proofward.logs import Logger
from proofward.protocol import sha256
from proofward_node.enclave_link import LoadedModel
from proofward_node.ports import Chain, Head
from proofward_node.reasons import Code, Reason

log = Logger("proofward_node.serving")

RETRY_BLOCKS = 100
"""Blocks until a refused declaration is tried again."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the operator offers. A model counts when it is named, or its publisher is (accounts, 32 bytes);
    `min_price` and `max_bond` are in the smallest unit.
    """

    publishers: frozenset[bytes] = frozenset()
    models: frozenset[bytes] = frozenset()
    min_price: int = 0
    max_bond: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing can ever be served."""
        return not self.publishers and not self.models


@dataclass
class Serving:
    """The models served now, and what the chain was told of them."""

    chain: Chain
    offer: Offer
    models: dict[bytes, ModelRecord] = field(default_factory=dict)
    _declared: dict[bytes, int] = field(default_factory=dict)
    _refused_at: int | None = None
    paused: bool = False
    """Whether clients are told that nothing is served: nobody then seals to keys that are about to end."""
    left: dict[bytes, Reason] = field(default_factory=dict)
    """Why models that were looked at are not served."""

    async def refresh(self, loaded: Iterable[LoadedModel]) -> bool:
        """Read which models can be served; True when they changed. Retired ones stay while the chain says
        that we serve them: their queues are still to be done. Reads grow with what is loaded and named here,
        not with what others publish.
        """
        loaded = list(loaded)
        manifests = {one.manifest_hash for one in loaded}
        pairs = [(publisher, manifest) for publisher in self.offer.publishers for manifest in manifests]
        self._declared = await self.chain.serving()
        known = {*self.offer.models, *self._declared, *await self.chain.live_models(sorted(pairs))}
        found: dict[bytes, ModelRecord] = {}
        records = await self.chain.models(sorted(known))
        judges = {lane: await self.chain.judge(lane) for lane in {record.lane for record in records}}
        told, self.left = self.left, {}
        for record in records:
            reason = self._obstacle(record, loaded, judges[record.lane])
            if reason is None:
                found[record.id] = record
                continue
            self.left[record.id] = reason
            if told.get(record.id) != reason:
                log.warning("model-not-served", model=record.id.hex(), reason=reason.detail)
        changed = found.keys() != self.models.keys()
        self.models = found
        return changed

    def _obstacle(
        self, record: ModelRecord, loaded: Sequence[LoadedModel], judge: bytes | None
    ) -> Reason | None:
        artefact = next((one for one in loaded if one.is_model(record)), None)
        if artefact is None:
            return Reason(Code.NOT_SERVED, "no loaded artefact is this model")
        if record.id not in self.offer.models and record.publisher not in self.offer.publishers:
            return Reason(
                Code.NOT_SERVED, "neither the model nor its publisher is named in the configuration"
            )
        if record.terms.bond > self.offer.max_bond:
            return Reason(Code.BOND, f"its bond of {record.terms.bond} is above worker.max_bond")
        if judge is None or judge != artefact.verifier_hash:
            found = "none" if judge is None else f"0x{judge.hex()}"
            return Reason(
                Code.NOT_SERVED,
                f"the {record.lane.label} lane's contract on the chain ({found}) is not the known one",
            )
        return None

    async def declare(self, head: Head) -> None:
        """Tell the chain what is served, and what no longer is, where it does not know. The worker must be
        registered.
        """
        if self._refused_at is not None and head.number < self._refused_at + RETRY_BLOCKS:
            return
        # a retired model stays: nobody can submit to it, and its queue is found by it
        kept = {model: record for model, record in self.models.items() if record.retired or not self.paused}
        calls = _changes(self._declared, kept, self.offer.min_price)
        if not calls:
            return
        call = calls[0] if len(calls) == 1 else attestation.batch(calls)
        change = sha256(repr(calls).encode()).hex()[:16]
        sent = await self.chain.send(f"serving:{head.number}:{change}", call)
        self._refused_at = None if sent.error is None else head.number
        if sent.error is not None:
            log.error("serving-refused", error=sent.error, block=sent.block, retry_blocks=RETRY_BLOCKS)
            return
        self._declared = await self.chain.serving()
        log.info("serving", models=[model.hex() for model in sorted(self._declared)], block=sent.block)


def _changes(declared: Mapping[bytes, int], wanted: Mapping[bytes, ModelRecord], price: int) -> list[Call]:
    """What makes the chain's declarations those of `wanted`, at `price` or above. A retired model stays
    declared until it leaves state, while there is room: nobody can submit to it, and its queue is found.
    """
    live = [model for model, record in sorted(wanted.items()) if not record.retired][: workers.MAX_SERVED]
    ending = [model for model in sorted(declared) if model in wanted and model not in live]
    kept = {*live, *ending[: workers.MAX_SERVED - len(live)]}
    stale = [workers.unserve(model) for model in sorted(declared) if model not in kept]
    return stale + [workers.serve(model, price) for model in live if declared.get(model) != price]
