"""The enclave's log: one JSON object a line on standard error. No library, since what runs here is measured.

Callers give codes, names and hashes; never a value of a job, a key, or an exception's text.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import Any


def info(event: str, **fields: Any) -> None:
    """Something that an operator may want to know."""
    _write("info", event, fields)


def error(event: str, **fields: Any) -> None:
    """Something that an operator has to look at."""
    _write("error", event, fields)


def _write(level: str, event: str, fields: dict[str, Any]) -> None:
    timestamp = dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    line = json.dumps({**fields, "event": event, "level": level, "timestamp": timestamp})
    print(line, file=sys.stderr, flush=True)
