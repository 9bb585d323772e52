"""Smooth activations as straight lines: ReLU is the only bend that has a gadget.

Each function is a bounded one that is constant beyond its knots, or such a one and ReLU (`gelu(x) -
relu(x)` goes to 0 on both sides). Knots lie where the curvature is; they and the heights are rounded to
binary fractions, so that every machine has the same lines.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import special

from proofward.zkml.groth16.compiler.network import FloatArray, Lines

PIECES = 20
_GRID = 4096


def _sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -60, 60))))


def _softplus(x: FloatArray) -> FloatArray:
    return np.asarray(np.logaddexp(0.0, x))


_ELU, _SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017

_FUNCTIONS: dict[str, tuple[Callable[[FloatArray], FloatArray], tuple[float, float], bool]] = {
    "Tanh": (np.tanh, (-4.0, 4.0), True),
    "Sigmoid": (_sigmoid, (-7.5, 7.5), True),
    "Erf": (special.erf, (-2.5, 2.5), True),
    "Softplus": (_softplus, (-6.0, 6.0), False),
    "Swish": (lambda x: x * _sigmoid(x), (-9.0, 9.0), False),
    "Mish": (lambda x: x * np.tanh(_softplus(x)), (-9.0, 5.0), False),
    "HardSwish": (lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0), (-3.0, 3.0), False),
    "Gelu": (lambda x: 0.5 * x * (1.0 + special.erf(x / np.sqrt(2.0))), (-4.0, 4.0), False),
    "GeluTanh": (
        lambda x: 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3))), (-4.0, 4.0), False,
    ),
    "ErfGate": (lambda x: x * (1.0 + special.erf(x)), (-2.8, 2.8), False),
    "Elu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))), (-6.0, 0.0), False),
}  # fmt: skip
"""name -> (function, where it is followed, whether it is bounded by itself)"""


@cache
def lines(name: str) -> Lines:
    """The lines of a function by name."""
    function, (low, high), bounded = _FUNCTIONS[name]
    gate = 2.0 if name == "ErfGate" else 1.0  # x * (1 + erf(x)) goes to 2 * x

    def rest(x: FloatArray) -> FloatArray:
        return function(x) / gate - (0.0 if bounded else np.maximum(x, 0.0))

    grid = np.linspace(low, high, _GRID)
    bend = np.abs(np.gradient(np.gradient(rest(grid), grid), grid))
    # Where ReLU is taken out the rest has a corner at 0, which is no curvature of the function but needs a
    # knot.
    bend[np.abs(grid) < 3 * (high - low) / _GRID] = 0.0
    share = np.cumsum(np.sqrt(bend) + 1e-3)
    share = (share - share[0]) / (share[-1] - share[0])
    at = np.interp(np.linspace(0.0, 1.0, PIECES + 1), share, grid)
    if not bounded and low < 0.0 < high:
        at[np.abs(at).argmin()] = 0.0
    knots = np.unique(np.rint(at * 64) / 64)
    heights = np.rint(rest(knots) * 4096) / 4096
    heights[0], heights[-1] = np.rint(rest(np.array([low, high])) * 4096) / 4096
    slopes = np.diff(heights) / np.diff(knots)
    made = Lines(
        lambda x: np.asarray(function(x)) / gate, tuple(knots.tolist()), tuple(slopes.tolist()),
        float(heights[0]),
        bounded, 0.0,
    )  # fmt: skip
    wide = np.linspace(low - 6.0, high + 6.0, 4 * _GRID)
    error = float(np.abs(made(wide) - made.function(wide)).max())
    return Lines(made.function, made.knots, made.slopes, made.floor, made.plain, error)
