"""A session's page in one file: the site's verifier against the library's, and offline in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from proofward.attestation import parse_quote
from proofward.evidence.bundle import ModelPart, QuotePart, WorkerPart
from proofward.evidence.page import (
    BeaconPart,
    PageBundle,
    PagePart,
    SessionPart,
    WindowPart,
    verify_page,
)
from proofward.evidence.policy import Policy
from proofward.protocol import (
    DEV_SETUP,
    HpkePrivateKey,
    HpkeSuite,
    ReceiptKey,
    sha256,
    worker_report_data,
)
from proofward.protocol.sessions import Checkpoint, Tree, leaf, page_message, sample, session_id
from proofward_enclave.providers.simulator import SimulatorProvider
from tests.evidence import CLIENT, GENESIS, WORKER, Evidence, pinned
from tests.explorer.browser import STATIC, Browser, require_browser
from tests.explorer.site import ask
from tests.explorer.test_verify_page import HOSTILE

PAGES, FIRST, NUMBER = 5, 10, 12


@dataclass(frozen=True)
class Signers:
    """Who signs for the session."""

    receipt: ReceiptKey
    voucher: ReceiptKey


@pytest.fixture(scope="module")
def signed(evidence: Evidence) -> tuple[PageBundle, Signers]:
    """A page of a window of five, with a real proof, everything signed, sampled by the beacon."""
    bundle, nonce = evidence.bundle, sha256(b"nonce")
    keys, name = Signers(ReceiptKey.generate(), ReceiptKey.generate()), session_id(CLIENT, nonce)
    hpke = HpkePrivateKey.generate(HpkeSuite.X25519)
    quoted = SimulatorProvider().quote(
        worker_report_data(
            genesis=GENESIS, account=WORKER, hpke_key=hpke.public, receipt_key=keys.receipt.public, epoch=3,
            block_hash=sha256(b"block"),
        )
    )  # fmt: skip
    assert quoted.collateral is not None
    page = (bundle.job.input_commitment, bundle.result.output_commitment)
    others = [leaf(name, FIRST + place, *page) for place in range(PAGES)]
    tree, place = Tree(others), NUMBER - FIRST
    state = Checkpoint(GENESIS, name, 2, tree.root, FIRST + PAGES, 200)
    value = next(one for one in map(sha256, (bytes([n]) for n in range(256)))
                 if place in sample(one, name, 2, PAGES, 2))  # fmt: skip
    return PageBundle(
        chain=bundle.chain,
        session=SessionPart(
            id=name, client=CLIENT, nonce=nonce, worker=WORKER, model=bundle.job.model,
            voucher_key=keys.voucher.public, receipt_key=keys.receipt.public, epoch=3, level="simulated",
            min_level="simulated", sample=300_000,
        ),
        page=PagePart(
            number=NUMBER, input_commitment=page[0], output_commitment=page[1], path=tree.path(place),
            signature=keys.receipt.sign(page_message(GENESIS, name, NUMBER, others[place])),
            proof=bundle.result.proof,
        ),
        window=WindowPart(
            number=2, first=FIRST, pages=PAGES, records=200, root=tree.root, block=70,
            signature=keys.receipt.sign(state.enclave_message()),
            voucher=keys.voucher.sign(state.voucher_message()),
        ),
        beacon=BeaconPart(value=value, choices=2),
        forced=True,
        at=90,
        model=bundle.model,
        worker=WorkerPart(
            level="simulated", measurement=parse_quote(quoted.quote).measurement, hpke_key=hpke.public,
            receipt_key=keys.receipt.public, epoch=3, quote_hash=sha256(quoted.quote),
            block_hash=sha256(b"block"),
            attestation=QuotePart(
                quote=quoted.quote, collateral=quoted.collateral, time=bundle.worker.attestation.time
            ),
        ),
        setup=DEV_SETUP.encode(),
    ), keys  # fmt: skip


def _change(bundle: PageBundle, part: str, **fields: Any) -> PageBundle:
    return bundle.model_copy(update={part: getattr(bundle, part).model_copy(update=fields)})


def _flip(data: bytes | None) -> bytes:
    assert data
    return data[:-1] + bytes([data[-1] ^ 1])


def _code(model: ModelPart) -> ModelPart:
    return model.model_copy(update={"contract_code": _flip(model.contract_code)})


#: Each turns this check red, and no other.
FAULTS: dict[str, tuple[Callable[[PageBundle], PageBundle], str]] = {
    "another chain pinned": (lambda b: b, "chain"),
    "another model's record": (lambda b: _change(b, "model", name="FDA-approved"), "model"),
    "another session's id": (lambda b: _change(b, "session", nonce=sha256(b"x")), "session"),
    "keys of another epoch": (lambda b: _change(b, "session", epoch=4), "session key"),
    "claims hardware": (lambda b: _change(b, "session", level="hardware"), "level"),
    "demanded hardware": (lambda b: _change(b, "session", min_level="hardware"), "level"),
    "another place": (lambda b: _change(b, "window", first=FIRST - 1, pages=PAGES + 1), "page"),
    "a path cut": (lambda b: _change(b, "page", path=b.page.path[:-1]), "page"),
    "a sibling changed": (
        lambda b: _change(b, "page", path=[_flip(b.page.path[0]), *b.page.path[1:]]), "page"),
    "more pages than can be numbered": (lambda b: _change(b, "window", first=2**32 - 1), "page"),
    "a checkpoint's signature": (
        lambda b: _change(b, "window", signature=_flip(b.window.signature)), "checkpoint"),
    "a voucher's signature": (lambda b: _change(b, "window", voucher=_flip(b.window.voucher)), "voucher"),
    "another voucher key": (lambda b: _change(b, "session", voucher_key=sha256(b"x")), "voucher"),
    "a page's signature": (
        lambda b: _change(b, "page", signature=_flip(b.page.signature)), "page receipt"),
    "a proof's bit": (lambda b: _change(b, "page", proof=_flip(b.page.proof)), "proof"),
    "a yes-contract": (lambda b: b.model_copy(update={"model": _code(b.model)}), "contract"),
    "a quote's hash": (lambda b: _change(b, "worker", quote_hash=sha256(b"x")), "quote hash"),
    "another measurement": (lambda b: _change(b, "worker", measurement=sha256(b"x")), "measurement"),
    "another HPKE key": (lambda b: _change(b, "worker", hpke_key=sha256(b"x")), "binding"),
    "a setup of no kind": (lambda b: b.model_copy(update={"setup": b"\x07"}), "setup"),
}  # fmt: skip


def _policy(fault: str, evidence: Evidence, bundle: PageBundle) -> Policy:
    good = pinned(evidence)
    software = frozenset({parse_quote(bundle.worker.attestation.quote).measurement})
    return Policy.for_development(
        genesis=bytes(32) if fault == "another chain pinned" else good.genesis, measurements=software
    )


def _question(bundle: PageBundle | str, policy: Policy) -> dict[str, Any]:
    assert policy.genesis is not None
    return {
        "kind": "page",
        "bundle": bundle if isinstance(bundle, str) else bundle.model_dump_json(),
        "genesis": policy.genesis.hex(),
        "measurements": [one.hex() for one in policy.measurements or ()],
        "development": Policy().min_level != policy.min_level,
    }


def _same(answer: dict[str, Any], bundle: PageBundle, policy: Policy, what: str) -> list[str]:
    verdict = verify_page(bundle, policy)
    assert "error" not in answer, (what, answer)
    lines = [(one.name, one.word, one.detail if one.ok is not False else "") for one in verdict]
    told = [(name, word, "" if word == "REFUSED" else detail) for name, word, detail in answer["checks"]]
    assert told == lines, what
    assert answer["word"] == verdict.word, what
    return [name for name, word, _ in answer["checks"] if word == "REFUSED"]


def test_page_and_library_say_the_same_and_each_fault_turns_its_own_check_red(
    evidence: Evidence, signed: tuple[PageBundle, Signers]
) -> None:
    bundle, _ = signed
    cases = {fault: change(bundle) for fault, (change, _) in FAULTS.items()}
    policies = {fault: _policy(fault, evidence, bundle) for fault in FAULTS}
    answers = ask([_question(one, policies[fault]) for fault, one in cases.items()])
    for (fault, one), answer in zip(cases.items(), answers, strict=True):
        assert _same(answer, one, policies[fault], fault) == [FAULTS[fault][1]], fault


def test_what_a_page_is_worth_is_said_as_the_library_says_it(
    evidence: Evidence, signed: tuple[PageBundle, Signers]
) -> None:
    """Proved, sampled and committed; to readers of every kind; of one page, and where nothing was kept."""
    bundle, keys = signed
    good = _policy("", evidence, bundle)
    bare = _change(bundle, "page", proof=None)
    missed = [sha256(bytes([n])) for n in range(8)]
    cases = [(bundle, good), (bare, good), (bundle, Policy()), (bundle, Policy.for_development())]
    cases += [(_change(bare, "beacon", value=one), good) for one in missed]
    cases += [(bare.model_copy(update={"beacon": None, "forced": False}), good)]
    cases += [(_change(bundle, "page", signature=None), good), (_single(bundle, keys), good)]
    asked = [{**_question(one, good), "development": policy is good or policy.min_level != Policy().min_level,
              "genesis": policy.genesis and policy.genesis.hex(),
              "measurements": policy.measurements and [m.hex() for m in policy.measurements]}
             for one, policy in cases]  # fmt: skip
    words = set()
    for (one, policy), answer in zip(cases, ask(asked), strict=True):
        _same(answer, one, policy, answer.get("word", ""))
        words.add(answer["word"].split(",")[0])
    assert {"accepted (proved", "accepted (sampled", "accepted (committed", "refused (proved"} <= words


def _single(bundle: PageBundle, keys: Signers) -> PageBundle:
    """A window of one page: the root is the leaf."""
    page, name = bundle.page, bundle.session.id
    mark = leaf(name, 0, page.input_commitment, page.output_commitment)
    state = Checkpoint(GENESIS, name, 0, mark, 1, 1)
    alone = _change(
        bundle, "window", number=0, first=0, pages=1, records=1, root=mark,
        signature=keys.receipt.sign(state.enclave_message()),
        voucher=keys.voucher.sign(state.voucher_message()),
    )  # fmt: skip
    signature = keys.receipt.sign(page_message(GENESIS, name, 0, mark))
    return _change(alone, "page", number=0, path=[], signature=signature)


def test_a_damaged_page_is_refused(evidence: Evidence, signed: tuple[PageBundle, Signers]) -> None:
    bundle, _ = signed
    fields = bundle.model_dump(mode="json")
    damaged = [
        {**fields, "more": 1},
        {**fields, "format": "proofward/page-bundle/v2"},
        {**fields, "forced": None},
        {**fields, "at": 2**32},
        {**fields, "window": {**fields["window"], "pages": 0}},
        {**fields, "window": {**fields["window"], "pages": 65_537}},
        {**fields, "window": {**fields["window"], "records": 2**64}},
        {**fields, "session": {**fields["session"], "sample": 0}},
        {**fields, "page": {**fields["page"], "path": ["00" * 32] * 17}},
        {**fields, "page": {**fields["page"], "path": ["00" * 31]}},
        {**fields, "beacon": {"value": "00" * 32, "choices": 0}},
    ]
    policy = _policy("", evidence, bundle)
    for one, answer in zip(damaged, ask([_question(json.dumps(d), policy) for d in damaged]), strict=True):
        assert "error" in answer, str(one)[:80]


def test_a_page_s_file_is_verified_in_the_offline_page_and_its_text_is_text(
    evidence: Evidence, signed: tuple[PageBundle, Signers]
) -> None:
    require_browser()
    bundle, _ = signed
    policy = _policy("", evidence, bundle)
    address = (STATIC / "verify.html").as_uri()
    with Browser() as browser:
        browser.do("open", url=address, offline=True, width=360)
        assert policy.genesis is not None
        browser.do("fill", selector="#genesis", value=policy.genesis.hex())
        browser.do(
            "fill", selector="#measurements", value=" ".join(m.hex() for m in policy.measurements or ())
        )
        browser.do("check", selector="#development", on=True)
        found = browser.do(
            "verify", selector="#file", name="p.json", content=bundle.model_dump_json(indent=1)
        )
        assert (
            found["verdict"]
            == verify_page(bundle, policy).word
            == ("accepted (proved, simulated, setup: dev)")
        )
        assert browser.do("axe") == []
        assert browser.do("evaluate", script="document.documentElement.scrollWidth") <= 360
        for text in HOSTILE:
            evil = _change(_change(bundle, "chain", name=text, type=text[:32]), "model", name=text)
            told = browser.do("verify", selector="#file", name=text, content=evil.model_dump_json(indent=1))
            assert told["verdict"].startswith("refused"), text
        script = "document.querySelectorAll('#result script, #result img, #result svg').length"
        assert browser.do("evaluate", script=script) == 0
        seen = browser.do("seen")
        assert (seen["dialogs"], seen["requests"], seen["errors"]) == (0, [address], [])
