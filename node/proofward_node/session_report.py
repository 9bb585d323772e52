"""What `worker why` says of sessions: each that the chain has of this worker, and what it waits for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from proofward.chain import SubstrateClient
from proofward.chain.pallets import sessions
from proofward.chain.pallets.sessions import SessionRecord, WindowRecord
from proofward_node.chain_port import ChainPort
from proofward_node.journal import select


async def seen(port: ChainPort, journal: Path) -> tuple[dict[str, Any], ...]:
    """A map a session, oldest first. Raises ChainDown."""
    head = (await port.finalised()).number
    vouched = {(bytes(row[0]), row[1]) for row in select(journal, "SELECT session, number FROM vouchers")}

    def read(client: SubstrateClient) -> list[tuple[SessionRecord, dict[int, WindowRecord]]]:
        found = sessions.of_worker(client, port.account)
        return [(record, sessions.windows(client, record)) for record in found]

    found = sorted(await port.ask(read), key=lambda one: one[0].opened_at)
    waiting = Counter(name for name, number in vouched for record, _ in found
                      if record.id == name and number >= record.next)  # fmt: skip
    return tuple(told(record, windows, waiting[record.id], head) for record, windows in found)


def told(record: SessionRecord, windows: dict[int, WindowRecord], waiting: int, head: int) -> dict[str, Any]:
    """One session; `waiting`: vouchers that are not posted yet."""
    owed = {number: one for number, one in windows.items() if one.owed and not one.excused}
    return {
        "session": f"0x{record.id.hex()}",
        "client": f"0x{record.client.hex()}",
        "model": f"0x{record.model.hex()}",
        "state": _state(record, windows, waiting, head),
        "ends_at": record.end,
        "records": record.records,
        "paid": record.paid,
        "room": record.room,
        "windows": len(windows),
        "pages_owed": sum(len(one.owed) for one in owed.values()),
        "next_due": min((one.due for one in owed.values()), default=None),
        "vouchers_waiting": waiting,
    }


def _state(record: SessionRecord, windows: dict[int, WindowRecord], waiting: int, head: int) -> str:
    missed = [number for number, one in windows.items() if one.owed and head > one.due and not one.excused]
    if missed:
        return f"window {missed[0]} was not proved in time: its bond and all open windows are lost"
    if waiting and record.next - record.oldest >= sessions.MAX_WINDOWS:
        return f"{sessions.MAX_WINDOWS} windows are open: vouchers wait until one ends"
    if head > record.end:
        ends = max((one.due for one in windows.values()), default=head)
        return f"over: settled after block {ends}" if windows else "over: to be settled"
    if not record.room:
        return "its escrow is exhausted: the client may top it up"
    return "running"


def line(one: dict[str, Any]) -> str:
    """For people."""
    due = f", the next by block {one['next_due']}" if one["pages_owed"] else ""
    return (
        f"session {one['session']}: {one['state']}; {one['records']:,} inferences, {one['paid']:,} paid, "
        f"{one['windows']} windows open, {one['pages_owed']} proofs owed{due}, {one['vouchers_waiting']} "
        f"vouchers to be posted; ends at block {one['ends_at']}"
    )
