"""Opening sessions: whom to ask, on what terms, and what the chain says of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from proofward.amounts import UNIT
from proofward.attestation import AttestationError
from proofward.chain import Call, Inclusion, SubstrateClient
from proofward.chain.extrinsic import Signer
from proofward.chain.pallets import sessions
from proofward.chain.pallets.models import ModelRecord
from proofward.chain.pallets.sessions import Offer, SessionRecord
from proofward.client.ids import hash32
from proofward.client.job import Demand
from proofward.client.session import Persist, Session
from proofward.client.session_calls import opened
from proofward.client.session_connection import no_address
from proofward.client.session_pace import look_at_pace
from proofward.client.session_page import collect_page
from proofward.client.session_store import SessionSecrets, SessionStore
from proofward.client.workers import Choice
from proofward.errors import NotFound, Refused
from proofward.evidence.page import PageBundle
from proofward.protocol import SYSTEM_RANDOM, Level
from proofward.protocol.keys import ReceiptKey
from proofward.protocol.sessions import PARTS, session_id
from proofward.zkml import PublicArtifact

DEFAULT_RECORDS = 10_000
"""Inferences that the escrow pays for when the caller says nothing."""
DEFAULT_SAMPLE = 0.01
DEFAULT_WINDOW_BLOCKS = 120
DEFAULT_BLOCKS = 3_600


@dataclass(frozen=True, slots=True)
class SessionOrder:
    """What a client wants: `escrow` in the smallest unit (None: what `records` inferences cost), `sample` a
    share of the pages, `window_blocks` for proofs, `blocks` of serving, `max_price` of an inference, `rate`
    in records a second, below which the window is refused.
    """

    escrow: int | None = None
    records: int = DEFAULT_RECORDS
    sample: float = DEFAULT_SAMPLE
    window_blocks: int = DEFAULT_WINDOW_BLOCKS
    blocks: int = DEFAULT_BLOCKS
    max_price: int | None = None
    rate: float | None = None
    worker: bytes | None = None
    min_level: Level | None = None
    allow_dev_setup: bool | None = None


class Client(Protocol):
    """What is needed of `proofward.Client`."""

    chain: SubstrateClient
    state: Path
    development: bool

    @property
    def account(self) -> bytes:
        """The signer's account."""

    @property
    def min_level(self) -> Level:
        """The default least level."""

    def model(self, which: str | bytes) -> ModelRecord:
        """A model's record."""
        ...

    def open_model(
        self, which: str | bytes, artifact: str | Path | None, demand: Demand
    ) -> tuple[ModelRecord, PublicArtifact, Path]:
        """A model that takes such work, with its artefact."""
        ...

    def honest_artifact(
        self, record: ModelRecord, artifact: str | Path | None
    ) -> tuple[PublicArtifact, Path]:
        """A model's public artefact."""
        ...

    def choose_workers(self, model: bytes, demand: Demand, wanted: Sequence[bytes] | int) -> list[Choice]:
        """Workers that something may be sealed to."""
        ...

    def require_key(self, worker: bytes, hpke_key: bytes) -> None:
        """Whether something may be sealed to this key of a worker's."""

    @property
    def signer(self) -> Signer:
        """Who signs."""

    def send(self, key: str, call: Call) -> Inclusion:
        """Make a call happen once."""
        ...


def session_store(client: Client) -> SessionStore:
    """Where the secrets of the client's sessions are."""
    return SessionStore(client.state, client.chain.genesis)


