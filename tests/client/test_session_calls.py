"""What a block and a file hold beside what is looked for: junk and failed calls, lines cut off by a kill."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proofward.chain.pallets import sessions
from proofward.client import session_audit
from proofward.client.session_calls import opening_nonce, own_receipts, posted, proved
from proofward.client.session_store import append_line
from proofward.errors import NotFound
from proofward.protocol.keys import ReceiptKey
from proofward.protocol.sessions import Checkpoint, Tree, leaf, session_id

GENESIS, CLIENT, WORKER, MALLORY, NONCE = (bytes([one]) * 32 for one in range(1, 6))
ENCLAVE, VOUCHER = ReceiptKey(bytes([7]) * 32), ReceiptKey(bytes([8]) * 32)
ID = session_id(CLIENT, NONCE)
RECORD: Any = SimpleNamespace(
    id=ID, client=CLIENT, worker=WORKER, receipt_key=ENCLAVE.public, voucher_key=VOUCHER.public
)
IN, OUT = b"i" * 32, b"o" * 32
TREE = Tree([leaf(ID, page, IN, OUT) for page in (4, 5, 6)])
SAID = Checkpoint(GENESIS, ID, 1, TREE.root, 7, 100)
CHECKPOINT = {
    "session": ID, "number": 1, "root": TREE.root, "pages": 7, "records": 100,
    "signature": ENCLAVE.sign(SAID.enclave_message()), "voucher": VOUCHER.sign(SAID.voucher_message()),
}  # fmt: skip
PAGE = {
    "page": 5, "input_commitment": IN, "output_commitment": OUT, "path": TREE.path(1), "proof": b"proof",
}  # fmt: skip
PROVE = {"session": ID, "number": 1, "pages": [PAGE]}
OPEN = {"nonce": NONCE, "voucher_key": VOUCHER.public}
WINDOW = (1, 4, 3, TREE.root)


def block(event: str, *calls: tuple[int, bytes, dict[str, Any]], good: int = 2) -> Any:
    """A chain of one block where extrinsic `good` gave the event; calls (extrinsic, signer, arguments)."""
    fields = {"session": ID, "number": 1, "pages": [5]} if event != "Opened" else {"session": ID}
    gave = SimpleNamespace(pallet=sessions.PALLET, name=event, fields=fields, extrinsic=good)
    found = [SimpleNamespace(index=index, signer=signer, args=args) for index, signer, args in calls]
    return SimpleNamespace(genesis=GENESIS, events=lambda _: [gave], find_calls=lambda *_: found)


JUNK_CHECKPOINT = [
    {"root": b"j" * 32}, {"pages": 8}, {"records": 99}, {"signature": bytes(64)}, {"voucher": bytes(64)},
    {"session": b"x" * 32}, {"number": 0},
]  # fmt: skip


@pytest.mark.parametrize("junk", JUNK_CHECKPOINT)
@pytest.mark.parametrize("where", [1, 2])
def test_a_junk_checkpoint_before_the_workers_is_not_taken(junk: dict[str, Any], where: int) -> None:
    """In another's extrinsic (1), or in a batch beside the good one (2)."""
    bad = {**CHECKPOINT, **junk}
    chain = block("Checkpointed", (where, MALLORY, bad), (2, WORKER, CHECKPOINT))
    assert posted(chain, b"h", RECORD, 1, 7) == CHECKPOINT
    assert session_audit._root(chain, b"h", RECORD, 1, 7) == TREE.root
    alone = block("Checkpointed", (where, MALLORY, bad))
    with pytest.raises(NotFound, match="that both ends signed"):
        posted(alone, b"h", RECORD, 1, 7)
    assert session_audit._root(alone, b"h", RECORD, 1, 7) is None


def GOOD(one: bytes, other: bytes, proof: bytes) -> bool:
    return (one, other, proof) == (IN, OUT, b"proof")


