"""Noise: OpenDP's discrete Gaussian (Canonne, Kamath, Steinke 2020), exact over the integers."""

from __future__ import annotations

from proofward_federation.errors import EngineMissing


def discrete_gaussian(count: int, deviation: int) -> list[int]:
    """`count` integers of the discrete Gaussian of `deviation` (1 or more). Raises EngineMissing."""
    try:
        import opendp.prelude as dp
    except ImportError:
        raise EngineMissing.of("opendp") from None
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    measure = dp.m.make_gaussian(*space, scale=float(deviation))
    return [int(value) for value in measure([0] * count)]
