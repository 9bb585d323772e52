"""What `worker why` says of sessions: what each waits for that the chain has of this worker, how each ended
that it has no more, and why sessions of a model are not offered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proofward.chain import SubstrateClient
from proofward.chain.pallets import sessions
from proofward.chain.pallets.sessions import SessionRecord, WindowRecord
from proofward_node.chain_port import ChainPort
from proofward_node.diary import Note
from proofward_node.journal import select
from proofward_node.reasons import Code

_ENDINGS = (Code.SESSION_SETTLED, Code.SESSION_FAILED, Code.SESSION_WAIVED, Code.SESSION_UNSEEN)
_CAUSES = (Code.SESSION_UNVOUCHED, Code.SESSION_IDLE, Code.SESSION_DRAINED)
"""How a session is off the chain, and what is said of one in place of how, when it went before."""
_TROUBLES = (*_CAUSES, Code.SESSION_REFUSED, Code.SESSION_CALL)
"""What explains one that runs and waits for nothing on the chain."""


async def seen(
    port: ChainPort, journal: Path, notes: Sequence[Note], since: float, session: bytes | None = None
) -> tuple[dict[str, Any], ...]:
    """A map a session, those that run first, oldest first, then those of the notes that have ended `since`,
    and the models that were not offered since, or are not now; with `session` that one alone. Raises
    ChainDown.
    """
    head = (await port.finalised()).number
    vouched = {(bytes(row[0]), row[1]) for row in select(journal, "SELECT session, number FROM vouchers")}

    def read(client: SubstrateClient) -> list[tuple[SessionRecord, dict[int, WindowRecord]]]:
        found = sessions.of_worker(client, port.account)
        return [(record, sessions.windows(client, record)) for record in found]

    found = sorted(await port.ask(read), key=lambda one: one[0].opened_at)
    waiting = Counter(name for name, number in vouched for record, _ in found
                      if record.id == name and number >= record.next)  # fmt: skip
    by_name = _by_name(notes)
    running = [
        told(record, windows, waiting[record.id], head, by_name.pop(record.id, []))
        for record, windows in found
        if session in (None, record.id)
    ]
    models = [name for name, some in by_name.items() if some[-1].reason.code is Code.SESSION_OFFER]
    unoffered = {
        model
        for model in models
        if await port.ask(lambda client, model=model: sessions.offer_of(client, model, port.account)) is None  # type: ignore[misc]
    }
    rest = {name: some for name, some in by_name.items() if some[-1].at >= since or name in unoffered}
    return *running, *(_from_notes(name, some) for name, some in rest.items())


def noted(notes: Sequence[Note], since: float) -> tuple[dict[str, Any], ...]:
    """What the notes alone say, where the chain cannot be asked."""
    return tuple(_from_notes(name, some) for name, some in _by_name(notes).items() if some[-1].at >= since)


def _by_name(notes: Sequence[Note]) -> dict[bytes, list[Note]]:
    found: dict[bytes, list[Note]] = {}
    for note in notes:
        found.setdefault(note.job, []).append(note)
    return found


def _from_notes(name: bytes, notes: Sequence[Note]) -> dict[str, Any]:
    end = next((note for note in reversed(notes) if note.reason.code in _ENDINGS), None)
    cause = next((note for note in reversed(notes) if note.reason.code in _TROUBLES), None)
    shown = end or notes[-1]
    if end is not None and end.reason.code is Code.SESSION_SETTLED and cause is not None:
        shown, text = cause, f"{cause.reason}; then: {end.reason}"
        if cause.reason.code not in _CAUSES:  # a client or a call that was refused did not end it
            shown, text = end, f"{end.reason}; before that: {cause.reason}"
    else:
        text = (
            f"{shown.reason}; before that: {cause.reason}"
            if cause not in (None, shown)
            else str(shown.reason)
        )
    kind = "model" if shown.reason.code is Code.SESSION_OFFER else "session"
    return {
        kind: f"0x{name.hex()}",
        "state": text,
        "code": str(shown.reason.code),
        "certain": shown.reason.code not in (Code.SESSION_UNSEEN, Code.UNKNOWN),
        "block": (end or shown).block,
        "block_hash": f"0x{(end or shown).hash.hex()}" if (end or shown).hash else None,
        "at": int((end or shown).at),
    }


def told(
    record: SessionRecord,
    windows: dict[int, WindowRecord],
    waiting: int,
    head: int,
    notes: Sequence[Note] = (),
) -> dict[str, Any]:
    """One session that runs; `waiting`: vouchers that are not posted yet."""
    owed = {number: one for number, one in windows.items() if one.owed and not one.excused}
    code, state = _state(record, windows, waiting, head)
    cause = next((note for note in reversed(notes) if note.reason.code in _TROUBLES), None)
    if cause is not None:
        if code in (Code.SESSION_RUNS, Code.SESSION_OVER):
            code = cause.reason.code
        state = f"{state}; since block {cause.block}: {cause.reason}"
    return {
        "session": f"0x{record.id.hex()}",
        "client": f"0x{record.client.hex()}",
        "model": f"0x{record.model.hex()}",
        "state": state,
        "code": str(code),
        "certain": True,
        "ends_at": record.end,
        "records": record.records,
        "paid": record.paid,
        "room": record.room,
        "windows": len(windows),
        "pages_owed": sum(len(one.owed) for one in owed.values()),
        "next_due": min((one.due for one in owed.values()), default=None),
        "vouchers_waiting": waiting,
    }


def _state(
    record: SessionRecord, windows: dict[int, WindowRecord], waiting: int, head: int
) -> tuple[Code, str]:
    missed = [number for number, one in windows.items() if one.owed and head > one.due and not one.excused]
    if missed:
        text = f"window {missed[0]} was not proved in time: its bond and all open windows are lost"
        return Code.SESSION_FAILED, text
    if waiting and record.next - record.oldest >= sessions.MAX_WINDOWS:
        text = f"{sessions.MAX_WINDOWS} windows are open: vouchers wait until one ends"
        return Code.SESSION_WINDOWS, text
    if head > record.end:
        ends = max((one.due for one in windows.values()), default=head)
        return Code.SESSION_OVER, f"over: settled after block {ends}" if windows else "over: to be settled"
    if not record.room:
        return Code.SESSION_ESCROW, "its escrow is exhausted: the client may top it up"
    return Code.SESSION_RUNS, "running"


def line(one: dict[str, Any]) -> str:
    """For people."""
    if "ends_at" not in one:
        kind = "model" if "model" in one else "session"
        block = f"  block {one['block']} {one['block_hash'] or ''}".rstrip() if one["block"] else ""
        return f"{kind} {one[kind]}  {one['code']}: {one['state']}{block}"
    due = f", the next by block {one['next_due']}" if one["pages_owed"] else ""
    return (
        f"session {one['session']}: {one['state']}; {one['records']:,} inferences, {one['paid']:,} paid, "
        f"{one['windows']} windows open, {one['pages_owed']} proofs owed{due}, {one['vouchers_waiting']} "
        f"vouchers to be posted; ends at block {one['ends_at']}"
    )
