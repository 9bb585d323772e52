"""Where a receipt stands on the chain, out of the file that who anchors keeps beside the receipts
(`proofward_gateway.anchoring`, outside the enclave). Nothing of it is believed: a reader computes the root
again, and looks for it in the block (`proofward.evidence.anchored`).
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

FILE: Final = "anchors.sqlite"


def inclusion(state: Path, receipt_id: str) -> dict[str, Any] | None:
    """A receipt's proof, as it is handed out, with the chain's own where that has one; None while it is on no
    chain. Never raises for the file.
    """
    anchors = state / FILE
    if not anchors.exists():
        return None
    sql = (
        "SELECT number, count, root, genesis, account, block, position, path, document FROM leaves "
        "JOIN batches USING (number) LEFT JOIN proofs USING (number) "
        "WHERE receipt = ? AND block IS NOT NULL"
    )
    try:
        with closing(sqlite3.connect(f"{anchors.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as file:
            row = file.execute(sql, (receipt_id,)).fetchone()
        if row is None:
            return None
        names = ("number", "count", "root", "genesis", "account", "block", "position")
        path, proof = (None if part is None else json.loads(part) for part in row[len(names) :])
        return {**dict(zip(names, row, strict=False)), "path": path, "proof": proof}
    except (sqlite3.Error, ValueError, RecursionError):
        return None
