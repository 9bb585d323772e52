"""No case is answered wrongly, and none ends in a traceback; those that were right stay right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cases import run

#: The cases that must be answered; the others may be refused, in one clear line.
ANSWERED = set(json.loads((run.HERE / "answered.json").read_text()))


@pytest.mark.parametrize("case", list(run.tables()), ids=lambda case: str(case[0]))
def test_tables(case: Any) -> None:
    found = run.run_table(*case)
    assert found.outcome == ("refused" if case[2] is None else "right"), found.detail


@pytest.mark.parametrize("case", list(run.models()), ids=lambda case: str(case[0]))
def test_models(case: Any) -> None:
    found = run.run_model(*case)
    assert found.outcome == ("right" if case[0] in ANSWERED else "refused"), found.detail
