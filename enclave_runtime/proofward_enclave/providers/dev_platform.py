"""A simulated TDX platform: signs quotes that unmodified verifiers accept, under a root that nobody should
trust.

Layouts: Intel TDX DCAP Quoting Library API, appendix A.3 (quote v4, v5, TD report 1.0 and 1.5), and the
Intel SGX DCAP PCS API v4 (TCB info, QE identity, CRLs).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import struct
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from proofward_enclave.providers import dev_pki
from proofward_enclave.providers.sgx_extension import SGX_EXTENSION, sgx_extension

FMSPC: Final = bytes.fromhex("DE50C0FFEE00")
_CPU_SVN: Final = bytes(16)
_PCE_SVN: Final = 11
_EVALUATION_NUMBER: Final = 17
_QE_SIGNER: Final = b"\x44" * 32
_QE_ISV_SVN: Final = 4
_QE_PRODUCT: Final = 2
_QE_ATTRIBUTES: Final = b"\x11" + bytes(15)
_INTEL_QE_VENDOR: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_TEE_TDX: Final = 0x81
_ECDSA_P256: Final = 2
_PCK_CHAIN, _QE_REPORT = 5, 6
_TD10, _TD15 = 2, 3
_TD_ATTRIBUTES: Final = struct.pack("<Q", 1 << 28)
"""SEPT_VE_DISABLE, as every production guest sets it; debug off."""
_TCB_DATE: Final = "2026-01-01T00:00:00Z"
_LEAF_FROM: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_LEAF_TO: Final = dt.datetime(2045, 1, 1, tzinfo=dt.UTC)
_ISSUED_AGO: Final = dt.timedelta(days=7)
"""A development chain's clock may lie behind the wall's; collateral from its future would be refused."""
_VALID_FOR: Final = dt.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class TdIdentity:
    """What the simulated trust domain claims to run; registers of 48 bytes."""

    mrtd: bytes
    rtmrs: tuple[bytes, bytes, bytes, bytes] = (bytes(48), bytes(48), bytes(48), bytes(48))
    mr_config_id: bytes = bytes(48)
    mr_owner: bytes = bytes(48)
    mr_owner_config: bytes = bytes(48)
    td_attributes: bytes = field(default=_TD_ATTRIBUTES)


def _raw_signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """r || s, 64 bytes. Deterministic (RFC 6979), so that all simulators publish the same collateral on one
    day.
    """
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _raw_public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def _pem(*certificates: x509.Certificate) -> str:
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates)


class DevPlatform:
    """One simulated machine: a PCK key of its own, the shared authorities above it."""

    def __init__(self) -> None:
        self._root = dev_pki.load("root")
        self._platform_ca = dev_pki.load("platform_ca")
        self._tcb_signing = dev_pki.load("tcb_signing")
        self._pck_key = ec.generate_private_key(ec.SECP256R1())
        self._pck = self._issue_pck()

    def _issue_pck(self) -> x509.Certificate:
        issuer = self._platform_ca
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, "DEV (NOT INTEL) SGX PCK Certificate"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Proofward simulator"),
                x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            ]
        )
        extension = sgx_extension(
            ppid=os.urandom(16), cpu_svn=_CPU_SVN, pce_svn=_PCE_SVN, fmspc=FMSPC, instance_id=os.urandom(16)
        )
        usage = x509.KeyUsage(True, True, False, False, False, False, False, False, False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer.certificate.subject)
            .public_key(self._pck_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_LEAF_FROM)
            .not_valid_after(_LEAF_TO)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._pck_key.public_key()), critical=False
            )
            .add_extension(authority, critical=False)
            .add_extension(x509.UnrecognizedExtension(SGX_EXTENSION, extension), critical=False)
            .sign(issuer.key, hashes.SHA256())
        )

    def quote(self, report_data: bytes, td: TdIdentity, *, version: int = 4, td15: bool = False) -> bytes:
        """Sign a quote of version 4 or 5; `td15` (version 5 only) uses the TD report 1.5."""
        body = self._td_report(report_data, td)
        if td15:
            body += bytes(16) + bytes(48)  # TEE_TCB_SVN_2, MR_SERVICETD
        header = struct.pack("<HHIHH", version, _ECDSA_P256, _TEE_TDX, 0, 0) + _INTEL_QE_VENDOR + bytes(20)
        if version == 5:
            body = struct.pack("<HI", _TD15 if td15 else _TD10, len(body)) + body
        attestation_key = ec.generate_private_key(ec.SECP256R1())
        signature = _raw_signature(attestation_key, header + body)
        certification = self._qe_report_certification(_raw_public(attestation_key))
        auth = (
            signature
            + _raw_public(attestation_key)
            + struct.pack("<HI", _QE_REPORT, len(certification))
            + certification
        )
        return header + body + struct.pack("<I", len(auth)) + auth

    def _td_report(self, report_data: bytes, td: TdIdentity) -> bytes:
        """TD report 1.0, 584 bytes; an all-zero SEAM as in the TCB info."""
        return b"".join(
            (
                bytes(16 + 48 + 48 + 8),  # TEE_TCB_SVN, MRSEAM, MRSIGNERSEAM, SEAMATTRIBUTES
                td.td_attributes,
                bytes(8),  # XFAM
                td.mrtd,
                td.mr_config_id,
                td.mr_owner,
                td.mr_owner_config,
                *td.rtmrs,
                report_data,
            )
        )

    def _qe_report_certification(self, attestation_public: bytes) -> bytes:
        """The quoting enclave's report over the attestation key, signed by the PCK, with the PCK's chain."""
        auth_data = os.urandom(32)
        binding = hashlib.sha256(attestation_public + auth_data).digest() + bytes(32)
        report = b"".join(
            (
                _CPU_SVN,
                bytes(4 + 28),
                _QE_ATTRIBUTES,
                bytes(32 + 32),
                _QE_SIGNER,
                bytes(96),
                struct.pack("<HH", _QE_PRODUCT, _QE_ISV_SVN),
                bytes(60),
                binding,
            )
        )
        chain = _pem(self._pck, self._platform_ca.certificate, self._root.certificate).encode()
        return b"".join(
            (
                report,
                _raw_signature(self._pck_key, report),
                struct.pack("<H", len(auth_data)),
                auth_data,
                struct.pack("<HI", _PCK_CHAIN, len(chain)),
                chain,
            )
        )

    def collateral(self, today: dt.date, *, tcb_status: str = "UpToDate") -> dict[str, str]:
        """The collateral of a UTC day, in dcap-qvl's JSON form; byte for byte the same on every machine."""
        midnight = dt.datetime.combine(today, dt.time(), dt.UTC)
        issued, until = midnight - _ISSUED_AGO, midnight + _VALID_FOR
        dates = {"issueDate": f"{issued:%Y-%m-%dT%H:%M:%SZ}", "nextUpdate": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
        tcb_info = _json(
            {
                "id": "TDX",
                "version": 3,
                **dates,
                "fmspc": FMSPC.hex().upper(),
                "pceId": "0000",
                "tcbType": 0,
                "tcbEvaluationDataNumber": _EVALUATION_NUMBER,
                "tdxModule": {
                    "mrsigner": "00" * 48,
                    "attributes": "00" * 8,
                    "attributesMask": "FF" * 8,
                },
                "tcbLevels": [
                    {
                        "tcb": {
                            "sgxtcbcomponents": [{"svn": svn} for svn in _CPU_SVN],
                            "pcesvn": _PCE_SVN,
                            "tdxtcbcomponents": [{"svn": 0}] * 16,
                        },
                        "tcbDate": _TCB_DATE,
                        "tcbStatus": tcb_status,
                    }
                ],
            }
        )
        qe_identity = _json(
            {
                "id": "TD_QE",
                "version": 2,
                **dates,
                "tcbEvaluationDataNumber": _EVALUATION_NUMBER,
                "miscselect": "00000000",
                "miscselectMask": "FFFFFFFF",
                "attributes": _QE_ATTRIBUTES.hex().upper(),
                "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
                "mrsigner": _QE_SIGNER.hex().upper(),
                "isvprodid": _QE_PRODUCT,
                "tcbLevels": [
                    {"tcb": {"isvsvn": _QE_ISV_SVN}, "tcbDate": _TCB_DATE, "tcbStatus": "UpToDate"}
                ],
            }
        )
        signer_chain = _pem(self._tcb_signing.certificate, self._root.certificate)
        signer = self._tcb_signing.key
        return {
            "pck_crl_issuer_chain": _pem(self._platform_ca.certificate, self._root.certificate),
            "root_ca_crl": _revocation_list(self._root, issued, until).hex(),
            "pck_crl": _revocation_list(self._platform_ca, issued, until).hex(),
            "tcb_info_issuer_chain": signer_chain,
            "tcb_info": tcb_info,
            "tcb_info_signature": _raw_signature(signer, tcb_info.encode()).hex(),
            "qe_identity_issuer_chain": signer_chain,
            "qe_identity": qe_identity,
            "qe_identity_signature": _raw_signature(signer, qe_identity.encode()).hex(),
        }


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _revocation_list(authority: dev_pki.Authority, issued: dt.datetime, until: dt.datetime) -> bytes:
    """An empty CRL, DER; its number is the day since the first, so that it rises as slowly as Intel's: the
    chain takes none that leaps."""
    number = max(1, (issued - _LEAF_FROM).days)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(issued)
        .next_update(until)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(identifier, critical=False)
        .sign(authority.key, hashes.SHA256(), ecdsa_deterministic=True)
        .public_bytes(Encoding.DER)
    )
