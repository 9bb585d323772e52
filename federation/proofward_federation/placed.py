"""Where a consent stands in a hospital's tree, or that it stands nowhere in it: shown to its patient.

A leaf is shown by its path. That there is none is shown by the two leaves between which it would stand, side
by side: leaves are in order, which the enclave checks of every tree that an update is made under. What is
shown are hashes, which tell nothing of whose they are.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from proofward.files import read_whole, write_whole
from proofward.protocol import strict_json
from proofward.protocol.bounds import HASH_LENGTH
from proofward.protocol.sessions import Tree, depth, root_of
from proofward_federation.consents import ROUND_UP
from proofward_federation.errors import FederationError

MAX_SHOWN: Final = 1 << 22
"""Bytes of a file of places."""
_NOBODY: Final = bytes(HASH_LENGTH)
"""In the places after the last leaf."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A leaf with its path to the root, lowest first; in hexadecimal."""

    leaf: str
    place: int
    path: list[str]


def show(leaves: Sequence[bytes], leaf: bytes) -> list[Shown]:
    """The leaf, or those between which it would stand. `leaves` are 1 to 65,536 in order."""
    tree, width = Tree(leaves), 1 << depth(len(leaves))
    at = bisect_left(leaves, leaf)
    places = [at] if at < len(leaves) and leaves[at] == leaf else [at - 1, at]
    padded = [*leaves, *[_NOBODY] * (width - len(leaves))]
    return [
        Shown(padded[place].hex(), place, [one.hex() for one in tree.path(place)])
        for place in places
        if 0 <= place < width
    ]


def stands(leaf: bytes, shown: Sequence[Shown], root: bytes, live: int) -> bool:
    """Whether a leaf is in the tree with this root, whose hospital told of `live` leaves at most. Raises
    FederationError(bad-path) where neither that nor its absence is shown.
    """
    try:
        found = [(one.place, bytes.fromhex(one.leaf)) for one in shown]
        fits = all(_leads(one, root, live) for one in shown)
    except (ValueError, TypeError, AttributeError):
        fits = False
    if fits and len(found) == 1 and found[0][1] == leaf:
        return True
    if not fits or not _between(leaf, found, len(shown[0].path) if shown else 0):
        raise FederationError(
            "what the hospital shows is not of the tree on the chain, or not of this consent", code="bad-path"
        )
    return False


def _leads(one: Shown, root: bytes, live: int) -> bool:
    """Whether a path leads to the root, from as deep as leaves are: above them are hashes of two."""
    path = [bytes.fromhex(each) for each in one.path]
    deep = depth(max(1, live - ROUND_UP + 1)) <= len(path) <= depth(max(1, live))
    inside = type(one.place) is int and 0 <= one.place < 1 << len(path)
    return deep and inside and root_of(bytes.fromhex(one.leaf), one.place, path) == root


def _between(leaf: bytes, found: Sequence[tuple[int, bytes]], height: int) -> bool:
    """Whether nothing can stand between what was found, and the leaf would."""
    match found:
        case [(place, left), (other, right)]:
            after = right == _NOBODY or right > leaf
            return other == place + 1 and left != _NOBODY and left < leaf and after
        case [(0, right)] if leaf < right:
            return True
        case [(place, left)]:
            return place == (1 << height) - 1 and left != _NOBODY and left < leaf
    return False


def save(path: Path, places: dict[bytes, list[Shown]]) -> None:
    """Write leaves with what is shown of them."""
    body = {leaf.hex(): [asdict(one) for one in shown] for leaf, shown in places.items()}
    write_whole(path, json.dumps(body, indent=1).encode())


def load(path: Path) -> dict[bytes, list[Shown]]:
    """What `save` wrote. Raises FederationError(bad-path)."""
    try:
        values: dict[str, Any] = strict_json.loads(read_whole(path, MAX_SHOWN), limit=MAX_SHOWN)
        return {bytes.fromhex(leaf): [Shown(**one) for one in shown] for leaf, shown in values.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise FederationError(f"{path} shows no places: {error}", code="bad-path") from None
