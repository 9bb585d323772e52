"""The aggregator, inside the enclave: it draws noise, opens updates that are sealed to it, gives their
sum once.

A round lives in memory alone, from its noise on: a restart loses it, and what was sealed for it opens nowhere
else. Whatever the host says is bound by what a site sealed for: study, rule, round, noise, its own commitment
and the tree of its consents. The host can withhold updates and so name their sites as absent; it cannot read
one, count one twice, or have two sums of one round, whose difference would be an update.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

import proofward_prover
from proofward_prover import ProverError

from proofward.protocol import ProtocolError, scale
from proofward.protocol.accounts import is_signed
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
from proofward_federation.consents import MAX_LIVE, ShownTree, leaf_of, root_of
from proofward_federation.errors import FederationError
from proofward_federation.study import MAX_DOCUMENT, Study
from proofward_federation.update import Update, bound, counts

MAX_ROUNDS: Final = 64
"""Rounds that wait at once; the next is refused."""
MAX_TAKEN: Final = 4 * MAX_MEMBERS
"""Updates of a round, those included that nobody committed to."""
MAX_SEALED: Final = 3 << 20
MAX_VALUES: Final = 1 << 17
MAX_PEERS: Final = 64
"""Other sites that one names."""
SEALED_UPDATE: Final = scale.Record(
    "SealedUpdate",
    {
        "values": scale.i64_vec(MAX_VALUES),
        "blinding": scale.H256,
        "cohort": scale.U32,
        "least": scale.U32,
        "peers": scale.vec(scale.H256, MAX_PEERS),
        "signature": scale.fixed(64),
        "tree": scale.vec(scale.H256, MAX_LIVE),
        "used": scale.vec(scale.U32, MAX_LIVE),
        "ends": scale.vec(scale.U64, MAX_LIVE),
    },
)

Noise = Callable[[int, int], list[int]]
"""(how many, deviation): as many integers of the discrete Gaussian."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of a sum that a site is in: at least `cohort` sites, and `least` of its `peers` beside itself."""

    cohort: int
    least: int
    peers: tuple[bytes, ...]

    def by(self, site: bytes, there: set[bytes]) -> bool:
        """Whether a sum of those who are `there` is one that this site may be in."""
        return len(there) >= self.cohort and len(there.intersection(self.peers) - {site}) >= self.least


def seal_payload(update: Update, wanted: Wanted, signature: bytes, consents: ShownTree) -> bytes:
    """What a site seals: its update, what sum it may go into, its account's signature over the context that
    it is sealed for, and the consents of the update's records. Raises ProtocolError.
    """
    return SEALED_UPDATE.encode(
        {
            "values": update.values,
            "blinding": update.blinding,
            "cohort": wanted.cohort,
            "least": wanted.least,
            "peers": list(wanted.peers),
            "signature": signature,
            "tree": consents.tree,
            "used": consents.used,
            "ends": consents.ends,
        }
    )


@dataclass(frozen=True, slots=True, repr=False)
class Taken:
    """An update that was opened and found good."""

    site: bytes
    update: Update = field(repr=False)
    wanted: Wanted


@dataclass(slots=True, repr=False)
class Round:
    """A round that waits for its sum; `begun` in Unix seconds."""

    study: Study
    opening: Opening
    begun: int
    epoch: Epoch
    noise: Update = field(repr=False)
    taken: dict[tuple[bytes, bytes], Taken] = field(default_factory=dict)


