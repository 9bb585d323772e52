"""What one field of a table is: a number, a missing value, or something that has a name in a refusal."""

from __future__ import annotations

import math
import re

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]{1,3})?")
THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
POINTS_BETWEEN_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
MISSING = frozenset(
    {"", "?", "*", ".", "-", "--", "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "nat", "missing"}
    | {"nd", "n.d.", "not done", "null", "none", "nil", "unk", "unknown"}
)

_KINDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?:[<>≤≥~≈]|=[<>]).*"), "a comparator, not a measured number; leave such records out"),
    (
        re.compile(r"[+-]?[0-9.,]+\s*%"),
        "a percentage; write the number in the unit of training, without a sign",
    ),
    (
        re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}(?:[T ].*)?|[0-9]{1,2}:[0-9]{2}.*"),
        "a date or a time; give a number, as in training",
    ),
    (
        re.compile(r"[+-]?0[xXbBoO][0-9a-fA-F]+"),
        "a hexadecimal, binary or octal number; write it in decimals",
    ),
    (re.compile(r"[+-]?[0-9][0-9_]*_[0-9_.]*"), "a number with underscores; write the digits alone"),
    (
        re.compile(r"[+-]?[0-9]{1,3}(?:[ '\u00a0\u202f][0-9]{3})+(?:[.,][0-9]+)?"),
        "a number with separators between thousands; write the digits alone",
    ),
    (
        re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]+"),
        "a number with separators between thousands; write the digits alone",
    ),
    (
        re.compile(r"[+-]?[0-9.]*,[0-9]+"),
        "a number with a decimal comma; write a decimal point, "
        "or separate the columns with semicolons throughout",
    ),
    (re.compile(r"[+-]?(?:inf|infinity)", re.IGNORECASE), "infinite; give a finite number"),
    (re.compile(r"(?:true|false|yes|no)", re.IGNORECASE), "a truth value; write 0 or 1, as in training"),
    (
        re.compile(r"[+-]?[0-9.]+\s*[^\W\d_].*"),
        "a number with a unit or a word behind it; write the number alone",
    ),
    (
        re.compile(r"(?:[+-]?[0-9.]+\s+)+[+-]?[0-9.]+"),
        "several numbers with blanks between them; separate the columns with commas",
    ),
)
"""Fields that are no number, no missing value and no name; the first that fits says what it is."""


def number(field: str, decimal: str) -> float | None:
    """The finite number that a field spells (`decimal` is "." or ","), NaN for a missing value, None for
    anything else.
    """
    text = field.strip()
    if text.lower() in MISSING:
        return math.nan
    if decimal == "," and DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if not NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def missing(field: str) -> bool:
    """Whether the field stands for a value that is not there."""
    return field.strip().lower() in MISSING


def kind(field: str) -> str | None:
    """What a field is that is neither a number nor missing, in a refusal's words; None for a plain word."""
    text = field.strip()
    found = next((what for pattern, what in _KINDS if pattern.fullmatch(text)), None)
    if found is None and any(c.isdigit() and not c.isascii() for c in text):
        return "a number in other digits than 0 to 9; write it in these"
    if found is None and NUMBER.fullmatch(text):
        return "too large a number"
    return found


def is_name(field: str) -> bool:
    """Whether a field can be a column's name: a word that nobody could take for a value."""
    text = field.strip()
    return bool(text) and not missing(text) and kind(text) is None and NUMBER.fullmatch(text) is None
