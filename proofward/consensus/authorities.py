"""Who finalises: the authority sets from the chain's spec on, each brought in by a block that the one before
it finalised (as polkadot-sdk's warp proofs have it).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from proofward.consensus.errors import BadProof
from proofward.consensus.grandpa import check_justification
from proofward.consensus.header import Voters, decode_header, read_voters
from proofward.consensus.keys import value_key
from proofward.consensus.spec import raw_spec
from proofward.protocol.scale import Reader


@dataclass(frozen=True, slots=True)
class Authorities:
    """A set of authorities and its number."""

    voters: Voters
    set_id: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A block that changes the authorities: its header (SCALE) and the justification of the old set."""

    header: bytes
    justification: bytes


def follow(authorities: Authorities, changes: Iterable[Change]) -> Authorities:
    """The set after some changes, in their order. Raises BadProof at the first that does not follow."""
    number = 0
    for change in changes:
        header = decode_header(change.header)
        check_justification(change.justification, header, authorities.voters, authorities.set_id)
        if header.next_authorities is None:
            raise BadProof(f"block {header.number} changes no authorities")
        if header.number <= number:
            raise BadProof("changes of authorities are not in the order of their blocks")
        number = header.number
        authorities = Authorities(header.next_authorities, authorities.set_id + 1)
    return authorities


def genesis_authorities(spec: Path) -> Authorities | None:
    """The first set, as a chain's raw spec has it; None for a chain without GRANDPA.

    Raises BadProof for a file that is no raw spec.
    """
    stored = raw_spec(spec)["genesis"]["raw"]["top"].get("0x" + value_key("Grandpa", "Authorities").hex())
    if stored is None:
        return None
    try:
        reader = Reader(bytes.fromhex(stored.removeprefix("0x")))
        if reader.left() == 1:  # an empty list: no authority was ever named
            return None
        voters = read_voters(reader)
        if reader.left():
            raise ValueError("bytes are left behind its authorities")
    except (ValueError, AttributeError) as error:
        raise BadProof(f"{spec} is not a chain's raw spec: {error}") from None
    return Authorities(voters)
