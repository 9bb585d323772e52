"""The Solidity verifier of one verifying key."""

from __future__ import annotations

from proofward_prover import solidity_verifier

from proofward import checkout
from proofward.zkml.lanes import ContractSource

CONTRACTS = checkout.part("contracts/src")


def source(verifying_key: bytes) -> ContractSource:
    """The template with the key's constants filled in. Raises prover.ProverError for a malformed key."""
    template = (CONTRACTS / "Groth16Verifier.sol.tmpl").read_text()
    return ContractSource(
        sources={
            "IProofVerifier.sol": (CONTRACTS / "IProofVerifier.sol").read_text(),
            "Groth16Verifier.sol": solidity_verifier(verifying_key, template),
        },
        file="Groth16Verifier.sol",
        contract="Groth16Verifier",
    )
