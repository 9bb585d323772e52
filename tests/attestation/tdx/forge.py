"""TDX evidence under keys of ours, whole but for what a case changes: every signature above a change is made
anew, so that a case fails for its own reason and for no other.

Layouts: Intel TDX DCAP Quoting Library API, appendix A.3; Intel SGX PCS API v4; the PCK certificate and CRL
profile; RFC 5280 for the extensions of certificates and lists.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from proofward_enclave.providers.sgx_extension import SGX_EXTENSION, sgx_extension

NOW: Final = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
DAY: Final = dt.timedelta(days=1)
FMSPC, CPU_SVN, PCE_SVN = bytes.fromhex("00806f050000"), bytes([5] * 16), 11
QE_SIGNER: Final = b"\x44" * 32
MODULE_SIGNER: Final = b"\x33" * 48
REPORT_DATA: Final = hashlib.sha512(b"report data").digest()
_VENDOR: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
Options = dict[str, Any]


@cache
def key(name: str) -> ec.EllipticCurvePrivateKey:
    """The key of a name, one a process."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Recipe:
    """What of the evidence differs from whole evidence."""

    certificates: dict[str, Options] = field(default_factory=dict)
    """By name (root, ca, pck, tcb): the options of `_certificate`."""
    chain: Sequence[str] = ("pck", "ca", "root")
    signer_chain: Sequence[str] = ("tcb", "root")
    qe_chain: Sequence[str] | None = None
    extension: Options | None = field(default_factory=dict)
    header: Options = field(default_factory=dict)
    version: int = 4
    td15: bool = False
    td: dict[str, bytes] = field(default_factory=dict)
    qe: Options = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    """Who signs in whose place: quote, qe, tcb_info, qe_identity."""
    tcb_info: Callable[[dict[str, Any]], None] = lambda _value: None
    qe_identity: Callable[[dict[str, Any]], None] = lambda _value: None
    lists: dict[str, Options] = field(default_factory=dict)
    """By issuer (root, ca): the options of `_list`."""
    after: Callable[[bytearray, dict[str, str]], None] = lambda _quote, _collateral: None
    """A change of the finished bytes, under which no signature is made anew."""


@dataclass(frozen=True)
class Evidence:
    """A quote, its collateral as a PCCS gives it, and the root (DER) that both end at."""

    quote: bytes
    collateral: dict[str, str]
    root: bytes


def forge(recipe: Recipe) -> Evidence:
    """The evidence that a recipe describes."""
    made = {name: _certificate(name, recipe) for name in ("root", "ca", "pck", "tcb", "rogue-ca")}

    def chain(names: Sequence[str]) -> str:
        return "".join(made[name].public_bytes(Encoding.PEM).decode() for name in names)

    quote = bytearray(_quote(recipe, chain(recipe.chain).encode()))
    tcb_info, qe_identity = _tcb_info(), _qe_identity()
    recipe.tcb_info(tcb_info)
    recipe.qe_identity(qe_identity)
    texts = {"tcb_info": json.dumps(tcb_info), "qe_identity": json.dumps(qe_identity)}
    collateral = {
        "pck_crl_issuer_chain": chain(("ca", "root")),
        "root_ca_crl": _list("root", recipe, made).hex(),
        "pck_crl": _list("ca", recipe, made).hex(),
        "tcb_info_issuer_chain": chain(recipe.signer_chain),
        "qe_identity_issuer_chain": chain(recipe.qe_chain or recipe.signer_chain),
    }
    for name, text in texts.items():
        signer = key(recipe.keys.get(name, "tcb"))
        collateral |= {name: text, f"{name}_signature": _sign(signer, text.encode()).hex()}
    recipe.after(quote, collateral)
    return Evidence(bytes(quote), collateral, made["root"].public_bytes(Encoding.DER))


@cache
def other_root() -> bytes:
    """A root (DER) of the same name, under another key."""
    return forge(Recipe(certificates={"root": {"key": "thief"}})).root


# ---- certificates and lists --------------------------------------------------------------------------

_ISSUERS: Final = {"root": "root", "ca": "root", "rogue-ca": "root", "pck": "ca", "tcb": "root"}


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"CASES {name}")])


