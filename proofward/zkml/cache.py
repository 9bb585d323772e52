"""Small JSON results kept between runs, in a folder that only this user writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proofward.files import write_whole


def recall(path: Path | None) -> dict[str, Any] | None:
    """What remember() kept there; None when there is nothing, or nothing that can be read."""
    if path is None:
        return None
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) else None


def remember(path: Path | None, fields: dict[str, Any]) -> None:
    """Keep fields there, whole or not at all, whoever else writes."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(fields).encode())
