"""The nonce that a client opens a session with."""

from __future__ import annotations

import time

import pytest

from proofward.client import Refused
from proofward.client.sessions import nonce_after


@pytest.mark.parametrize(
    "latest",
    [None, bytes(32), b"\x10" + bytes(31), b"\x7f" + b"\xff" * 30 + b"\0"],
    ids=["first", "old", "now", "ahead"],
)
def test_a_nonce_is_above_all_before_whatever_the_clock_says(latest: bytes | None) -> None:
    for _ in range(64):
        nonce = nonce_after(latest)
        assert len(nonce) == 32
        assert latest is None or nonce > latest
        latest = nonce


@pytest.mark.parametrize("latest", [b"\x80" + bytes(31), b"\xff" * 31 + b"\xfe"], ids=["far", "last"])
def test_a_node_that_tells_of_a_nonce_near_the_last_shuts_no_account_out_of_sessions(latest: bytes) -> None:
    """Attack: the client opened one session behind it, and the chain took no further one, ever."""
    with pytest.raises(Refused) as caught:
        nonce_after(latest)
    assert caught.value.code == "no-clocks-nonce"


def test_a_nonce_of_a_right_clock_is_nobody_elses() -> None:
    """Two machines of one account that open sessions in the same nanosecond draw different nonces."""
    before = time.time_ns()
    one, other = nonce_after(None), nonce_after(bytes(32))
    assert before <= int.from_bytes(one[:8], "big") <= int.from_bytes(other[:8], "big") <= time.time_ns()
    assert one[8:] != other[8:]