def open_session(
    client: Client,
    model: str | bytes,
    order: SessionOrder,
    artifact: str | Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> SessionRecord:
    """Open a session with a worker that offers one; returns when that is final. `tell` hears of a window that
    holds it up.

    Raises Refused (`bond-lowered`: it is closed), NotFound, NotHiding, DispatchError, ChainError.
    """
    if not 0 < order.sample <= 1:
        raise Refused(f"a share of the pages is sampled, above 0 and up to 1, not {order.sample:g}")
    demand = Demand(
        client.min_level if order.min_level is None else order.min_level,
        client.development if order.allow_dev_setup is None else order.allow_dev_setup,
        None,
    )
    account = client.account
    found, _, folder = client.open_model(model, artifact, demand)
    sample = max(1, round(order.sample * PARTS))
    choice, offer = _worker(client, found.id, order, demand, sample)
    record = choice.record
    window = max(order.window_blocks, offer.terms.least_window)
    look_at_pace(record.endpoint, found.id, sample, window, order.rate, tell)
    latest = sessions.latest_nonce(client.chain, account)
    nonce = nonce_after(latest and latest[0])
    secret, seed = SYSTEM_RANDOM(32), SYSTEM_RANDOM(32)
    name = session_id(account, nonce)
    price = offer.terms.price
    escrow = price * order.records if order.escrow is None else order.escrow
    escrow = max(escrow, int(client.chain.constant(sessions.PALLET, "MinEscrow")))
    session_store(client).save(
        SessionSecrets(
            genesis=client.chain.genesis.hex(),
            session=name.hex(),
            client=account.hex(),
            worker=record.account.hex(),
            model=found.id.hex(),
            manifest_hash=found.manifest_hash.hex(),
            secret=secret.hex(),
            voucher_seed=seed.hex(),
            hpke_key=record.hpke_key.hex(),
            receipt_key=record.receipt_key.hex(),
            epoch=record.epoch,
            endpoint=record.endpoint,
            price=price,
            sample=sample,
            bond=offer.terms.bond,
            since=client.chain.finalised_head().number,
            artifact=str(folder),
        )
    )
    call = sessions.open_session(
        worker=record.account,
        model=found.id,
        nonce=nonce,
        voucher_key=ReceiptKey(seed).public,
        epoch=record.epoch,
        max_price=price,
        escrow=escrow,
        sample=sample,
        window=window,
        end=client.chain.finalised_head().number + order.blocks,
        min_level=demand.min_level,
        allow_dev_setup=demand.dev_setup,
    )
    client.send(f"session:{name.hex()}:open", call)
    return _backed(client, session(client, name), offer.terms.bond)


def _backed(client: Client, begun: SessionRecord, bond: int) -> SessionRecord:
    """A session behind which as much stands as was offered when its worker was chosen. Closes it and raises
    Refused where the worker offered less before the opening was in a block: the call names no bond.
    """
    if begun.bond < bond:
        close_session(client, begun.id)
        raise Refused(
            f"the worker lowered its bond from {bond / UNIT:g} to {begun.bond / UNIT:g} UNIT while the "
            "session was opened: it is closed, and its escrow comes back by `proofward session settle`",
            code="bond-lowered",
        )
    return begun


def nonce_after(latest: bytes | None) -> bytes:
    """32 bytes above an account's nonces so far: nanoseconds of Unix time, u64 BE, then random ones; the next
    number where the last nonce is ahead of this clock. Raises Refused: it is ahead of every clock.
    """
    fresh = time.time_ns().to_bytes(8, "big") + SYSTEM_RANDOM(24)
    if latest is None or fresh > latest:
        return fresh
    if latest[0] & 0x80:  # of the year 2262; behind the greatest nonce the account has no session ever again
        raise Refused(
            "the node says that this account's last session had a nonce that no clock gives, and one above "
            "it could be the account's last: ask another node, or use another account",
            code="no-clocks-nonce",
        )
    return (int.from_bytes(latest, "big") + 1).to_bytes(32, "big")


def session(client: Client, name: bytes) -> SessionRecord:
    """A session that runs. Raises NotFound."""
    record = sessions.get(client.chain, name)
    if record is None:
        raise NotFound(
            f"the chain has no session 0x{name.hex()} now: it ended, or never was; `proofward session audit` "
            "says what became of one of your own, and with --since of anybody's"
        )
    return record


def connect_session(
    client: Client,
    name: bytes,
    *,
    artifact: str | Path | None = None,
    persist: Persist | None = None,
    close_on_exit: bool = False,
) -> Session:
    """Connect to a session of one's own that runs. Raises NotFound, Refused, SessionError."""
    told = session_store(client).load(name)
    client.require_key(bytes.fromhex(told.worker), bytes.fromhex(told.hpke_key))
    found = client.model(session(client, name).model)
    public, _ = client.honest_artifact(found, artifact or _folder(told))
    ending = (lambda: close_session(client, name)) if close_on_exit else None
    return Session(told, public, session_store(client), persist=persist, ending=ending)


def _mine(client: Client, name: bytes, since: int | None) -> tuple[SessionSecrets | None, int]:
    """What is kept of a session of one's own, and from which block on to look; of somebody else's nothing,
    and the block must be given. Raises NotFound.
    """
    try:
        told = session_store(client).load(name)
    except NotFound as error:
        if since is None:
            raise NotFound(f"{error.message}; of anybody's session give --since") from error
        return None, since
    return told, told.since if since is None else since


def _anybodys(client: Client, name: bytes, since: int) -> SessionRecord:
    """A session that runs, or ran: on what terms it was opened. Raises NotFound, ChainError."""
    return sessions.get(client.chain, name) or opened(client.chain, name, since)


def audit_terms(client: Client, which: str, since: int | None) -> dict[str, Any]:
    """What `session_audit.audit` needs of a session of one's own, or with `since` of anybody's. Raises
    NotFound, ChainError.
    """
    name = hash32(which, "session")
    told, begin = _mine(client, name, since)
    if told is None:
        record = _anybodys(client, name, begin)
        price, bond, rate, receipts = record.price, record.bond, record.sample, None
    else:
        price, bond, rate, receipts = told.price, told.bond, told.sample, session_store(client).pages(name)
    return {
        "session": name, "since": begin, "price": price, "bond": bond, "rate": rate, "receipts": receipts,
    }  # fmt: skip


def page_bundle(
    client: Client,
    which: str,
    page: int,
    *,
    artifact: str | Path | None = None,
    at: int | None = None,
    since: int | None = None,
) -> PageBundle:
    """The evidence of a page of a session: one's own, or with `since` anybody's whose page is proved. Raises
    NotFound, Refused, ChainError.
    """
    name = hash32(which, "session")
    told, begin = _mine(client, name, since)
    if told is None:
        model, receipts, folder = _anybodys(client, name, begin).model, None, None
    else:
        model, receipts, folder = bytes.fromhex(told.model), session_store(client).pages(name), _folder(told)
    public, _ = client.honest_artifact(client.model(model), artifact or folder)
    return collect_page(client.chain, name, page, public, since=begin, at=at, receipts=receipts)


def close_session(client: Client, name: bytes) -> None:
    """End the serving of a session; what was served is proved and paid. No error when it has ended."""
    record = sessions.get(client.chain, name)
    if record is not None and record.end > client.chain.finalised_head().number:
        client.send(f"session:{name.hex()}:close", sessions.close(name))


def top_up_session(client: Client, name: bytes, amount: int) -> SessionRecord:
    """Put more of one's own into a session's escrow; returns the session as it is then. A session that ended
    with `escrow-exhausted` goes on when it is connected to again. Raises NotFound, DispatchError, ChainError.
    """
    if amount <= 0:
        raise Refused(f"a session is topped up by more than nothing, not by {amount}")
    session(client, name)
    client.chain.submit(sessions.top_up(name, amount), client.signer)
    return session(client, name)


def _folder(told: SessionSecrets) -> str | None:
    return told.artifact if told.artifact is not None and Path(told.artifact).is_dir() else None


def _worker(
    client: Client, model: bytes, order: SessionOrder, demand: Demand, sample: int
) -> tuple[Choice, Offer]:
    """The cheapest worker whose offer and registration take this order. Raises Refused."""
    found = sessions.offers(client.chain, model)
    if order.worker is not None:
        found = {account: offer for account, offer in found.items() if account == order.worker}
    reasons = []
    for account, offer in sorted(found.items(), key=lambda one: one[1].terms.price):
        reason = _obstacle(offer, order, sample)
        if reason is None:
            try:
                choice = client.choose_workers(model, demand, [account])[0]
            except (Refused, NotFound, AttestationError) as error:
                reason = error.message
            else:
                reason = no_address(choice.record.endpoint)
                if reason is None:
                    return choice, offer
        reasons.append(reason)
    why = "; ".join(reasons[:8]) or "no worker offers sessions of this model"
    raise Refused(f"no worker can take this session: {why}", code="no-worker")


def _obstacle(offer: Offer, order: SessionOrder, sample: int) -> str | None:
    terms = offer.terms
    if not offer.free:
        return "all sessions of a worker are taken"
    if order.max_price is not None and terms.price > order.max_price:
        return f"a worker asks for {terms.price / UNIT:g} UNIT an inference"
    if sample > terms.most_sampled:
        return f"a worker takes at most {terms.most_sampled / PARTS:.2%} of the pages sampled"
    return None
