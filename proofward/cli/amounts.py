"""Numbers on the command line; amounts are in UNIT with up to twelve decimals, whole plancks inside."""

from __future__ import annotations

import math
from decimal import Decimal

import typer

from proofward.amounts import DECIMALS, UNIT

MOST = 2**128 - 1


def units(text: str | float | int) -> int:
    """Plancks of an amount in UNIT. Raises typer.BadParameter: not a number, below zero, finer than a planck,
    or more than a balance can hold.
    """
    try:
        value = Decimal(str(text)).scaleb(DECIMALS)
    except ArithmeticError:  # no number, or one with an exponent out of all bounds
        raise typer.BadParameter(f"{text!r} is no amount in UNIT; write 1.5") from None
    if not value.is_finite() or value < 0:
        raise typer.BadParameter(f"{text!r} is no amount in UNIT: it must be a number of zero or more")
    if value != value.to_integral_value():
        raise typer.BadParameter(f"{text!r} is finer than a planck (10^-12 UNIT)")
    if value > MOST:
        raise typer.BadParameter(f"{text!r} UNIT is more than there can be")
    return int(value)


def finite(value: float | None) -> float | None:
    """An option's number. Raises typer.BadParameter: `nan` is below and above no bound, `inf` is none."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number that can be compared")
    return value


def shown(plancks: int) -> str:
    """An amount as people read it: exact, without zeros that say nothing."""
    whole, rest = divmod(plancks, UNIT)
    return f"{whole:,}" + (f".{rest:012d}".rstrip("0") if rest else "") + " UNIT"
