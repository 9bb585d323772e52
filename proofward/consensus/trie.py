"""Values out of a storage proof: nodes of the state's trie, each found by its hash from the root down.

Polkadot's host specification, section 2.4.3 (the modified Merkle-Patricia tree, state version 1 included);
the proofs are those of `state_getReadProof`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from proofward.consensus.errors import BadProof
from proofward.protocol import blake2_256
from proofward.protocol.scale import Reader

MAX_NODES: Final = 4_096
MAX_NODE: Final = 4 << 20
_MAX_NIBBLES: Final = 1_024


@dataclass(frozen=True, slots=True)
class _Node:
    """`value` is the value itself, or the hash of one that is a node of its own; `children` by nibble, a hash
    or a node that was short enough to stand here.
    """

    partial: tuple[int, ...]
    value: bytes | None
    hashed: bool
    children: dict[int, bytes]


class StorageProof:
    """Nodes of a trie under one root.

    Raises BadProof for more nodes or larger ones than a proof of a few values has.
    """

    def __init__(self, root: bytes, nodes: Iterable[bytes]) -> None:
        self._root = root
        self._nodes: dict[bytes, bytes] = {}
        for node in nodes:
            if len(self._nodes) >= MAX_NODES or len(node) > MAX_NODE:
                raise BadProof("a storage proof is above its bounds")
            self._nodes[blake2_256(node)] = node

    def value(self, key: bytes) -> bytes | None:
        """What is stored under a key; None when the proof shows that nothing is.

        Raises BadProof when it shows neither.
        """
        wanted = tuple(nibble for byte in key for nibble in (byte >> 4, byte & 15))
        node = _decode(self._node(self._root))
        while True:
            if wanted[: len(node.partial)] != node.partial:
                return None
            wanted = wanted[len(node.partial) :]
            if not wanted:
                return self._value_of(node)
            child = node.children.get(wanted[0])
            if child is None:
                return None
            node = _decode(self._node(child) if len(child) == 32 else child)
            wanted = wanted[1:]

    def _value_of(self, node: _Node) -> bytes | None:
        return self._node(node.value) if node.hashed and node.value is not None else node.value

    def _node(self, name: bytes) -> bytes:
        if name not in self._nodes:
            raise BadProof("a storage proof lacks a node on the way")
        return self._nodes[name]


def _decode(data: bytes) -> _Node:
    reader = Reader(data)
    try:
        node = _read(reader)
    except ValueError as error:
        raise BadProof(f"a node of a storage proof cannot be decoded: {error}") from None
    if reader.left():
        raise BadProof("bytes are left behind a node of a storage proof")
    return node


def _read(reader: Reader) -> _Node:
    first = reader.unsigned(1)
    if first == 0:
        return _Node((), None, False, {})
    branch, hashed, bits = _kind(first)
    partial = _partial(reader, _length(reader, first, bits))
    if not branch:
        return _Node(partial, reader.take(32) if hashed else _blob(reader), hashed, {})
    bitmap = reader.unsigned(2)
    if not bitmap:
        raise ValueError("a branch has no child")
    value = None
    if hashed:
        value = reader.take(32)
    elif first >> 6 == 0b11:
        value = _blob(reader)
    children = {nibble: _blob(reader) for nibble in range(16) if bitmap >> nibble & 1}
    if any(len(child) > 32 for child in children.values()):
        raise ValueError("a child is longer than a hash")
    return _Node(partial, value, hashed, children)


def _kind(first: int) -> tuple[bool, bool, int]:
    """Whether it is a branch, whether its value is a hash, and how many bits of the first byte say so."""
    if first >> 6:
        return first >> 6 != 0b01, False, 2
    if first >> 5 == 0b001:
        return False, True, 3
    if first >> 4 == 0b0001:
        return True, True, 4
    raise ValueError("a node is of no known kind")


def _length(reader: Reader, first: int, bits: int) -> int:
    """Nibbles of the partial key: what is left of the first byte, and further bytes while they are full."""
    most = 255 >> bits
    length = first & most
    if length < most:
        return length
    while (more := reader.unsigned(1)) == 255:
        length += 255
        if length > _MAX_NIBBLES:
            raise ValueError("a partial key is too long")
    return length + more


def _partial(reader: Reader, count: int) -> tuple[int, ...]:
    data = reader.take((count + 1) // 2)
    nibbles = tuple(nibble for byte in data for nibble in (byte >> 4, byte & 15))
    if count % 2 and nibbles[0]:
        raise ValueError("a partial key is not padded with zero")
    return nibbles[count % 2 :]


def _blob(reader: Reader) -> bytes:
    return reader.take(reader.count(MAX_NODE, 1))
