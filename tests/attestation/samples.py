"""Quotes of Intel's own, with the collateral that Intel gave out for them: tests/samples/README.md."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from proofward.attestation import Collateral

SAMPLES = Path(__file__).parents[1] / "samples"


def sample(name: str) -> tuple[bytes, Collateral, int]:
    """Quote, collateral, and the time an hour after the later of its issue dates."""
    text = (SAMPLES / f"{name}_collateral.json").read_text()
    fields = json.loads(text)
    issued = [json.loads(fields[part])["issueDate"] for part in ("tcb_info", "qe_identity")]
    now = max(dt.datetime.fromisoformat(date) for date in issued).timestamp() + 3600
    return bytes.fromhex((SAMPLES / f"{name}.hex").read_text()), Collateral.from_json(text), int(now)
