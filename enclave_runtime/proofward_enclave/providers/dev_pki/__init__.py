"""The simulator's public key infrastructure: three certificates and keys, public on purpose.

Anybody can sign a quote under this root. It stands for the level `simulated` and for nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def load(name: str) -> Authority:
    """One of `root`, `platform_ca`, `tcb_signing`."""
    certificate = x509.load_pem_x509_certificate((_FOLDER / f"{name}.crt.pem").read_bytes())
    key = load_pem_private_key((_FOLDER / f"{name}.key.pem").read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{name} is no elliptic curve key")
    return Authority(certificate, key)
