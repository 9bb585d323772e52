"""The page on reliability names the test behind each item: every name is that of a test."""

from __future__ import annotations

import re

from tests.test_threat_model import ROOT, named_tests

_JAVASCRIPT = re.compile(r"^test\((['\"`])(.+?)\1, ", re.M)


def _javascript_tests() -> set[str]:
    files = [*ROOT.glob("devnet/*.test.mjs"), *ROOT.glob("tests/conformance/*.mjs")]
    return {name for file in files for _, name in _JAVASCRIPT.findall(file.read_text())}


def test_the_page_names_a_test_that_exists_for_each_item() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    section = text.partition("## Each item and its test\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if re.match(r"\| [A-D]", line)]
    items = {cells[0].strip() for cells in rows}
    assert items >= {*(f"A{n}" for n in range(1, 9)), "B", *(f"C{n}" for n in range(1, 5)), "D"}
    shown = [re.findall(r"`([^`]+)`", cells[-1] if cells[-1].strip() else cells[-2]) for cells in rows]
    assert all(shown), "a row names no test"
    named = {name for row in shown for name in row}
    assert named - named_tests() - _javascript_tests() == set()
