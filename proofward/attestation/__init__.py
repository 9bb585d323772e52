"""Attestation off the chain: quotes, collateral, policy and roots. dcap-qvl is the verifier."""

from proofward.attestation.collateral import INTEL_PCS_URL, Collateral, fetch_collateral
from proofward.attestation.errors import AttestationError, Code
from proofward.attestation.quote import Quote, parse_quote
from proofward.attestation.roots import (
    DEV_ROOT,
    DEVELOPMENT_ROOTS,
    INTEL_ROOT,
    PRODUCTION_ROOTS,
    TrustRoot,
)
from proofward.attestation.verify import TcbPolicy, VerifiedQuote, verify_quote
from proofward.attestation.worker import WorkerClaim, verify_worker

__all__ = [
    "DEVELOPMENT_ROOTS",
    "DEV_ROOT",
    "INTEL_PCS_URL",
    "INTEL_ROOT",
    "PRODUCTION_ROOTS",
    "AttestationError",
    "Code",
    "Collateral",
    "Quote",
    "TcbPolicy",
    "TrustRoot",
    "VerifiedQuote",
    "WorkerClaim",
    "fetch_collateral",
    "parse_quote",
    "verify_quote",
    "verify_worker",
]
