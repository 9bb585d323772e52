"""An audit's export: lines of JSON, and a manifest that says what each line was.

The manifest holds the Merkle root of the lines (RFC 6962, section 2.1, SHA-256), and each line's leaf hash,
so that a file which was changed can be told line by line. The root, 32 bytes, is what to keep elsewhere.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from proofward.check import Check
from proofward.errors import ProofwardError
from proofward.evidence.bundle import load_as
from proofward.evidence.verdict import Verdict
from proofward.files import replacing, sibling, write_new
from proofward.protocol.hashes import sha256

FORMAT: Literal["proofward/audit/v1"] = "proofward/audit/v1"
MAX_LINES = 1_000_000
MAX_LINE_BYTES = 1 << 20
_MAX_MANIFEST = 64 * MAX_LINES + (1 << 16)
_TOLD = 20
_HASH = r"^[0-9a-f]{64}$"
_UNNAMED: Final = ("Attestation", "Jobs", "Models", "Workers")
"""The pallets of an export whose manifest names none."""


class AuditError(ProofwardError):
    """An audit's export or manifest cannot be read or written."""

    code = "bad-audit"


class Manifest(BaseModel):
    """Which blocks of which chain, and what every line was: `leaves` are the leaf hashes, one after the
    other; `head` is the hash of block `last`, `pallets` are those whose events it has.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["proofward/audit/v1"] = FORMAT
    genesis: str = Field(pattern=_HASH)
    chain: str = Field(max_length=128)
    pallets: tuple[Annotated[str, Field(max_length=64)], ...] = Field(default=_UNNAMED, max_length=64)
    first: int = Field(ge=0, lt=2**32)
    last: int = Field(ge=0, lt=2**32)
    head: str = Field(pattern=_HASH)
    lines: int = Field(ge=0, le=MAX_LINES)
    root: str = Field(pattern=_HASH)
    leaves: str = Field(pattern=r"^[0-9a-f]*$", max_length=64 * MAX_LINES)

    def leaf_hashes(self) -> list[bytes]:
        """One hash of 32 bytes a line. Raises AuditError."""
        data = bytes.fromhex(self.leaves)
        if len(data) != 32 * self.lines:
            raise AuditError(f"the manifest names {self.lines} lines, and has hashes of {len(data) / 32:g}")
        return [data[at : at + 32] for at in range(0, len(data), 32)]


def leaf(line: bytes) -> bytes:
    """The leaf hash of a line, without its line end."""
    return sha256(b"\x00" + line)


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962's tree head over leaf hashes, 32 bytes."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + merkle_root(leaves[:split]) + merkle_root(leaves[split:]))


def line_of(value: object) -> bytes:
    """One line, in the one encoding that an export has."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def manifest_path(path: Path) -> Path:
    """Where an export's manifest is: beside it."""
    return sibling(path, ".manifest.json")


def part_path(path: Path, part: int) -> Path:
    """Where a part of an export is, from 1: `a.jsonl`, `a.2.jsonl`, `a.3.jsonl`."""
    return path if part == 1 else path.with_name(f"{path.stem}.{part}{path.suffix}")


def require_free(path: Path) -> None:
    """Neither an export nor its manifest may be there. Raises AuditError."""
    for one in (path, manifest_path(path)):
        if one.exists():
            raise AuditError(f"{one} exists already; give another --out, or remove it first")


@dataclass(slots=True)
class Span:
    """Blocks `first` to `last`, whose hash is `head`: what gives the lines may move the end as it goes."""

    first: int
    last: int
    head: bytes


def write(
    path: Path,
    lines: Iterable[bytes],
    span: Span,
    *,
    genesis: bytes,
    chain: str,
    pallets: Collection[str] = _UNNAMED,
) -> Manifest:
    """Write an export and its manifest, whole or not at all; neither may be there. Raises AuditError."""
    name = manifest_path(path)
    require_free(path)
    leaves: list[bytes] = []
    try:
        with replacing(path, mode=0o666) as file:
            for line in lines:
                if len(leaves) == MAX_LINES:
                    raise AuditError(f"one block has more than {MAX_LINES} lines: no export holds it")
                leaves.append(leaf(line))
                file.write(line + b"\n")
        manifest = Manifest(
            genesis=genesis.hex(),
            chain=chain,
            pallets=tuple(sorted(pallets)),
            first=span.first,
            last=span.last,
            head=span.head.hex(),
            lines=len(leaves),
            root=merkle_root(leaves).hex(),
            leaves=b"".join(leaves).hex(),
        )
        try:
            write_new(name, manifest.model_dump_json(indent=1).encode(), mode=0o666)
        except BaseException:
            path.unlink()
            raise
    except OSError as error:
        raise AuditError(
            f"cannot write {error.filename or path}: {error.strerror}; give another --out"
        ) from error
    return manifest


