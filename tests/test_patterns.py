"""What a pattern keeps of a stranger's text while it matches: a repeated group keeps every turn of it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from proofward.aci import e2ee
from proofward.chain.ethereum.server import _parse

TEXT = "ab" * (1 << 19)


@pytest.mark.parametrize(
    "read",
    [
        lambda: e2ee.looks_sealed(e2ee.X25519, TEXT),
        lambda: _parse(f'"{TEXT}"'),
    ],
    ids=["a field of a request", "a call of Ethereum's"],
)
def test_a_stranger_s_megabyte_takes_a_few_of_memory(read: Callable[[], object]) -> None:
    tracemalloc.start()
    try:
        assert read()
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
