"""The one word that a list of checks comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from proofward.check import Check

ANCHORS = frozenset(
    {"chain", "measurement allowed", "setup measurement", "key custody", "upstream measurement"}
)
"""Checks against what the reader pins; only these may be open in evidence that is `consistent, not anchored`.
"""


class Outcome(Enum):
    """Worst last. `NOT_ANCHORED`: it holds together, on a chain or software that the reader did not pin.
    `INCOMPLETE`: something needed was not checked. `REFUSED`: a check failed.
    """

    ACCEPTED = "accepted"
    NOT_ANCHORED = "consistent, not anchored"
    INCOMPLETE = "incomplete"
    REFUSED = "refused"


def outcome_of(checks: Sequence[Check]) -> Outcome:
    """The outcome of all checks together; a check that was not made counts as passed nowhere."""
    needed = [check for check in checks if check.required]
    if any(check.ok is False for check in checks):
        return Outcome.REFUSED
    open_checks = {check.name for check in needed if check.ok is None}
    if open_checks - ANCHORS or not needed:
        return Outcome.INCOMPLETE
    return Outcome.NOT_ANCHORED if open_checks else Outcome.ACCEPTED


@dataclass(frozen=True, slots=True, repr=False)
class Verdict:
    """A job's verdict. `flags` name what was simulated, set up by one party or not hiding, whether it was
    admitted or not. Iterates over its checks; printed, a line a check and then the word.
    """

    job: bytes
    flags: tuple[str, ...]
    checks: tuple[Check, ...]

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.checks), self.word])

    def __repr__(self) -> str:
        return f"<Verdict on job 0x{self.job.hex()}: {self.word}, {len(self.checks)} checks>"

    @property
    def outcome(self) -> Outcome:
        """What the checks come to."""
        return outcome_of(self.checks)

    @property
    def accepted(self) -> bool:
        """Whether every required check was made and holds, the reader's pins among them."""
        return self.outcome is Outcome.ACCEPTED

    @property
    def word(self) -> str:
        """The outcome, with the flags."""
        return self.outcome.value + (f" ({', '.join(self.flags)})" if self.flags else "")
