"""Where a receipt stands on a chain: its leaf, its way up to a root, and the final block with that root.

Who anchors (`proofward_gateway.anchoring`) puts each root into a remark. Nothing of what he hands out is
believed: the root is computed again from the reader's own receipt, and the chain's proof is read by the
authorities that the reader's spec names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from proofward.aci import jcs
from proofward.check import Check, said
from proofward.consensus import (
    Authorities,
    BadProof,
    Checkpoint,
    OlderThanCheckpoint,
    StorageProof,
    decode_header,
    final_state,
    map_key,
    nodes_of,
    value_key,
)
from proofward.evidence.policy import Policy
from proofward.protocol import blake2_256, sha256
from proofward.protocol.sessions import root_of

ANCHORED: Final = "anchored"
FORMAT: Final = "proofward/anchored/v1"
MAX_BATCH: Final = 4096
"""Receipts under one root."""
_LEAF: Final = b"proofward/receipt/v1\0"
_REMARK: Final = b"proofward/receipts/v1"


def leaf_of(receipt: Mapping[str, Any]) -> bytes:
    """A receipt in its tree, signature and all: 32 bytes."""
    return sha256(_LEAF + jcs.canonical(dict(receipt)))


def remark(number: int, count: int, root: bytes) -> bytes:
    """What stands on the chain: domain, number and count (u32 LE), root."""
    return _REMARK + number.to_bytes(4, "little") + count.to_bytes(4, "little") + root


@dataclass(frozen=True, slots=True)
class Anchor:
    """Which remark of which block is said to have a receipt."""

    genesis: bytes
    account: bytes
    block: int
    position: int
    count: int
    remark: bytes


def anchor_of(receipt: Mapping[str, Any], proof: Mapping[str, Any]) -> Anchor:
    """The remark that a proof of inclusion leads a receipt to.

    Raises ValueError, KeyError, TypeError or OverflowError: it leads nowhere, or to another root than stated.
    """
    position, path = int(proof["position"]), [bytes.fromhex(one) for one in proof["path"]]
    number, count, block = int(proof["number"]), int(proof["count"]), int(proof["block"])
    genesis, account = bytes.fromhex(proof["genesis"]), bytes.fromhex(proof["account"])
    if not 0 <= position < count <= MAX_BATCH or len(path) != (count - 1).bit_length():
        raise ValueError("the position is not in the tree")
    if any(len(one) != 32 for one in (*path, genesis, account)) or not 0 < block < 1 << 32:
        raise ValueError("a step, an account or a chain is no hash")
    root = root_of(leaf_of(receipt), position, path)
    if proof["root"] != root.hex():
        raise ValueError("the receipt is under another root")
    return Anchor(genesis, account, block, position, count, remark(number, count, root))


def keys_in(block: int) -> tuple[list[bytes], list[bytes]]:
    """Storage keys of what a proof must show: in the block of the remark its time and events; in the state of
    a later one, which is final, the genesis hash and that block's.
    """
    names = [map_key("System", "BlockHash", n.to_bytes(4, "little"), "twox_64_concat") for n in (0, block)]
    return [value_key("Timestamp", "Now"), value_key("System", "Events")], names


def time_on_chain(
    what: Anchor, proof: Mapping[str, Any], authorities: Authorities, checkpoint: Checkpoint | None = None
) -> int:
    """The time (Unix seconds) of the final block that holds an anchor's remark.

    Raises BadProof: not final by these authorities, of another chain, or another remark.
    """
    if proof.get("format") != FORMAT:
        raise BadProof(f"the proof is of another format than {FORMAT}")
    inside, later = keys_in(what.block)
    _, state = final_state(proof, authorities, checkpoint)
    genesis, name = map(state.value, later)
    if genesis != what.genesis:
        raise BadProof(f"the proof is of another chain than 0x{what.genesis.hex()}")
    try:
        header = decode_header(bytes.fromhex(proof["block_header"]))
    except (KeyError, TypeError, ValueError):
        raise BadProof("the proof holds no header of the block") from None
    if name != header.hash or header.number != what.block:
        raise BadProof(f"block {what.block} of the final chain is another one")
    own = StorageProof(header.state_root, nodes_of(proof, "block_nodes"))
    now, events = map(own.value, inside)
    if now is None or len(now) != 8:
        raise BadProof(f"block {what.block} has no time")
    if what.account + blake2_256(what.remark) not in (events or b""):  # event `System.Remarked`
        raise BadProof(f"block {what.block} does not hold this root")
    return int.from_bytes(now, "little") // 1000


def anchored_checks(
    receipt: Mapping[str, Any], proof: Mapping[str, Any] | None, policy: Policy
) -> list[Check]:
    """By when the reader's chain had a receipt; no line without a proof of inclusion.

    Without the reader's authorities (`--spec`), or where the chain has no proof to give, it is a word only.
    """
    if proof is None:
        return []
    try:
        what = anchor_of(receipt, proof)
        served, shown, at = int(receipt["served_at"]), proof.get("proof"), proof.get("at")
    except (ValueError, KeyError, TypeError, OverflowError):
        return [Check(ANCHORED, False, "the proof of inclusion does not lead from this receipt to its root")]
    where = f"block {what.block} of chain 0x{what.genesis.hex()}, receipt {what.position} of {what.count}"
    if policy.genesis not in (None, what.genesis):
        return [Check(ANCHORED, False, f"{where}: the pinned chain is another")]
    if policy.authorities is None or shown is None:
        told = "no proof of the chain is here" if shown is None else "a proof is here and unread: give --spec"
        seen = "" if type(at) is not int else f", at {at} when its owner looked"
        return [said(ANCHORED, f"{where}{seen}; {told}")]
    try:
        if not isinstance(shown, Mapping):
            raise BadProof("the proof is no object")
        time = time_on_chain(what, shown, policy.authorities, policy.checkpoint)
    except OlderThanCheckpoint as error:
        return [said(ANCHORED, f"{where}: {error.message}, so nothing proves it to this reader")]
    except BadProof as error:
        return [Check(ANCHORED, False, f"{where}: {error.message}")]
    if served > time:
        return [Check(ANCHORED, False, f"{where}: it had the receipt at {time}, before it says it was made")]
    return [Check(ANCHORED, True, f"{where}: the receipt existed by {time}")]
