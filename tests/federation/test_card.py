"""Cards and transcripts of strangers: each is refused with an error of ours, or followed back."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from proofward_federation.errors import FederationError
from proofward_federation.network.card import Card, follow
from proofward_federation.transcript import audit, transcript_of

TRUE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "fuzz" / "card.json").read_text())
PART, ROUND = ("transcript", "rounds", 0, "parts", 0), ("transcript", "rounds", 0)
#: Where a value stands -> what it may not be.
ODD: dict[tuple[Any, ...], list[Any]] = {
    ("aggregator",): [None, 7, []],
    ("level",): [{}, True],
    ("epsilon",): [None, "much", [], True],
    ("delta",): [0, 1, -1, "0.5"],
    ("spent",): ["-5", "9" * 30, 5, None],
    ("transcript", "study"): [None, 7],
    (*ROUND, "number"): ["0", 0.5, None, True],
    (*ROUND, "values", 0): ["1", 1.5, None, 2**53],
    (*PART, "site"): [None, 7, []],
    (*PART, "consents"): [None, [], {}],
    (*PART, "most"): ["1", None, 1.5, True],
}


def _with(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(TRUE)
    *way, last = place
    holder: Any = changed
    for name in way:
        holder = holder[name]
    holder[last] = value
    return changed


def test_the_card_holds_as_it_is() -> None:
    checks = follow(b"", rfc8785.dumps(TRUE), None)
    assert {one.name for one in checks if one.ok is False} == {"model is the card's"}


@pytest.mark.parametrize("place", ODD, ids=lambda place: str(place[-1]))
def test_a_card_with_a_value_of_another_kind_is_none(place: tuple[Any, ...]) -> None:
    for value in ODD[place]:
        changed = _with(place, value)
        try:
            document = rfc8785.dumps(changed)
        except rfc8785.CanonicalizationError:
            document = json.dumps(changed).encode()
        with pytest.raises(FederationError) as refused:
            Card.parse(document)
        assert refused.value.code == "bad-card", value


@pytest.mark.parametrize("most", [0, -1])
def test_an_update_of_no_records_does_not_hold(most: int) -> None:
    """The bound of its length is a square, and minus one record's is that of one."""
    with pytest.raises(FederationError) as refused:
        audit(transcript_of(_with((*PART, "most"), most)["transcript"]))
    assert refused.value.code == "transcript-refused"
