"""Vectors of what a session's two ends sign, for Python and Rust alike: python -m tests.vectors.sessions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proofward.protocol.sessions import (
    Checkpoint,
    Tree,
    leaf,
    page_message,
    sample,
    sampled,
    session_id,
)
from tests.vectors.make import value

#: Number, pages, rate.
CASES = ((0, 1, 1), (1, 20, 100_000), (2, 1_000, 10_000), (3, 65_536, 1_000_000))
PATH = Path(__file__).with_name("sessions.json")


def vectors() -> dict[str, Any]:
    """Every function with its arguments and its value, in hexadecimal."""
    client, nonce, genesis = value("client"), value("nonce"), value("genesis")
    name = session_id(client, nonce)
    marks = [leaf(name, page, value(f"in {page}"), value(f"out {page}")) for page in range(5)]
    tree = Tree(marks)
    said = Checkpoint(genesis, name, 3, tree.root, 1_000_005, 2**40 + 7)
    beacon = value("beacon")
    return {
        "client": client.hex(),
        "nonce": nonce.hex(),
        "genesis": genesis.hex(),
        "session": name.hex(),
        "inputs": [value(f"in {page}").hex() for page in range(5)],
        "outputs": [value(f"out {page}").hex() for page in range(5)],
        "leaves": [mark.hex() for mark in marks],
        "root": tree.root.hex(),
        "paths": [[one.hex() for one in tree.path(page)] for page in range(5)],
        "page_message": page_message(genesis, name, 4, marks[4]).hex(),
        "checkpoint": {"number": 3, "pages": 1_000_005, "records": 2**40 + 7},
        "enclave_message": said.enclave_message().hex(),
        "voucher_message": said.voucher_message().hex(),
        "beacon": beacon.hex(),
        "samples": [_sample(name, beacon, *case) for case in CASES],
    }


def _sample(session: bytes, beacon: bytes, number: int, pages: int, rate: int) -> dict[str, Any]:
    chosen = sample(beacon, session, number, pages, sampled(pages, rate))
    return {"number": number, "pages": pages, "rate": rate, "chosen": chosen}


if __name__ == "__main__":
    PATH.write_text(json.dumps(vectors(), indent=1) + "\n")
