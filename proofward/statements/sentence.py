"""The sentences that a statement can be: one quantifier, one predicate.

    [any: | all: | at least K: | at most K: | exactly K: | record I:] PREDICATE

    NAME >= NUMBER            NAME <= NUMBER           NAME between NUMBER and NUMBER
    logit(NAME) >= NUMBER     the same over the model's own score
    class is LABEL            class is one of LABEL, LABEL, ...

A name with spaces or signs stands in double quotes. Records and jobs are counted from 0, in the order given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from proofward.statements.errors import StatementError

MAX_SENTENCE = 512

_NAME = r'(?:"(?P<quoted>[^"]+)"|(?P<plain>[^\s"()<>=,:]+))'
_RAW = r"(?P<raw>logit\(\s*)?" + _NAME + r"(?(raw)\s*\))"
_NUMBER = r"[-+]?[0-9]{1,30}(?:\.[0-9]{0,30})?|[-+]?\.[0-9]{1,30}"
_QUANTIFIER = re.compile(r"^(?:(any|all)|(at least|at most|exactly|record)\s+([0-9]{1,4}))\s*:\s*")
_COMPARED = re.compile(rf"^{_RAW}\s*(?P<sign>>=|<=)\s*(?P<number>{_NUMBER})$")
_BETWEEN = re.compile(rf"^{_RAW}\s+between\s+(?P<low>{_NUMBER})\s+and\s+(?P<high>{_NUMBER})$")
_CLASS = re.compile(r"^class\s+is\s+(?P<several>one\s+of\s+)?(?P<labels>.+)$")


@dataclass(frozen=True, slots=True)
class Within:
    """`low <= name <= high`, either end open (None); `raw`: of the model's own score."""

    name: str
    low: Decimal | None
    high: Decimal | None
    raw: bool


@dataclass(frozen=True, slots=True)
class ClassIs:
    """The model's decision is one of `labels`."""

    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """`text` as it was given; how many of the records the predicate holds for: `least` to `most`, None as
    many as there are. `record`: of this one alone.
    """

    text: str
    predicate: Within | ClassIs
    least: int | None = None
    most: int | None = None
    record: int | None = None
    quantified: bool = False


def parse(text: str) -> Sentence:
    """Read a sentence. Raises StatementError (`bad-sentence`)."""
    if len(text) > MAX_SENTENCE:
        raise StatementError(f"a sentence has at most {MAX_SENTENCE} characters", code="bad-sentence")
    found = _QUANTIFIER.match(text.strip())
    rest = text.strip()[found.end() if found else 0 :]
    predicate = _predicate(rest, text)
    if found is None:
        return Sentence(text, predicate)
    word, counted, number = found.groups()
    if word is not None:
        return Sentence(text, predicate, 1 if word == "any" else None, None, quantified=True)
    k = int(number)
    if counted == "record":
        return Sentence(text, predicate, 1, 1, k, quantified=True)
    least = 0 if counted == "at most" else k
    return Sentence(text, predicate, least, None if counted == "at least" else k, quantified=True)


def _predicate(rest: str, text: str) -> Within | ClassIs:
    if (found := _COMPARED.match(rest)) is not None:
        number = _number(found["number"])
        low, high = (number, None) if found["sign"] == ">=" else (None, number)
        return Within(found["quoted"] or found["plain"], low, high, found["raw"] is not None)
    if (found := _BETWEEN.match(rest)) is not None:
        low, high = _number(found["low"]), _number(found["high"])
        if low > high:
            raise StatementError(f"nothing lies between {low} and {high}", code="bad-sentence")
        return Within(found["quoted"] or found["plain"], low, high, found["raw"] is not None)
    if (found := _CLASS.match(rest)) is not None:
        named = found["labels"].split(",") if found["several"] else [found["labels"]]
        labels = tuple(one.strip().strip('"') for one in named)
        if all(labels):
            return ClassIs(labels)
    raise StatementError(
        f"{text!r} is no sentence that can be proved; write NAME >= NUMBER, NAME <= NUMBER, "
        "NAME between A and B, `class is LABEL` or `class is one of A, B`, after any:, all:, at least K:, "
        "at most K:, exactly K: or record I: where it is about several",
        code="bad-sentence",
    )


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # pragma: no cover - the pattern admits none
        raise StatementError(f"{text!r} is no number", code="bad-sentence") from None
