"""One line of a verification or an audit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """What was compared (`name`), whether it held, and the values, the reason, or what it rests on."""

    name: str
    ok: bool
    detail: str
