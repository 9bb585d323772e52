"""From one unit to another, where that is arithmetic alone.

Units are UCUM's (https://ucum.org): atoms, metric prefixes, powers, products and quotients. Refused by
leaving them apart: what needs a substance (mg/dL to mmol/L, meq/L to mmol/L), what is agreed for each
substance ([IU]), shares of different things (% and mmol/mol of HbA1c are two scales). Nothing is cancelled:
L/L is not 1. The general libraries (pint with UCUM's grammar) do convert some of these, which is why they
are not used here.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from proofward.tables.units import canonical

_PREFIXES = {
    "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1, "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12,
    "f": -15,
}  # fmt: skip
_METRIC: dict[str, tuple[str, Fraction]] = {
    "g": ("g", Fraction(1)), "m": ("m", Fraction(1)), "s": ("s", Fraction(1)), "L": ("L", Fraction(1)),
    "mol": ("mol", Fraction(1)), "Pa": ("Pa", Fraction(1)), "bar": ("Pa", Fraction(100_000)),
    "J": ("J", Fraction(1)), "cal": ("J", Fraction("4.184")),
    "W": ("W", Fraction(1)), "V": ("V", Fraction(1)),
    "A": ("A", Fraction(1)), "N": ("N", Fraction(1)), "U": ("kat", Fraction(1, 60_000_000)),
    "kat": ("kat", Fraction(1)),
    "[IU]": ("[IU]", Fraction(1)), "eq": ("eq", Fraction(1)), "osm": ("osm", Fraction(1)),
    "m[Hg]": ("Pa", Fraction("133322.387415")), "m[H2O]": ("Pa", Fraction("9806.65")),
}  # fmt: skip
"""Metric atoms: what they measure, and how many of its unit they are."""
_OTHERS: dict[str, tuple[str, Fraction]] = {
    "min": ("s", Fraction(60)), "h": ("s", Fraction(3600)), "d": ("s", Fraction(86_400)),
    "wk": ("s", Fraction(604_800)),
    "a": ("s", Fraction(31_557_600)), "mo": ("s", Fraction(2_629_800)),
    "[lb_av]": ("g", Fraction("453.59237")),
    "[oz_av]": ("g", Fraction("28.349523125")), "[in_i]": ("m", Fraction("0.0254")),
    "[ft_i]": ("m", Fraction("0.3048")),
    "%": ("%", Fraction(1)), "[pH]": ("[pH]", Fraction(1)), "{1.73_m2}": ("1.73m2", Fraction(1)),
    "1.73m2": ("1.73m2", Fraction(1)),
}  # fmt: skip
_DEGREES = {
    "Cel": (Fraction(1), Fraction(0)), "K": (Fraction(1), Fraction("-273.15")),
    "[degF]": (Fraction(5, 9), Fraction(-160, 9)),
}  # fmt: skip
"""Degrees as Cel: factor and offset."""
_POWER_OF_TEN = re.compile(r"10[*^](-?[0-9]{1,2})")
_POWERED = re.compile(r"(.*?[A-Za-z\]])(-?[2-3])")
_ANNOTATION = re.compile(r"\{[^{}]{0,64}\}")
MAX_UNIT = 64
MOST = Fraction(1_000_000)


@dataclass(frozen=True)
class Conversion:
    """`x * factor + offset`, exactly."""

    factor: Fraction
    offset: Fraction = Fraction(0)

    def of(self, value: float) -> float:
        """The converted value, rounded once; NaN stays what it is."""
        return value if value != value else float(Fraction(value) * self.factor + self.offset)


def conversion(given: str, wanted: str) -> Conversion | None:
    """How to get from one unit to the other; None where no arithmetic leads there."""
    given, wanted = canonical(given), canonical(wanted)
    if given == wanted:
        return Conversion(Fraction(1))
    if given in _DEGREES and wanted in _DEGREES:
        (factor, offset), (other, start) = _DEGREES[given], _DEGREES[wanted]
        return Conversion(factor / other, (offset - start) / other)
    one, other_unit = _parsed(given), _parsed(wanted)
    if one is None or other_unit is None or one[1:] != other_unit[1:]:
        return None
    factor = one[0] / other_unit[0]
    # Nobody measures one thing in units a million times apart: Mg for mg is a slip.
    return Conversion(factor) if 1 / MOST <= factor <= MOST else None


_Parsed = tuple[Fraction, Counter[str], Counter[str]]


def _parsed(unit: str) -> _Parsed | None:
    """(factor, what stands above the line, what below); None where the unit is none that is known here."""
    if len(unit) > MAX_UNIT:
        return None
    if "1.73_m2" not in unit:
        unit = _ANNOTATION.sub("", unit)
    factor, above, below = Fraction(1), Counter[str](), Counter[str]()
    for position, part in enumerate(unit.split("/")):
        for atom in part.split("."):
            if atom in ("", "1"):
                continue
            found = _atom(atom)
            if found is None:
                return None
            (below if position else above)[found[0]] += 1 if found[0] else 0
            factor = factor / found[1] if position else factor * found[1]
    return factor, +above, +below


def _atom(text: str) -> tuple[str, Fraction] | None:
    ten = _POWER_OF_TEN.fullmatch(text)
    if ten:
        return "", Fraction(10) ** int(ten[1])
    if text in _OTHERS:
        return _OTHERS[text]
    if text in _METRIC:
        return _METRIC[text]
    powered = _POWERED.fullmatch(text)
    if powered and text not in ("m[H2O]",):
        inner = _atom(powered[1])
        if inner is None or int(powered[2]) < 0:
            return None
        base, power = inner[0], int(powered[2])
        if (base, power) == ("m", 3):  # a volume: 1 m3 is 1000 L
            return "L", inner[1] ** 3 * 1000
        return f"{base}^{power}", inner[1] ** power
    for prefix, exponent in _PREFIXES.items():
        if text.startswith(prefix) and text[len(prefix) :] in _METRIC:
            base, factor = _METRIC[text[len(prefix) :]]
            return base, factor * Fraction(10) ** exponent
    return None
