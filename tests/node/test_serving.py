"""Which models a worker serves, and what it tells the chain: nobody's money depends on an entry that the
operator did not name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proofward.chain.pallets.models import ModelRecord, Terms
from proofward.chain.pallets.workers import MAX_SERVED
from proofward.protocol import Lane
from proofward_node.ports import Head, Sent
from proofward_node.serving import RETRY_BLOCKS, Offer, Serving
from tests.node.world import LOADED, MODEL, FakeChain, World

HEAD = Head(10, b"h" * 32, 10_000)
OFFER = Offer(publishers=frozenset({MODEL.publisher}), min_price=7, max_bond=10)


def _serving(world: World, offer: Offer = OFFER) -> Serving:
    return Serving(FakeChain(world), offer)


async def _round(serving: Serving, head: Head = HEAD) -> list[str]:
    before = len(serving.chain.world.applied)  # type: ignore[attr-defined]
    await serving.refresh([LOADED])
    await serving.declare(head)
    applied = serving.chain.world.applied[before:]  # type: ignore[attr-defined]
    return [call.name for call in applied]


async def test_what_is_served_is_declared_once_at_the_operators_price() -> None:
    world = World()
    serving = _serving(world)
    assert await _round(serving) == ["serve"]
    assert world.serving == {MODEL.id: 7}
    assert await _round(serving) == []


@pytest.mark.parametrize(
    ("attack", "changes"),
    [
        ("copycat-of-an-entry", {"publisher": b"z" * 32}),
        ("judged-by-another-key", {"key_hash": b"z" * 32}),
        ("other-verifying-key", {"vk_hash": b"z" * 32}),
        ("other-weights", {"weights_digest": b"z" * 32}),
        ("bond-above-the-operators", {"terms": Terms(10, 0, 11, 60)}),
        ("lane-without-a-known-verifier", {"lane": Lane.EZKL}),
    ],
)
async def test_an_entry_that_is_not_to_be_served(attack: str, changes: dict[str, Any]) -> None:
    world = World(models=[replace(MODEL, id=b"n" * 32, **changes)])
    serving = _serving(world)
    assert await _round(serving) == [], attack
    assert serving.models == {}, attack


@pytest.mark.parametrize("judges", [{}, {Lane.GROTH16: b"a contract that says no".ljust(32)}])
async def test_attack_copycat_nothing_is_served_that_an_unknown_contract_would_judge(
    judges: dict[Lane, bytes],
) -> None:
    assert await _round(_serving(World(judges=judges))) == []


async def test_a_named_model_is_served_whoever_published_it() -> None:
    world = World(models=[replace(MODEL, publisher=b"z" * 32)])
    serving = _serving(world, Offer(models=frozenset({MODEL.id}), max_bond=10))
    assert await _round(serving) == ["serve"]


async def test_a_worker_that_names_nobody_serves_nothing() -> None:
    assert Offer().empty
    assert await _round(_serving(World(), Offer(max_bond=10))) == []


async def test_the_queue_of_a_retired_model_is_done_and_the_model_undeclared_when_it_is_gone() -> None:
    world = World()
    await _round(_serving(world))
    world.models = [replace(MODEL, retired_at=9)]
    restarted = _serving(world)
    assert await _round(restarted) == []
    assert MODEL.id in restarted.models
    world.models = []
    assert await _round(restarted) == ["unserve"]
    assert world.serving == {}
    assert restarted.models == {}


async def test_what_is_no_longer_loaded_is_undeclared_and_changes_go_out_together() -> None:
    other = replace(MODEL, id=b"o" * 32, publisher=b"z" * 32)
    world = World(serving={b"u" * 32: 7, MODEL.id: 3}, models=[MODEL, other])
    serving = _serving(world)
    assert await _round(serving) == ["batch_all"]
    assert world.serving == {MODEL.id: 7}


async def test_no_more_than_the_chain_takes() -> None:
    many: list[ModelRecord] = [replace(MODEL, id=bytes([n]) * 32) for n in range(MAX_SERVED + 1)]
    world = World(models=many)
    offer = Offer(models=frozenset(one.id for one in many), max_bond=10)
    await _round(_serving(world, offer))
    assert len(world.serving) == MAX_SERVED


async def test_a_refused_declaration_is_not_paid_for_at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(World, "_serve", lambda self, call: Sent(self.block, "AlreadyRetired"))
    serving = _serving(world)
    assert await _round(serving) == ["serve"]
    assert await _round(serving, replace(HEAD, number=11)) == []
    assert await _round(serving, replace(HEAD, number=10 + RETRY_BLOCKS)) == ["serve"]
