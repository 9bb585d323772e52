"""A session's page in one file, for somebody who was not there and has no chain at hand.

What both ends signed, where the page lies in what they signed, what the beacon picked, and the proof if there
is one. Nothing in it is believed: `verify_page` recomputes all of it, and says what the page is worth:
committed, sampled or proved. What it cannot show is that the chain holds it, what the beacon gave, whose key
signed the voucher, and, without a proof, of which model the session was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from proofward.check import Check, said
from proofward.evidence.bundle import (
    BlockNumber,
    ChainPart,
    Hash,
    LevelName,
    ModelPart,
    SetupBytes,
    SetupPart,
    Short,
    Signature,
    WorkerPart,
    _Part,
    load_as,
)
from proofward.evidence.model import contract_checks, model_checks, proof_check
from proofward.evidence.policy import Policy
from proofward.evidence.setup import setup_checks
from proofward.evidence.verdict import Verdict
from proofward.evidence.verify import chain_checks, flags_of, worker_checks
from proofward.protocol import Level, ProtocolError
from proofward.protocol.keys import verify_signature
from proofward.protocol.sessions import (
    MAX_PAGES,
    MAX_PATH,
    PARTS,
    Checkpoint,
    depth,
    leaf,
    page_message,
    root_of,
    sample,
    sampled,
    session_id,
)

FORMAT: Final = "proofward/page-bundle/v1"


class SessionPart(_Part):
    """The session as it was opened; `sample` in millionths of the pages, `nonce` the client's for its id."""

    id: Hash
    client: Hash
    nonce: Hash
    worker: Hash
    model: Hash
    voucher_key: Hash
    receipt_key: Hash
    epoch: BlockNumber
    level: LevelName
    min_level: LevelName
    sample: int = Field(ge=1, le=PARTS)


class PagePart(_Part):
    """The page; `path` are the siblings on its way to the window's root, `signature` the enclave's over its
    leaf, None where nobody kept it.
    """

    number: BlockNumber
    input_commitment: Hash
    output_commitment: Hash
    path: list[Hash] = Field(max_length=MAX_PATH)
    signature: Signature | None = None
    proof: Short | None = None


class WindowPart(_Part):
    """The checkpoint that covers it: pages `first` to `first + pages - 1`, `records` of the whole session."""

    number: BlockNumber
    first: BlockNumber
    pages: int = Field(ge=1, le=MAX_PAGES)
    records: int = Field(ge=1, lt=2**64)
    root: Hash
    signature: Signature
    voucher: Signature
    block: BlockNumber


class BeaconPart(_Part):
    """What the chain's beacon gave for the window, among how many values one author could choose."""

    value: Hash
    choices: int = Field(ge=1, lt=2**32)


class PageBundle(_Part):
    """The whole file. `forced`: the client asked for the page itself; `at`: the last block that was read."""

    format: Literal["proofward/page-bundle/v1"] = FORMAT
    chain: ChainPart
    session: SessionPart
    page: PagePart
    window: WindowPart
    beacon: BeaconPart | None = None
    forced: bool = False
    at: BlockNumber
    model: ModelPart
    worker: WorkerPart
    setup: SetupBytes
    setup_evidence: SetupPart | None = None

    @property
    def picked(self) -> bool | None:
        """Whether the beacon's value picks the page, None before it was known."""
        window = self.window
        if self.beacon is None:
            return None
        count = sampled(window.pages, self.session.sample)
        places = sample(self.beacon.value, self.session.id, window.number, window.pages, count)
        return self.page.number - window.first in places

    @property
    def status(self) -> str:
        """`committed`, `sampled` or `proved`: what can be said of the page's records by this file."""
        if self.page.proof is not None:
            return "proved"
        return "sampled" if self.picked else "committed"


