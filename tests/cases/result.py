"""How a case ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["right", "refused", "wrong", "traceback"]


@dataclass(frozen=True)
class Result:
    """One case: how it ended, and why."""

    name: str
    outcome: Outcome
    detail: str


def refusal(name: str, message: str) -> Result:
    """A refusal is one line that says what, to what and what to do; anything else is wrong."""
    clear = "\n" not in message and "report the model" not in message and len(message) > 30
    return Result(name, "refused" if clear else "wrong", message)
