"""A clinic: have a language model read a de-identified note; what it found is kept as FHIR, with the receipt.

Usage: note.py http://127.0.0.1:8089/v1 MODEL note.txt > bundle.json

The address is `proofward proxy`'s: the note goes nowhere else, and not in clear. Out comes a Bundle of
Observations and one Provenance that names the call's receipt; `proofward verify` checks the answer's file.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

KNOWN: Final = {
    "heart_rate": ("8867-4", "Heart rate", "/min", 20, 300),
    "systolic": ("8480-6", "Systolic blood pressure", "mm[Hg]", 40, 300),
    "diastolic": ("8462-4", "Diastolic blood pressure", "mm[Hg]", 20, 200),
    "temperature": ("8310-5", "Body temperature", "Cel", 25, 45),
    "oxygen_saturation": ("59408-5", "Oxygen saturation", "%", 30, 100),
    "glucose": ("2339-0", "Glucose in blood", "mg/dL", 10, 1500),
}
"""Name for the model -> LOINC code, display, UCUM unit, plausible range."""
IDENTIFYING: Final = {
    "a date of birth": r"(?i)\b(?:dob|date of birth|born)\b",
    "an e-mail address": r"\S@\S+\.\S",
    "a telephone number": r"\+?\d[\d ()-]{8,}\d",
    "a record number": r"(?i)\b(?:mrn|ssn|patient id|record no)\b",
    "a title with a name": r"\b(?:Mr|Mrs|Ms|Miss|Dr)\.? [A-Z]",
}
"""What a de-identified note does not hold. A net with wide meshes: who de-identifies answers for it."""
ASK: Final = (
    "Read the clinical note. Answer with one JSON object and nothing else. Its members are those of "
    f"{', '.join(KNOWN)} that the note states, as numbers in {{units}}. Leave out what it does not state."
)
SYSTEM: Final = "https://proofward.org/receipt"


class Unusable(Exception):
    """A note that must not be sent, or an answer that must not be kept."""


def main(base: str, model: str, note: str) -> int:
    """Print the Bundle; end with 0, or with 1 and the reason."""
    try:
        text = Path(note).read_text(encoding="utf-8")
        refuse_identifying(text)
        said, receipt = ask(base, model, text)
        json.dump(bundle(found_in(said, text), receipt, model), sys.stdout, indent=2)
        print()
    except (Unusable, OSError) as error:
        print(f"nothing is kept: {error}", file=sys.stderr)
        return 1
    return 0


def refuse_identifying(text: str) -> None:
    """Raises Unusable for a note that names somebody."""
    for what, pattern in IDENTIFYING.items():
        if re.search(pattern, text):
            raise Unusable(f"the note seems to hold {what}; take it out first")


def ask(base: str, model: str, text: str) -> tuple[str, str]:
    """What the model says, and the id of the receipt of its saying so. Raises Unusable, OSError."""
    units = ", ".join(f"{name} {unit}" for name, (_, _, unit, _, _) in KNOWN.items())
    messages = [
        {"role": "system", "content": ASK.format(units=units)},
        {"role": "user", "content": text},
    ]
    body = json.dumps({"model": model, "messages": messages, "temperature": 0}).encode()
    request = urllib.request.Request(
        f"{base}/chat/completions", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=600) as response:
        receipt = response.headers.get("X-Receipt-Id")
        value = json.loads(response.read())
    if not receipt:
        raise Unusable(f"{base} gives no receipt: is it `proofward proxy`?")
    return str(value["choices"][0]["message"]["content"]), receipt


def found_in(said: str, text: str) -> dict[str, float]:
    """The values that the model found, each of which the note itself has. Raises Unusable."""
    try:
        value = json.loads(said)
    except ValueError:
        raise Unusable("the model's answer is no JSON") from None
    if not isinstance(value, dict) or not value:
        raise Unusable("the model has found nothing")
    stated = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)}
    for name, number in value.items():
        if name not in KNOWN or isinstance(number, bool) or not isinstance(number, int | float):
            raise Unusable(f"the model's answer has a member {name[:40]!r} that was not asked for")
        _, display, unit, least, most = KNOWN[name]
        if not least <= number <= most:
            raise Unusable(f"{display} of {number} {unit} is not plausible")
        if float(number) not in stated:
            raise Unusable(f"the note does not state {number} ({display}): the model has made it up")
    return value


def bundle(found: dict[str, float], receipt: str, model: str) -> dict[str, Any]:
    """FHIR R4: preliminary Observations, and the Provenance that says whose they are."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entries = []
    for number, (name, value) in enumerate(sorted(found.items()), 1):
        code, display, unit, _, _ = KNOWN[name]
        resource = {
            "resourceType": "Observation",
            "status": "preliminary",
            "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": display}]},
            "valueQuantity": {
                "value": value,
                "unit": unit,
                "system": "http://unitsofmeasure.org",
                "code": unit,
            },
            "issued": now,
        }
        entries.append({"fullUrl": f"urn:uuid:00000000-0000-4000-8000-{number:012}", "resource": resource})
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": entry["fullUrl"]} for entry in entries],
        "recorded": now,
        "agent": [{"who": {"display": f"language model {model}"}}],
        "entity": [{"role": "source", "what": {"identifier": {"system": SYSTEM, "value": receipt}}}],
    }
    entries.append({"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000000", "resource": provenance})
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
