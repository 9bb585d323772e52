"""The threat model names the test behind each claim: every name is that of a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_TEST = re.compile(r"^\s*(?:async )?def (test_\w+)|#\[test\](?:\s*#\[[^\]]*\])*\s*fn (\w+)", re.M)


def named_tests() -> set[str]:
    """Names of Python's tests, and of Rust's in pallets, runtime and prover."""
    found: set[str] = set()
    for pattern in (
        "tests/**/*.py",
        "chain/**/src/**/*.rs",
        "prover/src/**/*.rs",
        "prover/tests/*.rs",
        "chain/*/tests/*.rs",
    ):
        for path in ROOT.glob(pattern):
            if "target" not in path.parts and "node_modules" not in path.parts:
                found |= {one or other for one, other in _TEST.findall(path.read_text())}
    return found


def test_the_threat_model_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text()
    rows = [
        line
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith(("| tries", "| attack |", "|--"))
    ]
    shown = [re.findall(r"`(\w+)`", row.rsplit("|", 2)[1]) for row in rows]
    assert len(rows) > 20
    assert all(shown), "a row names no test"
    named = {name for row in shown for name in row}
    assert named - named_tests() == set()


#: The attacks of the review: scripts, and what each test of a file of Rust shows.
REVIEW = {
    "a_ezkl": ["a_ezkl"],
    "b_publisher": ["b_publisher"],
    "b_toctou": ["b_toctou"],
    "c_audit": ["c_audit"],
    "d_verify": ["d_verify"],
    "f_panic": ["f_panic"],
    "h_tau": ["h_tau"],
    "t_attested": ["t_attested"],
    "poc_bond.py": ["poc_bond", "poc_a_clients_price_sizes_the_bond"],
    "poc_copycat.py": ["poc_copycat", "poc_the_contracts_fault_is_the_workers_loss"],
    "poc_flood.py": ["poc_flood"],
    "poc_free.py": ["poc_free"],
    "poc_models.py": ["poc_models"],
    "poc_stuff.py": ["poc_stuff"],
    "jobs_poc.rs": [
        "poc_a_recipient_kills_a_job_and_loses_nothing",
        "poc_two_identities_kill_a_job_with_the_default_deadline",
        "poc_unregistered_recipients_are_taken",
    ],
    "runtime_poc.rs": [
        "poc_a_pinned_contract_changes_its_mind",
        "poc_bytes_of_a_block_cost_next_to_nothing",
        "poc_the_author_is_alice_in_every_genesis",
        "poc_the_cheapest_bytes",
    ],
    "weights_poc.rs": [
        "poc_attested_setup_outlives_its_measurement_and_its_root",
        "poc_collateral_poisoned_for_ever",
        "poc_collateral_stuffed_with_junk",
        "poc_old_epoch_comes_back",
        "poc_platform_slots_exhausted",
        "poc_receipt_key_squatted",
        "poc_setup_quote_is_replayed_by_anyone",
    ],
}


@pytest.mark.parametrize("attack", REVIEW)
def test_each_attack_of_the_review_has_tests_of_its_name(attack: str) -> None:
    """A row of a table names them, they exist, and `make test` runs them."""
    pages = [(ROOT / "docs" / page).read_text() for page in ("threat-model.md", "economics.md")]
    rows = [row for page in pages for row in page.splitlines() if re.match(rf"\| [^|]*\b{attack}\b", row)]
    shown = {name for row in rows for name in re.findall(r"`(\w+)`", row.rsplit("|", 2)[1])}
    assert shown
    assert shown <= named_tests()
    for name in REVIEW[attack]:
        assert any(name in test for test in shown), name
