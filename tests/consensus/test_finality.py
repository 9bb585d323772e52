"""GRANDPA's word: a real network's, and what an attacker would like to pass for it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofward.consensus import (
    Authorities,
    BadProof,
    Change,
    StorageProof,
    check_justification,
    decode_header,
    follow,
    genesis_authorities,
    map_key,
    value_key,
)
from proofward.protocol import blake2_256
from tests.consensus.chain import Chain, chain, header, trie

SAMPLE = json.loads((Path(__file__).parents[1] / "samples" / "grandpa.json").read_text())
HEADER, JUSTIFICATION = bytes.fromhex(SAMPLE["header"]), bytes.fromhex(SAMPLE["justification"])
VOTERS = tuple((bytes.fromhex(key), weight) for key, weight in SAMPLE["voters"])
NODES = [bytes.fromhex(node) for node in SAMPLE["nodes"]]
ALICE = bytes.fromhex("d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d")


def test_a_real_networks_block_and_state() -> None:
    block = decode_header(HEADER)
    assert check_justification(JUSTIFICATION, block, VOTERS, 0) == 4
    proof = StorageProof(block.state_root, NODES)
    assert proof.value(value_key("Timestamp", "Now")) == bytes.fromhex(SAMPLE["now"])
    account = proof.value(map_key("System", "Account", ALICE))
    assert account is not None
    assert len(account) == 80
    assert proof.value(value_key("Timestamp", "Now") + b"x") is None


@given(st.integers(0, 8 * len(JUSTIFICATION) - 1))
def test_a_real_justification_with_a_bit_changed_is_refused(bit: int) -> None:
    forged = bytearray(JUSTIFICATION)
    forged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadProof):
        check_justification(bytes(forged), decode_header(HEADER), VOTERS, 0)


@given(st.integers(0, len(NODES) - 1), st.data())
def test_a_real_storage_proof_with_a_bit_changed_shows_nothing_else(index: int, data: st.DataObject) -> None:
    node = bytearray(NODES[index])
    bit = data.draw(st.integers(0, 8 * len(node) - 1))
    node[bit // 8] ^= 1 << bit % 8
    proof = StorageProof(decode_header(HEADER).state_root, [*NODES[:index], bytes(node), *NODES[index + 1 :]])
    for key in (value_key("Timestamp", "Now"), map_key("System", "Account", ALICE)):
        whole = StorageProof(decode_header(HEADER).state_root, NODES).value(key)
        with contextlib.suppress(BadProof):
            assert proof.value(key) == whole


four = chain(4)
BLOCK = header(9, bytes(32))
CHILD = header(10, bytes(32), parent=blake2_256(BLOCK))
OTHER = header(10, bytes(32), parent=bytes(31) + b"\1")
child, other = (blake2_256(CHILD), 10), (blake2_256(OTHER), 10)


@pytest.mark.parametrize(
    ("name", "justification", "fault"),
    [
        ("two of four", four.justify(BLOCK, 9, [0, 1]), "weight 2 voted where 3"),
        ("one votes twice", four.justify(BLOCK, 9, [0, 1, 1]), "weight 2 voted where 3"),
        ("a stranger votes", chain(5).justify(BLOCK, 9, [0, 1, 4]), "no authority"),
        (
            "votes of another set",
            four.justify(BLOCK, 9, [0, 1, 2], set_id=1),
            "not signed by its authority in set 0",
        ),
        ("another block", four.justify(CHILD, 10, [0, 1, 2]), "is of block 10"),
        ("the same block at another height", four.justify(BLOCK, 8, [0, 1, 2]), "is of block 8"),
        (
            "votes for a fork",
            four.justify(BLOCK, 9, [0, 1, 2], votes=[other], ancestors=[OTHER]),
            "no descendant",
        ),
        ("descent is not shown", four.justify(BLOCK, 9, [0, 1, 2], votes=[child]), "no descendant"),
        (
            "a vote below the block",
            four.justify(CHILD, 10, [0, 1, 2], votes=[(blake2_256(BLOCK), 9)]),
            "is of block 10",
        ),
        ("bytes behind it", four.justify(BLOCK, 9, [0, 1, 2]) + b"\0", "bytes are left"),
        ("cut short", four.justify(BLOCK, 9, [0, 1, 2])[:-1], "cannot be decoded"),
        ("empty", b"", "cannot be decoded"),
    ],
)
def test_what_does_not_finalise(name: str, justification: bytes, fault: str) -> None:
    with pytest.raises(BadProof, match=fault):
        check_justification(justification, decode_header(BLOCK), four.authorities.voters, 0)


def test_votes_for_descendants_finalise() -> None:
    voted = four.justify(BLOCK, 9, [0, 1, 2], votes=[child, child], ancestors=[CHILD])
    assert check_justification(voted, decode_header(BLOCK), four.authorities.voters, 0) == 3


@given(st.lists(st.integers(1, 5), min_size=1, max_size=7), st.data())
def test_more_than_two_thirds_of_the_weight_are_needed(weights: list[int], data: st.DataObject) -> None:
    some = Chain(chain(len(weights)).keys, weights=weights)
    voters = data.draw(st.lists(st.integers(0, len(weights) - 1), unique=True))
    weight, total = sum(weights[voter] for voter in voters), sum(weights)
    justification = some.justify(BLOCK, 9, voters)
    if 3 * weight > 2 * total:
        assert check_justification(justification, decode_header(BLOCK), some.authorities.voters, 0) == weight
    else:
        with pytest.raises(BadProof):
            check_justification(justification, decode_header(BLOCK), some.authorities.voters, 0)


# ---- who finalises ---------------------------------------------------------------------------------

second, third = chain(5, seed=1, set_id=1), chain(4, seed=2, set_id=2)
TO_SECOND = header(100, bytes(32), change=second.authorities)
TO_THIRD = header(200, bytes(32), change=third.authorities)
FIRST = Change(TO_SECOND, four.justify(TO_SECOND, 100, [0, 1, 2]))
SECOND = Change(TO_THIRD, second.justify(TO_THIRD, 200, [0, 2, 3, 4]))


def test_each_set_brings_in_the_next() -> None:
    assert follow(four.authorities, []) == four.authorities
    assert follow(four.authorities, [FIRST, SECOND]) == Authorities(third.authorities.voters, 2)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ([SECOND], "no authority of this set"),
        ([SECOND, FIRST], "no authority of this set"),
        ([FIRST, FIRST], "no authority of this set"),
        ([Change(BLOCK, four.justify(BLOCK, 9, [0, 1, 2]))], "changes no authorities"),
        ([Change(TO_SECOND, second.justify(TO_SECOND, 100, [0, 1, 2, 3], set_id=0))], "no authority"),
        ([Change(TO_SECOND, four.justify(TO_SECOND, 100, [0, 1]))], "weight 2"),
    ],
)
def test_a_set_that_nobody_brought_in(changes: list[Change], fault: str) -> None:
    with pytest.raises(BadProof, match=fault):
        follow(four.authorities, changes)


@pytest.mark.parametrize(
    ("log", "fault"),
    [
        (b"\2" + bytes(4) + b"\4" + bytes(31) + b"\1" + (1).to_bytes(8, "little") + bytes(4), "by force"),
        (
            b"\1\4" + bytes(32) + (1).to_bytes(8, "little") + (5).to_bytes(4, "little"),
            "waits for later blocks",
        ),
        (b"\1\4" + bytes(32) + (0).to_bytes(8, "little") + bytes(4), "no weight"),
        (b"\1\0" + bytes(4), "is empty"),
    ],
)
def test_a_change_that_is_not_followed(log: bytes, fault: str) -> None:
    item = b"\x04FRNK" + bytes([len(log) << 2]) + log
    with pytest.raises(BadProof, match=fault):
        decode_header(bytes(32) + b"\4" + bytes(64) + b"\4" + item)


def test_authorities_of_a_spec(tmp_path: Path) -> None:
    def spec(top: dict[str, str]) -> Path:
        path = tmp_path / "spec.json"
        path.write_text(json.dumps({"genesis": {"raw": {"top": top}}}))
        return path

    key = "0x" + value_key("Grandpa", "Authorities").hex()
    one = four.authorities.voters[0][0]
    assert genesis_authorities(spec({})) is None
    assert genesis_authorities(spec({key: "0x00"})) is None
    assert genesis_authorities(spec({key: "0x04" + one.hex() + "01" + 14 * "0"})) == Authorities(((one, 1),))
    for bad in ("0x08" + one.hex(), "0x04" + one.hex() + 16 * "0", "zz"):
        with pytest.raises(BadProof, match="raw spec"):
            genesis_authorities(spec({key: bad}))
    with pytest.raises(BadProof, match="raw spec"):
        genesis_authorities(tmp_path / "missing.json")


# ---- state -----------------------------------------------------------------------------------------

entries = st.dictionaries(st.binary(min_size=1, max_size=6), st.binary(max_size=70), min_size=1, max_size=30)


@given(entries, st.binary(min_size=1, max_size=6))
def test_what_a_trie_holds_is_found_and_what_it_does_not_is_not(
    state: dict[bytes, bytes], absent: bytes
) -> None:
    root, nodes = trie(state)
    proof = StorageProof(root, nodes)
    assert {key: proof.value(key) for key in state} == state
    assert proof.value(absent) == state.get(absent)


@given(st.binary(min_size=40, max_size=200), st.binary(min_size=40, max_size=200))
def test_long_keys(one: bytes, two: bytes) -> None:
    root, nodes = trie({one: b"1", two: b"2" * 40})
    assert StorageProof(root, nodes).value(two) == b"2" * 40


@given(entries, st.data())
def test_a_proof_without_a_node_says_so_or_does_not_need_it(
    state: dict[bytes, bytes], data: st.DataObject
) -> None:
    root, nodes = trie(state)
    missing = data.draw(st.integers(0, len(nodes) - 1))
    proof = StorageProof(root, nodes[:missing] + nodes[missing + 1 :])
    for key, value in state.items():
        with contextlib.suppress(BadProof):
            assert proof.value(key) == value


@given(st.binary(max_size=300))
def test_no_bytes_are_more_than_refused(data: bytes) -> None:
    for read in (decode_header, lambda node: StorageProof(blake2_256(node), [node]).value(b"key")):
        with contextlib.suppress(BadProof):
            read(data)
    with pytest.raises(BadProof):
        check_justification(data, decode_header(BLOCK), four.authorities.voters, 0)
