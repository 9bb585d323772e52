"""Where a receipt stands on the chain: its leaf, its way up to a root, and what the chain holds of that root.

Who anchors (`proofward_gateway.anchoring`, outside the enclave) writes `anchors.sqlite` beside the receipts.
Nothing of it is believed: a reader computes the root again and looks for it in the block.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from proofward.aci import jcs
from proofward.protocol import sha256
from proofward.protocol.sessions import root_of

FILE: Final = "anchors.sqlite"
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


def root_under(receipt: Mapping[str, Any], proof: Mapping[str, Any]) -> bytes:
    """The root that a proof leads a receipt to. Raises ValueError, KeyError or TypeError: no such proof."""
    position, path = int(proof["position"]), [bytes.fromhex(one) for one in proof["path"]]
    count = int(proof["count"])
    if not 0 <= position < count <= MAX_BATCH or len(path) != (count - 1).bit_length():
        raise ValueError("the position is not in the tree")
    if any(len(one) != 32 for one in path):
        raise ValueError("a step is no hash")
    return root_of(leaf_of(receipt), position, path)


def inclusion(state: Path, receipt_id: str) -> dict[str, Any] | None:
    """A receipt's proof, as it is handed out; None while it is on no chain. Never raises for the file."""
    path = state / FILE
    if not path.exists():
        return None
    sql = (
        "SELECT number, count, root, genesis, account, block, position, path FROM leaves "
        "JOIN batches USING (number) WHERE receipt = ? AND block IS NOT NULL"
    )
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as file:
            row = file.execute(sql, (receipt_id,)).fetchone()
    except sqlite3.Error:
        return None
    if row is None:
        return None
    names = ("number", "count", "root", "genesis", "account", "block", "position")
    return {**dict(zip(names, row, strict=False)), "path": json.loads(row[7])}
