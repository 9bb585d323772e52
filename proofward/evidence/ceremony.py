"""What shows that a model's keys come of a ceremony: its transcript, which is part of the artefact, and who
stands for what a transcript alone does not show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proofward.check import Check
from proofward.evidence.policy import Certificate, KeySources, Policy
from proofward.protocol import sha256
from proofward.zkml import PublicArtifact, ZkmlError
from proofward.zkml.manifest import TRANSCRIPT

if TYPE_CHECKING:
    from proofward.zkml.groth16.ceremony import Transcript

_NAMES: Final = 8
"""Contributors that a line names."""
_ADVICE: Final = (
    "give --onnx and --ptau, or a chain that certifies the ceremony (--chain, or --spec for its proof)"
)


def ceremony_checks(
    public: PublicArtifact | None, certificate: Certificate | None, policy: Policy
) -> list[Check]:
    """`setup`, and `transcript` where the artefact has one.

    Without phase 1 and the circuit a transcript shows who contributed, that each share follows from those
    before it, and that they end in the key's gamma and delta. The rest is computed from the reader's own
    `policy.sources`, or stands under the certificate of the reader's chain.
    """
    if public is None:
        return [Check("setup", None, "ceremony: the model's artefact is not the one that its id names")]
    data = public.files.get(TRANSCRIPT)
    if data is None:
        told = f"ceremony: {policy.witness}, and there is no transcript that shows it; {_ADVICE}"
        return [_certified(certificate) or Check("setup", None, told)]
    try:
        from proofward.zkml.groth16 import ceremony
    except ImportError as error:
        return [Check("setup", None, f"ceremony: the prover that reads its transcript is missing: {error}")]
    try:
        held = ceremony.read(public)
    except ZkmlError as error:
        return [Check("transcript", False, error.message)]
    digest = sha256(data).hex()
    if certificate is not None and certificate.transcript.hex() not in (digest, held.contributions[-1].hash):
        told = f"0x{digest}, and the chain certified another one, 0x{certificate.transcript.hex()}"
        return [Check("transcript", False, told)]
    shown = Check("transcript", True, _told(held))
    if policy.sources is not None:
        return [shown, _computed(public, held.phase1, policy.sources)]
    told = (
        "ceremony: not checked: that the rest of the key is the circuit's over phase 1, "
        f"SHA-256 {held.phase1}, and who made that; {_ADVICE}"
    )
    return [shown, _certified(certificate) or Check("setup", None, told)]


def _computed(public: PublicArtifact, phase1: str, sources: KeySources) -> Check:
    """The key from the reader's own files."""
    from proofward.zkml.groth16.compiler.audited import check_key

    try:
        check_key(public, sources.onnx, sources.ptau)
    except ZkmlError as error:
        return Check("setup", False, f"ceremony: {error.message}")
    told = f"ceremony: the key is the circuit's over your phase 1, SHA-256 {phase1}, and the transcript"
    return Check("setup", True, told)


def _certified(certificate: Certificate | None) -> Check | None:
    if certificate is None:
        return None
    told = f"ceremony, certified by the chain's governance as 0x{certificate.transcript.hex()}"
    return Check("setup", True, f"{told}: {certificate.witness}")


def _told(held: Transcript) -> str:
    names = ", ".join(map(repr, held.secret[:_NAMES])) + (", …" if len(held.secret) > _NAMES else "")
    return (
        f"{len(held.secret)} contributed a secret ({names}), of whom one honest one is enough; each share "
        "follows from those before it, and they end in the key's gamma and delta"
    )
