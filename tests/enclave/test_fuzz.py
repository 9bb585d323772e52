"""Hostile bytes on the enclave's socket: every frame gets a reply with a code, and the enclave lives on."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofward.protocol.enclave import MAX_FRAME
from tests.enclave import world
from tests.enclave.world import Host, Job, begin

METHODS = ("status", "load_model", "begin_epoch", "inspect", "work", "setup", "vouch")
SCALARS = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Job, bytes]]:
    models = tmp_path_factory.mktemp("fuzz") / "models"
    models.mkdir()
    job = Job(world.add_model(models, "sum"))
    with world.enclave(models) as (host, _):
        host.call("load_model", path="sum")
        yield host, job, begin(host)["hpke_key"]


def reply_to(host: Host, content: bytes) -> dict[str, Any]:
    with host.connect() as connection:
        world.send(connection, content)
        reply = world.receive(connection)
    assert reply is not None
    assert set(reply) in ({"id", "result"}, {"id", "error"})
    if "error" in reply:
        assert reply["error"]["code"] != "internal"
    return reply


@settings(max_examples=150)
@given(st.binary(max_size=300))
def test_any_bytes_get_a_code(host: tuple[Host, Job, bytes], content: bytes) -> None:
    assert reply_to(host[0], content)["error"]["code"] == "malformed-request"


@settings(max_examples=150)
@given(VALUES)
def test_any_message_gets_a_code(host: tuple[Host, Job, bytes], message: object) -> None:
    assert reply_to(host[0], cbor2.dumps(message))["error"]["code"] == "malformed-request"


@settings(max_examples=200)
@given(st.sampled_from(METHODS), st.dictionaries(st.text(max_size=8), VALUES, max_size=4))
def test_any_params_get_a_code(host: tuple[Host, Job, bytes], method: str, params: dict[str, object]) -> None:
    reply_to(host[0], cbor2.dumps({"id": 1, "method": method, "params": params}))


@settings(max_examples=200)
@given(data=st.data())
def test_a_request_with_one_field_replaced_gets_a_code(
    host: tuple[Host, Job, bytes], data: st.DataObject
) -> None:
    enclave, job, key = host
    request = job.request()
    field = data.draw(st.sampled_from(sorted(request)))
    changed = request | {field: data.draw(VALUES | st.binary(min_size=32, max_size=32))}
    reply = reply_to(
        enclave,
        cbor2.dumps(
            {"id": 1, "method": "work", "params": {"job": changed, "envelope": job.seal(key), "block": 1}}
        ),
    )
    assert "error" in reply or (field in ("setup", "level") and changed[field])


@settings(max_examples=200)
@given(data=st.data())
def test_an_altered_envelope_gets_a_code(host: tuple[Host, Job, bytes], data: st.DataObject) -> None:
    enclave, job, key = host
    sealed = bytearray(job.seal(key))
    at = data.draw(st.integers(0, len(sealed) - 1))
    if data.draw(st.booleans()):
        sealed[at] ^= data.draw(st.integers(1, 255))
    else:
        sealed[at:] = data.draw(st.binary(max_size=40))
    params = {"job": job.request(), "envelope": bytes(sealed), "block": 1}
    reply = reply_to(enclave, cbor2.dumps({"id": 1, "method": "work", "params": params}))
    assert reply["error"]["code"] in {
        "malformed-envelope",
        "wrong-binding",
        "not-a-recipient",
        "unknown-epoch",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"\x81" * 100_000,
        b"\xa1" * 100_000,
        b"\xc6" * 100_000,
        b"\x9f" * 100_000,
        b"\x9b" + b"\x7f" * 8,
        b"\x5b" + b"\x7f" * 8,
        b"\xa2\x61a\x01\x61a\x02",
        cbor2.dumps({"id": 1, "method": "status", "params": {"a": {"b": {"c": {"d": {}}}}}}),
        cbor2.dumps({"id": 1, "method": "status", "params": {}}) + b"\x00",
        cbor2.dumps({"id": 1, "method": "status", "params": {}, "more": None}),
        cbor2.dumps({"id": 1, "method": "status", "params": {"a": 1 << 64}}),
        cbor2.dumps({"id": cbor2.CBORTag(2, b"\x01"), "method": "status"}),
        cbor2.dumps({"id": 1, "method": cbor2.CBORTag(55799, "status")}),
        cbor2.dumps({"id": 1, "method": "status"}).replace(b"\x01", b"\x18\x01", 1),
        cbor2.dumps({"id": True, "method": "status", "params": {}}),
        cbor2.dumps({"id": 1.5, "method": "status", "params": {}}),
        cbor2.dumps({"id": 1, "method": "status", "params": []}),
        cbor2.dumps({"id": 1, "method": ["status"], "params": {}}),
    ],
    ids=[
        "nested lists",
        "nested maps",
        "nested tags",
        "indefinite",
        "huge list",
        "huge bytes",
        "duplicate key",
        "deep",
        "trailing byte",
        "one key more",
        "bignum",
        "small bignum",
        "tagged",
        "long form",
        "boolean id",
        "float id",
        "params as a list",
        "method as a list",
    ],
)
def test_hostile_cbor_is_refused(host: tuple[Host, Job, bytes], content: bytes) -> None:
    assert reply_to(host[0], content)["error"]["code"] == "malformed-request"


def test_an_announced_giant_is_refused_unread(host: tuple[Host, Job, bytes]) -> None:
    with host[0].connect() as connection:
        connection.sendall(struct.pack(">I", MAX_FRAME + 1))
        reply = world.receive(connection)
        assert reply is not None
        assert reply["error"]["code"] == "oversize"
        assert connection.recv(1) == b""


def test_a_peer_that_cuts_a_frame_hurts_nobody(host: tuple[Host, Job, bytes]) -> None:
    with host[0].connect() as connection:
        connection.sendall(struct.pack(">I", 100) + b"half")
    assert host[0].call("status")["epoch"] == 1


def test_a_connection_serves_many_requests(host: tuple[Host, Job, bytes]) -> None:
    with host[0].connect() as connection:
        for number in (1, 2, 3):
            world.send(connection, cbor2.dumps({"id": number, "method": "status"}))
            reply = world.receive(connection)
            assert reply is not None
            assert reply["id"] == number
        world.send(connection, b"nonsense")
        world.receive(connection)
        world.send(connection, cbor2.dumps({"id": 9, "method": "nothing"}))
        reply = world.receive(connection)
        assert reply is not None
        assert (reply["id"], reply["error"]["code"]) == (9, "unknown-method")
