"""The bench's attack itself: right about nothing, right about something, however few models it has."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("opendp", reason="make federation installs OpenDP")
pytest.importorskip("flwr", reason="make federation installs Flower")

from bench.federation import _by_model, _ratios

RECORDS = 740


def _attacked(models: int, signal: float) -> tuple[float, list[float]]:
    """AUC and interval over scores of unit noise, to which members add `signal`."""
    draw = np.random.default_rng(models)
    inside = np.argsort(draw.random((models, RECORDS)), axis=0) < models // 2
    scores = draw.normal(size=(models, RECORDS)) + signal * inside
    found = _by_model(_ratios(scores, inside, draw), inside)
    return found["auc_of_a_model"], found["interval"]


@pytest.mark.parametrize("models", [6, 16, 64, 256])
def test_the_attack_finds_nothing_where_there_is_nothing(models: int) -> None:
    auc, _ = _attacked(models, 0.0)
    assert abs(auc - 0.5) < 0.04, "judged by all others it found .37 with six models"


def test_the_attack_finds_what_is_there() -> None:
    auc, (low, _) = _attacked(256, 0.2)
    assert low > 0.54
    assert auc < 0.5562, "the best possible: the normal distribution at 0.2 over the root of 2"
