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
_TCB_DATE: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
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


@dataclass(frozen=True, slots=True)
class Publication:
    """What Intel would have published of a platform: dates, numbers that only rise, status, revocation.

    `until` is of the collateral, `lists_until` of its revocation lists (None: the same).
    """

    issued: dt.datetime
    until: dt.datetime
    crl_number: int
    tcb_status: str = "UpToDate"
    tcb_evaluation: int = _EVALUATION_NUMBER
    qe_evaluation: int = _EVALUATION_NUMBER
    revoked: bool = False
    tcb_date: dt.datetime = _TCB_DATE
    lists_until: dt.datetime | None = None

    @classmethod
    def of_day(cls, today: dt.date, *, tcb_status: str = "UpToDate") -> Publication:
        """The one of a UTC day. The CRLs' number is the day since the first, so that it rises as slowly as
        Intel's: the chain takes none that leaps.
        """
        midnight = dt.datetime.combine(today, dt.time(), dt.UTC)
        issued = midnight - _ISSUED_AGO
        number = max(1, (issued - dev_pki.NOT_BEFORE).days)
        return cls(issued, midnight + _VALID_FOR, number, tcb_status)


class DevPlatform:
    """One simulated machine: a PCK key of its own, the shared authorities above it."""

    def __init__(self, authorities: dev_pki.Authorities | None = None, fmspc: bytes = FMSPC) -> None:
        """`authorities`: the committed development ones; `fmspc`: the platform's family, 6 bytes."""
        self._above = authorities or dev_pki.development()
        self._fmspc = fmspc
        self._pck_key = ec.generate_private_key(ec.SECP256R1())
        extension = sgx_extension(
            ppid=os.urandom(16), cpu_svn=_CPU_SVN, pce_svn=_PCE_SVN, fmspc=fmspc, instance_id=os.urandom(16)
        )
        self._pck = dev_pki.certificate(
            "SGX PCK Certificate",
            self._pck_key,
            self._above.platform_ca,
            authority=None,
            extensions=(x509.UnrecognizedExtension(SGX_EXTENSION, extension),),
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
        chain = _pem(self._pck, self._above.platform_ca.certificate, self._above.root.certificate).encode()
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
        return self.collateral_of(Publication.of_day(today, tcb_status=tcb_status))

    def collateral_of(self, what: Publication) -> dict[str, str]:
        """The collateral of one publication, in dcap-qvl's JSON form."""
        dates = {"issueDate": _moment(what.issued), "nextUpdate": _moment(what.until)}
        tcb_date = _moment(what.tcb_date)
        tcb_info = _json(
            {
                "id": "TDX",
                "version": 3,
                **dates,
                "fmspc": self._fmspc.hex().upper(),
                "pceId": "0000",
                "tcbType": 0,
                "tcbEvaluationDataNumber": what.tcb_evaluation,
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
                        "tcbDate": tcb_date,
                        "tcbStatus": what.tcb_status,
                    }
                ],
            }
        )
        qe_identity = _json(
            {
                "id": "TD_QE",
                "version": 2,
                **dates,
                "tcbEvaluationDataNumber": what.qe_evaluation,
                "miscselect": "00000000",
                "miscselectMask": "FFFFFFFF",
                "attributes": _QE_ATTRIBUTES.hex().upper(),
                "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
                "mrsigner": _QE_SIGNER.hex().upper(),
                "isvprodid": _QE_PRODUCT,
                "tcbLevels": [{"tcb": {"isvsvn": _QE_ISV_SVN}, "tcbDate": tcb_date, "tcbStatus": "UpToDate"}],
            }
        )
        root, platform_ca, tcb_signing = self._above.root, self._above.platform_ca, self._above.tcb_signing
        signer_chain = _pem(tcb_signing.certificate, root.certificate)
        signer = tcb_signing.key
        revoked = (self._pck.serial_number,) if what.revoked else ()
        return {
            "pck_crl_issuer_chain": _pem(platform_ca.certificate, root.certificate),
            "root_ca_crl": _revocation_list(root, what).hex(),
            "pck_crl": _revocation_list(platform_ca, what, revoked).hex(),
            "tcb_info_issuer_chain": signer_chain,
            "tcb_info": tcb_info,
            "tcb_info_signature": _raw_signature(signer, tcb_info.encode()).hex(),
            "qe_identity_issuer_chain": signer_chain,
            "qe_identity": qe_identity,
            "qe_identity_signature": _raw_signature(signer, qe_identity.encode()).hex(),
        }


def _moment(when: dt.datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _revocation_list(authority: dev_pki.Authority, what: Publication, revoked: tuple[int, ...] = ()) -> bytes:
    """A CRL with the serial numbers in `revoked`, DER."""
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(what.issued)
        .next_update(what.lists_until or what.until)
        .add_extension(x509.CRLNumber(what.crl_number), critical=False)
        .add_extension(identifier, critical=False)
    )
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(what.issued).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(authority.key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)