def load_manifest(path: Path) -> Manifest:
    """The manifest beside an export. Raises AuditError."""
    return load_as(Manifest, manifest_path(path), called="manifest", most=_MAX_MANIFEST, error=AuditError)


def read_lines(path: Path) -> list[bytes]:
    """The lines of an export, bounded. Raises AuditError."""
    found: list[bytes] = []
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                if len(line) > MAX_LINE_BYTES or len(found) > 2 * MAX_LINES:
                    raise AuditError(f"{path} has too long a line, or too many: it is no audit's export")
                found.append(line.removesuffix(b"\n"))
    except OSError as error:
        raise AuditError(f"cannot read {path}: {error.strerror}") from error
    return found


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of a line. `number` is its number in the original, or in the file where it was added."""

    kind: Literal["edited", "dropped", "added", "reordered"]
    number: int

    def __str__(self) -> str:
        return f"line {self.number} was {self.kind}"


def differences(leaves: Sequence[bytes], lines: Sequence[bytes]) -> list[Difference]:
    """How the lines of a file differ from those that a manifest names, by number (from 1).

    The lines that can stand as they are form the longest rising run; others that are known were moved. One
    that is unknown, where another is missing, is that other one, edited.
    """
    numbers = {one: number for number, one in enumerate(leaves)}
    found = [numbers.get(leaf(line)) for line in lines]
    kept = _longest_rising([one for one in found if one is not None])
    seen: set[int] = set()
    moved: set[int] = set()
    gaps: list[tuple[int, list[int]]] = []  # before which kept line: places of unknown lines
    unknown: list[int] = []
    for place, number in enumerate(found):
        if number is not None and number in kept and number not in seen:
            gaps.append((number, unknown))
            unknown = []
        elif number is not None and number not in seen:
            moved.add(number)
        else:
            unknown.append(place)
        if number is not None:
            seen.add(number)
    gaps.append((len(leaves), unknown))
    return sorted(
        [*(Difference("reordered", number + 1) for number in moved), *_in_gaps(gaps, seen)],
        key=lambda one: (one.number, one.kind),
    )


def _in_gaps(gaps: Sequence[tuple[int, list[int]]], seen: set[int]) -> list[Difference]:
    found, start = [], 0
    for end, places in gaps:
        missing = [number for number in range(start, end) if number not in seen]
        pairs = min(len(missing), len(places))
        found += [Difference("edited", number + 1) for number in missing[:pairs]]
        found += [Difference("dropped", number + 1) for number in missing[pairs:]]
        found += [Difference("added", place + 1) for place in places[pairs:]]
        start = end + 1
    return found


def _longest_rising(numbers: Sequence[int]) -> set[int]:
    """The members of a longest strictly rising subsequence (Fredman 1975)."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int | None] = []
    for place, number in enumerate(numbers):
        at = bisect_left(ends, number)
        ends[at : at + 1] = [number]
        last[at : at + 1] = [place]
        before.append(last[at - 1] if at else None)
    kept: set[int] = set()
    place_: int | None = last[-1] if last else None
    while place_ is not None:
        kept.add(numbers[place_])
        place_ = before[place_]
    return kept


def verify(path: Path, *, root: bytes | None = None, chain: Check | None = None) -> Verdict:
    """Whether an export is what its manifest says. `root` pins the manifest; `chain` is a check of it against
    a chain, where one was asked. Raises AuditError for files that cannot be read.
    """
    manifest, lines = load_manifest(path), read_lines(path)
    leaves = manifest.leaf_hashes()
    whole = merkle_root(leaves).hex() == manifest.root
    checks = [
        Check(
            "manifest",
            whole,
            f"{manifest.lines} lines, root {manifest.root}"
            if whole
            else "its hashes of the lines do not give its own root: it was changed",
        )
    ]
    changed = differences(leaves, lines)
    told = "; ".join(map(str, changed[:_TOLD])) + (
        f"; and {len(changed) - _TOLD} more" if len(changed) > _TOLD else ""
    )
    checks.append(Check("lines", not changed, told or f"all {len(lines)} lines are those of the manifest"))
    if root is not None:
        same = manifest.root == root.hex()
        checks.append(Check("root", same, "as pinned" if same else f"it is not the pinned {root.hex()}"))
    if chain is not None:
        checks.append(chain)
    elif root is None:
        checks.append(
            Check(
                "chain",
                None,
                f"genesis 0x{manifest.genesis}: no root is pinned: give --root, or --chain",
            )
        )
    return Verdict(b"", (), tuple(checks))
