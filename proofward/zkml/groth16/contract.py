"""The Solidity verifier of one verifying key."""

from __future__ import annotations

from importlib.resources import files

from prover import solidity_verifier

from proofward.zkml.lanes import ContractSource
