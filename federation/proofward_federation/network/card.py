"""A federated model's card, and the way back from the model to the hospitals' commitments.

The card is one canonical JSON document (RFC 8785): the study's transcript, its blocks, who summed, what was
spent. The model is an ONNX file that follows from the card alone and names its hash; its own hash is on the
chain once it is published. So: published model -> file -> card -> sums -> commitments, proofs, roots of
consents -> the chain's rounds, and the aggregator's registration by a quote.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import rfc8785

from proofward.chain import SubstrateClient, ss58
from proofward.chain.errors import ChainError
from proofward.chain.pallets import federation, workers
from proofward.chain.pallets.federation import Published, RoundRecord, StudyRecord
from proofward.check import Check
from proofward.protocol import sha256, strict_json
from proofward.publisher.cards import MAX_CARD
from proofward_federation.budget import epsilon_of
from proofward_federation.errors import FederationError
from proofward_federation.network.ledger import of_terms
from proofward_federation.study import Study
from proofward_federation.transcript import Transcript, audit, plain, transcript_of
from proofward_federation.update import COUNT_SHARE, Floats, logistic_step

FORMAT: Final = "proofward/federation-card/v1"
CARD_KEY, STUDY_KEY = "proofward.card", "proofward.study"
"""Of the ONNX file's metadata."""


@dataclass(frozen=True, slots=True)
class Card:
    """`spent` is in nano-rho, rounds without a sum included; `blocks` those in which each round of the
    transcript was opened and published; `weights` columns, then the intercept; `epsilon` at `delta`.
    """

    transcript: Transcript
    blocks: tuple[tuple[int, int], ...]
    aggregator: str
    measurement: str
    level: str
    spent: int
    epsilon: float
    delta: float
    weights: tuple[float, ...]
    records: tuple[float, ...]
    """How many records each round had, all of which had a live consent: a count under the round's noise."""

    def document(self) -> bytes:
        """Its one form."""
        said = json.loads(json.dumps({**asdict(self), "format": FORMAT}))
        # RFC 8785 has no integers beyond 2^53: sums are within 52 bits, budgets are texts
        return rfc8785.dumps({**said, "spent": str(self.spent)})

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises FederationError(bad-card)."""
        try:
            said = strict_json.loads(data, limit=MAX_CARD)
            if said.pop("format") != FORMAT:
                raise ValueError("it has another format")
            found = cls(
                **{
                    **said,
                    "transcript": transcript_of(said["transcript"]),
                    "blocks": tuple((int(a), int(b)) for a, b in said["blocks"]),
                    "spent": int(said["spent"]),
                    "epsilon": float(said["epsilon"]),
                    "delta": float(said["delta"]),
                    "weights": tuple(map(float, said["weights"])),
                    "records": tuple(map(float, said["records"])),
                }
            )
            if plain(found).document() != data:
                raise ValueError("it is not in its canonical form")
            study = found.study
            if study.kind != "logistic" or len(found.weights) != len(study.columns) + 1:
                raise ValueError("its weights are not those of its study")
            if not found.blocks or len(found.blocks) != len(found.transcript.rounds):
                raise ValueError("each round has its two blocks")
            if any(len(one.values) != study.dimension for one in found.transcript.rounds):
                raise ValueError("a sum has another number of parameters")
            if not 0 < found.delta < 1 or not 0 <= found.spent < 1 << 64:
                raise ValueError("its delta is not between 0 and 1, or what was spent is out of bounds")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FederationError(f"this is no card of a federated model: {error}", code="bad-card") from None
        return found

    @property
    def study(self) -> Study:
        """Its document. Raises FederationError."""
        return Study.parse(bytes.fromhex(self.transcript.document))


def card_of(
    client: SubstrateClient, said: Transcript, blocks: list[tuple[int, int]], delta: float = 1e-5
) -> Card:
    """The card of a study that goes on. Raises FederationError."""
    name = bytes.fromhex(said.study)
    record = federation.study(client, name)
    if record is None or not said.rounds:
        raise FederationError("the study is not on the chain, or has no sum yet", code="unknown-study")
    aggregator = workers.get(client, record.aggregator)
    if aggregator is None:
        raise FederationError("the aggregator is not registered any more", code="not-registered")
    return Card(
        transcript=said,
        blocks=tuple(blocks),
        aggregator=record.aggregator.hex(),
        measurement=aggregator.measurement.hex(),
        level=aggregator.level.label,
        spent=record.spent,
        epsilon=epsilon_of(record.spent, delta),
        delta=delta,
        weights=tuple(weights_of(said).tolist()),
        records=tuple(counts_of(said)),
    )


def weights_of(said: Transcript) -> Floats:
    """The model after a transcript's sums."""
    study = Study.parse(bytes.fromhex(said.document))
    weights = np.zeros(len(study.columns) + 1)
    for one in said.rounds:
        weights = logistic_step(weights, one.values, study)
    return weights


