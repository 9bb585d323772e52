"""Collect a session's page from the chain and one's own receipts; nothing is concluded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proofward.chain import SubstrateClient
from proofward.chain.pallets import models, sessions, workers
from proofward.chain.pallets.sessions import SessionRecord
from proofward.chain.pallets.workers import WorkerRecord
from proofward.client.collect import model_part, setup_evidence, worker_part
from proofward.client.session_calls import opening_nonce, own_receipts, posted, proved
from proofward.errors import NotFound
from proofward.evidence.bundle import ChainPart
from proofward.evidence.page import BeaconPart, PageBundle, PagePart, SessionPart, WindowPart
from proofward.protocol.sessions import Tree, leaf
from proofward.zkml import PublicArtifact


@dataclass(slots=True)
class _Life:
    """A session's events up to a block, as far as they concern one page."""

    opened: int | None = None
    first: int = 0
    window: tuple[int, int, int] | None = None
    """Number, pages, and the block of the checkpoint that covers the page."""
    drawn: Mapping[str, Any] | None = None
    proved: int | None = None
    forced: bool = False
    counts: list[int] = field(default_factory=list)


def collect_page(
    chain: SubstrateClient,
    session: bytes,
    page: int,
    public: PublicArtifact,
    *,
    since: int,
    at: int | None = None,
    receipts: Path | None,
) -> PageBundle:
    """The bundle of a page as of block `at` (default: the finalised head). `receipts`: one's own pages, which
    a page that is not proved needs.

    Raises NotFound, ChainError.
    """
    last = chain.finalised_head().number if at is None else at
    life = _life(chain, session, page, since, last)
    if life.opened is None:
        raise NotFound(f"no block from {since} to {last} opens session 0x{session.hex()}; give --since")
    if life.window is None:
        raise NotFound(f"no checkpoint up to block {last} covers page {page} of session 0x{session.hex()}")
    opened = chain.block_hash(life.opened)
    record = sessions.get(chain, session, at=opened)
    model = None if record is None else models.get(chain, record.model, at=opened)
    if record is None or model is None:
        raise NotFound(f"the node no longer has the state of block {life.opened}; ask an archive node")
    number, pages, block = life.window
    checkpoint = posted(chain, chain.block_hash(block), record, number, life.first + pages)
    mine = own_receipts(receipts)
    window = (number, life.first, pages, bytes(checkpoint["root"]))
    found = _proved(chain, life.proved, record, window, page, public) if life.proved is not None else None
    return PageBundle(
        chain=ChainPart(genesis=chain.genesis, name=chain.chain_name, type=chain.chain_type),
        session=_session(chain, record, opened),
        page=found.model_copy(update={"signature": _signature(mine, page)})
        if found is not None
        else _committed(session, mine, page, life.first, pages),
        window=WindowPart(
            number=number,
            first=life.first,
            pages=pages,
            records=checkpoint["records"],
            root=checkpoint["root"],
            signature=checkpoint["signature"],
            voucher=checkpoint["voucher"],
            block=block,
        ),
        beacon=None
        if life.drawn is None
        else BeaconPart(value=life.drawn["value"], choices=life.drawn["choices"]),
        forced=life.forced,
        at=last,
        model=model_part(chain, model, public, life.opened),
        worker=worker_part(chain, _worker(chain, record, opened)),
        setup=model.setup.encode(),
        setup_evidence=setup_evidence(chain, model),
    )


def _life(chain: SubstrateClient, session: bytes, page: int, since: int, last: int) -> _Life:
    life, covered = _Life(), 0
    for block in range(since, last + 1):
        for event in chain.events(chain.block_hash(block)):
            told = event.fields
            if event.pallet != sessions.PALLET or told.get("session") != session:
                continue
            ours = life.window is not None and told.get("number") == life.window[0]
            if event.name == "Opened":
                life.opened = block
            elif event.name == "Checkpointed" and life.window is None:
                if page < covered + told["pages"]:
                    life.window, life.first = (told["number"], told["pages"], block), covered
                covered += told["pages"]
            elif event.name == "Drawn" and ours:
                life.drawn = told
            elif event.name == "Proved" and page in told["pages"]:
                life.proved = block
            elif event.name == "Forced" and told["page"] == page:
                life.forced = True
    return life


def _session(chain: SubstrateClient, record: SessionRecord, opened: bytes) -> SessionPart:
    return SessionPart(
        id=record.id,
        client=record.client,
        nonce=opening_nonce(chain, opened, record),
        worker=record.worker,
        model=record.model,
        voucher_key=record.voucher_key,
        receipt_key=record.receipt_key,
        epoch=record.epoch,
        level=record.level.label,
        min_level=record.min_level.label,
        sample=record.sample,
    )


def _worker(chain: SubstrateClient, record: SessionRecord, opened: bytes) -> WorkerRecord:
    """The registration of the session's epoch: the one in force when it was opened, or the one before."""
    newest = workers.get(chain, record.worker, at=opened)
    if newest is not None and newest.epoch != record.epoch:
        newest = workers.get(chain, record.worker, at=chain.block_hash(newest.registered_at - 1)) or newest
    if newest is None:
        raise NotFound("the chain no longer has the worker's registration; ask an archive node")
    return newest


def _proved(
    chain: SubstrateClient,
    block: int,
    record: SessionRecord,
    window: tuple[int, int, int, bytes],
    page: int,
    public: PublicArtifact,
) -> PagePart:
    one = proved(chain, chain.block_hash(block), record, window, page, public.verify)
    return PagePart(
        number=page,
        input_commitment=one["input_commitment"],
        output_commitment=one["output_commitment"],
        path=list(one["path"]),
        proof=one["proof"],
    )


def _signature(mine: Mapping[int, Mapping[str, Any]], page: int) -> bytes | None:
    return bytes.fromhex(mine[page]["signature"]) if page in mine else None


def _committed(
    session: bytes, mine: Mapping[int, Mapping[str, Any]], page: int, first: int, pages: int
) -> PagePart:
    """A page that is not proved, by the receipts of its whole window."""
    if missing := [one for one in range(first, first + pages) if one not in mine]:
        raise NotFound(
            f"page {page} is not proved, and the receipts of {len(missing)} pages of its window are not "
            "here; its client has them"
        )
    both = {
        one: tuple(bytes.fromhex(mine[one][f"{side}_commitment"]) for side in ("input", "output"))
        for one in range(first, first + pages)
    }
    tree = Tree([leaf(session, one, *commitments) for one, commitments in both.items()])
    return PagePart(
        number=page,
        input_commitment=both[page][0],
        output_commitment=both[page][1],
        path=tree.path(page - first),
        signature=_signature(mine, page),
    )
