"""Numbered TDX cases under keys of ours: each is refused for its own reason, and for no other's."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from proofward.attestation import AttestationError, Collateral, TrustRoot, verify_quote
from proofward.attestation.tcb import stand
from proofward.protocol import Level
from tests.attestation.tdx.cases import CLAUSES, Case, numbered
from tests.attestation.tdx.forge import NOW, Recipe, forge
from tests.attestation.tdx.judge import ACCEPTED, NO_QUESTION, judge

CASES = numbered()


def question(case: Case) -> str:
    """What the contract reads, for a case."""
    made = forge(case.recipe)
    asked = {
        "quote": made.quote.hex(),
        "collateral": made.collateral,
        "roots": [made.root.hex()],
        "now": int(NOW.timestamp()),
    }
    case.asked(asked)
    return json.dumps(asked)


@pytest.mark.parametrize("number", CASES)
def test_case(number: str) -> None:
    case = CASES[number]
    code, answer = judge(question(case))
    told = f"{number} ({case.clause}) {case.what}: {answer}"
    assert code == case.exit, told
    if code == ACCEPTED:
        assert answer["tcb_status"] == case.reason, told
    else:
        assert answer["code"] == case.code, told
        assert case.reason
        assert case.reason in answer["reason"], told


def test_a_platforms_own_key_says_nothing_of_its_tcb() -> None:
    """By both paths that judge a quote: dcap-qvl's Python package takes such collateral."""
    pck = ("pck", "ca", "root")
    for recipe in (
        Recipe(signer_chain=pck, qe_chain=("tcb", "root"), keys={"tcb_info": "pck"}),
        Recipe(qe_chain=pck, keys={"qe_identity": "pck"}),
    ):
        made = forge(recipe)
        collateral = Collateral.from_json(json.dumps(made.collateral))
        root, now = TrustRoot("cases", Level.HARDWARE, made.root), int(NOW.timestamp())
        with pytest.raises(AttestationError, match="is not the root's own"):
            verify_quote(made.quote, collateral, now=now, roots=(root,))
        seen = stand(made.quote, collateral, now=now, roots=(root,))
        assert not seen.counts
        assert "is not the root's own" in seen.reason


def test_the_map_of_clauses_is_whole() -> None:
    assert len(CASES) >= 65
    assert {case.clause for case in CASES.values()} == set(CLAUSES)
    assert len({(case.clause, case.what) for case in CASES.values()}) == len(CASES)
    accepted = [case for case in CASES.values() if case.exit == ACCEPTED]
    assert accepted, "evidence that is whole is accepted"


def test_the_contract_is_a_program() -> None:
    for number, text in (("TDX-001", question(CASES["TDX-001"])), ("TDX-004", question(CASES["TDX-004"]))):
        done = subprocess.run(
            [sys.executable, "-m", "tests.attestation.tdx.judge"],
            input=text, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == CASES[number].exit
        assert json.loads(done.stdout) == judge(text)[1]
    for text in ("", "[]", "{}", '{"quote": "zz"}'):
        assert judge(text)[0] == NO_QUESTION