def verify_page(bundle: PageBundle, policy: Policy | None = None) -> Verdict:
    """Check everything that a page's bundle claims. Never raises for bad evidence: a check fails."""
    policy = policy or Policy()
    public, checks_of_model = model_checks(bundle.model, bundle.session.model)
    page, session = bundle.page, bundle.session
    checks = [
        *chain_checks(bundle.chain, policy),
        *checks_of_model,
        *worker_checks(session.worker, bundle.worker, bundle.chain.genesis, policy),
        *_session(bundle, policy),
        *_tree(bundle, policy),
        *_beacon(bundle, policy),
        *contract_checks(bundle.model, policy),
        *setup_checks(
            bundle.setup,
            bundle.setup_evidence,
            model=bundle.model,
            public=public,
            genesis=bundle.chain.genesis,
            policy=policy,
            certificate=policy.certified.get(session.model),
        ),
        _chain_holds(policy),
    ]
    if page.proof is not None:
        checks.append(proof_check(public, page.input_commitment, page.output_commitment, page.proof))
    told = {
        "committed": "the enclave's word for this model, under its signature; nobody has proved it",
        "sampled": "the beacon picked it; the proof is owed and not here",
        "proved": "whoever signed what: the model leads from this input to this output",
    }[bundle.status]
    checks.append(Check("worth", True, f"{bundle.status}: {told}", required=False))
    flags = flags_of(bundle.model.lane, bundle.worker.level, bundle.setup)
    return Verdict(session.id, (bundle.status, *flags), tuple(checks))


def _session(bundle: PageBundle, policy: Policy) -> list[Check]:
    session, worker = bundle.session, bundle.worker
    mine = session_id(session.client, session.nonce) == session.id
    keys = (session.receipt_key, session.epoch) == (worker.receipt_key, worker.epoch)
    level, least = Level.from_label(session.level), Level.from_label(session.min_level)
    good = level >= least and level >= policy.min_level
    told = f"{level.label}, at least {least.label} was asked for"
    if session.level != worker.level:
        good, told = False, f"{level.label}, where the worker is {worker.level}"
    return [
        Check("session", mine, f"0x{session.id.hex()} of client 0x{session.client.hex()}"),
        # an id is of client and nonce, and what the enclave signs names the id alone
        said("session's model", f"0x{session.model.hex()}: {policy.witness}"),
        Check("session key", keys, "the one that the quote binds" if keys else "not the quote's"),
        Check("level", good, told if good else f"{told}; refused without --dev"),
    ]


def _tree(bundle: PageBundle, policy: Policy) -> list[Check]:
    """Page, path, checkpoint and voucher. Whose key the voucher's is, only the chain knows."""
    genesis, session = bundle.chain.genesis, bundle.session
    page, window = bundle.page, bundle.window
    if window.first + window.pages >= 1 << 32:
        return [Check("page", False, "the window's pages are more than a session can number")]
    mark = leaf(session.id, page.number, page.input_commitment, page.output_commitment)
    place = page.number - window.first
    inside = (
        0 <= place < window.pages
        and len(page.path) == depth(window.pages)
        and root_of(mark, place, page.path) == window.root
    )
    statement = Checkpoint(
        genesis, session.id, window.number, window.root, window.first + window.pages, window.records
    )
    voucher = _signed("voucher", session.voucher_key, statement.voucher_message(), window.voucher)
    if voucher.ok:
        voucher = said("voucher", f"{voucher.detail}; that this is the client's key: {policy.witness}")
    of_page = page_message(genesis, session.id, page.number, mark)
    checks = [
        Check("page", inside, f"{page.number}, leaf {place} of {window.pages} below 0x{window.root.hex()}"),
        _signed("checkpoint", session.receipt_key, statement.enclave_message(), window.signature),
        voucher,
    ]
    if page.signature is None:
        return [*checks, said("page receipt", "nobody kept it; the checkpoint covers the page")]
    return [*checks, _signed("page receipt", session.receipt_key, of_page, page.signature)]


def _signed(name: str, key: bytes, message: bytes, signature: bytes) -> Check:
    try:
        verify_signature(key, message, signature)
    except ProtocolError as error:
        return Check(name, False, error.message)
    return Check(name, True, f"signed by 0x{key.hex()}")


def _beacon(bundle: PageBundle, policy: Policy) -> list[Check]:
    asked = [said("forced", f"the client asked for this page: {policy.witness}")] if bundle.forced else []
    if bundle.beacon is None:
        return [*asked, said("beacon", f"not drawn by block {bundle.at}")]
    picks = "picks this page" if bundle.picked else "picks other pages"
    told = f"0x{bundle.beacon.value.hex()}, one of {bundle.beacon.choices}: {policy.witness}; it {picks}"
    return [*asked, said("beacon", told)]


def _chain_holds(policy: Policy) -> Check:
    told = "a page's bundle proves nothing of the chain's state; `proofward session audit` reads the chain"
    return Check("inclusion", None, told) if policy.authorities else said("inclusion", told)


def load_page(path: Path) -> PageBundle:
    """Read a page's bundle, bounded and strict. Raises BundleError."""
    return load_as(PageBundle, path)
