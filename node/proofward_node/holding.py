"""When a worker claims nothing new: the operator drains it, or bonds were lost in a row.

One small file, `hold.json` in the data folder, says so. It is written by `worker drain` or by the circuit
breaker, survives restarts, and is taken away by `worker resume` alone. A file that cannot be read holds.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from proofward.files import read_whole, write_whole
from proofward.logs import Logger
from proofward_node.journal import Journal, State
from proofward_node.reasons import Code, Reason

log = Logger("proofward_node.holding")

LOST_IN_A_ROW = 2
"""Lost bonds in a row after which nothing is claimed until somebody has looked."""
_LOST = frozenset({"lapsed", "rejected", "faulty-proof", "session-failed"})
_WELL = frozenset({"accepted", "session-settled"})
"""Outcomes that cost the bond of a claim or of a session, and those that were paid."""
_COUNT, _SEEN = "lost_in_a_row", "hold_seen"
"""Names in the journal: lost bonds in a row, and the hold that the daemon has taken note of."""
MAX_BYTES = 16_384
_CODES = (Code.DRAINING, Code.STOPPING, Code.BROKEN_CIRCUIT)
"""What may stand in the file; `stopping` is a drain that claims not even what only this worker may do."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing new is claimed, since when (seconds since the epoch). `id` tells one from the next."""

    code: Code
    detail: str = ""
    since: int = 0
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def reason(self) -> Reason:
        """As the diary and `/healthz` have it."""
        return Reason(self.code, self.detail)


def read(path: Path) -> Hold | None:
    """The hold in a file; None when there is no file."""
    try:
        found = json.loads(read_whole(path, MAX_BYTES))
        code = Code(found["code"])
        if code not in _CODES:
            raise ValueError(f"{code} holds nothing")
        return Hold(code, str(found["detail"]), int(found["since"]), str(found["id"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return Hold(Code.BROKEN_CIRCUIT, f"{path} cannot be read: {error}", id="unreadable")


def write(path: Path, hold: Hold) -> None:
    """Put a hold into the file, in one step that survives a loss of power. Raises OSError."""
    write_whole(path, json.dumps(asdict(hold)).encode())


class _Claims(Protocol):
    """As much of `proofward_node.jobs.Jobs` as is told."""

    closed: Reason | None

    async def abandon(self) -> None: ...


class _Offer(Protocol):
    """As much of `proofward_node.serving.Serving` as is told."""

    paused: bool


@dataclass
class Holding:
    """The daemon's side: it looks at the file before each round, and breaks the circuit."""

    path: Path
    journal: Journal
    _unwritten: Hold | None = None

    async def apply(self, jobs: _Claims, serving: _Offer) -> Hold | None:
        """Close or open the claims as the file says; what is held with no proof yet is handed back when the
        operator cannot wait. The journal says afterwards which hold was taken note of.
        """
        hold = read(self.path) or self._unwritten
        jobs.closed = None if hold is None else hold.reason
        serving.paused = hold is not None
        if hold is None:
            if self.lost >= LOST_IN_A_ROW:
                self.journal.set_meta(_COUNT, b"0")  # somebody looked, and resumed
            return None
        if self.journal.get_meta(_SEEN) != hold.id.encode():
            self.journal.set_meta(_SEEN, hold.id.encode())
            log.warning("holding", code=str(hold.code), message=str(hold.reason))
        if hold.code is Code.STOPPING and (begun := self.journal.entries(State.CLAIMED, State.WORKING)):
            await jobs.abandon()
            for entry in begun:
                now = self.journal.get(entry.job)
                if now is not None and now.state in (State.CLAIMED, State.WORKING):
                    self.journal.advance(entry.job, State.RELEASING, outcome="handed-back")
        return hold

    @property
    def lost(self) -> int:
        """Bonds lost in a row."""
        return int(self.journal.get_meta(_COUNT) or 0)

    def outcome(self, name: str) -> None:
        """Count what came of a job or a session; the second lost bond in a row breaks the circuit."""
        if name in _WELL:
            if self.lost:
                self.journal.set_meta(_COUNT, b"0")
        elif name in _LOST:
            count = self.lost + 1
            if count >= LOST_IN_A_ROW and read(self.path) is None:
                self._break(count, name)
            self.journal.set_meta(_COUNT, str(count).encode())

    def _break(self, count: int, last: str) -> None:
        detail = f"{count} bonds lost in a row, the last one {last}"
        hold = Hold(Code.BROKEN_CIRCUIT, detail, int(time.time()))
        log.error("circuit-broken", message=f"{detail}: look at `proofward worker why`, then `worker resume`")
        try:
            write(self.path, hold)
        except OSError as error:
            self._unwritten = hold
            log.error("hold-not-written", path=str(self.path), message=str(error))


def taken_note_of(journal_meta: bytes | None, hold: Hold) -> bool:
    """Whether the daemon has seen this very hold: from then on it intends no claim that the hold forbids."""
    return journal_meta == hold.id.encode()
