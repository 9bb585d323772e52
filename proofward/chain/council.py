"""Decisions of the consortium's council: enough of its seats agree to a call, each member for itself.

A call that governance may make has one motion at most, named by its BLAKE2b-256. Whoever agrees to a call
first proposes it; whoever makes it enough closes it, and it happens. The runtime takes no motion that would
need more or fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from proofward.chain import Call, SubstrateClient, accounts
from proofward.chain.extrinsic import Signer
from proofward.chain.heads import Head
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


@dataclass(frozen=True, slots=True)
class _Desk:
    """The council as one member has it before him: by final blocks, or, where none come, by the newest."""

    client: SubstrateClient
    signer: Signer
    final: bool

    def head(self) -> Head:
        return self.client.finalised_head() if self.final else self.client.best_head()

    def read(self, item: str, *keys: Any) -> Any:
        return self.client.query(PALLET, item, *keys, at=self.head().hash)

    def send(self, name: str, arguments: dict[str, Any]) -> int:
        call = Call(PALLET, name, arguments)
        send = self.client.submit if self.final else self.client.submit_unfinal
        return send(call, self.signer).block

    def close(self, motion: bytes, index: int, length: int) -> int:
        return self.send(
            "close",
            {
                "proposal_hash": motion,
                "index": index,
                "proposal_weight_bound": MOST_WEIGHT,
                "length_bound": length,
            },
        )


def agree(client: SubstrateClient, signer: Signer, call: Call, *, final: bool = True) -> Agreement:
    """Agree to a call as a member of the council, and make it if that is enough. Doing it again does no harm.

    With `final` False all of it goes by the newest blocks, which may be undone: for what brings finality
    back. Raises Refused (`no-seat`: the signer is no member; `voted-down`: so many are against it that it
    cannot pass before it is closed), DispatchError (also when the call itself failed), ChainError.
    """
    desk = _Desk(client, signer, final)
    encoded = client.runtime.encode_call(call)
    motion, member = blake2_256(encoded), bytes(signer.public_key)
    seats = [bytes(one) for one in desk.read("Members")]
    if member not in seats:
        raise Refused(
            f"{accounts.ss58(member)} has no seat in the council, which has {len(seats)}: "
            + (", ".join(map(accounts.ss58, seats)) or "nobody"),
            code="no-seat",
        )
    votes = desk.read("Voting", motion)
    if votes is not None and desk.head().number > votes["end"]:
        desk.close(motion, votes["index"], len(encoded))  # its time is over: it begins anew
        votes = desk.read("Voting", motion)
    if votes is None:
        wanted = needed(call, len(seats))
        arguments = {"threshold": wanted, "proposal": call, "length_bound": len(encoded)}
        block = desk.send("propose", arguments)
        if wanted < 2:
            return Agreement(motion, (member,), wanted, len(seats), None, block)
        votes = desk.read("Voting", motion)
    if member not in map(bytes, votes["ayes"]):
        desk.send("vote", {"proposal": motion, "index": votes["index"], "approve": True})
        votes = desk.read("Voting", motion)
        if votes is None:  # another member's vote was enough, and it closed in between
            raise Refused(f"motion 0x{motion.hex()} was closed meanwhile; look again", code="closed")
    agreed = tuple(map(bytes, votes["ayes"]))
    wanted = int(votes["threshold"])
    if len(agreed) < wanted and len(seats) - len(votes["nays"]) < wanted:
        raise Refused(
            f"motion 0x{motion.hex()} cannot pass: {len(votes['nays'])} of {len(seats)} are against it",
            code="voted-down",
        )
    passed = len(agreed) >= wanted
    closed = desk.close(motion, votes["index"], len(encoded)) if passed else None
    return Agreement(motion, agreed, wanted, len(seats), int(votes["end"]), closed)
