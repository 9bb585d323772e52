"""Times and blocks that evidence names: bounded by the reader's clock and by each other."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from proofward.check import Check, said
from proofward.evidence.bundle import Bundle
from proofward.evidence.policy import Policy

CLOCK_SLACK = 600
"""Seconds by which the reader's clock may be behind the chain's."""


def no_younger(name: str, at: int, policy: Policy) -> Check | None:
    """A failed check when evidence of Unix time `at` is of the reader's future, else None."""
    now = int(time.time()) if policy.now is None else policy.now
    if at <= now + CLOCK_SLACK:
        return None
    return Check(name, False, f"its quote is dated {_date(at)}, after the reader's now, {_date(now)}")


def order_checks(bundle: Bundle, policy: Policy) -> list[Check]:
    """The blocks of a job's life come in the order that the chain demands; the rest is somebody's word."""
    job, result = bundle.job, bundle.result
    ordered = job.submitted_at <= result.receipt_block <= result.block <= job.deadline
    told = (
        f"submitted in {job.submitted_at}, worked from {result.receipt_block} (signed), verdict in "
        f"{result.block}, deadline {job.deadline}"
    )
    at = _date(bundle.worker.attestation.time)
    return [
        Check("block order", ordered, told if ordered else f"they are out of order: {told}"),
        said("blocks", f"but for the signed one, {policy.witness}"),
        said("quote time", f"{at}: {policy.witness}, within what certificates and collateral allow"),
    ]


def _date(at: int) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{at} s"
