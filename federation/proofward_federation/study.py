"""A study: what a researcher asks of hospitals, as one canonical document whose hash is on the chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any, Final

import rfc8785

from proofward.protocol import sha256, strict_json
from proofward.protocol.federation import rho
from proofward_federation.errors import FederationError

VERSION: Final = 1
KINDS: Final = ("logistic", "counts")
"""The rules of training: code of this package alone, never a researcher's."""
PURPOSES: Final = ("cardiology", "oncology", "infection", "quality", "teaching")
"""What a study may be for, by the bit that the chain knows it by."""
_LISTS: Final = ("columns", "centres", "scales")
MAX_COLUMNS: Final = 4_096
MAX_DEVIATION: Final = 1 << 44
"""Of the noise, so that sums stay within the 52 bits that a commitment holds."""
MAX_NUMBER: Final = 2**53 - 1
"""The largest integer that a canonical document holds (RFC 8785)."""
MAX_DOCUMENT: Final = 1 << 18
"""Bytes of a study."""
MAX_UNITS: Final = 1 << 30
"""Units of one, at most: the grid that updates are rounded to."""


@dataclass(frozen=True, slots=True)
class Study:
    """`columns` are the features in their order; each is taken less its centre over its scale, constants of
    medicine in thousandths and not of anybody's data. `target` is 0 or 1 (of kind `logistic`), or None.

    `clip` and `deviation` are in `units` of one: a record adds at most `clip / units` to the sum's length,
    the noise of each parameter has the standard deviation `deviation / units`. `budget` is in nano-rho,
    `rate` in thousandths.
    """

    name: str
    kind: str
    purpose: str
    columns: tuple[str, ...]
    centres: tuple[int, ...]
    scales: tuple[int, ...]
    target: str | None
    units: int
    clip: int
    deviation: int
    cohort: int
    rounds: int
    budget: int
    rate: int
    researcher: str

    def __post_init__(self) -> None:
        texts = [self.name, self.kind, self.purpose, self.researcher, *self.columns]
        texts += [] if self.target is None else [self.target]
        numbers = (self.units, self.clip, self.deviation, self.cohort, self.rounds, self.budget, self.rate)
        if not all(_is_text(text) for text in texts):
            raise FederationError("a study's texts have 1 to 128 characters", code="bad-study")
        if not all(type(number) is int and 0 < number <= MAX_NUMBER for number in numbers):
            raise FederationError(f"a study's numbers are integers of 1 to {MAX_NUMBER}", code="bad-study")
        if self.kind not in KINDS:
            raise FederationError(
                f"{self.kind!r} is no rule of training: take {' or '.join(KINDS)}; a study brings no code",
                code="unknown-rule",
            )
        if self.purpose not in PURPOSES:
            raise FederationError(
                f"{self.purpose!r} is no purpose: take one of {', '.join(PURPOSES)}", code="unknown-purpose"
            )
        if not 0 < len(set(self.columns)) == len(self.columns) <= MAX_COLUMNS:
            raise FederationError(f"a study has 1 to {MAX_COLUMNS} different columns", code="bad-study")
        integers = all(type(number) is int and abs(number) < 1 << 40 for number in self.centres + self.scales)
        fit = len(self.centres) == len(self.scales) == len(self.columns)
        if not (integers and fit and all(number > 0 for number in self.scales)):
            raise FederationError("each column has a centre, and a scale above 0", code="bad-study")
        if self.units > MAX_UNITS or self.deviation > MAX_DEVIATION:
            raise FederationError("units or noise are out of bounds", code="bad-study")
        if (self.kind == "logistic") != (self.target is not None):
            raise FederationError("the target does not fit the rule of training", code="bad-study")
        if self.kind == "counts" and self.clip < self.units:
            raise FederationError("a clip below one would count no case", code="bad-study")
        rho(self.clip, self.variance)  # in the chain's bounds

    @property
    def dimension(self) -> int:
        """Parameters of the sum: the columns, for `logistic` an intercept and a count besides."""
        return len(self.columns) + (2 if self.kind == "logistic" else 0)

    @property
    def variance(self) -> int:
        """Of the noise, in squared units."""
        return self.deviation**2

    @property
    def rho(self) -> int:
        """What a round costs, in nano-rho."""
        return rho(self.clip, self.variance)

    @property
    def noise(self) -> Fraction:
        """Deviation over clip."""
        return Fraction(self.deviation, self.clip)

    @property
    def purpose_bit(self) -> int:
        """As the chain knows the purpose."""
        return 1 << PURPOSES.index(self.purpose)

    def document(self) -> bytes:
        """The canonical document (RFC 8785)."""
        values = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }
        values["version"] = VERSION
        return rfc8785.dumps(values)

    @property
    def rule(self) -> bytes:
        """SHA-256 of the document: what members agree to."""
        return sha256(self.document())

    @classmethod
    def parse(cls, document: bytes) -> Study:
        """A document, which must be in its one form. Raises FederationError(bad-study)."""
        try:
            values = strict_json.loads(document, limit=MAX_DOCUMENT)
            if not isinstance(values, Mapping) or values.get("version") != VERSION:
                raise ValueError("version")
            found = cls(**_arguments(values))
        except (ValueError, TypeError) as error:
            raise FederationError(
                f"this is no study of version {VERSION}: {error}", code="bad-study"
            ) from None
        if found.document() != document:
            raise FederationError("the study's document is not in its canonical form", code="bad-study")
        return found


def _is_text(value: object) -> bool:
    """Of 1 to 128 characters, which UTF-8 can write."""
    if type(value) is not str or not 0 < len(value) <= 128:
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(Study)}
    if values.keys() != {*names, "version"} or not all(isinstance(values[name], list) for name in _LISTS):
        raise ValueError("it has other fields")
    return {name: tuple(values[name]) if name in _LISTS else values[name] for name in names}
