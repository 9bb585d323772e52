"""Outbreaks in published counts: EARS C2 over a noisy weekly series, which knows how noisy it is.

Counts are sums like any other: a study of kind `counts`, one column a cell of region and syndrome, each
record 1 in its own cell and 0 elsewhere, one round a week. What a detector sees is published already, so
looking at it costs no privacy.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from typing import Final

from proofward_federation.errors import FederationError

BASELINE: Final = 7
"""Weeks that a week is compared with."""
LAG: Final = 2
"""Weeks between them and it, so that an outbreak's beginning does not raise its own threshold."""
THRESHOLD: Final = 3.0
"""Standard deviations above the baseline's mean that raise an alarm."""
MAX_WEEKS: Final = 10_000


def scores(series: Sequence[float], deviation: float) -> list[float | None]:
    """How many deviations each week is above its baseline; None while there is none.

    `series`: published counts by week, in ones, NaN for a week without a sum, which has no score and is in no
    baseline: that is of the last seven weeks that have one. `deviation`: of the published noise, in ones.
    EARS C2 (Hutwagner et al. 2003), but the baseline's deviation is at least that of a Poisson count of its
    mean under the noise: seven weeks that happen to be alike would else raise alarms. Raises FederationError.
    """
    if len(series) > MAX_WEEKS or any(map(math.isinf, series)) or not deviation >= 0:
        raise FederationError(
            f"a series has at most {MAX_WEEKS} finite numbers and gaps, its noise a deviation of 0 or more",
            code="bad-series",
        )
    found: list[float | None] = []
    before: deque[float] = deque(maxlen=BASELINE)
    for week, count in enumerate(series):
        if week > LAG and not math.isnan(series[week - LAG - 1]):
            before.append(series[week - LAG - 1])
        if len(before) < BASELINE or math.isnan(count):
            found.append(None)
            continue
        mean = statistics.fmean(before)
        least = math.sqrt(max(mean, 1.0) + deviation**2)
        found.append((count - mean) / max(statistics.stdev(before), least))
    return found


def alarms(series: Sequence[float], deviation: float, threshold: float = THRESHOLD) -> list[int]:
    """The weeks, from 0, whose score is above the threshold. Raises FederationError."""
    return [
        week
        for week, score in enumerate(scores(series, deviation))
        if score is not None and score > threshold
    ]
