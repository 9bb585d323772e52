"""The page's detector of outbreaks against the federation's, on the same published series."""

from __future__ import annotations

import random

import pytest

from proofward_federation.outbreak import alarms, scores
from tests.explorer.site import ask


def test_page_and_federation_see_the_same_weeks() -> None:
    rng = random.Random(17)
    cases = []
    for _ in range(60):
        weeks, rate, deviation = rng.randrange(0, 40), rng.uniform(0, 60), rng.choice([0.0, 1.5, 4.05, 30.0])
        series = [rng.gauss(rate, rate**0.5 + deviation) for _ in range(weeks)]
        if weeks and rng.random() < 0.5:
            series[rng.randrange(weeks)] += rng.uniform(0, 200)
        cases.append((series, deviation, rng.choice([1.0, 3.0])))
    cases.append(([5.0] * 20, 0.0, 3.0))
    told = ask(
        [
            {"kind": "outbreak", "series": series, "deviation": deviation, "threshold": threshold}
            for series, deviation, threshold in cases
        ]
    )
    seen = 0
    for (series, deviation, threshold), answer in zip(cases, told, strict=True):
        expected = scores(series, deviation)
        assert [one is None for one in answer["scores"]] == [one is None for one in expected]
        for ours, theirs in zip(answer["scores"], expected, strict=True):
            assert theirs is None or ours == pytest.approx(theirs, rel=1e-9)
        assert answer["alarms"] == alarms(series, deviation, threshold)
        seen += len(answer["alarms"])
    assert seen > 10


def test_what_is_no_table_of_counts_is_refused() -> None:
    good, *bad = ask(
        [
            {"kind": "outbreak", "csv": text}
            for text in (
                "flu,north\r\n1,2.5\r\n-3,4\r\n",
                "",
                "flu,north\n",
                "flu,north\n1\n",
                "flu,north\n1,\n",
                "flu,north\n1,x\n",
                "flu\n1e999\n",
                "flu\nNaN\n",
            )
        ]
    )
    assert good == {"cells": ["flu", "north"], "series": [[1, -3], [2.5, 4]]}
    assert all("error" in one for one in bad), bad
