"""The threat model names the test behind each claim: every name is that of a test."""

from __future__ import annotations

import re
from pathlib import Path

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
