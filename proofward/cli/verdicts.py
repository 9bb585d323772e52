"""Verdicts and their checks, as people and programs read them, and as exit codes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from proofward.check import Check
from proofward.cli.output import Exit, emit

if TYPE_CHECKING:
    from proofward.evidence.verdict import Verdict

#: By the name of the verdict's outcome.
EXITS = {
    "ACCEPTED": Exit.OK,
    "NOT_ANCHORED": Exit.NOT_ANCHORED,
    "INCOMPLETE": Exit.INCOMPLETE,
    "REFUSED": Exit.REFUSED,
}


def tell(as_json: bool, verdict: Verdict) -> None:
    """Print a verdict: a line a check, then the word."""
    value = {
        "accepted": verdict.accepted,
        "outcome": verdict.outcome.name.lower().replace("_", "-"),
        "verdict": verdict.word,
        "flags": list(verdict.flags),
        "checks": [vars_of(check) for check in verdict.checks],
    }
    emit(as_json, value, [*(line_of(check) for check in verdict.checks), verdict.word])


def line_of(check: Check) -> str:
    """One line of a verification or an audit, its first word in colour on a terminal."""
    line = str(check)
    if not sys.stdout.isatty():
        return line
    colour = {True: "green", False: "red", None: "yellow"}[check.ok] if check.required else "blue"
    return str(typer.style(check.word, fg=colour)) + line[len(check.word) :]


def vars_of(check: Check) -> dict[str, object]:
    """A check as JSON."""
    return {"name": check.name, "ok": check.ok, "required": check.required, "detail": check.detail}
