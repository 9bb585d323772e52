"""The aggregator, inside the enclave: it draws noise, opens updates that are sealed to it, gives their
sum once.

A round lives in memory alone, from its noise on: a restart loses it, and what was sealed for it opens nowhere
else. Whatever the host says is bound by what a site sealed for: study, rule, round, noise, its own commitment
and the tree of its consents. The host can withhold updates and so name their sites as absent; it cannot read
one, count one twice, or have two sums of one round, whose difference would be an update.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import proofward_prover
from proofward_prover import ProverError

from proofward.protocol import ProtocolError, scale
from proofward.protocol.bounds import HASH_LENGTH
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.federation import (
    MAX_MEMBERS,
    Aggregate,
    Opening,
    UpdateContext,
    values_hash,
)
from proofward.protocol.requests import Params
from proofward_enclave.epochs import Epoch, Epochs
from proofward_federation.consents import MAX_LIVE, leaf_of, root_of
from proofward_federation.errors import FederationError
from proofward_federation.study import Study
from proofward_federation.update import Update, bound, counts

MAX_ROUNDS: Final = 64
"""Rounds that wait at once; the next is refused."""
MAX_TAKEN: Final = 4 * MAX_MEMBERS
"""Updates of a round, those included that nobody committed to."""
MAX_SEALED: Final = 3 << 20
MAX_VALUES: Final = 1 << 17
SEALED_UPDATE: Final = scale.Record(
    "SealedUpdate",
    {
        "values": scale.i64_vec(MAX_VALUES),
        "blinding": scale.fixed(32),
        "cohort": scale.U32,
        "tree": scale.vec(scale.fixed(HASH_LENGTH), MAX_LIVE),
        "used": scale.vec(scale.U32, MAX_LIVE),
    },
)

Noise = Callable[[int, int], list[int]]
"""(how many, deviation): as many integers of the discrete Gaussian."""


def seal_payload(update: Update, cohort: int, tree: Sequence[bytes], used: Sequence[int]) -> bytes:
    """What a site seals: its update, the fewest sites that it wants in the sum, the leaves of its consents,
    and which of them the update's records are of: in these places `tree` has handles. Raises ProtocolError.
    """
    return SEALED_UPDATE.encode(
        {
            "values": update.values,
            "blinding": update.blinding,
            "cohort": cohort,
            "tree": list(tree),
            "used": list(used),
        }
    )


@dataclass(frozen=True, slots=True, repr=False)
class Taken:
    """An update that was opened and found good."""

    commitment: bytes
    update: Update = field(repr=False)
    cohort: int


@dataclass(slots=True, repr=False)
class Round:
    """A round that waits for its sum."""

    study: Study
    opening: Opening
    epoch: Epoch
    noise: Update = field(repr=False)
    taken: dict[tuple[bytes, bytes], Taken] = field(default_factory=dict)


class Aggregator:
    """The rounds; safe to use from several threads. All methods raise EnclaveError."""

    def __init__(self, epochs: Epochs, noise: Noise) -> None:
        self._epochs, self._noise = epochs, noise
        self._rounds: dict[tuple[bytes, int], Round] = {}
        self._last: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def open(self, params: Params) -> dict[str, Any]:
        """Draw a round's noise and sign for it; each number of a study once."""
        study = _study(params.blob("document", 1 << 18))
        genesis, account, name = params.raw("genesis"), params.raw("account"), params.raw("study")
        number, at, block = params.u32("number"), params.u32("at"), params.raw("block")
        held = self._epochs.of(genesis, account)
        epoch = held[max(held)]
        with self._lock:
            if number <= self._last.get(name, -1):
                raise EnclaveError(f"round {number} of this study was opened before", code="round-again")
            if len(self._rounds) >= MAX_ROUNDS:
                raise EnclaveError(f"{MAX_ROUNDS} rounds wait: close one first", code="busy")
            noise = Update.of(self._noise(study.dimension, study.deviation), 0)
            opening = Opening(genesis, name, study.rule, number, at, block, noise.commitment)
            self._last[name] = number
            self._rounds[name, number] = Round(study, opening, epoch, noise)
        return {"noise": noise.commitment, "signature": epoch.receipt.sign(opening.message())}

    def take(self, params: Params) -> dict[str, Any]:
        """Open a site's update and look at it. Nothing of it is answered."""
        waiting = self._round(params)
        site, commitment = params.raw("site"), params.raw("commitment")
        said = waiting.opening
        context = UpdateContext(
            genesis=said.genesis,
            study=said.study,
            rule=said.rule,
            number=said.number,
            noise=said.noise,
            site=site,
            commitment=commitment,
            consents=params.raw("consents"),
        )
        try:
            payload = SEALED_UPDATE.decode(
                waiting.epoch.hpke.open(params.blob("sealed", MAX_SEALED), context.info())
            )
        except ProtocolError as error:
            raise EnclaveError(error.message, code=error.code) from None
        taken = _examined(waiting.study, context, payload)
        with self._lock:
            if len(waiting.taken) >= MAX_TAKEN:
                raise EnclaveError(f"a round has at most {MAX_TAKEN} updates", code="busy")
            waiting.taken[site, commitment] = taken
        return {}

    def close(self, params: Params) -> dict[str, Any]:
        """The sum of the sites that are named, with the noise; with its answer the round is erased.

        `sites` and `commitments` are the round's on the chain, in order; `absent` the places left out.
        """
        sites, commitments = (
            params.blob("sites", 32 * MAX_MEMBERS),
            params.blob("commitments", 32 * MAX_MEMBERS),
        )
        absent = tuple(params.blob("absent", MAX_MEMBERS))
        waiting = self._round(params)
        with self._lock:
            found = self._present(waiting, _words(sites), _words(commitments), absent)
            del self._rounds[waiting.opening.study, waiting.opening.number]
        parts = [waiting.noise, *(one.update for one in found)]
        values = [sum(column) for column in zip(*(part.values for part in parts), strict=True)]
        total = proofward_prover.vector_sum([part.commitment for part in parts])
        blinding = proofward_prover.blinding_sum([part.blinding for part in parts])
        said = waiting.opening
        signed = Aggregate(said.genesis, said.study, said.number, total, values_hash(values), absent)
        return {
            "values": values,
            "blinding": blinding,
            "sum": total,
            "signature": waiting.epoch.receipt.sign(signed.message()),
        }

    def _present(
        self, waiting: Round, sites: list[bytes], commitments: list[bytes], absent: tuple[int, ...]
    ) -> list[Taken]:
        if len(sites) != len(commitments) or len(set(sites)) != len(sites):
            raise EnclaveError("each site is named once, with its commitment", code="bad-set")
        if list(absent) != sorted(set(absent)) or (absent and absent[-1] >= len(sites)):
            raise EnclaveError("who is absent is named by place, once, in order", code="bad-set")
        found = []
        for place, (site, commitment) in enumerate(zip(sites, commitments, strict=True)):
            if place in absent:
                continue
            one = waiting.taken.get((site, commitment))
            if one is None:
                raise EnclaveError(f"site {place} gave no update: name it as absent", code="no-update")
            found.append(one)
        least = max([waiting.study.cohort, *(one.cohort for one in found)])
        if len(found) < least:
            raise EnclaveError(f"{len(found)} sites are in the sum, {least} are wanted", code="cohort")
        return found

    def _round(self, params: Params) -> Round:
        name, number = params.raw("study"), params.u32("number")
        with self._lock:
            waiting = self._rounds.get((name, number))
        if waiting is None:
            raise EnclaveError(
                f"this enclave has no such round: {number} was closed, or lost with the enclave's process",
                code="unknown-round",
            )
        return waiting


