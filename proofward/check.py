"""One line of a verification or an audit."""

from __future__ import annotations

from dataclasses import dataclass

from proofward.terminal import shown


@dataclass(frozen=True, slots=True)
class Check:
    """What was compared (`name`), whether it held, and the values, the reason, or what it rests on.

    `ok` is None when nothing was compared: a tool is missing, or the evidence is not there. It never counts
    as passed. `required` is False for what is told and not checked, somebody's word: it decides nothing.
    """

    name: str
    ok: bool | None
    detail: str
    required: bool = True

    def __str__(self) -> str:
        return shown(f"{self.word:<11}  {self.name:<20} {self.detail}")

    @property
    def word(self) -> str:
        """`ok`, `REFUSED`, `not checked`, or `said` for somebody's word."""
        if not self.required and self.ok is None:
            return "said"
        return {True: "ok", False: "REFUSED", None: "not checked"}[self.ok]


def said(name: str, detail: str) -> Check:
    """Somebody's word, repeated and not checked; `detail` says whose it is."""
    return Check(name, None, detail, required=False)
