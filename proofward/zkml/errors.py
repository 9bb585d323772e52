"""What can go wrong with a model, its artefact and its proofs."""

from __future__ import annotations

from proofward.errors import ProofwardError


class ZkmlError(ProofwardError):
    """Base of every expected failure here."""

    code = "zkml-error"


class ArtifactError(ZkmlError):
    """An artifact directory is missing, malformed, oversize or does not match its hashes."""

    code = "bad-artifact"


class InputRangeError(ZkmlError):
    """Input outside what the circuit takes. The message names the feature and its range, never the value."""

    code = "input-out-of-range"


class UnsupportedModel(ZkmlError):
    """A lane does not take this model; the message names the operator and the node."""

    code = "unsupported-model"


class AccuracyError(ZkmlError):
    """The integer model loses more accuracy than the bound allows."""

    code = "accuracy-loss"


class CompileError(ZkmlError):
    """Compilation failed for another reason (bad calibration data, a tool that failed)."""

    code = "compile-failed"


class ProvingError(ZkmlError):
    """One proof attempt failed; the artifact and the process stay usable."""

    code = "prover-failed"


class LaneUnavailable(ZkmlError):
    """The lane's native parts are not installed on this machine."""

    code = "lane-unavailable"


class ContractError(ZkmlError):
    """The verifier contract could not be rebuilt, or it differs from what is on the chain."""

    code = "contract-mismatch"
