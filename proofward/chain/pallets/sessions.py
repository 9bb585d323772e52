"""The sessions pallet: offers, sessions, their windows and proofs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from proofward.chain.client import SubstrateClient
from proofward.chain.pallets import _read
from proofward.chain.values import Call
from proofward.protocol.types import Level

PALLET: Final = "InferenceSessions"
MAX_PROVED: Final = 8
"""Pages that one `prove` takes (MAX_PROVED of the pallet)."""
MAX_WINDOWS: Final = 32
"""Windows of a session that may be open (MAX_WINDOWS of the pallet)."""
MAX_OPEN: Final = 256
"""Sessions of one worker that are read at once."""


@dataclass(frozen=True, slots=True)
class Terms:
    """`price` of an inference and `bond` of a session in the smallest unit; `capacity` sessions at once;
    `most_sampled` in millionths of the pages; `least_window` in blocks.
    """

    price: int
    bond: int
    capacity: int
    most_sampled: int
    least_window: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A worker's terms; `free` is how many more sessions it takes."""

    terms: Terms
    free: int
    deposit: int


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session that runs. Amounts are in the smallest unit, `sample` in millionths, blocks are numbers;
    windows `oldest` to `next` - 1 are open; `pages` and `records` are those of all checkpoints, `paid` the
    inferences that were paid.
    """

    id: bytes
    client: bytes
    worker: bytes
    model: bytes
    voucher_key: bytes
    receipt_key: bytes
    epoch: int
    level: Level
    min_level: Level
    price: int
    sample: int
    window: int
    opened_at: int
    end: int
    escrow: int
    owed: int
    bond: int
    deposit: int
    oldest: int
    next: int
    pages: int
    records: int
    paid: int

    @property
    def room(self) -> int:
        """Inferences that the escrow still pays for."""
        return (self.escrow - self.owed) // self.price


@dataclass(frozen=True, slots=True)
class Asked:
    """A page that a proof is owed of, or was; `fee` is 0 for a sampled one."""

    page: int
    fee: int
    proved: bool


@dataclass(frozen=True, slots=True)
class Drawn:
    """The beacon's word: `choices` are the values among which one block author could have chosen."""

    value: bytes
    choices: int


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """A window that waits for its end: pages `first` to `first + pages - 1`; proofs count until block `due`,
    the client may ask for pages until block `until`.
    """

    root: bytes
    first: int
    pages: int
    records: int
    value: int
    posted_at: int
    until: int
    due: int
    drawn: Drawn | None
    asked: tuple[Asked, ...]
    excused: bool

    @property
    def owed(self) -> tuple[int, ...]:
        """Pages that are still to be proved."""
        return tuple(one.page for one in self.asked if not one.proved)


@dataclass(frozen=True, slots=True)
class ProvedPage:
    """A page with what it takes to judge it."""

    page: int
    input_commitment: bytes
    output_commitment: bytes
    path: tuple[bytes, ...]
    proof: bytes


def get(client: SubstrateClient, session: bytes, at: bytes | None = None) -> SessionRecord | None:
    """A session that runs; None when it ended, or never was."""
    value = client.query(PALLET, "Sessions", session, at=at)
    return value and _session(session, value)


def of_worker(client: SubstrateClient, worker: bytes, at: bytes | None = None) -> list[SessionRecord]:
    """The sessions that a worker serves, `MAX_OPEN` at most."""
    block = at or client.finalised_head().hash
    ids = [session for _, session in client.keys(PALLET, "SessionsOf", worker, limit=MAX_OPEN, at=block)]
    found = _read.found(client, PALLET, "Sessions", {one: (one,) for one in ids}, block)
    return [_session(one, value) for one, value in found.items()]


def windows(
    client: SubstrateClient, session: SessionRecord, at: bytes | None = None
) -> dict[int, WindowRecord]:
    """The open windows of a session, by number."""
    keys = {number: (session.id, number) for number in range(session.oldest, session.next)}
    if not keys:
        return {}
    found = _read.found(client, PALLET, "Windows", keys, at)
    return {number: _window(value) for number, value in found.items()}


def latest_nonce(
    client: SubstrateClient, account: bytes, at: bytes | None = None
) -> tuple[bytes, int] | None:
    """A client's last nonce, which later ones must exceed, and what is held for it; None before the first."""
    value = client.query(PALLET, "Nonces", account, at=at)
    return None if value is None else (bytes(value[0]), int(value[1]))


def floor(client: SubstrateClient, model: bytes, at: bytes | None = None) -> int | None:
    """The publisher's least price of an inference; None when the model is not for sessions."""
    value = client.query(PALLET, "Floors", model, at=at)
    return None if value is None else int(value["price"])


def offer_of(client: SubstrateClient, model: bytes, worker: bytes, at: bytes | None = None) -> Offer | None:
    """A worker's offer of sessions of a model."""
    value = client.query(PALLET, "Offers", model, worker, at=at)
    return value and _offer(value)


