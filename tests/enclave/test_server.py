"""How many connections the enclave takes, and what those above the bound hear."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import cbor2
import pytest

from proofward_enclave.server import MAX_CONNECTIONS
from proofward_enclave.sessions import MAX_SESSIONS
from proofward_node.session_door import MAX_ENTERING, MAX_SOCKETS
from tests.enclave.world import Host, Refused, add_model, enclave, receive, send

#: For what a host asks of its own: proofs, jobs, its health.
OWN = 64


def _open(host: Host, held: ExitStack) -> socket.socket:
    connection = held.enter_context(host.connect())
    send(connection, cbor2.dumps({"id": 1, "method": "status", "params": {}}))
    receive(connection)
    return connection


def test_every_session_and_the_host_besides_have_a_connection(tmp_path: Path) -> None:
    assert MAX_SESSIONS + MAX_ENTERING < MAX_SOCKETS
    assert MAX_SOCKETS + OWN <= MAX_CONNECTIONS
    add_model(tmp_path / "models", "sum")
    with enclave(tmp_path / "models") as (host, _), ExitStack() as held:
        for _ in range(MAX_SOCKETS + OWN - 1):
            _open(host, held)
        assert host.call("status")["provider"] == "simulator"


def test_a_connection_above_the_bound_is_refused_by_a_frame_and_the_others_stay(tmp_path: Path) -> None:
    add_model(tmp_path / "models", "sum")
    with enclave(tmp_path / "models") as (host, _), ExitStack() as held:
        first, *_ = [_open(host, held) for _ in range(MAX_CONNECTIONS)]
        with pytest.raises(Refused) as refused:
            host.call("status")
        assert refused.value.code == "busy"
        send(first, cbor2.dumps({"id": 2, "method": "status", "params": {}}))
        answered = receive(first)
        assert answered is not None
        assert answered["result"]["provider"] == "simulator"
