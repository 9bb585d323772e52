"""Two results of one job under one receipt key: an enclave makes one in its life, so both together show that
the key left it, or that it is not what it is measured to be. The chain takes a part of the stake for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from proofward.errors import Refused
from proofward.evidence.bundle import Bundle
from proofward.protocol import Level, ProtocolError, Receipt, Setup, sha256, verify_receipt


@dataclass(frozen=True, slots=True)
class TwoResults:
    """Two receipts that `receipt_key` (Ed25519, 32 bytes) signed, and the signatures, 64 bytes each."""

    receipt_key: bytes
    first: Receipt
    first_signature: bytes
    second: Receipt
    second_signature: bytes

    @classmethod
    def of(cls, first: Bundle, second: Bundle) -> TwoResults:
        """From two bundles of one job. Raises Refused(no-evidence): they do not speak against each other."""
        found = [(signed(one), one.result.receipt_signature) for one in (first, second)]
        (one, signature), (other, other_signature) = found
        for name, what in (("genesis", "chains"), ("job", "jobs"), ("worker", "workers")):
            if getattr(one, name) != getattr(other, name):
                raise Refused(f"the bundles are of two {what}: that is no evidence", code="no-evidence")
        if first.worker.receipt_key != second.worker.receipt_key:
            raise Refused("the bundles are of two receipt keys: each may sign a result", code="no-evidence")
        if one.output_commitment == other.output_commitment:
            raise Refused("both bundles commit to the same output: that is one result", code="no-evidence")
        return cls(first.worker.receipt_key, one, signature, other, other_signature)


def receipt_of(bundle: Bundle) -> Receipt:
    """The receipt that a bundle's result says was signed. Raises ProtocolError."""
    result, job = bundle.result, bundle.job
    return Receipt(
        genesis=bundle.chain.genesis,
        job=job.id,
        model=job.model,
        worker=result.worker,
        weights_digest=bundle.model.weights_digest,
        input_commitment=job.input_commitment,
        output_commitment=result.output_commitment,
        sealed_output_hash=sha256(result.sealed_output),
        proof_hash=sha256(result.proof),
        level=Level.from_label(result.level),
        setup=Setup.decode(result.setup),
        block=result.receipt_block,
    )


def signed(bundle: Bundle) -> Receipt:
    """The bundle's receipt, whose signature verifies. Raises Refused(no-evidence)."""
    try:
        receipt = receipt_of(bundle)
        verify_receipt(receipt, bundle.result.receipt_signature, bundle.worker.receipt_key)
    except ProtocolError as error:
        raise Refused(
            f"a bundle's receipt is not signed by its key: {error.message}", code="no-evidence"
        ) from None
    return receipt
