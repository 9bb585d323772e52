"""What a session's audit says of a cheater: against plain counting, and against simulated cheaters."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest

from proofward.chain.pallets import sessions as pallet
from proofward.client import session_audit
from proofward.client.session_audit import (
    Ratio,
    SessionAudit,
    WindowAudit,
    audit,
    forged_pages,
    unseen,
)
from proofward.protocol.hashes import blake2_256
from proofward.protocol.sessions import sample


@pytest.mark.parametrize(
    ("pages", "forged", "drawn"), [(6, 1, 2), (6, 3, 2), (7, 2, 3), (5, 4, 2), (4, 4, 1)]
)
def test_the_chance_is_that_of_counting_all_draws(pages: int, forged: int, drawn: int) -> None:
    draws = list(combinations(range(pages), drawn))
    missed = sum(all(page >= forged for page in draw) for draw in draws)
    assert unseen(pages, forged, drawn) == Fraction(missed, len(draws))


def test_a_choice_among_draws_helps_the_cheater() -> None:
    once = unseen(1000, 10, 10)
    assert unseen(1000, 10, 10, 3) == 1 - (1 - once) ** 3 > once
    assert unseen(1000, 0, 10) == 1
    assert unseen(10, 10, 1, 3) == 0


@pytest.mark.parametrize("waives", [True, False])
@pytest.mark.parametrize(("forged", "choices"), [(1, 1), (10, 1), (10, 3), (30, 3)])
def test_ten_thousand_cheaters_are_seen_as_often_as_the_audit_says(
    forged: int, choices: int, waives: bool
) -> None:
    """Each forges pages of a window of 200 of which 10 are sampled, and takes the best of its draws. One that
    waives when it is seen keeps its bond.
    """
    chooser = random.Random(f"{forged} {choices}")
    cheaters, pages, drawn = 10_000, 200, 10
    price, bond, records = 10, 4_000, 16
    free, worth = 0, 0
    for number in range(cheaters):
        chosen = set(chooser.sample(range(pages), forged))
        draws = (
            sample(blake2_256(number.to_bytes(4, "little") + bytes([one])), bytes(32), 0, pages, drawn)
            for one in range(choices)
        )
        unseen_now = any(chosen.isdisjoint(draw) for draw in draws)
        free += unseen_now
        if unseen_now:
            worth += price * records * forged
        else:
            worth -= price * records * pages + (0 if waives else bond)
    chance = float(unseen(pages, forged, drawn, choices))
    sigma = (cheaters * chance * (1 - chance)) ** 0.5
    assert abs(free - cheaters * chance) <= 3 * sigma
    window = WindowAudit(0, pages, records * pages, bytes(32), choices, tuple(range(drawn)), (), (), None, "")
    found = SessionAudit(bytes(32), price, bond, (window,), "").ratio(f"{100 * forged / pages} %")
    assert found is not None
    loss = float(found.loss if waives else found.with_bond)
    gain = price * records * forged
    expected = cheaters * gain * (chance - loss * (1 - chance))
    assert abs(worth - expected) <= 3 * sigma * gain * (1 + loss)
    assert (expected > 0) is (loss < found.pays_below)


def test_shares_are_of_a_windows_pages() -> None:
    assert [forged_pages(1000, share) for share in ("1 page", "10 pages", "1 %", "0.1 %")] == [1, 10, 10, 1]
    assert forged_pages(5, "10 pages") == 5
    assert forged_pages(50, "0.1 %") == 1


def test_the_ratio_is_of_what_is_lost_to_what_is_gained() -> None:
    window = WindowAudit(0, 100, 1600, bytes(32), 1, tuple(range(10)), tuple(range(10)), (), True, "paid")
    found = SessionAudit(bytes(32), 10, 4_000, (window,), "settled")
    # one of a hundred pages: 160 plancks; 16,000 of the window are lost, and the bond by who does not waive
    assert found.ratio("1 page") == Ratio(Fraction(16_000, 160), Fraction(20_000, 160), Fraction(9))
    assert found.unseen("1 page") == Fraction(9, 10)
    assert (found.committed, found.pages, found.proved) == (1600, 100, 10)


def chain_of(monkeypatch: pytest.MonkeyPatch, *events: tuple[str, dict[str, Any]]) -> Any:
    """A chain whose blocks, from the first on, have one event each of a session that is nobody's."""

    def told(name: str, fields: dict[str, Any]) -> Any:
        return SimpleNamespace(pallet=pallet.PALLET, name=name, fields={"session": bytes(32), **fields})

    blocks = {bytes([number]): told(*one) for number, one in enumerate(events, 1)}
    monkeypatch.setattr(session_audit, "_root", lambda *_: None)
    monkeypatch.setattr(pallet, "get", lambda *_, at: None)
    return SimpleNamespace(
        finalised_head=lambda: SimpleNamespace(number=len(blocks)),
        block_hash=lambda number: bytes([number]),
        events=lambda name: [blocks[name]],
    )


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        (12_800, []),
        (25_600, ["window 0: 128 of 25,600 pages were sampled, 0.50% and not the 1.00% that were ordered"]),
    ],
)
def test_a_window_too_large_for_its_share_is_told(
    pages: int, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = chain_of(
        monkeypatch,
        ("Opened", {}),
        ("Checkpointed", {"number": 0, "pages": pages, "records": pages}),
        ("Drawn", {"number": 0, "value": bytes(32), "choices": 1}),
    )
    found = audit(chain, bytes(32), 1, price=1, bond=1, rate=10_000, receipts=None)
    assert len(found.windows[0].sampled) == 128
    assert [note.partition(" (")[0] for note in found.notes[1:]] == told


def test_nothing_drawn_is_nothing_said() -> None:
    window = WindowAudit(0, 100, 1600, None, 1, (), (), (), None, "open")
    found = SessionAudit(bytes(32), 10, 4_000, (window,), "open")
    assert found.unseen("1 page") == 1
    assert found.ratio("1 page") is None
