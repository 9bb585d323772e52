"""How many members of the council a call needs, against the pallets' own rule for its origin."""

from __future__ import annotations

import pytest

from proofward.chain import Call
from proofward.chain.council import needed
from proofward.chain.pallets import attestation, consortium

MEMBERS = range(1, 33)


def _more_than_two_thirds(ayes: int, seats: int) -> bool:
    """`pallet_collective::EnsureProportionMoreThan<2, 3>`."""
    return ayes * 3 > 2 * seats


def _two_thirds(ayes: int, seats: int) -> bool:
    """`pallet_collective::EnsureProportionAtLeast<2, 3>`."""
    return ayes * 3 >= 2 * seats


def _a_third(ayes: int, seats: int) -> bool:
    """`pallet_collective::EnsureProportionAtLeast<1, 3>`."""
    return ayes * 3 >= seats


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (consortium.remove(b"m" * 32), _more_than_two_thirds),
        (consortium.announce_call(b"c" * 32), _more_than_two_thirds),
        (consortium.recover_finality(100, 1), _more_than_two_thirds),
        (Call("Utility", "batch_all", {"calls": [consortium.remove(b"m" * 32)]}), _more_than_two_thirds),
        (attestation.allow_measurement(b"x" * 32, "release"), _two_thirds),
        (consortium.withdraw(1), _a_third),
    ],
    ids=["remove", "announce", "recover", "batch", "allow", "withdraw"],
)
@pytest.mark.parametrize("seats", MEMBERS)
def test_a_motion_needs_as_many_as_its_calls_origin_and_no_more(call: Call, rule: object, seats: int) -> None:
    assert callable(rule)
    ayes = needed(call, seats)
    assert rule(ayes, seats)
    assert not rule(ayes - 1, seats)
    assert 1 <= ayes <= seats
