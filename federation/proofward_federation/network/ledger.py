"""A study as the chain has it: terms that follow from its document, and the model so far from its sums."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from proofward.chain import SubstrateClient, ss58
from proofward.chain.pallets import federation
from proofward.chain.pallets.federation import Plan, Published, RoundRecord, Rules, StudyRecord
from proofward.protocol.federation import values_hash
from proofward_federation.errors import FederationError
from proofward_federation.policy import SitePolicy
from proofward_federation.study import Study
from proofward_federation.update import Floats, logistic_step


def plan_of(study: Study, *, rounds: int, window: int, end: int) -> Plan:
    """The terms to announce: `rounds` at most, those without a sum too; `window` and `end` in blocks."""
    return Plan(
        rule=study.rule,
        dimension=study.dimension,
        clip=study.clip,
        variance=study.variance,
        budget=study.budget,
        cohort=study.cohort,
        rounds=rounds,
        purpose=study.purpose_bit,
        window=window,
        end=end,
    )


def rules_of(policy: SitePolicy) -> Rules:
    """What the chain holds a site to."""
    return Rules(policy.hash, policy.yearly, policy.round, policy.cohort, policy.purpose_bits)


def of_terms(plan: Plan, study: Study) -> bool:
    """Whether the chain's terms are the document's; rounds, window and end are the announcement's alone."""
    return plan == plan_of(study, rounds=plan.rounds, window=plan.window, end=plan.end)


def announced(client: SubstrateClient, name: bytes, study: Study | None = None) -> StudyRecord:
    """A study that goes on; terms and researcher are the document's, if given. Raises FederationError."""
    found = federation.study(client, name)
    if found is None:
        raise FederationError(f"the chain has no study 0x{name.hex()}, or it ended", code="unknown-study")
    if study is not None:
        if not of_terms(found.plan, study):
            raise FederationError(
                "the terms on the chain are not those of the study's document", code="other-terms"
            )
        if ss58(found.researcher) != study.researcher:
            raise FederationError(
                f"{ss58(found.researcher)} announced this study, not its researcher", code="other-researcher"
            )
    return found


def weights_after(study: Study, rounds: Sequence[RoundRecord], values: Mapping[int, Sequence[int]]) -> Floats:
    """The model after all published rounds: each value is the chain's, or FederationError(wrong-values)."""
    weights = np.zeros(len(study.columns) + 1)
    for one in rounds:
        if not isinstance(one.ending, Published):
            continue
        said = values.get(one.number, ())
        try:
            same = len(said) == study.dimension and values_hash(said) == one.ending.values
        except struct.error:  # beyond 64 bits
            same = False
        if not same:
            raise FederationError(
                f"the values of round {one.number} are not those that the chain knows", code="wrong-values"
            )
        if study.kind == "logistic":
            weights = logistic_step(weights, said, study)
    return weights


MAX_POSTS: Final = 32
"""Trees of one site that are looked back through."""
MAX_SEARCHED: Final = 30_000
"""Blocks that are looked through: twice the longest window, and some."""


def posted_consents(client: SubstrateClient, account: bytes, root: bytes, live: int) -> bool:
    """Whether a site's tree with this root was posted for so many consents, as the last one or one before it:
    a site may post the next one between its commitment and its delivery.
    """
    at: bytes | None = None
    for _ in range(MAX_POSTS):
        found = federation.site(client, account, at)
        if found is None or found.consents is None:
            return False
        if (found.consents.root, found.consents.live) == (root, live):
            return True
        at = client.block_hash(found.consents.at - 1)
    return False


def published_in(client: SubstrateClient, name: bytes, number: int, start: int) -> int:
    """The block in which a round's sum was published, looked for from `start` on. Raises FederationError."""
    last = min(client.finalised_head().number, start + MAX_SEARCHED)
    for block in range(start, last + 1):
        for event in client.events(client.block_hash(block)):
            said = event.fields
            if (event.pallet, event.name) != (federation.PALLET, "Published"):
                continue
            if (said["study"], said["number"]) == (name, number):
                return block
    raise FederationError(f"no block from {start} on published round {number}", code="unknown-round")
