"""A connection to an attested service: no byte of a request goes out but over the TLS key that was attested.

Needs aiohttp (extra `gateway`).
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proofward.aci.documents import Keyset
from proofward.aci.jcs import MAX_DOCUMENT
from proofward.attestation.gateway import Appraisal, Channel, GatewayPolicy, appraise
from proofward.attestation.legacy import QUERY, appraise_legacy
from proofward.attestation.verify import VerifiedQuote
from proofward.errors import ProofwardError
from proofward.protocol import sha256

CONNECT_SECONDS: Final = 10.0
DOCUMENT_SECONDS: Final = 30.0


class GatewayError(ProofwardError):
    """A gateway or its upstream cannot be reached, or is not what it should be."""

    code = "gateway-refused"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a service listens: https alone, or in `plain` also http."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str, *, plain: bool = False) -> Origin:
        """Read `https://host[:port]`, without path or user. Raises GatewayError(bad-url)."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        schemes = ("https", "http") if plain else ("https",)
        if parts.scheme not in schemes or not parts.hostname or parts.username or parts.path not in ("", "/"):
            raise GatewayError(f"{url!r} is no address like {schemes[0]}://host:port", code="bad-url")
        default = 443 if parts.scheme == "https" else 80
        return cls(parts.scheme, parts.hostname, default if port is None else port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True, repr=False)
class Attested:
    """A service whose six checks hold, and how it is to be talked to."""

    origin: Origin
    pin: aiohttp.Fingerprint
    """Of the very certificate that was attested: aiohttp compares it before it writes a request."""
    channel: Channel
    listed: Keyset | None
    """None of a service whose report is the older one."""
    quote: VerifiedQuote
    appraisal: Appraisal
    nonce: str
    report: bytes
    at: int

    @property
    def evidence_ends(self) -> int:
        """Unix second after which a part of the evidence no longer holds."""
        ends = self.quote.expires_at
        return ends if self.listed is None else min(self.listed.not_after, ends)

    @property
    def keyset(self) -> Keyset:
        """Of a service of ACI. Raises GatewayError for another."""
        if self.listed is None:
            raise GatewayError(f"{self.origin} lists no keys: its report is the older one", code="unattested")
        return self.listed


def client_session() -> aiohttp.ClientSession:
    """A session that follows no proxy of the environment, stores no cookie and asks for no compression.

    A `trace_request_ctx` is called when its request's connection stands, before the first byte leaves.
    """
    leaving = aiohttp.TraceConfig()
    leaving.on_request_headers_sent.append(_leaves)
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "proofward"},
        skip_auto_headers=("Accept-Encoding",),
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
        trace_configs=[leaving],
    )


async def _leaves(_session: aiohttp.ClientSession, context: SimpleNamespace, _told: object) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx()


async def attest(
    session: aiohttp.ClientSession,
    origin: Origin,
    policy: GatewayPolicy,
    *,
    clock: Callable[[], float] = time.time,
    choose_e2ee: Callable[[Keyset], str | None] = lambda _keyset: None,
) -> Attested:
    """Ask a service for its report under a nonce of ours, over the connection that is checked with it.

    Raises GatewayError: unreachable, or `unattested` with the first of the six checks that does not hold.
    """
    der = await _certificate(origin)
    pin, spki = aiohttp.Fingerprint(sha256(der)), spki_sha256(der)
    nonce = secrets.token_hex(32)
    report = await get_document(session, origin, pin, f"/v1/aci/attestation?nonce={nonce}")
    now = int(clock())
    channel = Channel(origin.host, spki)
    appraisal = appraise(report, nonce=nonce, channel=channel, now=now, policy=policy)
    if appraisal.keyset is not None and (key := choose_e2ee(appraisal.keyset)) is not None:
        channel = Channel(origin.host, spki, key)
        appraisal = appraise(report, nonce=nonce, channel=channel, now=now, policy=policy)
    return _attested(origin, pin, channel, appraisal, nonce, report, now)


async def attest_legacy(
    session: aiohttp.ClientSession,
    origin: Origin,
    policy: GatewayPolicy,
    *,
    clock: Callable[[], float] = time.time,
) -> Attested:
    """As `attest`, by the report that services had before ACI. Raises GatewayError.

    No API key goes with the question: the certificate that is met is anybody's until the report is appraised.
    """
    der = await _certificate(origin)
    pin, channel = aiohttp.Fingerprint(sha256(der)), Channel(origin.host, spki_sha256(der))
    nonce = secrets.token_hex(32)
    path = f"/v1/attestation/report?nonce={nonce}&{QUERY}"
    report = await get_document(session, origin, pin, path)
    now = int(clock())
    appraisal = appraise_legacy(report, nonce=nonce, channel=channel, now=now, policy=policy)
    return _attested(origin, pin, channel, appraisal, nonce, report, now)


def _attested(
    origin: Origin,
    pin: aiohttp.Fingerprint,
    channel: Channel,
    appraisal: Appraisal,
    nonce: str,
    report: bytes,
    now: int,
) -> Attested:
    if not appraisal.holds or appraisal.quote is None:
        raise GatewayError(f"{origin} is not attested: {appraisal.reason}", code="unattested")
    return Attested(origin, pin, channel, appraisal.keyset, appraisal.quote, appraisal, nonce, report, now)


async def get_document(
    session: aiohttp.ClientSession,
    origin: Origin,
    pin: aiohttp.Fingerprint,
    path: str,
    *,
    headers: dict[str, str] | None = None,
) -> bytes:
    """A document of at most a mebibyte, status 200, without redirects. Raises GatewayError."""
    try:
        async with (
            asyncio.timeout(DOCUMENT_SECONDS),
            session.get(f"{origin}{path}", ssl=pin, allow_redirects=False, headers=headers) as response,
        ):
            if response.status != 200:
                raise GatewayError(f"{origin} answered {response.status} to {path.partition('?')[0]}")
            return await read_bounded(response.content, MAX_DOCUMENT)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise GatewayError(f"{origin} does not answer: {_told(error)}", code="gateway-unreachable") from None


async def read_bounded(stream: aiohttp.StreamReader, limit: int) -> bytes:
    """The rest of a body. Raises GatewayError(too-long)."""
    parts, length = [], 0
    async for chunk in stream.iter_any():
        length += len(chunk)
        if length > limit:
            raise GatewayError(f"an answer has more than {limit} bytes", code="too-long")
        parts.append(chunk)
    return b"".join(parts)


def spki_sha256(certificate: bytes) -> str:
    """SHA-256 (hex) of the public key in a certificate (DER)."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hex()


async def _certificate(origin: Origin) -> bytes:
    """The certificate (DER) that a host shows: attestation vouches for it, so no authority is asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(
                origin.host, origin.port, ssl=context, server_hostname=origin.host
            )
            der: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
    except (OSError, TimeoutError) as error:
        raise GatewayError(f"{origin} does not answer: {_told(error)}", code="gateway-unreachable") from None
    if der is None:
        raise GatewayError(f"{origin} shows no certificate", code="unattested")
    return der


def _told(error: Exception) -> str:
    """The kind of a failure: a library's text may hold what was sent."""
    return type(error).__name__
