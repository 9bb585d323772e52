"""Verdicts and their checks, as people and programs read them, and as exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from proofward.check import Check
from proofward.cli.output import Exit, emit

if TYPE_CHECKING:
    from proofward.evidence.verdict import Verdict

EXITS = {
    "ACCEPTED": Exit.OK,
    "NOT_ANCHORED": Exit.NOT_ANCHORED,
    "INCOMPLETE": Exit.INCOMPLETE,
    "REFUSED": Exit.REFUSED,
}
"""By the name of the verdict's outcome."""


def tell(as_json: bool, verdict: Verdict) -> None:
    """Print a verdict: a line a check, then the word."""
    value = {
        "accepted": verdict.accepted,
        "outcome": verdict.outcome.name.lower().replace("_", "-"),
        "verdict": verdict.word,
        "flags": list(verdict.flags),
        "checks": [vars_of(check) for check in verdict.checks],
    }
    emit_checks(as_json, value, verdict.checks, verdict.word)


def emit_checks(as_json: bool, value: Any, checks: Sequence[Check], last: str) -> None:
    """Print `value` as JSON, or a line a check, its first word in colour on a terminal, and `last`."""

    def paint(text: str) -> str:
        lines = text.split("\n")  # each check is one
        return "\n".join([*map(_coloured, checks, lines), *lines[len(checks) :]])

    emit(as_json, value, [*map(str, checks), last], paint=paint)


def _coloured(check: Check, line: str) -> str:
    colour = {True: "green", False: "red", None: "yellow"}[check.ok] if check.required else "blue"
    return str(typer.style(check.word, fg=colour)) + line[len(check.word) :]


def vars_of(check: Check) -> dict[str, object]:
    """A check as JSON."""
    return {"name": check.name, "ok": check.ok, "required": check.required, "detail": check.detail}
