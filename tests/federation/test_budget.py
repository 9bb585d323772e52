"""Budgets add up in integers, on the safe side, and as another library says."""

from __future__ import annotations

import random

import pytest

from proofward.protocol import ProtocolError
from proofward_federation.budget import NANO, ORDERS, epsilon_of, nano_rho_of, rho
from tests.federation.world import UNITS, site_of, study_of


def test_a_round_s_cost_is_rounded_up() -> None:
    assert rho(1, 1) == NANO // 2
    assert rho(3, 7) == 642_857_143
    assert rho(1, NANO) == 1
    for clip, variance in ((0, 1), (1, 0), ((1 << 40) + 1, 1 << 90), (1, (1 << 96) + 1), (1 << 40, 1)):
        with pytest.raises(ProtocolError):
            rho(clip, variance)


def test_a_budget_is_rounded_down() -> None:
    for epsilon in (0.1, 1.0, 3.0, 8.0):
        most = nano_rho_of(epsilon, 1e-5)
        assert epsilon_of(most, 1e-5) <= epsilon < epsilon_of(most + 1, 1e-5)
    policy = site_of(0).policy
    assert policy.round == NANO // 8
    assert study_of(deviation=2 * UNITS).rho == policy.round


def test_a_thousand_histories_as_dp_accounting_has_them() -> None:
    accounting = pytest.importorskip("dp_accounting", reason="make federation installs dp-accounting")
    from dp_accounting.rdp import RdpAccountant

    draw = random.Random(17)
    for _ in range(1_000):
        clip = draw.randrange(1 << 12, 1 << 20)
        deviations = [draw.randrange(clip, 1 << 24) for _ in range(draw.randrange(1, 9))]
        total = sum(rho(clip, deviation**2) for deviation in deviations)
        # at one order epsilon is a line in rho: what differs there, differs in the totals
        for orders, apart in (((2.0,), 1e-6), (ORDERS, 1e-5)):
            oracle = RdpAccountant(orders)
            for deviation in deviations:
                oracle.compose(accounting.GaussianDpEvent(deviation / clip))
            ours, theirs = epsilon_of(total, 1e-5, orders), float(oracle.get_epsilon(1e-5))
            assert theirs - 1e-9 <= ours <= theirs + apart


def test_the_noise_is_the_discrete_gaussian() -> None:
    pytest.importorskip("opendp", reason="make federation installs OpenDP")
    from proofward_federation.noise import discrete_gaussian

    deviation, count = 1_000, 20_000
    drawn = discrete_gaussian(count, deviation)
    assert all(type(value) is int for value in drawn)
    # each bound is five standard errors away: a true sampler fails once in a million runs
    assert abs(sum(drawn) / count) < 5 * deviation / count**0.5
    spread = sum(value * value for value in drawn) / count
    assert abs(spread / deviation**2 - 1) < 5 * (2 / count) ** 0.5
    tail = sum(abs(value) > 2 * deviation for value in drawn) / count
    assert abs(tail - 0.0455) < 5 * (0.0455 * 0.9545 / count) ** 0.5
