"""A session's words: the committed vectors, and the tree against its own paths."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofward.protocol import ProtocolError
from proofward.protocol.session_frames import Channel, page_salt
from proofward.protocol.sessions import (
    MAX_PAGES,
    PARTS,
    Tree,
    depth,
    most_pages,
    root_of,
    sample,
    sampled,
)
from tests.vectors.sessions import PATH, vectors


def test_the_committed_vectors_are_what_is_computed() -> None:
    assert json.loads(PATH.read_text()) == vectors()


@settings(max_examples=40)
@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70))
def test_every_leaf_leads_to_the_root_in_its_own_place_only(leaves: list[bytes]) -> None:
    tree = Tree(leaves)
    for place, one in enumerate(leaves):
        path = tree.path(place)
        assert len(path) == depth(len(leaves))
        assert root_of(one, place, path) == tree.root
        other = (place + 1) % (1 << len(path))
        if path and leaves[other : other + 1] != [one]:
            assert root_of(one, other, path) != tree.root


@settings(max_examples=60)
@given(st.integers(1, 5000), st.integers(1, 1_000_000), st.integers(0, 2**32 - 1))
def test_a_sample_is_of_different_pages_within_the_window(pages: int, rate: int, number: int) -> None:
    count = sampled(pages, rate)
    chosen = sample(bytes(32), bytes(32), number, pages, count)
    assert len(set(chosen)) == len(chosen) == count >= 1
    assert all(0 <= one < pages for one in chosen)


@settings(max_examples=200)
@given(st.integers(1, PARTS), st.integers(1, MAX_PAGES))
def test_up_to_most_pages_the_ordered_share_is_sampled_and_of_one_more_it_is_not(
    rate: int, pages: int
) -> None:
    most = most_pages(rate)
    for count in (min(pages, most), most):
        assert sampled(count, rate) * PARTS >= count * rate
    assert most == MAX_PAGES or sampled(most + 1, rate) * PARTS < (most + 1) * rate


def test_each_page_and_side_has_its_own_salt() -> None:
    salts = {page_salt(bytes(32), bytes(32), side, page) for side in ("in", "out") for page in range(50)}
    assert len(salts) == 100


def test_a_frame_opens_once_in_its_order_and_its_direction() -> None:
    ends = (Channel(bytes(32), bytes(32), b"c" * 32, b"e" * 32, enclave=side) for side in (False, True))
    client, enclave = ends
    first, second = client.seal(b"one"), client.seal(b"two")
    with pytest.raises(ProtocolError):
        enclave.open(second)
    assert enclave.open(first) == b"one"
    with pytest.raises(ProtocolError):
        enclave.open(first)
    assert enclave.open(second) == b"two"
    with pytest.raises(ProtocolError):
        client.open(client.seal(b"three"))
    assert len(client.seal(b"x")) == len(client.seal(b"x" * 200)), "short messages look alike"
