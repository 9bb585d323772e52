"""A chain as the page reads it: each block under its own runtime, whichever is asked for first."""

from __future__ import annotations

import pytest

from proofward.consensus.keys import twox
from tests.explorer.site import ask


def compact(number: int) -> bytes:
    return bytes([number << 2])


def text(value: str) -> bytes:
    return compact(len(value)) + value.encode()


def metadata(version: int, item: str, default: int) -> str:
    """Of version 14, with one u32 in the pallet `Box` under the given name."""
    u32 = compact(0) + compact(0) + b"\x05\x05" + compact(0)
    types = compact(0) + u32
    for index, name in enumerate(("RuntimeCall", "EventRecord"), start=1):
        types += compact(index) + compact(1) + text(name) + compact(0) + b"\x00" + compact(0) + compact(0)
    documents = compact(1) + text("What nobody reads here.")
    entry = text(item) + b"\x00\x00" + compact(0) + compact(4) + default.to_bytes(4, "little") + documents
    box = text("Box") + b"\x01" + text("Box") + compact(1) + entry + b"\x00\x00" + compact(0) + b"\x00\x07"
    said = text("proofward") + text("proofward") + (1).to_bytes(4, "little") + version.to_bytes(4, "little")
    constant = text("Version") + compact(0) + compact(len(said)) + said + documents
    system = text("System") + b"\x00\x00\x00" + compact(1) + constant + b"\x00\x00"
    whole = b"meta\x0e" + compact(3) + types + compact(2) + box + system + compact(0) + b"\x04" + compact(0)
    return "0x" + whole.hex()


def key(item: str) -> str:
    return "0x" + (twox(b"Box", 128) + twox(item.encode(), 128)).hex()


OLD, NEW = metadata(5, "Before", 0), metadata(6, "After", 0)
#: A block of each runtime. What is kept under the other runtime's name must not be taken for the item.
STATES = {
    "0x05": {key("Before"): "0x07000000", key("After"): "0x63000000"},
    "0x06": {key("After"): "0x09000000"},
}


@pytest.mark.parametrize("newest", [None, 5, 6])
def test_a_block_is_read_under_its_own_runtime(newest: int | None) -> None:
    """Whichever was taken for the likely one."""
    given = {"metadata": {"5": OLD, "6": NEW}, "versions": {"0x05": 5, "0x06": 6}, "storage": STATES}
    question = {"kind": "chain", **given, "newest": newest}
    if newest is None:
        del question["newest"]
    [told] = ask(
        [{**question, "reads": [["0x05", "Box.Before"], ["0x06", "Box.After"], ["0x05", "Box.Before"]]}]
    )
    assert told["values"] == [7, 9, 7]
