"""`StatementInsurance`, compiled: a contract that pays on a statement. `make contracts` compares it with its
source, contracts/src/StatementInsurance.sol.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class InsuranceCode:
    """init_code to deploy it (append the constructor's arguments), runtime_code, abi in JSON form."""

    init_code: bytes
    runtime_code: bytes
    abi: list[dict[str, Any]]


@cache
def insurance() -> InsuranceCode:
    """The contract, whose constructor takes (verifier, model's key, statements' key, claim)."""
    document = json.loads(resources.files(__name__).joinpath("StatementInsurance.json").read_text())
    return InsuranceCode(
        bytes.fromhex(document["init_code"]), bytes.fromhex(document["runtime_code"]), document["abi"]
    )
