"""Flower, unmodified, over sealed rounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from proofward_federation.errors import FederationError
from proofward_federation.update import Floats, logistic_step
from tests.federation.world import World, site_of, study_of

pytest.importorskip("flwr", reason="make federation installs Flower")

from flwr.app import ArrayRecord, Message, RecordDict
from flwr.serverapp.strategy import FedYogi

from proofward_federation.engine import SealedGrid, learn


def test_flower_learns_what_the_sums_say() -> None:
    world, sites = World(study_of(rounds=3)), [site_of(place) for place in range(3)]
    numbers = iter(range(3))
    seen: list[Floats] = []

    def exchange(weights: Floats) -> Floats:
        world.open(next(numbers))
        answers = [site.answer(world.study, world.view(site), weights) for site in sites]
        for site, answer in zip(sites, answers, strict=True):
            world.take(site, answer)
        seen.append(logistic_step(weights, world.close(sites, answers)["values"], world.study))
        return seen[-1]

    learnt = learn(np.zeros(3), exchange, nodes=3, rounds=3)
    assert len(seen) == 3
    np.testing.assert_allclose(learnt, seen[-1])
    numbers = iter(range(3, 6))
    yogi = FedYogi(fraction_evaluate=0.0, eta=0.1)
    assert not np.allclose(learn(np.zeros(3), exchange, nodes=3, rounds=3, strategy=yogi), learnt)


def test_no_strategy_reaches_one_site_alone() -> None:
    grid = SealedGrid(2, lambda weights: weights)

    def message(value: float, node: int) -> Any:
        return Message(RecordDict({"arrays": ArrayRecord([np.array([value])])}), node, "train")

    with pytest.raises(FederationError) as refused:
        grid.push_messages([message(0.0, 1)])
    assert refused.value.code == "one-by-one"
    with pytest.raises(FederationError) as refused:
        grid.send_and_receive([message(0.0, 1), message(1.0, 2)])
    assert refused.value.code == "different-models"
    assert grid.send_and_receive([]) == []