class Aggregator:
    """The rounds; safe to use from several threads. `now` is in Unix seconds. All methods raise
    EnclaveError.
    """

    def __init__(self, epochs: Epochs, noise: Noise, now: Callable[[], float] = time.time) -> None:
        self._epochs, self._noise, self._now = epochs, noise, now
        self._rounds: dict[tuple[bytes, int], Round] = {}
        self._last: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def open(self, params: Params) -> dict[str, Any]:
        """Draw a round's noise and sign for it; each number of a study once."""
        study = _study(params.blob("document", MAX_DOCUMENT))
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
            self._rounds[name, number] = Round(study, opening, int(self._now()), epoch, noise)
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
        taken = _examined(waiting, context, payload)
        with self._lock:
            if len(waiting.taken) >= MAX_TAKEN:
                raise EnclaveError(f"a round has at most {MAX_TAKEN} updates", code="busy")
            waiting.taken[site, commitment] = taken
        return {}

    def close(self, params: Params) -> dict[str, Any]:
        """The sum of the sites that are named, with the noise; with its answer the round is erased.

        `sites` and `commitments` are the round's on the chain, in order, `cohorts` the fewest sites of a sum
        that each registered there, a byte each; `absent` the places left out. Whoever wants more of a sum
        than the others make is left out too, and named in the answer's `absent`.
        """
        sites, commitments = (
            params.blob("sites", 32 * MAX_MEMBERS),
            params.blob("commitments", 32 * MAX_MEMBERS),
        )
        cohorts, named = params.blob("cohorts", MAX_MEMBERS), tuple(params.blob("absent", MAX_MEMBERS))
        waiting = self._round(params)
        with self._lock:
            present = self._present(waiting, _words(sites), _words(commitments), cohorts, named)
            found = _content(present, waiting.study.cohort)
            del self._rounds[waiting.opening.study, waiting.opening.number]
        absent = tuple(place for place in range(len(cohorts)) if place not in found)
        parts = [waiting.noise, *(one.update for one in found.values())]
        values = [sum(column) for column in zip(*(part.values for part in parts), strict=True)]
        total = proofward_prover.vector_sum([part.commitment for part in parts])
        blinding = proofward_prover.blinding_sum([part.blinding for part in parts])
        said = waiting.opening
        signed = Aggregate(said.genesis, said.study, said.number, total, values_hash(values), absent)
        return {
            "values": values,
            "blinding": blinding,
            "sum": total,
            "absent": bytes(absent),
            "signature": waiting.epoch.receipt.sign(signed.message()),
        }

    def _present(
        self,
        waiting: Round,
        sites: list[bytes],
        commitments: list[bytes],
        cohorts: bytes,
        absent: tuple[int, ...],
    ) -> dict[int, Taken]:
        """By place."""
        if not len(sites) == len(commitments) == len(cohorts) == len(set(sites)):
            raise EnclaveError("each site is named once, with its commitment", code="bad-set")
        if list(absent) != sorted(set(absent)) or (absent and absent[-1] >= len(sites)):
            raise EnclaveError("who is absent is named by place, once, in order", code="bad-set")
        found: dict[int, Taken] = {}
        for place, (site, commitment) in enumerate(zip(sites, commitments, strict=True)):
            if place in absent:
                continue
            one = waiting.taken.get((site, commitment))
            if one is None:
                raise EnclaveError(f"site {place} gave no update: name it as absent", code="no-update")
            wanted = replace(one.wanted, cohort=max(one.wanted.cohort, cohorts[place]))
            found[place] = replace(one, wanted=wanted)
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


def _content(found: dict[int, Taken], cohort: int) -> dict[int, Taken]:
    """The largest set of sites in which each has the cohort and the peers that it wants: leaving out whoever
    has not gives it, since nobody has more of them in a smaller set. So no site's demand costs the others
    their sum. Raises EnclaveError(cohort) where fewer are left than the study wants.
    """
    kept, left = found, -1
    while len(kept) != left:
        left, there = len(kept), {one.site for one in kept.values()}
        kept = {place: one for place, one in kept.items() if one.wanted.by(one.site, there)}
    if len(kept) < cohort:
        told = f"; sites {sorted(found.keys() - kept)} want others in it" if len(kept) < len(found) else ""
        raise EnclaveError(f"{len(kept)} sites are in the sum, {cohort} are wanted{told}", code="cohort")
    return kept


def _examined(waiting: Round, context: UpdateContext, payload: dict[str, Any]) -> Taken:
    """Everything that a lying site could get wrong, and that the site is no invention of the host's. Texts
    name no value: the host sees them.
    """
    study, values, used = waiting.study, payload["values"], payload["used"]
    if not is_signed(context.site, context.info(), payload["signature"]):
        raise EnclaveError("the update is not signed by the site's account", code="not-signed")
    if len(values) != study.dimension:
        raise EnclaveError("the update has another number of parameters than the study", code="bad-dimension")
    try:
        opened = proofward_prover.vector_commit(values, payload["blinding"])
    except ProverError:
        raise EnclaveError("the update cannot be committed to", code="bad-update") from None
    if opened != context.commitment:
        raise EnclaveError("the update is not the one that the site committed to", code="wrong-commitment")
    _consented(waiting, context, ShownTree(payload["tree"], used, payload["ends"]))
    if sum(value * value for value in values) > bound(study, len(used)):
        raise EnclaveError("the update is longer than its records can make it", code="over-bound")
    if not counts(study, values, len(used)):
        raise EnclaveError("the update counts other records than have a consent", code="wrong-count")
    update = Update(tuple(values), len(used), payload["blinding"], opened)
    wanted = Wanted(payload["cohort"], payload["least"], tuple(payload["peers"]))
    return Taken(context.site, update, wanted)


def _consented(waiting: Round, context: UpdateContext, shown: ShownTree) -> None:
    """Each record has a consent of its own, for the study's purpose, which lasted when the round began, in
    the tree on the chain.
    """
    used, leaves = shown.used, list(shown.tree)
    if not used or len(used) != len(shown.ends) or len(set(used)) != len(used) or max(used) >= len(leaves):
        raise EnclaveError("not every record has a consent of its own", code="no-consent")
    if min(shown.ends) < waiting.begun:
        raise EnclaveError("a record's consent was over before the round began", code="no-consent")
    for place, until in zip(used, shown.ends, strict=True):
        leaves[place] = leaf_of(leaves[place], waiting.study.purpose, until)
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
