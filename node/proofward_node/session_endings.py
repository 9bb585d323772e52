"""How a session ended: what the chain says in the block that took it out of state, by whomever's call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from proofward.chain import ChainError, SubstrateClient
from proofward.chain.errors import ChainTimeout, ChainUnreachable
from proofward.chain.pallets import sessions
from proofward_node.reasons import Code, Reason

_CODES: Final = {
    "Settled": Code.SESSION_SETTLED,
    "Failed": Code.SESSION_FAILED,
    "Waived": Code.SESSION_WAIVED,
}
"""The event that ends a session, and what it means for the worker."""


@dataclass(frozen=True, slots=True)
class Ending:
    """`reason` has one of the codes `session-settled`, `-failed`, `-waived` or, where the node no longer has
    the block's state, `-unseen`; `paid`: whether any inference of it was.
    """

    reason: Reason
    block: int
    hash: bytes
    paid: bool = False


def read(client: SubstrateClient, session: bytes, since: int) -> Ending:
    """The ending of a session that is off the chain at the finalised head, and was on it in block `since`.

    Raises ChainError.
    """
    low, high = since, client.finalised_head().number
    while high - low > 1:
        middle = (low + high) // 2
        if _there(client, session, middle):
            low = middle
        else:
            high = middle
    block = client.block_hash(high)
    try:
        events = client.events(block)
    except (ChainUnreachable, ChainTimeout):
        raise
    except ChainError:
        events = []  # the node has not got its state any more
    for event in events:
        if event.pallet == sessions.PALLET and event.name in _CODES and event.fields["session"] == session:
            reason = Reason(_CODES[event.name], _detail(event.name, event.fields))
            return Ending(reason, high, block, bool(event.fields.get("paid")))
    return Ending(Reason(Code.SESSION_UNSEEN, f"after block {low}"), high, block)


def _there(client: SubstrateClient, session: bytes, number: int) -> bool:
    """Whether it was on the chain after a block; of a block whose state the node dropped, that it was."""
    try:
        return sessions.get(client, session, client.block_hash(number)) is not None
    except (ChainUnreachable, ChainTimeout):
        raise
    except ChainError:
        return True


def _detail(name: str, fields: dict[str, Any]) -> str:
    if name == "Failed":
        return f"window {fields['number']}, a bond of {fields['bond']:,}"
    return f"{fields['paid']:,} inferences paid" if name == "Settled" else ""
