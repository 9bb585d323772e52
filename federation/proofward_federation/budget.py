"""Budgets of privacy in integers: nano-rho of zCDP (Bun and Steinke 2016), which simply add.

What a sum costs is rounded up, what a budget holds is rounded down, so that no rounding is at a patient's
cost. Epsilon is for people: it is computed, never stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from proofward.protocol.federation import NANO, rho

__all__ = ["NANO", "ORDERS", "epsilon_of", "nano_rho_of", "rho"]

ORDERS: Final = tuple(1 + step / 10 for step in range(1, 100)) + tuple(range(11, 513))
"""Renyi orders over which the bound is minimised: those of dp-accounting's default, and some more."""


def epsilon_of(nano_rho: int, delta: float, orders: Sequence[float] = ORDERS) -> float:
    """The epsilon at `delta` (above 0, below 1) that so much zCDP implies.

    Canonne, Kamath, Steinke 2020, proposition 12, over the Renyi orders: the least of
    `rho a + log((a - 1) / a) - (log delta + log a) / (a - 1)`.
    """
    if nano_rho == 0:
        return 0.0
    spent = nano_rho / NANO
    bounds = (
        spent * order + math.log1p(-1 / order) - (math.log(delta) + math.log(order)) / (order - 1)
        for order in orders
    )
    return max(0.0, min(bounds))


def nano_rho_of(epsilon: float, delta: float) -> int:
    """The most nano-rho whose epsilon at `delta` is at most `epsilon` (above 0): found by halving."""
    low, high = 0, 1
    while epsilon_of(high, delta) <= epsilon:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if epsilon_of(middle, delta) <= epsilon else (low, middle)
    return low