@pytest.mark.parametrize(
    "junk",
    [
        {"input_commitment": b"x" * 32}, {"output_commitment": b"y" * 32}, {"path": []}, {"page": 4},
        {"path": [*TREE.path(1), bytes(32)]}, {"path": TREE.path(0)},
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", [1, 2])
def test_a_junk_proof_before_the_workers_is_not_taken(junk: dict[str, Any], where: int) -> None:
    bad = {**PROVE, "pages": [{**PAGE, **junk, "proof": b"junk"}]}
    chain = block("Proved", (where, MALLORY, bad), (2, WORKER, PROVE))
    assert proved(chain, b"h", RECORD, WINDOW, 5, GOOD) == PAGE
    with pytest.raises(NotFound, match="no proof of page 5"):
        proved(block("Proved", (where, MALLORY, bad)), b"h", RECORD, WINDOW, 5, GOOD)


def test_a_failed_proof_of_the_right_page_is_not_taken() -> None:
    """Its leaf and path are the public ones; the proof is not."""
    bad = {**PROVE, "pages": [{**PAGE, "proof": b"junk"}]}
    chain = block("Proved", (1, MALLORY, bad), (2, WORKER, PROVE), (3, MALLORY, bad))
    assert proved(chain, b"h", RECORD, WINDOW, 5, GOOD)["proof"] == b"proof"
    # nor the worker's own, before the good one in one extrinsic
    chain = block("Proved", (2, WORKER, bad), (2, WORKER, PROVE))
    assert proved(chain, b"h", RECORD, WINDOW, 5, GOOD)["proof"] == b"proof"
    with pytest.raises(NotFound, match="that verifies"):
        proved(block("Proved", (2, WORKER, bad)), b"h", RECORD, WINDOW, 5, GOOD)


@pytest.mark.parametrize("where", [1, 2])
def test_a_junk_opening_with_the_same_voucher_key_is_not_taken(where: int) -> None:
    bad = {**OPEN, "nonce": b"n" * 32}
    chain = block("Opened", (where, MALLORY, bad), (2, CLIENT, OPEN))
    assert opening_nonce(chain, b"h", RECORD) == NONCE
    with pytest.raises(NotFound, match="no such call"):
        opening_nonce(block("Opened", (where, MALLORY, bad)), b"h", RECORD)


def line(page: int) -> str:
    told = {"page": page, "first": 0, "records": 1, "input_commitment": IN.hex()}
    return json.dumps({**told, "output_commitment": OUT.hex(), "signature": "00" * 64})


@pytest.mark.parametrize("cut", [1, 9, 40, len(line(1)) - 1])
def test_a_receipt_that_a_kill_cut_off_spoils_no_other(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "x.pages"
    append_line(path, line(0))
    path.write_bytes(path.read_bytes() + line(1)[:cut].encode())
    assert sorted(own_receipts(path)) == [0]
    append_line(path, line(1))
    append_line(path, line(2))
    assert path.read_text().splitlines() == [line(0), line(1)[:cut], line(1), line(2)]
    assert sorted(own_receipts(path)) == [0, 1, 2]


def test_receipts_that_were_appended_to_half_a_line_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.pages"
    junk = f"\0\xff\n[]\n{{}}\n{'[' * 5_000}\n7\n"
    path.write_text(f"{line(0)}\n{line(1)[:30]}{line(1)}\n{junk}{line(2)}\n", encoding="latin-1")
    assert own_receipts(path) == {page: json.loads(line(page)) for page in (0, 1, 2)}


def test_a_window_whose_receipts_have_a_gap_is_not_checked(tmp_path: Path) -> None:
    """Rather than held against the leaves of other pages."""
    path = tmp_path / "x.pages"
    path.write_text("".join(f"{line(page)}\n" for page in (0, 1, 2, 4, 5, 6)))
    entry: dict[str, Any] = {
        "drawn": None,
        "pages": 3,
        "records": 3,
        "proved": [],
        "forced": [],
        "end": None,
        "root": TREE.root,
    }
    leaves = session_audit._own_leaves(ID, path)
    assert session_audit._window(ID, 1, entry, 4, 1, leaves, "open").ours is True
    assert session_audit._window(ID, 1, entry, 3, 1, leaves, "open").ours is None
    assert session_audit._window(ID, 1, {**entry, "root": None}, 4, 1, leaves, "open").ours is None
    assert session_audit._window(ID, 1, entry, 0, 1, leaves, "open").ours is False
