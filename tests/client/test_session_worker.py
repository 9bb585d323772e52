"""The worker that a client opens a session with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from proofward.chain.pallets import sessions
from proofward.chain.pallets.sessions import Offer
from proofward.client import Refused
from proofward.client.job import Demand
from proofward.client.sessions import SessionOrder, _worker
from proofward.protocol import Level
from proofward.protocol.sessions import PARTS

DEMAND = Demand(Level.SIMULATED, True, None)


def _client(**endpoints: str) -> Any:
    """Its workers by first letter, each a little dearer than the one before."""
    records = {name[0].encode(): SimpleNamespace(endpoint=one) for name, one in endpoints.items()}

    def choose_workers(model: bytes, demand: Demand, wanted: list[bytes]) -> list[Any]:
        return [SimpleNamespace(record=records[account]) for account in wanted]

    return SimpleNamespace(chain=tuple(records), choose_workers=choose_workers)


@pytest.fixture(autouse=True)
def _offers(monkeypatch: pytest.MonkeyPatch) -> None:
    def offers(chain: tuple[bytes, ...], model: bytes) -> dict[bytes, Offer]:
        return {
            account: Offer(cast(Any, SimpleNamespace(price=at, most_sampled=PARTS)), 1, 0)
            for at, account in enumerate(chain)
        }

    monkeypatch.setattr(sessions, "offers", offers)


def test_a_worker_that_nobody_can_connect_to_is_passed_over_before_anything_is_paid() -> None:
    client = _client(away="", named="ward-3", found="https://worker.example")
    choice, offer = _worker(client, b"m", SessionOrder(), DEMAND, 1)
    assert (choice.record.endpoint, offer.terms.price) == ("https://worker.example", 2)


def test_nobody_to_connect_to_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="endpoint '' is no address") as refused:
        _worker(_client(away=""), b"m", SessionOrder(), DEMAND, 1)
    assert refused.value.code == "no-worker"
