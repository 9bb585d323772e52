"""The simulator's public key infrastructure: three certificates and keys, public on purpose.

Anybody can sign a quote under this root. It stands for the level `simulated` and for nothing more.
Layout of the chain: Intel SGX PCK Certificate and CRL Profile Specification, section 1.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

FOLDER: Final = Path(__file__).parent
NOT_BEFORE: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NOT_AFTER: Final = dt.datetime(2046, 1, 1, tzinfo=dt.UTC)
ROOT_CRL: Final = "https://proofward.invalid/dev/root.crl"
"""Where nothing is (RFC 2606): verifiers ask that a certificate names a list, not that this one answers."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Authorities:
    """What stands above a platform: the root, the CA of its key, the signer of its collateral."""

    root: Authority
    platform_ca: Authority
    tcb_signing: Authority


def development() -> Authorities:
    """The committed ones, which chain, simulator and fixtures agree on."""
    return Authorities(_load("root"), _load("platform_ca"), _load("tcb_signing"))


def published_secret() -> bytes:
    """The committed CA's key file: a secret that everybody has, for stand-ins."""
    return (FOLDER / "platform_ca.key.pem").read_bytes()


def fresh() -> Authorities:
    """The same under keys made just now: a root that no chain knows."""
    root = _authority("SGX Root CA", None, 1)
    ca = _authority("SGX PCK Platform CA", root, 0)
    return Authorities(root, ca, _authority("SGX TCB Signing", root, None))


def certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: Authority | None,
    *,
    authority: int | None,
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> x509.Certificate:
    """Issue a certificate of the common name "Intel <name>", which verifiers ask for, and of the organisation
    "DEV (NOT INTEL) Proofward simulator".

    issuer: None for one that signs itself. authority: path length, None for an end entity.
    """
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"Intel {name}"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "DEV (NOT INTEL) Proofward simulator"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
        ]
    )
    signer = issuer.key if issuer else key
    signs = authority is not None
    usage = x509.KeyUsage(not signs, False, False, False, False, signs, signs, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .add_extension(x509.BasicConstraints(signs, authority), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    here = x509.DistributionPoint([x509.UniformResourceIdentifier(ROOT_CRL)], None, None, None)
    builder = builder.add_extension(x509.CRLDistributionPoints([here]), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signer, hashes.SHA256())


def _authority(name: str, issuer: Authority | None, path_length: int | None) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(certificate(name, key, issuer, authority=path_length), key)


def _load(name: str) -> Authority:
    key = load_pem_private_key((FOLDER / f"{name}.key.pem").read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{name} is no elliptic curve key")
    return Authority(x509.load_pem_x509_certificate((FOLDER / f"{name}.crt.pem").read_bytes()), key)
