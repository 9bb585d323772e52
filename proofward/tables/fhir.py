"""FHIR Observations (https://hl7.org/fhir/observation.html), alone, in a list or in a Bundle, as a table.

One record a subject, one column a LOINC code; a panel's components are columns of their own.
`fhir.resources` reads and checks the resources, R4B first and R5 where it is none. What is no measured
number is refused by name: a comparator, a preliminary or mistaken result, a coded or truth value, two
results of one code, a unit that is no UCUM code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from proofward import extras
from proofward.tables import units
from proofward.tables.errors import TableError
from proofward.tables.table import Table

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
CODE = re.compile(r"[0-9]{1,7}-[0-9]")
MAX_RESOURCES = 1 << 16
_TYPED = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?$")
"""A reference's end: the resource's type, its id and where given its version."""
FINAL = frozenset({"final", "amended", "corrected"})

_Result = tuple[str, str, float, str, str]
"""One result: subject, LOINC code, value (NaN where it is said to be absent), unit, and where it stands."""


def is_fhir(value: Any) -> bool:
    """Whether parsed JSON is a FHIR resource, or a list that begins with one."""
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and "resourceType" in first


def fhir_table(value: Any, name: str, notes: list[str]) -> Table:
    """The table of a resource or a list of them. Raises TableError, MissingExtra."""
    resources, others = _resources(value, name)
    if others:
        notes = [
            *notes,
            f"{name}: resources other than Observations are not read ({', '.join(sorted(others))})",
        ]
    results = [result for where, resource in resources for result in _observation(resource, where)]
    if not results:
        raise TableError(f"{name} holds no Observation; give Observations, or a Bundle that has some")
    subjects = list(dict.fromkeys(result[0] for result in results))
    _refuse_one_subject_twice(subjects, name)
    codes = list(dict.fromkeys(result[1] for result in results))
    if len(subjects) > 1:
        shown = ", ".join(subject or "without one" for subject in subjects[:8]) + (
            ", ..." if len(subjects) > 8 else ""
        )
        notes = [*notes, f"{name}: one record a subject, in this order: {shown}"]
    values = np.full((len(subjects), len(codes)), np.nan)
    seen: dict[tuple[str, str], str] = {}
    unit_of: dict[str, str] = {}
    for subject, code, number, unit, where in results:
        if (subject, code) in seen:
            raise TableError(
                f"{where}: a second result of LOINC {code} for one subject (the first: "
                f"{seen[subject, code]}); give the "
                "one that is meant"
            )
        if not math.isnan(number) and unit_of.setdefault(code, unit) != unit:
            raise TableError(
                f"{where}: LOINC {code} is in {unit or 'no unit'} here and in "
                f"{unit_of[code] or 'no unit'} before; give "
                "one unit"
            )
        seen[subject, code] = where
        values[subjects.index(subject), codes.index(code)] = number
    return Table(
        name, values, tuple(range(1, len(subjects) + 1)), tuple(codes), tuple(unit_of.get(code, "") for code
        in codes),
        tuple(notes), coded=True, subjects=tuple(subjects),
    )  # fmt: skip


def _refuse_one_subject_twice(subjects: list[str], name: str) -> None:
    """Two spellings of one subject would make two records of it, each with half of the results."""
    if "" in subjects and len(subjects) > 1:
        raise TableError(
            f"{name}: some results have a subject and some none; give each its subject, to keep them apart"
        )
    plain = {subject: subject.partition("/_history/")[0] for subject in subjects}
    spelt: dict[str, str] = {}
    for subject, one in plain.items():
        same = [other for other in subjects if other != subject and plain[other].endswith(f"/{one}")]
        if same or spelt.setdefault(one, subject) != subject:
            other = (same or [spelt[one]])[0]
            raise TableError(
                f"{name}: {other} and {subject} may be one subject or two; give each subject one reference"
            )


def _resources(value: Any, name: str) -> tuple[list[tuple[str, Any]], set[str]]:
    """(where, Observation) of each, and the types of the others."""
    listed = value if isinstance(value, list) else [value]
    if len(listed) == 1 and isinstance(listed[0], dict) and listed[0].get("resourceType") == "Bundle":
        entries = listed[0].get("entry", [])
        if listed[0].get("type") == "history":
            raise TableError(
                f"{name} is a history Bundle, which has what is no longer so; give a search's or a collection"
            )
        if not isinstance(entries, list):
            raise TableError(f"{name}: the Bundle's entry is no list")
        if _page(listed[0], entries):
            raise TableError(f"{name} is one page of a Bundle that has others (link, total); give it whole")
        odd = next((one for one in entries if _request(one) not in ("", "POST", "PUT")), None)
        if odd is not None:
            raise TableError(
                f"{name}: an entry of the Bundle is a {_request(odd)[:16]}, which gives no result"
            )
        listed = [entry.get("resource") if isinstance(entry, dict) else None for entry in entries]
    if len(listed) > MAX_RESOURCES:
        raise TableError(f"{name} has {len(listed)} resources; up to {MAX_RESOURCES} are read")
    found, others = [], set()
    for at, resource in enumerate(listed, start=1):
        where = f"{name}, resource {at}"
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(kind, str):
            raise TableError(f"{where} is no FHIR resource: it has no resourceType")
        if kind == "Observation":
            found.append((where, _checked(resource, where)))
        elif kind == "Bundle":
            raise TableError(f"{where} is a Bundle within another list; give one Bundle")
        else:
            others.add(kind[:64])
    return found, others


def _page(bundle: dict[str, Any], entries: list[Any]) -> bool:
    """Whether a search found more than the Bundle holds."""
    links = bundle.get("link")
    relations = {
        link.get("relation") for link in (links if isinstance(links, list) else []) if isinstance(link, dict)
    }
    total = bundle.get("total")
    more = isinstance(total, int) and total > len(entries)
    return more or not relations.isdisjoint(("next", "previous", "prev"))


def _request(entry: Any) -> str:
    """The HTTP method of a transaction's or a batch's entry."""
    asked = entry.get("request") if isinstance(entry, dict) else None
    return str(asked.get("method")) if isinstance(asked, dict) else ""


def _checked(resource: dict[str, Any], where: str) -> Any:
    with extras.explained():
        from fhir.resources.observation import Observation
        from fhir.resources.R4B.observation import Observation as ObservationR4B
    parts = resource.get("component")
    for part in (resource, *(parts if isinstance(parts, list) else [])):
        _plain_numbers(part, where)
    try:
        return ObservationR4B.model_validate(resource)
    except ValueError as error:
        try:
            return Observation.model_validate(resource)
        except ValueError:
            pass
        told = _first(error)
    raise TableError(f"{where} is no Observation of FHIR R4B or R5: {told}")


def _plain_numbers(part: Any, where: str) -> None:
    """Numbers must be written as such: `fhir.resources` takes the text "72", and true for 1."""
    quantity = part.get("valueQuantity") if isinstance(part, dict) else None
    given = quantity.get("value") if isinstance(quantity, dict) else None
    whole = part.get("valueInteger") if isinstance(part, dict) else None
    if any(isinstance(value, (bool, str)) for value in (given, whole)):
        raise TableError(f"{where}: a value is a text or a truth value; write the number")


def _first(error: ValueError) -> str:
    listed = getattr(error, "errors", None)
    if listed is None:
        return type(error).__name__
    first = listed()[0]
    return f"{'.'.join(str(part) for part in first['loc'])[:80]}: {first['msg'][:120].splitlines()[0]}"


def _observation(resource: Any, where: str) -> Iterator[_Result]:
    parts = resource.component or []
    if resource.implicitRules or any(one.modifierExtension for one in (resource, *parts)):
        raise TableError(
            f"{where} has a modifierExtension or implicitRules, which may change what it means; leave it out"
        )
    if resource.status not in FINAL:
        raise TableError(f"{where}: the result is {resource.status}; give final ones")
    if resource.subject is not None and resource.subject.reference is None:
        raise TableError(
            f"{where}: its subject has no reference; give it one, so that results are kept apart"
        )
    if resource.focus:
        raise TableError(f"{where}: the result is about another than its subject (focus); leave it out")
    subject = "" if resource.subject is None else str(resource.subject.reference)
    kind = _TYPED.search(subject)
    kinds = {kind and kind[1], resource.subject and resource.subject.type}
    if subject.startswith("#") or not kinds <= {None, "Patient"}:
        raise TableError(
            f"{where}: its subject {subject[:64]} is no Patient with a reference of its own; leave it out"
        )
    if _value_of(resource) is not None or not parts:
        yield (subject, *_result(resource, where))
    for number, part in enumerate(parts, start=1):
        yield (subject, *_result(part, f"{where}, component {number}"))


_VALUES = (
    "valueQuantity", "valueInteger", "valueString", "valueBoolean", "valueCodeableConcept", "valueRange",
    "valueRatio",
    "valueSampledData", "valueTime", "valueDateTime", "valuePeriod", "valueAttachment", "valueReference",
)  # fmt: skip


def _value_of(part: Any) -> str | None:
    return next((name for name in _VALUES if getattr(part, name, None) is not None), None)


def _result(part: Any, where: str) -> tuple[str, float, str, str]:
    code = _code(part, where)
    where = f"{where} (LOINC {code})"
    kind = _value_of(part)
    if kind is None:
        if part.dataAbsentReason is None:
            raise TableError(f"{where} has neither a value nor a reason why it has none; leave it out")
        return code, math.nan, "", where
    if part.dataAbsentReason is not None:
        raise TableError(f"{where} has a value and a reason why it has none; leave it out")
    if kind == "valueInteger":
        return code, float(part.valueInteger), "", where
    if kind != "valueQuantity":
        raise TableError(f"{where}: the value is a {kind.removeprefix('value')}, not a measured number")
    quantity = part.valueQuantity
    if quantity.comparator is not None:
        raise TableError(
            f"{where}: the value has the comparator {quantity.comparator!r}; leave such results out"
        )
    if quantity.value is None or not math.isfinite(float(quantity.value)):
        raise TableError(f"{where}: the value is no finite number")
    if quantity.code is None:
        if quantity.unit is not None:
            raise TableError(f"{where}: its unit {str(quantity.unit)[:40]!r} has no UCUM code; give the code")
        return code, float(quantity.value), "", where
    if quantity.system != UCUM:
        raise TableError(f"{where}: its unit's code is not of UCUM ({UCUM}); give the UCUM code")
    return code, float(quantity.value), units.canonical(str(quantity.code)), where


def _code(part: Any, where: str) -> str:
    codes = {c.code for c in part.code.coding or [] if c.system == LOINC and c.code is not None}
    if len(codes) != 1:
        raise TableError(
            f"{where} has {len(codes) or 'no'} LOINC code{'s' if len(codes) > 1 else ''}; give one ({LOINC})"
        )
    code = str(next(iter(codes)))
    if not is_loinc(code):
        raise TableError(f"{where}: {code[:20]!r} is no LOINC code; its check digit is wrong, or its form")
    return code


def is_loinc(code: str) -> bool:
    """Whether a code has LOINC's form, a number and its check digit (mod 10, as of card numbers)."""
    if not CODE.fullmatch(code):
        return False
    digits, check = code.split("-")
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return (10 - total % 10) % 10 == int(check)
