"""Units of measure, as far as a table needs them: is this word one, and are two spellings the same unit.

Codes are UCUM's (https://ucum.org, case-sensitive form). Nothing is converted here.
"""

from __future__ import annotations

import re

_ATOMS = (
    "m|g|kg|s|min|h|hr|d|wk|mo|a|yr|y|year|years|month|months|day|days|hour|hours|L|l|mol|eq|Eq|osm|Osm|U|IU|"
    r"\[IU\]|\[iU\]|Hz|Pa|bar|mm\[Hg\]|mmHg|cm\[H2O\]|cmH2O|Cel|°C|K|\[degF\]|°F|J|cal|kcal|W|V|A|N|kat|"
    r"beats|bpm|count|score|points|ratio|cells|%|‰|\[lb_av\]|lb|lbs|\[in_i\]|in|\[ft_i\]|ft|10\*3|10\*6|10\*9|10\*12|"
    r"10\^3|10\^6|10\^9|10\^12|1\.73m2|1"
)
_UNIT = re.compile(
    rf"(?:[afpnuµμmcdhkMG]?(?:{_ATOMS})[23]?)(?:\s*[/.·]\s*[afpnuµμmcdhkMG]?(?:{_ATOMS})[23]?){{0,3}}"
)
_BRACKETED = ("[IU]", "[iU]", "[degF]", "[lb_av]", "[in_i]", "[ft_i]")
_LITRE = re.compile(r"(^|/)([munpd]?)l$")
_SAME = {
    "years": "a", "year": "a", "yr": "a", "y": "a", "months": "mo", "month": "mo", "days": "d", "day": "d",
    "hours": "h", "hour": "h", "hr": "h", "mmHg": "mm[Hg]", "cmH2O": "cm[H2O]", "°C": "Cel", "°F": "[degF]",
    "lb": "[lb_av]", "lbs": "[lb_av]", "in": "[in_i]", "ft": "[ft_i]", "IU": "[IU]", "[iU]": "[IU]",
    "bpm": "/min", "beats/min": "/min",
}  # fmt: skip


def is_unit(text: str) -> bool:
    """Whether a word reads as a unit of measure."""
    return _UNIT.fullmatch(_bare(text)) is not None


def canonical(unit: str) -> str:
    """One spelling for the spellings of one unit; case is kept, for mg and Mg differ."""
    text = _bare(unit).replace(" ", "").replace("\u03bc", "u").replace("\u00b5", "u")
    joined = "".join(_SAME.get(part, part) for part in re.split(r"(/)", text))
    return _LITRE.sub(r"\1\2L", _SAME.get(joined, joined))


def split(name: str) -> tuple[str, str]:
    """A name and its unit, which may have brackets itself (`bp [mm[Hg]]`); `x[1]` is a name with a number."""
    for at in (i for i, c in enumerate(name) if c == "[" and name.endswith("]")):
        bare, unit = name[:at].strip(), name[at + 1 : -1]
        if bare and is_unit(unit) and not unit.strip().isdigit():
            return bare, canonical(unit)
    return name, ""


def _bare(text: str) -> str:
    """The unit without brackets around it; some of UCUM's own codes have brackets."""
    text = text.strip()
    if len(text) > 2 and text[0] + text[-1] in ("[]", "()") and text not in _BRACKETED:
        return text[1:-1].strip()
    return text
