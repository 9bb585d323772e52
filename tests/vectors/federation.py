"""Vectors of federated studies, for Python and Rust alike: python -m tests.vectors.federation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import proofward_prover

from proofward.protocol.federation import Aggregate, Opening, rho, study_id, values_hash

PATH: Final = Path(__file__).with_name("federation.json")
LARGEST: Final = (1 << 52) - 1
VALUES: Final = ([0], [1, -1], [LARGEST, -LARGEST, 7], [(-1) ** j * j**5 for j in range(200)])


def vectors() -> dict[str, Any]:
    """Every function with its arguments and its value, in hexadecimal."""
    opening = Opening(b"\1" * 32, b"\2" * 32, b"\3" * 32, 4, 5, b"\6" * 32, b"\7" * 32)
    said = Aggregate(b"\1" * 32, b"\2" * 32, 4, b"\x08" * 32, b"\x09" * 32, (1, 3))
    return {
        "commitments": [_commitment(place, values) for place, values in enumerate(VALUES)],
        "messages": {
            "opening": opening.message().hex(),
            "aggregate": said.message().hex(),
            "study_id": study_id(b"\1" * 32, b"\2" * 32).hex(),
        },
        "rho": [[clip, variance, rho(clip, variance)] for clip, variance in ((1, 1), (3, 7), (100, 40_000))],
    }


def _commitment(place: int, values: list[int]) -> dict[str, Any]:
    blinding = (place * 10**60).to_bytes(32, "little")
    return {
        "values": values,
        "blinding": blinding.hex(),
        "commitment": proofward_prover.vector_commit(values, blinding).hex(),
        "values_hash": values_hash(values).hex(),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(vectors(), indent=1) + "\n")
