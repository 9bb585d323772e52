"""What a session is worth: how much was committed, sampled and proved, and what a cheater would have risked.

Read from the chain's events and calls; what cannot be checked is said so. The chances are hypergeometric:
`forged` of a window's pages, `sampled` of all drawn without replacement. Whoever makes the beacon's last
block chooses among `choices` values, and is taken to be the cheater.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, comb
from pathlib import Path
from typing import Any

from proofward.chain import SubstrateClient
from proofward.chain.pallets import sessions
from proofward.chain.pallets.sessions import SessionRecord
from proofward.client.session_calls import own_receipts, posted
from proofward.errors import NotFound
from proofward.protocol.sessions import MAX_SAMPLED, PARTS, Tree, leaf, most_pages, sample, sampled

SHARES = ("1 page", "10 pages", "1 %", "0.1 %")
"""How much a cheater forges of a window."""


def unseen(pages: int, forged: int, drawn: int, choices: int = 1) -> Fraction:
    """The chance that none of `forged` of `pages` is among `drawn`, by the best of `choices` draws: exact."""
    if forged <= 0:
        return Fraction(1)
    forged, drawn = min(forged, pages), min(drawn, pages)
    once = (
        Fraction(comb(pages - forged, drawn), comb(pages, drawn)) if pages - forged >= drawn else Fraction(0)
    )
    return 1 - (1 - once) ** max(choices, 1)


def forged_pages(pages: int, share: str) -> int:
    """How many pages of a window one of `SHARES` is, one at least."""
    number, unit = share.split()
    return max(1, ceil(pages * float(number) / 100)) if unit == "%" else min(int(number), pages)


@dataclass(frozen=True, slots=True)
class WindowAudit:
    """One window. `sampled`: pages that the beacon picks, as computed here from its value; `ours`: whether
    the tree is of one's own receipts, None where these are not here; `end`: paid, unpaid, failed, waived
    or open.
    """

    number: int
    pages: int
    records: int
    beacon: bytes | None
    choices: int
    sampled: tuple[int, ...]
    proved: tuple[int, ...]
    forced: tuple[int, ...]
    ours: bool | None
    end: str

    @property
    def unproved(self) -> tuple[int, ...]:
        """Sampled pages whose proof is not on the chain."""
        return tuple(sorted(set(self.sampled) - set(self.proved)))

    def unseen(self, share: str) -> Fraction:
        """The chance that so much forgery of this window stays unseen."""
        return unseen(self.pages, forged_pages(self.pages, share), len(self.sampled), self.choices)


@dataclass(frozen=True, slots=True)
class Ratio:
    """What a cheater that is seen loses over what it gains when it is not, the price of the forged pages.
    `loss`: one that waives as soon as the draw shows a forged page loses its window alone, and has a missed
    claim; `with_bond`: one that does not loses the bond too. Forging pays below `pays_below`.
    """

    loss: Fraction
    with_bond: Fraction
    pays_below: Fraction


@dataclass(frozen=True, slots=True)
class SessionAudit:
    """All windows of a session, and what stood behind them (smallest unit)."""

    session: bytes
    price: int
    bond: int
    windows: tuple[WindowAudit, ...]
    end: str
    notes: tuple[str, ...] = field(default=())

    @property
    def committed(self) -> int:
        """Inferences in checkpoints that both ends signed."""
        return sum(window.records for window in self.windows)

    @property
    def pages(self) -> int:
        """Their pages."""
        return sum(window.pages for window in self.windows)

    @property
    def proved(self) -> int:
        """Pages whose proofs the chain's contract accepted."""
        return sum(len(window.proved) for window in self.windows)

    def unseen(self, share: str) -> Fraction:
        """The chance that so much forgery in a window stays unseen, in the window where it is greatest."""
        drawn = [window.unseen(share) for window in self.windows if window.beacon is not None]
        return max(drawn, default=Fraction(1))

    def ratio(self, share: str) -> Ratio | None:
        """What forging so much risks in the window where it is most tempting; None where nothing was
        drawn.
        """
        best: Ratio | None = None
        for window in self.windows:
            if window.beacon is None or not window.records:
                continue
            chance = window.unseen(share)
            value = Fraction(self.price * window.records)
            gain = value * forged_pages(window.pages, share) / window.pages
            if chance == 1 or gain == 0:
                continue
            found = Ratio(value / gain, (self.bond + value) / gain, chance / (1 - chance))
            if best is None or found.loss - found.pays_below < best.loss - best.pays_below:
                best = found
        return best


