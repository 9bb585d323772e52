"""Decisions of the consortium's council: enough of its seats agree to a call, each member for itself.

A call that governance may make has one motion at most, named by its BLAKE2b-256. Whoever agrees to a call
first proposes it; whoever makes it enough closes it, and it happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from proofward.chain import Call, SubstrateClient, accounts
from proofward.chain.extrinsic import Signer
from proofward.errors import Refused
from proofward.protocol.hashes import blake2_256

PALLET: Final = "Council"
CONSORTIUM: Final = "Consortium"
MOST_WEIGHT: Final = {"ref_time": 500_000_000_000, "proof_size": 1_000_000}
"""What a motion's call may use when it is made, as its closer declares; what it does not use comes back."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Where a motion stands: its BLAKE2b-256, who agreed (accounts), how many are `needed` of how many
    `seats`, the last block for votes, and the block in which the call was made, None before.
    """

    motion: bytes
    agreed: tuple[bytes, ...]
    needed: int
    seats: int
    until: int | None
    block: int | None


def needed(call: Call, seats: int) -> int:
    """How many of so many seats must agree to a call: two thirds; for what changes who the members are or
    announces what root does, more than two thirds; and a third to take such a decision back.
    """
    if call.pallet == CONSORTIUM:
        return -(-seats // 3) if call.name == "withdraw" else 2 * seats // 3 + 1
    if call.pallet == "Utility":  # what it carries may be any of them
        return 2 * seats // 3 + 1
    return -(-2 * seats // 3)


def agree(client: SubstrateClient, signer: Signer, call: Call) -> Agreement:
    """Agree to a call as a member of the council, and make it if that is enough. Doing it again does no harm.

    Raises Refused (`no-seat`: the signer is no member; `voted-down`: so many are against it that it cannot
    pass before it is closed), DispatchError (also when the call itself failed), ChainError.
    """
    encoded = client.runtime.encode_call(call)
    motion, member = blake2_256(encoded), bytes(signer.public_key)
    seats = [bytes(one) for one in client.query(PALLET, "Members")]
    if member not in seats:
        raise Refused(
            f"{accounts.ss58(member)} has no seat in the council, which has {len(seats)}: "
            + (", ".join(map(accounts.ss58, seats)) or "nobody"),
            code="no-seat",
        )
    votes = client.query(PALLET, "Voting", motion)
    if votes is not None and client.finalised_head().number > votes["end"]:
        _close(client, signer, motion, votes["index"], len(encoded))  # its time is over: it begins anew
        votes = client.query(PALLET, "Voting", motion)
    if votes is None:
        wanted = needed(call, len(seats))
        arguments = {"threshold": wanted, "proposal": call, "length_bound": len(encoded)}
        proposed = client.submit(Call(PALLET, "propose", arguments), signer)
        if wanted < 2:
            return Agreement(motion, (member,), wanted, len(seats), None, proposed.block)
        votes = client.query(PALLET, "Voting", motion)
    if member not in map(bytes, votes["ayes"]):
        vote = {"proposal": motion, "index": votes["index"], "approve": True}
        client.submit(Call(PALLET, "vote", vote), signer)
        votes = client.query(PALLET, "Voting", motion)
        if votes is None:  # another member's vote was enough, and it closed in between
            raise Refused(f"motion 0x{motion.hex()} was closed meanwhile; look again", code="closed")
    agreed = tuple(map(bytes, votes["ayes"]))
    wanted = int(votes["threshold"])
    if len(agreed) < wanted and len(seats) - len(votes["nays"]) < wanted:
        raise Refused(
            f"motion 0x{motion.hex()} cannot pass: {len(votes['nays'])} of {len(seats)} are against it",
            code="voted-down",
        )
    block = None
    if len(agreed) >= wanted:
        block = _close(client, signer, motion, votes["index"], len(encoded))
    return Agreement(motion, agreed, wanted, len(seats), int(votes["end"]), block)


def _close(client: SubstrateClient, signer: Signer, motion: bytes, index: int, length: int) -> int:
    arguments: dict[str, Any] = {
        "proposal_hash": motion,
        "index": index,
        "proposal_weight_bound": MOST_WEIGHT,
        "length_bound": length,
    }
    return client.submit(Call(PALLET, "close", arguments), signer).block