def serial(name: str) -> int:
    """The serial number of a certificate."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big") >> 1


def _certificate(name: str, recipe: Recipe) -> x509.Certificate:
    """Options: since, until, issuer (a name), signer (whose key), authority, path_length, key."""
    options = recipe.certificates.get(name, {})
    issuer = options.get("issuer", _ISSUERS[name])
    own, signer = key(options.get("key", name)).public_key(), key(options.get("signer", issuer))
    signs = options.get("authority", name not in ("pck", "tcb"))
    length = options.get("path_length", {"root": 1, "ca": 0, "rogue-ca": 0}.get(name)) if signs else None
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(own)
        .serial_number(serial(name))
        .not_valid_before(options.get("since", NOW - 300 * DAY))
        .not_valid_after(options.get("until", NOW + 3000 * DAY))
        .add_extension(x509.BasicConstraints(signs, length), critical=True)
        .add_extension(
            x509.KeyUsage(not signs, False, False, False, False, signs, signs, False, False), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if name == "pck" and recipe.extension is not None:
        value = {
            "ppid": bytes(16), "cpu_svn": CPU_SVN, "pce_svn": PCE_SVN, "fmspc": FMSPC,
            "instance_id": bytes(16), **recipe.extension,
        }  # fmt: skip
        extension = value.pop("raw", None) or sgx_extension(**value)
        builder = builder.add_extension(x509.UnrecognizedExtension(SGX_EXTENSION, extension), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _list(issuer: str, recipe: Recipe, made: dict[str, x509.Certificate]) -> bytes:
    """Options: since, until, revoked (names), signer, named (its issuer), number, bare (no extensions)."""
    options = recipe.lists.get(issuer, {})
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_name(options.get("named", issuer)))
        .last_update(options.get("since", NOW - DAY))
        .next_update(options.get("until", NOW + 30 * DAY))
    )
    if not options.get("bare"):
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key(issuer).public_key())
        builder = builder.add_extension(x509.CRLNumber(options.get("number", 7)), critical=False)
        builder = builder.add_extension(identifier, critical=False)
    for name in options.get("revoked", ()):
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(made[name].serial_number)
            .revocation_date(NOW - DAY)
            .build()
        )
    signed = builder.sign(key(options.get("signer", issuer)), hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


# ---- the quote ---------------------------------------------------------------------------------------


def _quote(recipe: Recipe, chain: bytes) -> bytes:
    head = {"version": recipe.version, "key_type": 2, "tee": 0x81, "vendor": _VENDOR, **recipe.header}
    header = struct.pack("<HHIHH", head["version"], head["key_type"], head["tee"], 0, 0)
    header += bytes(head["vendor"]) + bytes(20)
    body = b"".join({**_td(), **recipe.td}.values())
    if not recipe.td15:
        body = body[:584]
    if recipe.version == 5:
        body = struct.pack("<HI", 3 if recipe.td15 else 2, len(body)) + body
    public = _point("attestation")
    certification = _certification(recipe, public, chain)
    auth = _sign(key(recipe.keys.get("quote", "attestation")), header + body) + public
    auth += struct.pack("<HI", 6, len(certification)) + certification
    return header + body + struct.pack("<I", len(auth)) + auth


def _td() -> dict[str, bytes]:
    """TD report 1.5 by field; the first 584 bytes are 1.0's."""
    return {
        "tee_tcb_svn": bytes([3, 1] + [4] * 14), "mrseam": bytes(48), "mrsignerseam": MODULE_SIGNER,
        "seamattributes": bytes(8), "td_attributes": struct.pack("<Q", 1 << 28), "xfam": bytes(8),
        "mrtd": b"\x11" * 48, "mr_config_id": bytes(48), "mr_owner": bytes(48), "mr_owner_config": bytes(48),
        "rtmr0": bytes(48), "rtmr1": bytes(48), "rtmr2": bytes(48), "rtmr3": bytes(48),
        "report_data": REPORT_DATA, "tee_tcb_svn_2": bytes([3, 1] + [4] * 14), "mr_servicetd": bytes(48),
    }  # fmt: skip


def _certification(recipe: Recipe, public: bytes, chain: bytes) -> bytes:
    qe = {
        "cpu_svn": CPU_SVN, "miscselect": bytes(4), "attributes": b"\x11" + bytes(15), "signer": QE_SIGNER,
        "product": 2, "svn": 4, "auth": bytes(range(32)), "bound": None, "chain_type": 5, **recipe.qe,
    }  # fmt: skip
    bound = qe["bound"] or hashlib.sha256(public + qe["auth"]).digest() + bytes(32)
    report = b"".join((
        qe["cpu_svn"], qe["miscselect"], bytes(28), qe["attributes"], bytes(64), qe["signer"], bytes(96),
        struct.pack("<HH", qe["product"], qe["svn"]), bytes(60), bound,
    ))  # fmt: skip
    signature = _sign(key(recipe.keys.get("qe", "pck")), report)
    tail = struct.pack("<HI", qe["chain_type"], len(chain)) + chain
    return report + signature + struct.pack("<H", len(qe["auth"])) + bytes(qe["auth"]) + tail


# ---- what a PCCS publishes -----------------------------------------------------------------------------


def moment(when: dt.datetime) -> str:
    """As the PCS API writes a time."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def _dates() -> Options:
    return {"issueDate": moment(NOW - DAY), "nextUpdate": moment(NOW + 29 * DAY)}


def level(status: str, sgx: int = 5, pce: int = 11, tdx: int = 4, **more: Any) -> Options:
    """A TCB level: all SGX components, the PCE, all TDX components."""
    tcb = {
        "sgxtcbcomponents": [{"svn": sgx}] * 16,
        "pcesvn": pce,
        "tdxtcbcomponents": [{"svn": 3}, {"svn": 1}, *[{"svn": tdx}] * 14],
    }
    return {"tcb": tcb, "tcbDate": moment(NOW - 100 * DAY), "tcbStatus": status, **more}


def _tcb_info() -> Options:
    module = {"mrsigner": MODULE_SIGNER.hex(), "attributes": "00" * 8, "attributesMask": "FF" * 8}
    step = {"tcb": {"isvsvn": 3}, "tcbDate": moment(NOW - 100 * DAY), "tcbStatus": "UpToDate"}
    return {
        "id": "TDX", "version": 3, **_dates(), "fmspc": FMSPC.hex(), "pceId": "0000", "tcbType": 0,
        "tcbEvaluationDataNumber": 17, "tdxModule": dict(module),
        "tdxModuleIdentities": [{"id": "TDX_01", **module, "tcbLevels": [step]}],
        "tcbLevels": [level("UpToDate"), level("OutOfDate", sgx=2, pce=5, tdx=1)],
    }  # fmt: skip


def _qe_identity() -> Options:
    step = {"tcb": {"isvsvn": 4}, "tcbDate": moment(NOW - 100 * DAY), "tcbStatus": "UpToDate"}
    return {
        "id": "TD_QE", "version": 2, **_dates(), "tcbEvaluationDataNumber": 17, "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF", "attributes": "11" + "00" * 15,
        "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000", "mrsigner": QE_SIGNER.hex(), "isvprodid": 2,
        "tcbLevels": [step],
    }  # fmt: skip


def _sign(signer: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(signer.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _point(name: str) -> bytes:
    public = key(name).public_key()
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
