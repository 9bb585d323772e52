"""The contract of the cases: one question in JSON on standard input, the verdict in JSON on standard output.

python -m tests.attestation.tdx.judge < question.json

In: `quote` (hex), `collateral` (a PCCS's JSON), `roots` (DER, hex), `now` (Unix seconds), and, where they
are asked for, `policy` (statuses, rejected_advisories, min_evaluation_number), `report_data` and
`measurement` (hex). Out: `verdict`, and `code` and `reason` of a refusal. Exit code 0: accepted; 1: refused;
2: no question.

The form follows Tinfoil's: JSON in, exit codes, numbered cases, a map of clauses.
"""

from __future__ import annotations

import hmac
import json
import sys
from typing import Any, Final

from proofward.attestation import AttestationError, Collateral, TcbPolicy, TrustRoot, verify_quote
from proofward.protocol import Level

ACCEPTED: Final = 0
REFUSED: Final = 1
NO_QUESTION: Final = 2


def judge(text: str) -> tuple[int, dict[str, Any]]:
    """Exit code and answer."""
    try:
        asked = json.loads(text)
        quote, now = bytes.fromhex(asked["quote"]), int(asked["now"])
        roots = tuple(
            TrustRoot(f"root {n}", Level.HARDWARE, bytes.fromhex(der)) for n, der in enumerate(asked["roots"])
        )
        said = asked.get("policy", {})
        policy = TcbPolicy(
            statuses=frozenset(said.get("statuses", ["UpToDate"])),
            rejected_advisories=frozenset(said.get("rejected_advisories", ())),
            min_evaluation_number=int(said.get("min_evaluation_number", 0)),
        )
        wanted = {name: asked[name] for name in ("report_data", "measurement") if name in asked}
        fields = json.dumps(asked["collateral"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return NO_QUESTION, {"verdict": "no question", "reason": f"{type(error).__name__}: {error}"}
    try:
        found = verify_quote(quote, Collateral.from_json(fields), now=now, roots=roots, policy=policy)
    except AttestationError as error:
        return REFUSED, {"verdict": "refused", "code": error.code, "reason": error.message}
    stated = {
        "report_data": found.quote.report_data.hex(),
        "measurement": found.quote.measurement.hex(),
    }
    for name, value in wanted.items():
        if not hmac.compare_digest(stated[name], str(value)):
            return REFUSED, {"verdict": "refused", "code": name.replace("_", "-"), "reason": f"other {name}"}
    return ACCEPTED, {"verdict": "accepted", "tcb_status": found.tcb_status, **stated}


if __name__ == "__main__":
    code, answer = judge(sys.stdin.read())
    print(json.dumps(answer))
    sys.exit(code)
