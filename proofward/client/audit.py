"""Export what a chain did, for an auditor's own files; and compare one again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from proofward.chain import SubstrateClient
from proofward.chain.pallets import KEPT
from proofward.chain.plain import plain
from proofward.check import Check
from proofward.errors import Refused
from proofward.evidence import audit_file
from proofward.evidence.audit_file import Manifest
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
) -> Manifest:
    """Write the finalised blocks from `first` to `last` (default: the head) with the events of our pallets.

    Raises Refused (no such range, or more than one export holds), AuditError, ChainError.
    """
    with SubstrateClient.connect(url) as client:
        head = client.finalised_head().number
        end = head if last is None else last
        if not 0 <= first <= end <= head:
            raise Refused(
                f"blocks {first} to {end} are no range of the finalised blocks 0 to {head}", code="usage"
            )
        if end - first >= audit_file.MAX_LINES:
            raise Refused(
                f"blocks {first} to {end} are more than the {audit_file.MAX_LINES:,} lines of one export, "
                f"and events are lines too: give --to {first + audit_file.MAX_LINES // 2 - 1}, and export "
                "the rest for itself",
                code="usage",
            )
        return audit_file.write(
            out,
            _lines(client, KEPT, first, end, progress),
            genesis=client.genesis,
            chain=client.chain_name,
            pallets=KEPT,
            first=first,
            last=end,
            head=client.block_hash(end),
        )


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
    lines = list(_lines(client, manifest.pallets, manifest.first, manifest.last, lambda line: None))
    changed = audit_file.differences(manifest.leaf_hashes(), lines)
    if changed:
        return Check("chain", False, f"the chain says otherwise: {changed[0]}, of {len(changed)}")
    where = f"blocks {manifest.first} to {manifest.last}"
    return Check("chain", True, f"{told}, {where} read again: the word of the node at {client.url}")


def _lines(
    client: SubstrateClient,
    pallets: Collection[str],
    first: int,
    last: int,
    progress: Callable[[str], None],
) -> Iterator[bytes]:
    for number in range(first, last + 1):
        name = client.block_hash(number)
        block = client.block(name)
        time = client.timestamp(name) if number else 0
        yield audit_file.line_of(
            {
                "kind": "block",
                "number": number,
                "hash": name.hex(),
                "parent": block.parent.hex(),
                "time": time,
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
        if (number - first) % _EVERY == _EVERY - 1:
            progress(f"block {number} of {last}")
