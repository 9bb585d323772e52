"""A chain's raw spec, as its reader has it from somebody he trusts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from proofward.consensus.errors import BadProof
from proofward.files import read_whole
from proofward.protocol import strict_json

MAX_SPEC: Final = 64 << 20


def raw_spec(path: Path) -> dict[str, Any]:
    """A raw spec's JSON, whose `genesis.raw.top` is an object, and `properties` too where it has them. Raises
    BadProof.
    """
    try:
        spec = strict_json.loads(read_whole(path, MAX_SPEC), limit=MAX_SPEC)
        if not isinstance(spec, dict) or not isinstance(spec["genesis"]["raw"]["top"], dict):
            raise ValueError("it is no raw spec")
        if not isinstance(spec.get("properties") or {}, dict):
            raise ValueError("its properties are no object")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadProof(f"the chain's raw spec {path} cannot be used: {reason}") from error
    return spec
