"""A final block and its state, out of the `header`, `justification`, `changes` and `nodes` of a proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from proofward.consensus.authorities import Authorities, Change, follow
from proofward.consensus.checkpoint import Checkpoint
from proofward.consensus.errors import BadProof
from proofward.consensus.grandpa import check_justification
from proofward.consensus.header import Header, decode_header
from proofward.consensus.trie import MAX_NODES, StorageProof

MAX_CHANGES: Final = 256
"""Changes of authorities between the spec and a proof's block."""
MAX_PROOF: Final = 512 << 10
"""Bytes of a proof, as JSON."""


class OlderThanCheckpoint(BadProof):
    """A proof of a block at or before the reader's checkpoint: by the keys of back then nothing is proved."""

    code = "older-than-checkpoint"


def final_state(
    value: Mapping[str, Any], authorities: Authorities, checkpoint: Checkpoint | None = None
) -> tuple[Header, StorageProof]:
    """The header that the authorities finalised, from the spec's first on or from its checkpoint's, and what
    the proof shows of its state.

    Raises BadProof.
    """
    try:
        changes = [
            Change(bytes.fromhex(one["header"]), bytes.fromhex(one["justification"]))
            for one in _few(value["changes"], MAX_CHANGES)
        ]
        header = decode_header(bytes.fromhex(value["header"]))
        justification = bytes.fromhex(value["justification"])
    except (KeyError, TypeError, ValueError):
        raise malformed() from None
    if checkpoint is not None:
        authorities, changes = _since(header, changes, checkpoint)
    now = follow(authorities, changes)
    check_justification(justification, header, now.voters, now.set_id)
    return header, StorageProof(header.state_root, nodes_of(value, "nodes"))


def nodes_of(value: Mapping[str, Any], name: str) -> Iterator[bytes]:
    """The nodes of a storage proof in a member of the JSON. Raises BadProof."""
    try:
        return iter([bytes.fromhex(one) for one in _few(value[name], MAX_NODES)])
    except (KeyError, TypeError, ValueError):
        raise malformed() from None


def malformed() -> BadProof:
    """What is said of a proof's JSON that cannot be read."""
    return BadProof("the proof lacks a member, or has one of another kind")


def _since(header: Header, changes: list[Change], checkpoint: Checkpoint) -> tuple[Authorities, list[Change]]:
    """Who finalises behind a checkpoint, and which changes came after it."""
    if header.number <= checkpoint.number:
        raise OlderThanCheckpoint(
            f"block {header.number} is not behind the spec's checkpoint, block {checkpoint.number}"
        )
    if checkpoint.authorities is None:
        raise BadProof(f"the spec's checkpoint, block {checkpoint.number}, names no authorities")
    return checkpoint.authorities, [
        one for one in changes if decode_header(one.header).number > checkpoint.number
    ]


def _few(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise BadProof("a proof is above its bounds")
    return value
