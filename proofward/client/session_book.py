"""A session's client's own account of it, and the pages of the enclave that must be what it says.

Each page's commitments are made again here from one's own inputs and the answers, and a checkpoint's root
from these pages.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proofward.client.errors import SessionError
from proofward.client.session_calls import own_receipts
from proofward.client.session_double import double_page
from proofward.client.session_store import SessionSecrets, SessionStore, append_line
from proofward.errors import Refused
from proofward.files import write_whole
from proofward.protocol import ProtocolError
from proofward.protocol.keys import verify_signature
from proofward.protocol.session_frames import PageReceipt, Proposal, page_salt
from proofward.protocol.sessions import Checkpoint, Tree, leaf, most_pages, page_message
from proofward.zkml import PublicArtifact

Integers = NDArray[np.int64]

_SIDES: Final = ("input", "output")


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """A page of this window: its leaf, the record behind its last, and its inputs."""

    leaf: bytes
    end: int
    inputs: Integers


@dataclass(slots=True, repr=False)
class Book:
    """The client's own account of the session: rows from `first` on that no page holds yet, how many pages
    there are, those that no voucher covers, and those whose voucher the enclave did not say it has.
    """

    first: int
    inputs: Integers
    outputs: Integers
    pages: int
    open: list[Page] = field(default_factory=list)
    sent: list[Page] = field(default_factory=list)

    @property
    def told(self) -> int:
        """Behind the last record whose answer is known."""
        return self.first + len(self.outputs)


class Pages:
    """Looks at what an enclave says of a session's pages, and keeps what it signed. `first`: the page that no
    voucher covers.
    """

    def __init__(
        self, secrets: SessionSecrets, public: PublicArtifact, store: SessionStore, first: int
    ) -> None:
        self._session, self._genesis = bytes.fromhex(secrets.session), bytes.fromhex(secrets.genesis)
        self._secret, self._receipt_key = bytes.fromhex(secrets.secret), bytes.fromhex(secrets.receipt_key)
        self._public, self._most = public, most_pages(secrets.sample)
        self._file, self._double = store.pages(self._session), store.double(self._session)
        self._earlier = {
            page: leaf(self._session, page, *(bytes.fromhex(told[f"{side}_commitment"]) for side in _SIDES))
            for page, told in own_receipts(self._file).items()
            if page >= first
        }

    def take(self, book: Book, pages: Sequence[PageReceipt]) -> None:
        """Write pages into the book; what is good of them is on the disk when this ends: one write for all.

        Raises SessionError, ProtocolError (a signature).
        """
        lines: list[str] = []
        for page in pages:
            try:
                self._take(book, page)
            except (SessionError, ProtocolError):
                self._keep(lines)
                self._signed_twice(page)
                raise
            lines.append(json.dumps(receipt_of(page)))
        self._keep(lines)

    def checkpoint(self, book: Book, message: Proposal, number: int) -> tuple[Checkpoint, int]:
        """What a voucher for this proposal says, and how many of the book's open pages it covers; the
        checkpoint that is due has this number. Raises SessionError, ProtocolError.
        """
        count = message.total_pages - (book.pages - len(book.open))
        if count > self._most:
            raise SessionError(
                f"checkpoint {message.number} is of {count} pages, and the ordered share is sampled of "
                f"{self._most} at most; it is not vouched for",
                code="too-many-pages",
            )
        mine = book.open[: max(count, 0)]
        right = message.number == number and len(mine) == count > 0 and mine[-1].end == message.records
        if not right or Tree([page.leaf for page in mine]).root != message.root:
            raise SessionError(
                f"checkpoint {message.number} is not of the records that were asked; it is not vouched for",
                code="wrong-checkpoint",
            )
        said = Checkpoint(
            self._genesis, self._session, message.number, message.root, message.total_pages, message.records
        )
        verify_signature(self._receipt_key, said.enclave_message(), message.signature)
        return said, count

    def _take(self, book: Book, page: PageReceipt) -> None:
        """A page is what we sent and what we were told, or the session ends here."""
        if page.page != book.pages or page.first != book.first or not 0 < page.records <= len(book.outputs):
            raise SessionError("a page is not the next one", code="wrong-page")
        inputs, outputs = book.inputs[: page.records], book.outputs[: page.records]
        padded = self._public.pad(inputs)
        repeated = np.concatenate([outputs, np.repeat(outputs[-1:], len(padded) - page.records, axis=0)])
        salts = [page_salt(self._secret, self._session, side, page.page) for side in ("in", "out")]
        ours = self._public.commit_input(padded, salts[0]), self._public.commit_output(repeated, salts[1])
        if ours != (page.input_commitment, page.output_commitment):
            raise SessionError(
                f"page {page.page} does not hold what was asked and answered", code="wrong-page"
            )
        mark = leaf(self._session, page.page, *ours)
        verify_signature(
            self._receipt_key, page_message(self._genesis, self._session, page.page, mark), page.signature
        )
        if self._earlier.pop(page.page, mark) != mark:
            raise SessionError(f"page {page.page} is not what it was before", code="wrong-page")
        book.first, book.pages = book.first + page.records, book.pages + 1
        book.open.append(Page(mark, book.first, inputs))
        book.inputs, book.outputs = book.inputs[page.records :], book.outputs[page.records :]

    def _keep(self, lines: list[str]) -> None:
        if lines:
            append_line(self._file, "\n".join(lines))

    def _signed_twice(self, page: PageReceipt) -> None:
        """Keep both receipts where an earlier one of this number says something else."""
        before = own_receipts(self._file).get(page.page)
        if before is None:
            return
        found = double_page(
            self._genesis, self._session, self._receipt_key, page.page, before, receipt_of(page)
        )
        try:
            found.check()
        except Refused:
            return
        write_whole(self._double, found.model_dump_json().encode())
        raise SessionError(
            f"the enclave signed two pages {page.page}: `proofward session report {self._double}` costs "
            "its worker half of its stake",
            code="signed-twice",
        )


def receipt_of(page: PageReceipt) -> dict[str, Any]:
    """What the enclave signed of a page, as JSON."""
    return {
        "page": page.page,
        "first": page.first,
        "records": page.records,
        "input_commitment": page.input_commitment.hex(),
        "output_commitment": page.output_commitment.hex(),
        "signature": page.signature.hex(),
    }
