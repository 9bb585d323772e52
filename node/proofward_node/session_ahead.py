"""What clients may still have proved, when they like: pages that no posted window holds, and forced ones.

A page's proof falls due with the checkpoint that its client vouches for, and the client says when. So pages
of many blocks, of all sessions, can be drawn at once; they count as if they were until their window is seen
on the chain. Kept by session, so that a new connection forgets nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final

from proofward.chain.pallets.sessions import SessionRecord, WindowRecord
from proofward.protocol.sessions import MAX_SAMPLED, PARTS, most_pages, sampled
from proofward_node.session_pace import MAX_FORCED

FIRST_FRAME_PAGES: Final = 8
"""Pages that a session's first frame is thought to make; then it is the most that one of its frames made."""


@dataclass
class _Account:
    """One session: `pages` that nobody vouched for, one that is not full among them, and since which block
    some were seen; pages of the windows that are vouched for, by number; `total` and `records` of all that
    was vouched for.
    """

    record: SessionRecord
    total: int
    records: int
    pages: int = 0
    frame_pages: int = 0
    under_way: bool = False
    since: int | None = None
    vouched: dict[int, int] = field(default_factory=dict)

    def proofs(self) -> float:
        """That one common draw may pick: each of its windows is rounded up to whole proofs, and what is not
        vouched for may be two, the one that is proposed and the next, or more where all would be too many.
        """
        sample = self.record.sample
        loose = self.pages + ((self.frame_pages or FIRST_FRAME_PAGES) if self.under_way else 0)
        windows = 2 + loose // most_pages(sample)
        expected = min(loose, loose * sample / PARTS + windows) if self.pages else loose * sample / PARTS
        return expected + sum(sampled(pages, sample, MAX_SAMPLED) for pages in self.vouched.values())

    def forceable(self) -> int:
        most = most_pages(self.record.sample)
        loose = [most] * (self.pages // most) + [self.pages % most]
        windows = [*loose, *self.vouched.values()]
        return sum(
            min(MAX_FORCED, pages - sampled(pages, self.record.sample, MAX_SAMPLED))
            for pages in windows
            if pages
        )


class Ahead:
    """The pages of all sessions that no window on the chain holds."""

    def __init__(self) -> None:
        self._accounts: dict[bytes, _Account] = {}

    def __contains__(self, session: bytes) -> bool:
        return session in self._accounts

    @property
    def sessions(self) -> list[SessionRecord]:
        """Those of which there is something."""
        return [one.record for one in self._accounts.values() if one.pages or one.under_way or one.vouched]

    def _of(self, record: SessionRecord) -> _Account:
        found = self._accounts.setdefault(record.id, _Account(record, record.pages, record.records))
        found.record = record
        return found

    def begin(self, record: SessionRecord) -> None:
        """A frame of the session goes to the enclave, and may make pages."""
        self._of(record).under_way = True

    def end(self, record: SessionRecord) -> None:
        """It is answered, or lost."""
        self._of(record).under_way = False

    def made(self, record: SessionRecord, reply: Mapping[str, Any]) -> None:
        """What the enclave says behind a frame: `pages` it made, `unvouched` pages and `records` it has."""
        account = self._of(record)
        account.under_way = False
        account.frame_pages = max(account.frame_pages, reply["pages"])
        partly = reply["records"] > max(account.records, record.records)
        account.pages = reply["unvouched"] + partly

    def found(self, record: SessionRecord, unvouched: int, records: int) -> None:
        """What the enclave has of it when a client connects: an earlier process may have taken it."""
        account = self._of(record)
        partly = records > max(account.records, record.records)
        account.pages = max(account.pages, unvouched + partly)

    def vouched(self, record: SessionRecord, number: int, pages: int, records: int) -> None:
        """A checkpoint that both have signed, by the session's totals."""
        account = self._of(record)
        mine = max(1, pages - max(account.total, record.pages))
        account.total, account.records = max(account.total, pages), max(account.records, records)
        if number >= record.next:
            account.vouched.setdefault(number, mine)
        account.since = None

    def overdue(self, height: int, blocks: int) -> list[SessionRecord]:
        """Sessions whose clients let more than so many blocks go by without vouching for what there is."""
        found = []
        for account in self._accounts.values():
            if not account.pages:
                account.since = None
            elif account.since is None:
                account.since = height
            elif height - account.since > blocks:
                found.append(account.record)
        return found

    def drop(self, session: bytes) -> None:
        """What nobody vouched for of a session is gone."""
        if (account := self._accounts.get(session)) is not None:
            account.pages, account.under_way, account.since = 0, False, None

    def posted(self, record: SessionRecord) -> None:
        """The session's windows below `record.next` are known from the chain."""
        account = self._of(record)
        account.vouched = {number: one for number, one in account.vouched.items() if number >= record.next}

    def keep(self, sessions: Set[bytes]) -> None:
        """All others have ended."""
        self._accounts = {name: one for name, one in self._accounts.items() if name in sessions}

    def forget(self, session: bytes) -> None:
        """It has ended."""
        self._accounts.pop(session, None)

    def proofs(self) -> Counter[bytes]:
        """By model, of one common draw of all."""
        return self._sum((one.record.model, one.proofs()) for one in self._accounts.values())

    def forceable(self, open_windows: Iterable[tuple[SessionRecord, WindowRecord]]) -> Counter[bytes]:
        """By model, pages that clients may force in these windows and in those to come."""
        ahead = ((one.record.model, one.forceable()) for one in self._accounts.values())
        return self._sum((*ahead, *((record.model, _forceable(record, one)) for record, one in open_windows)))

    @staticmethod
    def _sum(some: Iterable[tuple[bytes, float]]) -> Counter[bytes]:
        found: Counter[bytes] = Counter()
        for model, proofs in some:
            found[model] += proofs  # type: ignore[assignment]  # proofs may be expected, not whole
        return found


def _forceable(record: SessionRecord, window: WindowRecord) -> int:
    forced = sum(1 for one in window.asked if one.fee > 0)
    to_pick = 0 if window.drawn is not None else sampled(window.pages, record.sample, MAX_SAMPLED)
    return max(0, min(MAX_FORCED - forced, window.pages - len(window.asked) - to_pick))