def offers(
    client: SubstrateClient, model: bytes, limit: int = 64, at: bytes | None = None
) -> dict[bytes, Offer]:
    """Up to `limit` offers of sessions of a model, by worker."""
    block = at or client.finalised_head().hash
    accounts = [account for _, account in client.keys(PALLET, "Offers", model, limit=limit, at=block)]
    found = _read.found(client, PALLET, "Offers", {one: (model, one) for one in accounts}, block)
    return {one: _offer(value) for one, value in found.items()}


def _offer(value: dict[str, Any]) -> Offer:
    return _read.record(Offer, **{**value, "terms": _read.record(Terms, **value["terms"])})


def _session(session: bytes, value: dict[str, Any]) -> SessionRecord:
    levels = {name: _read.level(value[name]) for name in ("level", "min_level")}
    return _read.record(SessionRecord, id=session, **{**value, **levels})


def _window(value: dict[str, Any]) -> WindowRecord:
    drawn = value["drawn"]
    asked = tuple(_read.record(Asked, **one) for one in value["asked"])
    return _read.record(
        WindowRecord, **{**value, "drawn": drawn and _read.record(Drawn, **drawn), "asked": asked}
    )


def allow(model: bytes, price: int | None) -> Call:
    """As the publisher: take sessions of the model at `price` an inference at least; None: no new ones."""
    return Call(PALLET, "allow", {"model": model, "floor": price})


def offer(model: bytes, terms: Terms) -> Call:
    """Offer sessions of a model, in place of what was offered before."""
    fields = ("price", "bond", "capacity", "most_sampled", "least_window")
    return Call(PALLET, "offer", {"model": model, "terms": {name: getattr(terms, name) for name in fields}})


def withdraw(model: bytes) -> Call:
    """Offer no new sessions of a model."""
    return Call(PALLET, "withdraw", {"model": model})


def open_session(  # noqa: PLR0913 - the call's own, by keyword
    *,
    worker: bytes,
    model: bytes,
    nonce: bytes,
    voucher_key: bytes,
    epoch: int,
    max_price: int,
    escrow: int,
    sample: int,
    window: int,
    end: int,
    min_level: Level,
    allow_dev_setup: bool,
) -> Call:
    """Open a session with a worker that offers it."""
    return Call(
        PALLET,
        "open",
        {
            "worker": worker,
            "model": model,
            "nonce": nonce,
            "voucher_key": voucher_key,
            "epoch": epoch,
            "max_price": max_price,
            "escrow": escrow,
            "sample": sample,
            "window": window,
            "end": end,
            "min_level": min_level.name.capitalize(),
            "allow_dev_setup": allow_dev_setup,
        },
    )


def top_up(session: bytes, amount: int) -> Call:
    """Put more into escrow."""
    return Call(PALLET, "top_up", {"session": session, "amount": amount})


def close(session: bytes) -> Call:
    """End the serving now."""
    return Call(PALLET, "close", {"session": session})


def checkpoint(
    *, session: bytes, number: int, root: bytes, pages: int, records: int, signature: bytes, voucher: bytes
) -> Call:
    """Post what both ends have signed."""
    return Call(
        PALLET,
        "checkpoint",
        {
            "session": session,
            "number": number,
            "root": root,
            "pages": pages,
            "records": records,
            "signature": signature,
            "voucher": voucher,
        },
    )


def draw(session: bytes, number: int) -> Call:
    """Have the beacon pick a window's pages."""
    return Call(PALLET, "draw", {"session": session, "number": number})


def force(session: bytes, number: int, page: int) -> Call:
    """Have one more page of a window proved."""
    return Call(PALLET, "force", {"session": session, "number": number, "page": page})


def prove(session: bytes, number: int, pages: Sequence[ProvedPage]) -> Call:
    """Hand in proofs of pages of one window, up to `MAX_PROVED`."""
    listed = [
        {
            "page": page.page,
            "input_commitment": page.input_commitment,
            "output_commitment": page.output_commitment,
            "path": list(page.path),
            "proof": page.proof,
        }
        for page in pages
    ]
    return Call(PALLET, "prove", {"session": session, "number": number, "pages": listed})


def finish(session: bytes) -> Call:
    """End the oldest window, whose time is over."""
    return Call(PALLET, "finish", {"session": session})


def waive(session: bytes) -> Call:
    """As the worker: end a session whose pages are lost."""
    return Call(PALLET, "waive", {"session": session})


def settle(session: bytes) -> Call:
    """End a session after its time."""
    return Call(PALLET, "settle", {"session": session})


def report(
    *,
    receipt_key: bytes,
    session: bytes,
    page: int,
    first: bytes,
    first_signature: bytes,
    second: bytes,
    second_signature: bytes,
) -> Call:
    """Show that an enclave signed two different pages of one number."""
    return Call(
        PALLET,
        "report",
        {
            "receipt_key": receipt_key,
            "session": session,
            "page": page,
            "first": first,
            "first_signature": first_signature,
            "second": second,
            "second_signature": second_signature,
        },
    )