def counts_of(said: Transcript) -> list[float]:
    """How many records each sum is of, under its noise."""
    study = Study.parse(bytes.fromhex(said.document))
    return [one.values[-1] / int(COUNT_SHARE * study.clip) for one in said.rounds]


def onnx_of(card: Card) -> bytes:
    """The model: input `x` float32 (n, columns) in the columns' own units, output `p` (n, 1): how likely."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    study = card.study
    weights = np.asarray(card.weights)
    centres, scales = (np.asarray(values, np.float64) / 1000 for values in (study.centres, study.scales))
    scaled = weights[:-1] / scales
    bias = np.asarray([weights[-1] - centres @ scaled])
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], name="layer"),
        helper.make_node("Sigmoid", ["h"], ["p"], name="probability"),
    ]
    tensors = {"w": scaled[:, None], "b": bias}
    graph = helper.make_graph(
        nodes,
        "federated",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", len(study.columns)])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    named = {CARD_KEY: sha256(card.document()).hex(), STUDY_KEY: card.transcript.study}
    helper.set_model_props(model, named)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def follow(model: bytes, document: bytes, client: SubstrateClient | None) -> list[Check]:
    """From an ONNX file back to the chain's rounds; without a chain the last part is not checked.

    Raises FederationError(bad-card), ChainError.
    """
    card = Card.parse(document)
    study = card.study
    checks = [
        Check("model is the card's", model == onnx_of(card), f"card {sha256(document).hex()[:16]}…"),
        _rounds(card),
    ]
    same = np.array_equal(weights_of(card.transcript), np.asarray(card.weights))
    checks.append(Check("weights follow from the sums", same, f"{len(card.weights)} weights"))
    counted = list(card.records) == counts_of(card.transcript)
    told = ", ".join(f"{count:.0f}" for count in card.records)
    deviation = study.deviation / int(COUNT_SHARE * study.clip)
    checks.append(Check("records with a consent", counted, f"{told}, each within noise of {deviation:.0f}"))
    spent = card.epsilon == epsilon_of(card.spent, card.delta)
    privacy = f"rho {card.spent / 1e9:.6f}: epsilon {card.epsilon:.3f} at delta {card.delta:g}, a record"
    checks.append(Check("privacy spent", spent, privacy))
    if client is None:
        return [*checks, Check("study on the chain", None, "give --model and --chain")]
    return [*checks, *_on_chain(card, study, client)]


def _rounds(card: Card) -> Check:
    try:
        lines = audit(card.transcript)
    except FederationError as error:
        return Check("sums, commitments, proofs of length", False, error.message)
    return Check("sums, commitments, proofs of length", True, f"{len(lines) - 2} rounds, each opens exactly")


def _on_chain(card: Card, study: Study, client: SubstrateClient) -> list[Check]:
    name = bytes.fromhex(card.transcript.study)
    if client.genesis.hex() != card.transcript.genesis:
        return [Check("study on the chain", False, "the card is of another chain")]
    try:
        at = client.finalised_head().hash
        record = federation.study(client, name, at)
        if record is None:  # it ended: as it was when its last sum was published
            at = client.block_hash(card.blocks[-1][1])
            record = federation.study(client, name, at)
        if record is None:
            return [Check("study on the chain", False, f"there is no study 0x{name.hex()[:16]}…")]
        rounds = federation.rounds(client, record, at)
        aggregator = workers.get(client, record.aggregator, at)
    except ChainError as error:
        return [Check("study on the chain", None, f"this node does not know it any more: {error.message}")]
    terms = (
        of_terms(record.plan, study)
        and ss58(record.researcher) == study.researcher
        and record.aggregator.hex() == card.aggregator
    )
    spent = record.spent == card.spent
    where = f"study 0x{name.hex()[:16]}…, {record.next} rounds begun"
    return [
        Check("study on the chain", terms and spent, where),
        _as_published(card, rounds),
        _aggregator(card, rounds, aggregator),
        *_consents(card, client, record),
    ]


def _as_published(card: Card, rounds: list[RoundRecord]) -> Check:
    known = {one.number: one for one in rounds if isinstance(one.ending, Published)}
    for told in card.transcript.rounds:
        there = known.pop(told.number, None)
        if there is None or not isinstance(there.ending, Published):
            return Check("rounds on the chain", False, f"round {told.number} was not published")
        parts = [(one.site.hex(), one.commitment.hex(), one.consents.hex()) for one in there.committed]
        same = (
            parts == [(part.site, part.commitment, part.consents) for part in told.parts]
            and there.noise.hex() == told.noise
            and there.receipt_key.hex() == told.receipt_key
            and there.ending.blinding.hex() == told.blinding
            and there.ending.absent == told.absent
        )
        if not same:
            return Check("rounds on the chain", False, f"round {told.number} is another one there")
    if known:
        return Check("rounds on the chain", False, f"the card leaves out round {min(known)}")
    return Check("rounds on the chain", True, f"{len(card.transcript.rounds)} as the chain has them")


def _aggregator(card: Card, rounds: list[RoundRecord], found: workers.WorkerRecord | None) -> Check:
    if found is None:
        return Check("aggregator", None, "it is not registered any more")
    keys = {found.receipt_key, *(past.receipt_key for past in found.past_keys)}
    if found.previous is not None:
        keys.add(found.previous.receipt_key)
    signed = {one.receipt_key for one in rounds if isinstance(one.ending, Published)} <= keys
    same = found.measurement.hex() == card.measurement and found.level.label == card.level
    told = f"registered by a quote: {found.level.label}, measurement 0x{found.measurement.hex()[:16]}…"
    return Check("aggregator", signed and same, told)


def _consents(card: Card, client: SubstrateClient, record: StudyRecord) -> list[Check]:
    """That each length was proved for as many records as the site had consents, by the site's word then."""
    checked = 0
    for told, (_, block) in zip(card.transcript.rounds, card.blocks, strict=True):
        for place, part in enumerate(told.parts):
            if place in told.absent:
                continue
            try:
                there = federation.site(client, bytes.fromhex(part.site), client.block_hash(block))
            except ChainError:
                there = None
            if there is None or there.consents is None or there.consents.root.hex() != part.consents:
                continue
            if there.consents.live != part.most:
                return [Check("consents' roots", False, f"round {told.number}: site {part.site[:8]}…")]
            checked += 1
    total = sum(len(told.parts) - len(told.absent) for told in card.transcript.rounds)
    told_of = f"{checked} of {total} updates under the roots that their sites had posted"
    return [Check("consents' roots", True if checked == total else None, told_of)]


def summary(card: Card) -> dict[str, Any]:
    """What a card says, for people."""
    sites = sorted({part.site for one in card.transcript.rounds for part in one.parts})
    return {
        "study": "0x" + card.transcript.study,
        "name": card.study.name,
        "purpose": card.study.purpose,
        "rounds": len(card.transcript.rounds),
        "sites": ["0x" + site for site in sites],
        "rho": card.spent / 1e9,
        "epsilon": card.epsilon,
        "delta": card.delta,
        "records": [round(count) for count in card.records],
        "aggregator": "0x" + card.aggregator,
        "level": card.level,
        "measurement": "0x" + card.measurement,
        "consents": [
            {"round": one.number, "site": "0x" + part.site, "root": "0x" + part.consents, "most": part.most}
            for one in card.transcript.rounds
            for place, part in enumerate(one.parts)
            if place not in one.absent
        ],
    }
