"""The gateway's identity: keys that it makes itself, the keyset over them, and quotes over the keyset.

No private key leaves the process; when it ends they are gone, and a new process is a new identity.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from proofward.aci import e2ee
from proofward.aci.documents import API_VERSION, RECEIPT_ALGORITHM, Key, Keyset, TlsKey, report_slot
from proofward.attestation import Collateral
from proofward.attestation.gateway import GENERATED_INSIDE
from proofward_enclave.providers import Evidence, QuoteProvider
from proofward_enclave.providers.base import quote_over
from proofward_gateway.channel import spki_sha256

RECEIPT_KEY_ID: Final = "receipt-1"
_QUOTES_AT_ONCE: Final = 2
_WAITING: Final = 64


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """One generation of keys; requests that began under it end under it."""

    keyset: Keyset
    digest: str
    receipt: Ed25519PrivateKey = field(repr=False)
    e2ee: dict[str, e2ee.PrivateKey] = field(repr=False)
    tls_pem: bytes = field(repr=False)

    @property
    def hpke_key(self) -> bytes:
        """The X25519 key of E2EE, 32 bytes: the one that a chain can hold."""
        return next(key.public for key in self.e2ee.values() if key.suite == e2ee.X25519)


def make_keys(domain: str, *, not_after: int) -> Keys:
    """Fresh keys of every role, and the keyset over them; `not_after` in Unix seconds."""
    receipt = Ed25519PrivateKey.generate()
    service = {key.public.hex(): key for key in map(e2ee.PrivateKey.generate, e2ee.SUITES)}
    pem, certificate = _certificate(domain, not_after)
    keyset = Keyset(
        None,
        not_after,
        (Key(RECEIPT_KEY_ID, RECEIPT_ALGORITHM, receipt.public_key().public_bytes_raw().hex()),),
        e2ee.service_keys(*service.values()),
        (TlsKey(spki_sha256(certificate), domain),),
    )
    return Keys(keyset, keyset.digest, receipt, service, pem)


class Workload:
    """The current keys, renewed at half their life; connections made after that are under the new ones."""

    def __init__(
        self,
        provider: QuoteProvider,
        *,
        domain: str,
        seconds: int,
        direct: bool,
        clock: Callable[[], float],
        collateral: Collateral | None = None,
    ) -> None:
        self._provider, self._domain, self._seconds = provider, domain, seconds
        self._direct, self._clock, self._collateral = direct, clock, collateral
        self._quoting = asyncio.Semaphore(_QUOTES_AT_ONCE)
        self._waiting = 0
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self._keys = self._renew()

    @property
    def keys(self) -> Keys:
        """This moment's keys."""
        if self._keys.keyset.not_after - self._clock() < self._seconds / 2:
            self._keys = self._renew()
        return self._keys

    async def report(self, nonce: str | None) -> dict[str, Any] | None:
        """The attestation report of section 4 under a checked nonce; None when too many are asked for.

        Raises ProviderError.
        """
        keys = self.keys
        slot = report_slot(keys.digest, nonce)
        evidence = await self.quote(slot)
        return (
            None
            if evidence is None
            else {
                "api_version": API_VERSION,
                "workload_keyset_digest": keys.digest,
                "attestation": {
                    "tee_type": "tdx",
                    "workload_keyset": keys.keyset.document(),
                    "report_data": slot[:32].hex(),
                    "source_provenance": {
                        "repo_url": None,
                        "repo_commit": None,
                        "image_digest": None,
                        "image_provenance": None,
                    },
                    "evidence": {
                        "quote": evidence.quote.hex(),
                        "collateral": self.collateral_of(evidence),
                        "key_custody": GENERATED_INSIDE,
                        "provider": self._provider.name,
                    },
                },
                "service_capabilities": {
                    "supported_e2ee_versions": [e2ee.VERSION],
                    "serving": "direct" if self._direct else "aggregator",
                },
            }
        )

    async def quote(self, slot: bytes) -> Evidence | None:
        """A quote over 64 bytes; None when too many are asked for. Raises ProviderError."""
        if self._waiting >= _WAITING:
            return None
        self._waiting += 1
        try:
            async with self._quoting:
                return await asyncio.to_thread(quote_over, self._provider, slot)
        finally:
            self._waiting -= 1

    def collateral_of(self, evidence: Evidence) -> Any:
        """The collateral that goes with a quote, as JSON's values; None when there is none."""
        if evidence.collateral is not None:
            return json.loads(Collateral.decode(evidence.collateral).to_json())
        return None if self._collateral is None else json.loads(self._collateral.to_json())

    def _renew(self) -> Keys:
        keys = make_keys(self._domain, not_after=int(self._clock()) + self._seconds)
        _load(self.tls, keys.tls_pem)
        return keys


def _certificate(domain: str, not_after: int) -> tuple[bytes, bytes]:
    """A self-signed certificate over a fresh P-256 key: PEM of both, and DER of the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(domain))
    except ValueError:
        alternative = x509.DNSName(domain)
    end = dt.datetime.fromtimestamp(not_after, dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - dt.timedelta(days=2))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret + certificate.public_bytes(Encoding.PEM), certificate.public_bytes(Encoding.DER)


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """OpenSSL reads keys from files alone: this one is in memory and never had a name."""
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
