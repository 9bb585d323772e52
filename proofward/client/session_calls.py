"""The calls that made a session's events, and the client's own receipts.

A block holds calls that failed as well, and anybody's: one is taken when its extrinsic gave the event, which
only the worker's (for `open`, the client's) does, itself or by its proxy, and when its content is what was
signed or committed to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from proofward.chain import SubstrateClient
from proofward.chain.pallets import sessions
from proofward.chain.pallets.sessions import SessionRecord
from proofward.errors import NotFound
from proofward.protocol import ProtocolError, strict_json
from proofward.protocol.keys import verify_signature
from proofward.protocol.sessions import Checkpoint, depth, leaf, root_of, session_id

_MAX_RECEIPT = 4096


def opened(chain: SubstrateClient, session: bytes, since: int) -> SessionRecord:
    """A session as it was opened, which may have ended: in the first block from `since` on that opens it.
    Raises NotFound, ChainError.
    """
    head = chain.finalised_head().number
    for number in range(since, head + 1):
        block = chain.block_hash(number)
        if any(
            (one.pallet, one.name, one.fields.get("session")) == (sessions.PALLET, "Opened", session)
            for one in chain.events(block)
        ):
            if (record := sessions.get(chain, session, at=block)) is None:
                raise NotFound(f"the node no longer has the state of block {number}; ask an archive node")
            return record
    raise NotFound(f"no block from {since} to {head} opens session 0x{session.hex()}; give --since")


def opening_nonce(chain: SubstrateClient, block: bytes, record: SessionRecord) -> bytes:
    """The nonce by which the client's id of the session is. Raises NotFound, ChainError."""
    for args in _calls(chain, block, "open", "Opened", record):
        if session_id(record.client, bytes(args["nonce"])) == record.id:
            return bytes(args["nonce"])
    raise NotFound(f"the block that opened session 0x{record.id.hex()} has no such call any more")


def posted(
    chain: SubstrateClient, block: bytes, record: SessionRecord, number: int, total: int
) -> Mapping[str, Any]:
    """The arguments of checkpoint `number`, at `total` pages of the session, which both ends signed. Raises
    NotFound, ChainError.
    """
    for args in _calls(chain, block, "checkpoint", "Checkpointed", record, number=number):
        if (args["session"], args["number"], args["pages"]) != (record.id, number, total):
            continue
        said = Checkpoint(chain.genesis, record.id, number, bytes(args["root"]), total, args["records"])
        try:
            verify_signature(record.receipt_key, said.enclave_message(), bytes(args["signature"]))
            verify_signature(record.voucher_key, said.voucher_message(), bytes(args["voucher"]))
        except ProtocolError:
            continue
        return args
    raise NotFound(
        f"block 0x{block.hex()} has no checkpoint {number} of session 0x{record.id.hex()} that both ends "
        "signed; ask an archive node"
    )


def proved(
    chain: SubstrateClient,
    block: bytes,
    record: SessionRecord,
    window: tuple[int, int, int, bytes],
    page: int,
    good: Callable[[bytes, bytes, bytes], bool],
) -> Mapping[str, Any]:
    """A page as the worker proved it, below the root of its `window` (number, first page, pages, root): the
    first whose proof is `good` (of both commitments), since one extrinsic may hold calls that failed. Raises
    NotFound, ChainError.
    """
    number, first, pages, root = window
    for args in _calls(chain, block, "prove", "Proved", record, number=number):
        if (args["session"], args["number"]) != (record.id, number):
            continue
        for one in args["pages"]:
            if one["page"] != page or len(one["path"]) != depth(pages):
                continue
            about = bytes(one["input_commitment"]), bytes(one["output_commitment"])
            path = [bytes(node) for node in one["path"]]
            inside = root_of(leaf(record.id, page, *about), page - first, path) == root
            if inside and good(*about, bytes(one["proof"])):
                return dict(one)
    raise NotFound(f"block 0x{block.hex()} has no proof of page {page} that verifies; ask an archive node")


def _calls(
    chain: SubstrateClient, block: bytes, call: str, event: str, record: SessionRecord, **fields: int
) -> Iterator[Mapping[str, Any]]:
    wanted = {"session": record.id, **fields}
    gave = {
        one.extrinsic
        for one in chain.events(block)
        if (one.pallet, one.name) == (sessions.PALLET, event)
        and all(one.fields.get(name) == value for name, value in wanted.items())
    }
    for found in chain.find_calls(block, sessions.PALLET, call):
        if found.index in gave:
            yield found.args


def own_receipts(path: Path | None) -> dict[int, dict[str, Any]]:
    """One's own pages by number. A line that was cut off by a kill is left out; what an earlier version
    appended to one is read.
    """
    if path is None or not path.exists():
        return {}
    found: dict[int, dict[str, Any]] = {}
    for line in path.read_bytes().split(b"\n"):
        try:
            told = strict_json.loads(line[max(line.rfind(b'{"page"'), 0) :], limit=_MAX_RECEIPT)
            sizes = [
                len(bytes.fromhex(told[name]))
                for name in ("input_commitment", "output_commitment", "signature")
            ]
            if type(told["page"]) is int and sizes == [32, 32, 64]:
                found[told["page"]] = told
        except (ValueError, KeyError, TypeError):
            continue
    return found
