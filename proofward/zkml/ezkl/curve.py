"""BN254 as py_ecc has it (optimized_bn128), under the names that this room uses."""

# ruff: noqa: E402
import sys

# py_ecc raises the recursion limit beyond the C stack: a deeply nested JSON would then end the process.
_LIMIT = sys.getrecursionlimit()

from py_ecc.fields import optimized_bn128_FQ as FQ
from py_ecc.fields import optimized_bn128_FQ2 as FQ2
from py_ecc.optimized_bn128.optimized_curve import (
    G2,
    Z1,
    add,
    b,
    b2,
    curve_order,
    double,
    field_modulus,
    is_inf,
    is_on_curve,
    multiply,
    neg,
    normalize,
)
from py_ecc.optimized_bn128.optimized_pairing import pairing

sys.setrecursionlimit(_LIMIT)

__all__ = [
    "FQ",
    "FQ2",
    "G2",
    "Z1",
    "add",
    "b",
    "b2",
    "curve_order",
    "double",
    "field_modulus",
    "is_inf",
    "is_on_curve",
    "multiply",
    "neg",
    "normalize",
    "pairing",
]