def _examined(study: Study, context: UpdateContext, payload: dict[str, Any]) -> Taken:
    """Everything that a lying site could get wrong. Texts name no value: the host sees them."""
    values, used = payload["values"], payload["used"]
    if len(values) != study.dimension:
        raise EnclaveError("the update has another number of parameters than the study", code="bad-dimension")
    try:
        opened = proofward_prover.vector_commit(values, payload["blinding"])
    except ProverError:
        raise EnclaveError("the update cannot be committed to", code="bad-update") from None
    if opened != context.commitment:
        raise EnclaveError("the update is not the one that the site committed to", code="wrong-commitment")
    _consented(study, context, payload["tree"], used)
    if sum(value * value for value in values) > bound(study, len(used)):
        raise EnclaveError("the update is longer than its records can make it", code="over-bound")
    if not counts(study, values, len(used)):
        raise EnclaveError("the update counts other records than have a consent", code="wrong-count")
    update = Update(tuple(values), len(used), payload["blinding"], opened)
    return Taken(opened, update, payload["cohort"])


def _consented(study: Study, context: UpdateContext, tree: list[bytes], used: list[int]) -> None:
    """Each record has a consent of its own, for the study's purpose, in the tree on the chain."""
    if not used or len(set(used)) != len(used) or max(used) >= len(tree):
        raise EnclaveError("not every record has a consent of its own", code="no-consent")
    leaves = list(tree)
    for place in used:
        leaves[place] = leaf_of(tree[place], study.purpose)
    if root_of(leaves) != context.consents:
        raise EnclaveError(
            "the consents are not those of the tree on the chain, or for another purpose",
            code="wrong-consents",
        )
    if any(one >= other for one, other in pairwise(leaves)):  # a patient who is not there sees it by this
        raise EnclaveError("the tree's leaves are not in order, each once", code="wrong-consents")


def _study(document: bytes) -> Study:
    try:
        return Study.parse(document)
    except FederationError as error:
        raise EnclaveError(error.message, code=error.code) from None


def _words(data: bytes) -> list[bytes]:
    if len(data) % HASH_LENGTH:
        raise EnclaveError("accounts and commitments have 32 bytes each", code="malformed-request")
    return [data[at : at + HASH_LENGTH] for at in range(0, len(data), HASH_LENGTH)]
