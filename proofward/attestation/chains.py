"""Certificate chains of quote and collateral: a rule that dcap-qvl's Python package lacks, and what a chain
that it refuses fails at.

Sources: RFC 5280, section 6; Intel SGX PCK certificate and CRL profile, section 1.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from proofward.attestation.errors import AttestationError, Code
from proofward.attestation.roots import TrustRoot

_SIGNED: Final = {"tcb_info_issuer_chain": "TCB info", "qe_identity_issuer_chain": "QE identity"}
_LONGEST: Final = 6


def check_signers(collateral: Mapping[str, Any], root: TrustRoot) -> None:
    """Whether the root itself has issued the signers of TCB info and QE identity.

    A platform's own key is below the root as well, through its CA: it must not say how its TCB is to be
    judged. dcap-qvl asks for this from 0.7.1 on, which has no Python package. Raises
    AttestationError(quote-rejected).
    """
    anchor = x509.load_der_x509_certificate(root.der)
    for name, document in _SIGNED.items():
        fault = _unlike(_leaf(str(collateral[name])), anchor)
        if fault is not None:
            raise AttestationError(
                f"{root.name}: the signer of the {document} is not the root's own: {fault}",
                code=Code.QUOTE_REJECTED,
            )


def why(chain: Sequence[bytes], collateral: Mapping[str, Any], root: TrustRoot, now: int) -> str | None:
    """The first thing that is wrong with the chains of a quote (DER) and its collateral, in words.

    For a reader of a refusal: what is refused is dcap-qvl's to say. None when nothing is found.
    """
    try:
        anchor = x509.load_der_x509_certificate(root.der)
        lists = [
            x509.load_der_x509_crl(bytes.fromhex(str(collateral[name])))
            for name in ("root_ca_crl", "pck_crl")
        ]
        paths = {f"signer of the {what}": _pem(str(collateral[name])) for name, what in _SIGNED.items()}
        paths["PCK certificate"] = [x509.load_der_x509_certificate(der) for der in chain]
        moment = dt.datetime.fromtimestamp(now, dt.UTC)
        for label, certificates in paths.items():
            if certificates and (fault := _fault(certificates, anchor, lists, moment)) is not None:
                return f"{label}: {fault}"
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        return "a certificate or revocation list cannot be read"
    return None


def _fault(
    certificates: Sequence[x509.Certificate],
    anchor: x509.Certificate,
    lists: Sequence[x509.CertificateRevocationList],
    now: dt.datetime,
) -> str | None:
    path = [certificates[0]]
    while len(path) <= _LONGEST:
        one = path[-1]
        who = "it" if len(path) == 1 else f"its issuer {one.subject.rfc4514_string()}"
        if now < one.not_valid_before_utc:
            return f"{who} is not valid yet"
        if now > one.not_valid_after_utc:
            return f"{who} has expired"
        known = [anchor, *(each for each in certificates[1:] if each.subject != anchor.subject)]
        issuer = next((each for each in known if each.subject == one.issuer), None)
        if issuer is None:
            return f"{who} names an issuer that is not in the chain"
        if (wrong := _unlike([one], issuer) or _authority(issuer, len(path) - 1)) is not None:
            return f"{who} {wrong}"
        if (wrong := _revocation(one, issuer, lists, now)) is not None:
            return f"{who} {wrong}"
        if issuer is anchor:
            return None
        path.append(issuer)
    return "its chain is too long"


def _unlike(certificates: Sequence[x509.Certificate], issuer: x509.Certificate) -> str | None:
    if not certificates:
        return "there is none"
    try:
        certificates[0].verify_directly_issued_by(issuer)
    except InvalidSignature:
        return "is not signed by the issuer that it names"
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "is issued by another"
    return None


def _authority(issuer: x509.Certificate, between: int) -> str | None:
    """`between`: how many authorities are below this one in the path."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "is issued by what is no authority"
    if not constraints.ca:
        return "is issued by what is no authority"
    if constraints.path_length is not None and between > constraints.path_length:
        return "is issued by an authority that may have none below it"
    return None


def _revocation(
    one: x509.Certificate,
    issuer: x509.Certificate,
    lists: Sequence[x509.CertificateRevocationList],
    now: dt.datetime,
) -> str | None:
    found = next((each for each in lists if each.issuer == issuer.subject), None)
    if found is None:
        return "has an issuer without a revocation list"
    if not found.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
        return "has an issuer whose revocation list is signed by another"
    if found.next_update_utc is None or now > found.next_update_utc:
        return "has an issuer whose revocation list has expired"
    if found.get_revoked_certificate_by_serial_number(one.serial_number) is not None:
        return "is revoked"
    return None


def _leaf(text: str) -> list[x509.Certificate]:
    """The first alone: what stands behind it, readable or not, is on no path of one step."""
    try:
        return [x509.load_pem_x509_certificate(text.encode())]
    except ValueError:
        return []


def _pem(text: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode()) if text.strip() else []
    except ValueError:
        return []
