"""Frames of the enclave's socket: how much a frame may make of itself in memory."""

from __future__ import annotations

import tracemalloc

import cbor2
import pytest

from proofward.protocol.enclave import MAX_FRAME, MAX_ITEMS, EnclaveError, parse_reply, parse_request

#: Items of a request beside those in its list.
AROUND = 9


def request(values: list[object]) -> bytes:
    return cbor2.dumps({"id": 1, "method": "work", "params": {"all": values}})


def filled(item: bytes) -> bytes:
    """A request of `MAX_FRAME` bytes at most, whose list holds nothing but this item."""
    count = (MAX_FRAME - 64) // len(item)
    return request([]).removesuffix(b"\x80") + b"\x9a" + count.to_bytes(4, "big") + item * count


@pytest.mark.parametrize(
    "content",
    [
        filled(b"\xa0"),
        filled(b"\x80"),
        filled(b"\x00"),
        filled(b"\xa1\x60\xa0"),
        filled(b"\x81\x80"),
        filled(b"\xfb" + b"\x7f" * 8),
        request([]).removesuffix(b"\x80") + b"\x9b" + b"\x7f" * 8,
        request([]).removesuffix(b"\x80") + b"\x5b" + b"\xff" * 8,
        b"\xc2" * 100_000,
    ],
    ids=[
        "maps",
        "lists",
        "integers",
        "maps of maps",
        "lists of lists",
        "floats",
        "a huge list",
        "huge bytes",
        "tags",
    ],
)
def test_a_frame_of_many_items_is_refused_before_anything_is_made_of_it(content: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(EnclaveError) as caught:
            parse_request(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code == "malformed-request"
    assert peak < 1 << 20


def test_as_many_items_as_are_allowed_are_read_and_one_more_is_not() -> None:
    assert len(parse_request(request([None] * (MAX_ITEMS - AROUND))).params["all"]) == MAX_ITEMS - AROUND
    with pytest.raises(EnclaveError, match="items"):
        parse_request(request([None] * (MAX_ITEMS - AROUND + 1)))


def test_long_strings_are_few_items() -> None:
    whole = bytes(MAX_FRAME - 64)
    assert parse_request(cbor2.dumps({"id": 1, "method": "work", "params": {"a": whole}})).params == {
        "a": whole
    }


def test_a_reply_is_held_to_the_same() -> None:
    with pytest.raises(EnclaveError) as caught:
        parse_reply(cbor2.dumps({"id": 1, "result": {"all": [{}] * MAX_ITEMS}}), 1)
    assert caught.value.code == "malformed-reply"
