"""What stands behind a session that was opened."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from proofward.amounts import UNIT
from proofward.chain import Call
from proofward.chain.pallets import sessions
from proofward.client import Refused
from proofward.client.sessions import _backed

NAME = bytes(range(32))


def test_a_session_whose_worker_lowered_its_bond_meanwhile_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = cast(Any, SimpleNamespace(id=NAME, bond=UNIT, end=100))
    monkeypatch.setattr(sessions, "get", lambda _chain, _name: begun)
    sent: list[Call] = []
    client = cast(
        Any,
        SimpleNamespace(
            chain=SimpleNamespace(finalised_head=lambda: SimpleNamespace(number=1)),
            send=lambda _key, call: sent.append(call),
        ),
    )
    assert _backed(client, begun, UNIT) is begun
    assert sent == []
    with pytest.raises(Refused) as refused:
        _backed(client, begun, 50 * UNIT)
    assert refused.value.code == "bond-lowered"
    assert sent == [sessions.close(NAME)]
