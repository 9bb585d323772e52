"""Export what a chain did, for an auditor's own files; and compare one again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proofward.chain import SubstrateClient
from proofward.chain.pallets import KEPT
from proofward.chain.plain import plain
from proofward.check import Check
from proofward.errors import Refused
from proofward.evidence import audit_file
from proofward.evidence.audit_file import Manifest, Span
from proofward.evidence.verdict import Verdict

_EVERY: Final = 500
"""Blocks between two lines of progress."""


def export(
    url: str,
    out: Path,
    *,
    first: int,
    last: int | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Iterator[tuple[Path, Manifest]]:
    """Write the finalised blocks from `first` to `last` (default: the head) with the events of our pallets.

    Gives each file as it is written: one, or as many as the lines need (`audit_file.part_path`), each of
    whole blocks and with a manifest of its own. Raises Refused (no such range), AuditError, ChainError.
    """
    for part in (1, 2):
        audit_file.require_free(audit_file.part_path(out, part))
    with SubstrateClient.connect(url) as client:
        head = client.finalised_head().number
        end = head if last is None else last
        if not 0 <= first <= end <= head:
            raise Refused(
                f"blocks {first} to {end} are no range of the finalised blocks 0 to {head}", code="usage"
            )
        blocks, part, start = _Ahead(_blocks(client, KEPT, first, end, progress)), 0, first
        while blocks.next is not None:
            part += 1
            path, span = audit_file.part_path(out, part), Span(start, start, b"")
            lines = _fill(blocks, span)
            made = audit_file.write(
                path, lines, span, genesis=client.genesis, chain=client.chain_name, pallets=KEPT
            )
            start = span.last + 1
            yield path, made


@dataclass(frozen=True, slots=True)
class _BlockLines:
    number: int
    hash: bytes
    lines: tuple[bytes, ...]


class _Ahead:
    """Blocks, with the next one looked at before it is taken."""

    def __init__(self, blocks: Iterator[_BlockLines]) -> None:
        self._blocks = blocks
        self.next = next(blocks, None)

    def take(self) -> None:
        self.next = next(self._blocks, None)


def _fill(blocks: _Ahead, span: Span) -> Iterator[bytes]:
    """Lines of whole blocks, as many as one export holds."""
    room = audit_file.MAX_LINES
    while (block := blocks.next) is not None and (span.head == b"" or len(block.lines) <= room):
        span.last, span.head = block.number, block.hash
        room -= len(block.lines)
        yield from block.lines
        blocks.take()


def verify(path: Path, *, root: bytes | None = None, chain: str | None = None) -> Verdict:
    """Whether an export is whole; with `chain` each line is read again there.

    Raises AuditError, ChainError.
    """
    if chain is None:
        return audit_file.verify(path, root=root)
    manifest = audit_file.load_manifest(path)
    with SubstrateClient.connect(chain) as client:
        return audit_file.verify(path, root=root, chain=_on_chain(client, manifest))


def _on_chain(client: SubstrateClient, manifest: Manifest) -> Check:
    told = f"genesis 0x{manifest.genesis}"
    if client.genesis.hex() != manifest.genesis:
        return Check("chain", False, f"{told}, the node at {client.url} is of 0x{client.genesis.hex()}")
    if manifest.last > client.finalised_head().number:
        return Check("chain", False, f"block {manifest.last} is not finalised at {client.url}")
    found = client.block_hash(manifest.last).hex()
    if found != manifest.head:
        return Check(
            "chain", False, f"block {manifest.last} is 0x{found}, the manifest has 0x{manifest.head}"
        )
    blocks = _blocks(client, manifest.pallets, manifest.first, manifest.last, lambda line: None)
    lines = [line for block in blocks for line in block.lines]
    changed = audit_file.differences(manifest.leaf_hashes(), lines)
    if changed:
        return Check("chain", False, f"the chain says otherwise: {changed[0]}, of {len(changed)}")
    where = f"blocks {manifest.first} to {manifest.last}"
    return Check("chain", True, f"{told}, {where} read again: the word of the node at {client.url}")


def _blocks(
    client: SubstrateClient,
    pallets: Collection[str],
    first: int,
    last: int,
    progress: Callable[[str], None],
) -> Iterator[_BlockLines]:
    for number in range(first, last + 1):
        name = client.block_hash(number)
        yield _BlockLines(number, name, tuple(_lines(client, pallets, number, name)))
        if (number - first) % _EVERY == _EVERY - 1:
            progress(f"block {number} of {last}")


def _lines(client: SubstrateClient, pallets: Collection[str], number: int, name: bytes) -> Iterator[bytes]:
    block = client.block(name)
    yield audit_file.line_of(
        {
            "kind": "block",
            "number": number,
            "hash": name.hex(),
            "parent": block.parent.hex(),
            "time": client.timestamp(name) if number else 0,
            "extrinsics": len(block.extrinsics),
        }
    )
    for place, event in enumerate(client.events(name) if number else ()):
        if event.pallet in pallets:
            by = None if event.extrinsic is None else block.extrinsics[event.extrinsic]
            yield audit_file.line_of(
                {
                    "kind": "event",
                    "block": number,
                    "place": place,
                    "event": f"{event.pallet}.{event.name}",
                    "extrinsic": None if by is None else by.hash.hex(),
                    "signer": None if by is None or by.signer is None else by.signer.hex(),
                    "fields": plain(event.fields),
                }
            )
