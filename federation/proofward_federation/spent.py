"""What a site's answers cost, in a file of its own: its budget is not a node's word.

A round is charged once for its noise, before an answer leaves: all answers to it go into one sum. The same
round under other noise would be a second sum over the same records, and is not answered.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from proofward.files import write_whole
from proofward_federation.errors import FederationError, PolicyRefused
from proofward_federation.locking import exclusive

YEAR: Final = 365 * 86_400
MAX_ENTRIES: Final = 1 << 16
"""Rounds answered in a year."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What an answer costs: `genesis`, `study`, `noise` in hexadecimal, nano-`rho`, `at` in Unix seconds."""

    genesis: str
    study: str
    number: int
    noise: str
    rho: int
    at: int

    def of_round(self, other: Spending) -> bool:
        """Whether both are of one round, whatever its noise."""
        return (self.genesis, self.study, self.number) == (other.genesis, other.study, other.number)


class Ledger:
    """A site's spendings of the last 365 days, in a file (mode 0600), or in this process alone."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._here: list[Spending] = []

    def admit(self, one: Spending, yearly: int) -> None:
        """Whether the last 365 days leave enough of `yearly` nano-rho, which nothing changes here.

        Raises PolicyRefused(policy-spent), FederationError(answered-already, bad-ledger).
        """
        self._with(one, yearly)

    def charge(self, one: Spending, yearly: int) -> None:
        """Write it down, unless this round was charged before. Raises as `admit`, and nothing is written."""
        alone: AbstractContextManager[None] = exclusive(self._path.parent) if self._path else nullcontext()
        with alone:
            kept = self._with(one, yearly)
            self._here = kept
            if self._path:
                write_whole(self._path, json.dumps([asdict(each) for each in kept], indent=1).encode())

    def _with(self, one: Spending, yearly: int) -> list[Spending]:
        kept = [other for other in self._read() if other.at > one.at - YEAR]
        for other in kept:
            if not one.of_round(other):
                continue
            if one.noise != other.noise:
                raise FederationError(
                    f"round {one.number} of this study was answered under other noise",
                    code="answered-already",
                )
            return kept
        if sum(other.rho for other in kept) + one.rho > yearly or len(kept) >= MAX_ENTRIES:
            raise PolicyRefused(
                "the year's budget is spent, as this site wrote it down itself", code="policy-spent"
            )
        return [*kept, one]

    def _read(self) -> list[Spending]:
        if self._path is None or not self._path.exists():
            return self._here
        try:
            values = json.loads(self._path.read_text())
            found = [Spending(**one) for one in values]
            if not isinstance(values, list) or not all(
                type(number) is int for one in found for number in (one.number, one.rho, one.at)
            ):
                raise ValueError("it is no list of them")
        except (OSError, ValueError, TypeError) as error:
            raise FederationError(
                f"{self._path} holds no spendings: {error}; without it nothing says what is left of the year",
                code="bad-ledger",
            ) from None
        return found
