"""Alarms over published counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from proofward_federation.errors import FederationError
from proofward_federation.outbreak import BASELINE, LAG, alarms, scores
from tests.federation.world import World, site_of, study_of


def test_known_scores() -> None:
    steady = [16.0] * (BASELINE + LAG)
    assert scores(steady, 0.0) == [None] * (BASELINE + LAG)
    assert scores([*steady, 28.0], 0.0)[-1] == pytest.approx(12 / math.sqrt(16))
    assert scores([*steady, 28.0], 3.0)[-1] == pytest.approx(12 / math.sqrt(16 + 9))
    assert alarms([*steady, 29.0], 0.0) == [BASELINE + LAG]
    assert alarms([*steady, 29.0], 3.0) == []


def test_an_outbreak_does_not_raise_its_own_threshold() -> None:
    series = [16.0] * 12 + [40.0, 60.0, 90.0]
    assert alarms(series, 0.0) == [12, 13, 14]


def test_noise_alone_raises_few_alarms() -> None:
    draw = np.random.default_rng(3)
    series = draw.poisson(40, 4_000) + np.rint(draw.normal(0, 5, 4_000))
    # three of the estimated deviations, estimated from seven weeks: less than one week in fifty
    assert len(alarms(series.tolist(), 5.0)) < 4_000 / 50


@pytest.mark.parametrize(("series", "deviation"), [([math.inf], 1.0), ([1.0], -1.0), ([1.0], math.nan)])
def test_what_is_no_series_is_refused(series: list[float], deviation: float) -> None:
    with pytest.raises(FederationError):
        scores(series, deviation)


def test_a_week_without_a_sum_is_in_no_other_s_place() -> None:
    whole = [40.0, 42, 38, 41, 39, 40, 43, 40, 41, 95]
    gap = [*whole[:3], math.nan, *whole[3:8], math.nan, *whole[8:]]
    assert alarms(whole, 4.05) == [9]
    assert alarms(gap, 4.05) == [11]
    assert scores(gap, 4.05)[3] is scores(gap, 4.05)[9] is None


def test_counts_are_summed_like_any_update() -> None:
    """Two cells; each record is 1 in one of them. The sites' policies know the cells as columns."""
    study = study_of(
        kind="counts", target=None, centres=(0, 0), scales=(1_000, 1_000), units=1, clip=1, deviation=3
    )
    world, sites = World(study), [site_of(place, records=30) for place in range(2)]
    for site in sites:
        first = np.arange(30) % 3 == 0
        site._records.columns["age"] = first.astype(np.float64)
        site._records.columns["chol"] = (~first).astype(np.float64)
    world.open()
    answers = [site.answer(study, world.view(site), np.zeros(0)) for site in sites]
    for site, answer in zip(sites, answers, strict=True):
        world.take(site, answer)
    assert world.close(sites, answers)["values"] == [20, 40]