def audit(
    chain: SubstrateClient,
    session: bytes,
    since: int,
    *,
    price: int,
    bond: int,
    rate: int,
    receipts: Path | None,
) -> SessionAudit:
    """Read a session's life from block `since` on. `receipts`: one's own pages, where they are.

    Raises NotFound when no block since then knows the session; ChainError.
    """
    head = chain.finalised_head().number
    found: dict[int, dict[str, Any]] = {}
    end = "open"
    notes: list[str] = []
    opened, covered = False, 0
    record: SessionRecord | None = None
    for block in range(since, head + 1):
        name = chain.block_hash(block)
        for event in chain.events(name):
            if event.pallet != sessions.PALLET or event.fields.get("session") != session:
                continue
            if event.name == "Opened":
                opened, record = True, sessions.get(chain, session, at=name)
            if event.name in ("Settled", "Failed", "Waived"):
                end = event.name.lower()
            _note(found, event.name, event.fields)
            if event.name == "Checkpointed":
                number, covered = event.fields["number"], covered + event.fields["pages"]
                found[number]["root"] = _root(chain, name, record, number, covered)
    if not opened:
        raise NotFound(f"no block from {since} to {head} opens session 0x{session.hex()}; give --since")
    leaves = _own_leaves(session, receipts)
    if not leaves:
        notes.append("not checked: that the trees are of your own records (your receipts are not here)")
    windows, first = [], 0
    for number in sorted(found):
        windows.append(_window(session, number, found[number], first, rate, leaves, end))
        first += found[number]["pages"]
    unknown = [str(window.number) for window in windows if window.ours is None]
    if leaves and unknown:
        notes.append(
            f"not checked: that the tree of window {', '.join(unknown)} is of your own records (receipts of "
            "its pages, or the checkpoint that both ends signed, are not to be had)"
        )
    notes += [_thin(window, rate) for window in windows if window.sampled and window.pages > most_pages(rate)]
    return SessionAudit(session, price, bond, tuple(windows), end, tuple(notes))


def _thin(window: WindowAudit, rate: int) -> str:
    picked = len(window.sampled)
    return (
        f"window {window.number}: {picked} of {window.pages:,} pages were sampled, "
        f"{picked / window.pages:.2%} and not the {rate / PARTS:.2%} that were ordered (a draw picks "
        f"{MAX_SAMPLED} at most)"
    )


def _note(found: dict[int, dict[str, Any]], name: str, fields: Mapping[str, Any]) -> None:
    if "number" not in fields:
        return
    entry = found.setdefault(
        fields["number"], {"pages": 0, "records": 0, "proved": [], "forced": [], "drawn": None, "end": None}
    )
    if name == "Checkpointed":
        entry |= {"pages": fields["pages"], "records": fields["records"]}
    elif name == "Drawn":
        entry["drawn"] = (fields["value"], fields["choices"])
    elif name == "Proved":
        entry["proved"] += fields["pages"]
    elif name == "Forced":
        entry["forced"].append(fields["page"])
    elif name == "Finished":
        entry["end"] = "paid" if fields["records"] else "unpaid"
    elif name == "Failed":
        entry["end"] = "failed"


def _root(
    chain: SubstrateClient, block: bytes, record: SessionRecord | None, number: int, total: int
) -> bytes | None:
    """What both ends signed; None where that is not to be had any more."""
    if record is None:
        return None
    try:
        return bytes(posted(chain, block, record, number, total)["root"])
    except NotFound:
        return None


def _window(
    session: bytes,
    number: int,
    entry: Mapping[str, Any],
    first: int,
    rate: int,
    leaves: Mapping[int, bytes],
    end: str,
) -> WindowAudit:
    drawn, pages = entry["drawn"], entry["pages"]
    picked: tuple[int, ...] = ()
    if drawn is not None:
        picked = tuple(first + at for at in sample(drawn[0], session, number, pages, sampled(pages, rate)))
    mine = [leaves[page] for page in range(first, first + pages) if page in leaves]
    root = entry.get("root")
    ours = Tree(mine).root == root if root is not None and len(mine) == pages and pages else None
    return WindowAudit(
        number=number,
        pages=pages,
        records=entry["records"],
        beacon=None if drawn is None else bytes(drawn[0]),
        choices=1 if drawn is None else int(drawn[1]),
        sampled=picked,
        proved=tuple(entry["proved"]),
        forced=tuple(entry["forced"]),
        ours=ours,
        end=entry["end"] or ("open" if end == "open" else end),
    )


def _own_leaves(session: bytes, receipts: Path | None) -> dict[int, bytes]:
    return {
        page: leaf(
            session, page, *(bytes.fromhex(told[f"{side}_commitment"]) for side in ("input", "output"))
        )
        for page, told in own_receipts(receipts).items()
    }
