"""A block's header (polkadot-sdk, `sp_runtime::generic::Header<u32, BlakeTwo256>`), with what GRANDPA says
in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from proofward.consensus.errors import BadProof
from proofward.protocol import blake2_256
from proofward.protocol.scale import Reader, compact

MAX_HEADER: Final = 256 * 1024
"""Bytes of a header: 32 authorities need 2 KB."""
MAX_AUTHORITIES: Final = 1_024
_MAX_ITEMS: Final = 64
_GRANDPA: Final = b"FRNK"
_OTHER, _CONSENSUS, _SEAL, _PRE_RUNTIME, _UPDATED = 0, 4, 5, 6, 8
_SCHEDULED, _FORCED = 1, 2

Voters = tuple[tuple[bytes, int], ...]
"""Ed25519 keys (32 bytes) and weights (at least 1), each key once."""


class Bytes(Reader):
    """Bytes from the front, with those that were taken at hand: a header's hash is over its own."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._whole = data

    def since(self, left: int) -> bytes:
        """What was taken since so many were left."""
        end = len(self._whole)
        return self._whole[end - left : end - self.left()]


@dataclass(frozen=True, slots=True)
class Header:
    """A header, and its hash. `next_authorities` are those that GRANDPA has from the block after it on, when
    it says that they change.
    """

    hash: bytes
    parent: bytes
    number: int
    state_root: bytes
    next_authorities: Voters | None


def from_json(header: Mapping[str, Any]) -> bytes:
    """A header as it is hashed, from what `chain_getHeader` and the subscriptions say. Raises KeyError,
    TypeError or ValueError for what is none.
    """
    logs = header["digest"]["logs"]
    number = compact(int(header["number"], 16))
    roots = [_unhex(header["stateRoot"]), _unhex(header["extrinsicsRoot"])]
    return b"".join([_unhex(header["parentHash"]), number, *roots, compact(len(logs)), *map(_unhex, logs)])


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def decode_header(data: bytes) -> Header:
    """Decode exactly `data`. Raises BadProof for anything but one canonical header, for a forced change of
    authorities, and for one with a delay: the consortium's runtime makes neither.
    """
    if len(data) > MAX_HEADER:
        raise BadProof(f"a header of {len(data)} bytes is above the bound of {MAX_HEADER}")
    reader = Bytes(data)
    try:
        header = read_header(reader)
    except ValueError as error:
        raise BadProof(f"a header cannot be decoded: {error}") from None
    if reader.left():
        raise BadProof("bytes are left behind a header")
    return header


def read_header(reader: Bytes) -> Header:
    """The next header. Raises ValueError, BadProof."""
    start = reader.left()
    parent = reader.take(32)
    number = reader.count(2**32 - 1, 0)  # Compact<u32> is written as a length is
    state_root, _ = reader.take(32), reader.take(32)
    change: Voters | None = None
    for _ in range(reader.count(_MAX_ITEMS, 1)):
        found = _item(reader)
        if found is not None and change is not None:
            raise BadProof("a header changes the authorities twice")
        change = found or change
    return Header(blake2_256(reader.since(start)), parent, number, state_root, change)


def _item(reader: Reader) -> Voters | None:
    kind = reader.unsigned(1)
    if kind == _UPDATED:
        return None
    if kind not in (_OTHER, _CONSENSUS, _SEAL, _PRE_RUNTIME):
        raise ValueError("a digest item is of no known kind")
    engine = b"" if kind == _OTHER else reader.take(4)
    content = reader.take(reader.count(MAX_HEADER, 1))
    return _change(Reader(content)) if (kind, engine) == (_CONSENSUS, _GRANDPA) else None


def _change(reader: Reader) -> Voters | None:
    kind = reader.unsigned(1)
    if kind == _FORCED:
        raise BadProof("authorities were changed by force, which no justification covers")
    if kind != _SCHEDULED:
        return None
    voters = read_voters(reader)
    if reader.unsigned(4) != 0:
        raise BadProof("a change of authorities waits for later blocks, which this verifier does not follow")
    if reader.left():
        raise ValueError("bytes are left behind a change of authorities")
    return voters


def read_voters(reader: Reader) -> Voters:
    """The next list of authorities. Raises ValueError for an empty one, a key named twice, no weight."""
    voters = tuple((reader.take(32), reader.unsigned(8)) for _ in range(reader.count(MAX_AUTHORITIES, 40)))
    different = len({key for key, _ in voters}) == len(voters)
    if not (voters and different and all(weight for _, weight in voters)):
        raise ValueError("a list of authorities is empty, names one twice, or gives one no weight")
    return voters
