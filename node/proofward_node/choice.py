"""Which jobs a worker takes: what the operator decides, what the chain will take, and whether there is time.

Everything here is a function of what was read; why a job is left is as much a result as that it is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from proofward.amounts import UNIT
from proofward.chain.pallets.jobs import JobRecord
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward_node.ports import Head
from proofward_node.reasons import Code, Reason

STAGGER_BLOCKS = 2
"""Blocks that the next recipient of a job leaves to each one named before it, so that they do not all pay for
one claim.
"""

_HOPELESS = frozenset({Code.BOND, Code.RELEASED, Code.PRICE, Code.LEVEL, Code.SETUP, Code.DEADLINE})
"""Reasons of which waiting makes nothing better, of jobs that the chain still offers us."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the operator decides; see `proofward_node.config.WorkerConfig`. `keeps_keys`: an enclave that
    starts again has its keys again.
    """

    min_price: int = 0
    max_bond: int = UNIT
    block_seconds: float = 1.0
    expected_seconds: float = 5.0
    margin_blocks: int = 10
    work_timeout_seconds: float = 300.0
    max_claims: int = 128
    keeps_keys: bool = False

    def blocks(self, seconds: float, ahead: int) -> int:
        """Blocks from claim to verdict, with the margin, of a job that takes `seconds`, when `ahead` others
        (taken to be of its kind) are proved before it. Half as much again is kept for their surprises.
        """
        return math.ceil(seconds * (1 + 1.5 * ahead) / self.block_seconds) + self.margin_blocks


@dataclass(frozen=True, slots=True)
class Situation:
    """What a job is weighed against.

    `seconds` is how long jobs of its model take; `ahead` others are proved first; `tried` says whether this
    worker handed it back itself on its way out; `others_first` is the block until which the chain has others
    come first; `closed` is why nothing new is claimed at all, if so; `block_ms` is how far the chain's clock
    goes in a block, in milliseconds.
    """

    account: bytes
    worker: WorkerRecord
    head: Head
    seconds: float
    ahead: int = 0
    tried: bool = False
    others_first: int = 0
    closed: Reason | None = None
    block_ms: float = 1000.0


def obstacle(record: JobRecord, model: ModelRecord | None, policy: Choice, now: Situation) -> Reason | None:
    """Why a claim in the next block is not worth its bond; None when it can succeed, pays enough and leaves
    time for the work.
    """
    return _never(record, model, policy, now) or _not_now(record, model, policy, now)


def _never(record: JobRecord, model: ModelRecord | None, policy: Choice, now: Situation) -> Reason | None:
    """What waiting does not change."""
    account = now.account
    if account not in record.recipients:
        return Reason(Code.NOT_NAMED)
    if account in record.rejected_by:
        return Reason(Code.REJECTED)
    if account in record.declined_by:
        return Reason(Code.DECLINED)
    if model is None:
        return Reason(Code.NOT_SERVED, f"model 0x{record.model.hex()}")
    if model.terms.bond > policy.max_bond:
        return Reason(Code.BOND, f"{model.terms.bond}, worker.max_bond is {policy.max_bond}")
    # a second hand-back costs the bond: only what we ourselves handed back on the way out is tried again
    if account in record.released_by and not now.tried:
        return Reason(Code.RELEASED)
    if record.price < policy.min_price:
        return Reason(Code.PRICE, f"{record.price}, worker.min_price is {policy.min_price}")
    if now.worker.level < record.min_level:
        return Reason(Code.LEVEL, f"{record.min_level.label} is asked for, ours is {now.worker.level.label}")
    if not setup_allowed(model, record):
        return Reason(Code.SETUP, f"the model's setup is {model.setup.label}")
    return None


def _not_now(record: JobRecord, model: ModelRecord | None, policy: Choice, now: Situation) -> Reason | None:
    """What may be otherwise at a later block."""
    assert model is not None
    head, claim = now.head, record.claim
    if claim is not None and not record.claimable(head.number + 1):
        return Reason(Code.TURN_LOST, f"to 0x{claim.worker.hex()} in block {claim.claimed_at}")
    need, alone = policy.blocks(now.seconds, now.ahead), policy.blocks(now.seconds, 0)
    if head.number + alone > record.deadline:
        return Reason(Code.DEADLINE, f"block {record.deadline}, {alone} blocks are needed")
    if alone > model.claim_blocks:
        return Reason(Code.SLOW, f"a claim lasts {model.claim_blocks} blocks, {alone} are needed")
    left = now.worker.expires_at - head.time_ms
    if left <= need * now.block_ms:
        # nobody whose registration ended may hand in a result, and its renewal may be refused
        return Reason(Code.EXPIRED, f"{max(left, 0) // 1000} s are left of it, {need} blocks are needed")
    if now.closed is not None:
        return now.closed
    if head.number < now.others_first:
        return Reason(Code.OTHERS_FIRST, f"until block {now.others_first}")
    free_since = claim.lapses_at + 1 if claim else record.submitted_at
    turn = free_since + STAGGER_BLOCKS * record.recipients.index(now.account)
    if head.number < turn:
        return Reason(Code.TURN_WAITS, f"until block {turn}")
    if head.number + need > record.deadline or need > model.claim_blocks:
        return Reason(Code.BUSY, f"{now.ahead} claims ahead")
    return None


def hopeless(reason: Reason) -> bool:
    """Whether a job that is left for this reason will never be done here: it is declined, so that its client
    need not wait for us and it stands in nobody's way.
    """
    return reason.code in _HOPELESS


def setup_allowed(model: ModelRecord, record: JobRecord) -> bool:
    """As the pallet counts it: a setup attested below the level that the job demands is a `dev` one."""
    if record.allow_dev_setup:
        return True
    if model.setup.level is not None:
        return model.setup.level >= record.min_level
    return model.setup.label == "ceremony"


def only_ours(record: JobRecord, account: bytes) -> bool:
    """Whether nobody but this worker may still do the job."""
    return record.is_for(account) and not any(
        record.is_for(one) for one in record.recipients if one != account
    )
