"""GRANDPA's justification of a block (Stewart, Kokoris-Kogia: GRANDPA, a Byzantine Finality Gadget, section
2.3; polkadot-sdk `sp_consensus_grandpa::GrandpaJustification`).
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from proofward.consensus.errors import BadProof
from proofward.consensus.header import MAX_AUTHORITIES, Bytes, Header, Voters, read_header

MAX_JUSTIFICATION: Final = 1 << 20
_MAX_ANCESTORS: Final = 4_096
_PRECOMMIT: Final = b"\x01"


def threshold(voters: Voters) -> int:
    """The least weight that finalises: more than two thirds, counted as GRANDPA does, n - (n - 1) / 3."""
    total = sum(weight for _, weight in voters)
    return total - (total - 1) // 3


def check_justification(data: bytes, header: Header, voters: Voters, set_id: int) -> int:
    """The weight behind `header`, which is at least the threshold of `voters`, the authority set number
    `set_id`.

    Raises BadProof when the justification is of another block or set, when a signature is false, when a vote
    is for no descendant of the block, or when too few voted.
    """
    if len(data) > MAX_JUSTIFICATION:
        raise BadProof(f"a justification of {len(data)} bytes is above the bound of {MAX_JUSTIFICATION}")
    reader = Bytes(data)
    try:
        round_number = reader.unsigned(8)
        target = (reader.take(32), reader.unsigned(4))
        votes = [
            ((reader.take(32), reader.unsigned(4)), reader.take(64), reader.take(32))
            for _ in range(reader.count(2 * MAX_AUTHORITIES, 132))
        ]
        parents = {
            ancestor.hash: ancestor
            for ancestor in (read_header(reader) for _ in range(reader.count(_MAX_ANCESTORS, 97)))
        }
    except ValueError as error:
        raise BadProof(f"a justification cannot be decoded: {error}") from None
    if reader.left():
        raise BadProof("bytes are left behind a justification")
    if target != (header.hash, header.number):
        raise BadProof(f"the justification is of block {target[1]}, not of block {header.number}")
    weights = dict(voters)
    heard = set()
    for vote, signature, voter in votes:
        if voter not in weights:
            raise BadProof("a vote is of somebody who is no authority of this set")
        _require_signature(voter, signature, vote, round_number, set_id)
        _require_descent(vote, target, parents)
        heard.add(voter)
    weight = sum(weights[voter] for voter in heard)
    if weight < threshold(voters):
        raise BadProof(f"authorities of weight {weight} voted where {threshold(voters)} are needed")
    return weight


def _require_signature(
    voter: bytes, signature: bytes, vote: tuple[bytes, int], round_number: int, set_id: int
) -> None:
    message = (
        _PRECOMMIT
        + vote[0]
        + vote[1].to_bytes(4, "little")
        + round_number.to_bytes(8, "little")
        + set_id.to_bytes(8, "little")
    )
    try:
        Ed25519PublicKey.from_public_bytes(voter).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise BadProof(f"a vote is not signed by its authority in set {set_id}") from None


def _require_descent(
    vote: tuple[bytes, int], target: tuple[bytes, int], parents: dict[bytes, Header]
) -> None:
    """From the block that was voted for back to the target, by headers whose hashes are their own."""
    block, number = vote
    while block != target[0]:
        header = parents.get(block)
        if header is None or header.number != number or number <= target[1]:
            raise BadProof("a vote is for no descendant of the block that it should finalise")
        block, number = header.parent, number - 1
    if number != target[1]:
        raise BadProof("a vote gives its block another number")
