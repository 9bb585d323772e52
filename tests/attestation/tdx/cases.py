"""The cases: numbered, each under one clause, with the exit code, the code and the reason it must have."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from tests.attestation.tdx.forge import DAY, NOW, REPORT_DATA, Options, Recipe, key, level, moment, other_root

CLAUSES: Final = {
    "H": "quote header: version, key type, TEE, vendor (DCAP quoting library API, A.3.1)",
    "F": "framing: lengths and ends of the quote's parts (A.3, A.4)",
    "S": "the quote's signature by the attestation key (A.3.8)",
    "Q": "the quoting enclave's report: its signature and its binding of the attestation key (A.3.9)",
    "I": "the quoting enclave's identity (PCS API v4, enclave identity)",
    "P": "the PCK certificate's chain to a trusted root (PCK certificate profile 1; RFC 5280, 6.1)",
    "X": "the PCK certificate's SGX extension (PCK certificate profile 1.3.5)",
    "R": "revocation lists: signed, in time, of the right issuer (RFC 5280, 5 and 6.3)",
    "T": "TCB info: signed by the root's own signer, in time, of this family (PCS API v4, TCB info)",
    "L": "TCB levels: the first that the platform meets, and what policy makes of it",
    "M": "the TDX module: signer, attributes, identity, level (PCS API v4, tdxModuleIdentities)",
    "D": "the trust domain: no debug",
    "B": "binding: report data and measurement, whole and not by a prefix",
    "A": "trust anchors: only those that the reader named",
}

ACCEPT, REFUSE = 0, 1
REJECTED, MALFORMED, ROOT, POLICY = "quote-rejected", "malformed-quote", "unknown-root", "tcb-not-allowed"
Asked = Callable[[Options], None]


@dataclass(frozen=True)
class Case:
    """One case: `asked` changes the question after the evidence is made."""

    clause: str
    what: str
    recipe: Recipe
    exit: int
    code: str | None = None
    reason: str | None = None
    """A part of the answer's reason, or of its TCB status where it is accepted."""
    asked: Asked = field(default=lambda _question: None)


def ok(
    clause: str,
    what: str,
    recipe: Recipe | None = None,
    status: str = "UpToDate",
    asked: Asked | None = None,
) -> Case:
    """A case that must be accepted, with this TCB status."""
    return Case(clause, what, recipe or Recipe(), ACCEPT, None, status, asked or (lambda _question: None))


def no(
    clause: str,
    what: str,
    reason: str,
    recipe: Recipe | None = None,
    code: str = REJECTED,
    asked: Asked | None = None,
) -> Case:
    """A case that must be refused for this reason."""
    return Case(clause, what, recipe or Recipe(), REFUSE, code, reason, asked or (lambda _question: None))


def put(**values: Any) -> Asked:
    """Members of the question, replaced."""
    return lambda question: question.update(values)


def policy(**values: Any) -> Asked:
    """The reader's policy."""
    return put(policy=values)


def at(when: timedelta) -> Asked:
    """Asked at another time."""
    return put(now=int((NOW + when).timestamp()))


def flip(offset: int) -> Callable[[bytearray, dict[str, str]], None]:
    """One bit of the finished quote."""

    def change(quote: bytearray, _collateral: dict[str, str]) -> None:
        quote[offset] ^= 1

    return change


def cut(length: int) -> Callable[[bytearray, dict[str, str]], None]:
    """The quote without its last bytes."""

    def change(quote: bytearray, _collateral: dict[str, str]) -> None:
        del quote[len(quote) - length :]

    return change


def swap(name: str, value: Callable[[str], str]) -> Callable[[bytearray, dict[str, str]], None]:
    """A member of the finished collateral."""

    def change(_quote: bytearray, collateral: dict[str, str]) -> None:
        collateral[name] = value(collateral[name])

    return change


def info(**values: Any) -> Callable[[Options], None]:
    """Members of a signed document, replaced before it is signed; None takes one out."""

    def change(document: Options) -> None:
        document.update(values)
        for name in [name for name, value in values.items() if value is None]:
            del document[name]

    return change


def levels(*values: Options) -> Callable[[Options], None]:
    """TCB levels."""
    return info(tcbLevels=list(values))


def qe_level(status: str, svn: int = 4, **more: Any) -> Callable[[Options], None]:
    """The QE identity's one level."""
    step = {"tcb": {"isvsvn": svn}, "tcbDate": moment(NOW - 100 * DAY), "tcbStatus": status, **more}
    return info(tcbLevels=[step])


def module(status: str, svn: int = 3, **more: Any) -> Callable[[Options], None]:
    """The module identity's one level, and members of the identity."""

    def change(document: Options) -> None:
        step = {"tcb": {"isvsvn": svn}, "tcbDate": moment(NOW - 100 * DAY), "tcbStatus": status}
        document["tdxModuleIdentities"][0].update(tcbLevels=[step], **more)

    return change


_SIGNED = 48 + 584
_AUTH = _SIGNED + 4
_QE = _AUTH + 64 + 64 + 6
_DEBUG = struct.pack("<Q", 1 << 28 | 1)

CASES: Final[list[Case]] = [
    ok("H", "version 4"),
    ok("H", "version 5, TD report 1.0", Recipe(version=5)),
    ok("H", "version 5, TD report 1.5", Recipe(version=5, td15=True)),
    no("H", "version 3", "Invalid TEE type", Recipe(header={"version": 3}), MALFORMED),
    no("H", "version 6", "Unsupported quote version", Recipe(header={"version": 6}), MALFORMED),
    no("H", "attestation key of another type", "attestation key type", Recipe(header={"key_type": 3})),
    no("H", "TEE type of SGX", "Not enough data", Recipe(header={"tee": 0}), MALFORMED),
    no("H", "quoting enclave of another vendor", "Unknown QE vendor", Recipe(header={"vendor": bytes(16)})),
    no(
        "F",
        "no quote",
        "Could not decode `Header::version`",
        Recipe(after=lambda quote, _collateral: quote.clear()),
        MALFORMED,
    ),
    no(
        "F",
        "the header alone",
        "Could not decode `TDReport10::tee_tcb_svn`",
        Recipe(after=lambda quote, _c: quote.__delitem__(slice(48, None))),
        MALFORMED,
    ),
    no("F", "without its last byte", "Not enough data", Recipe(after=cut(1)), MALFORMED),
    no("F", "without its certificates", "Not enough data", Recipe(after=cut(2000)), MALFORMED),
    no(
        "F",
        "longer than a quote may be",
        "at most",
        Recipe(after=lambda q, _c: q.extend(bytes(20_000))),
        MALFORMED,
    ),
    no(
        "F",
        "certificates of another kind",
        "data type 7 is not supported",
        Recipe(qe={"chain_type": 7}),
        MALFORMED,
    ),
    no("F", "authentication data of another length", "QE auth data length", Recipe(qe={"auth": bytes(16)})),
    no("S", "signature flipped", "ISV enclave report signature is invalid", Recipe(after=flip(_AUTH + 10))),
    no("S", "measurement flipped", "ISV enclave report signature is invalid", Recipe(after=flip(48 + 136))),
    no("S", "report data flipped", "ISV enclave report signature is invalid", Recipe(after=flip(48 + 520))),
    no("S", "register flipped", "ISV enclave report signature is invalid", Recipe(after=flip(48 + 328))),
    no(
        "S",
        "signed by a key that no report binds",
        "ISV enclave report signature",
        Recipe(keys={"quote": "thief"}),
    ),
    no("Q", "attestation key flipped", "QE report hash mismatch", Recipe(after=flip(_AUTH + 70))),
    no("Q", "report flipped", "Signature is invalid for qe_report", Recipe(after=flip(_QE + 20))),
    no(
        "Q",
        "report signed by another key",
        "Signature is invalid for qe_report",
        Recipe(keys={"qe": "thief"}),
    ),
    no("Q", "report signed by the CA", "Signature is invalid for qe_report", Recipe(keys={"qe": "ca"})),
    no("Q", "report binds another key", "QE report hash mismatch", Recipe(qe={"bound": bytes(64)})),
    no("Q", "authentication data flipped", "QE report hash mismatch", Recipe(after=flip(_QE + 384 + 64 + 4))),
    no("I", "another signer", "QE MRSIGNER mismatch", Recipe(qe={"signer": bytes(32)})),
    no("I", "another product", "QE ISVPRODID mismatch", Recipe(qe={"product": 1})),
    no("I", "other attributes", "QE ATTRIBUTES mismatch", Recipe(qe={"attributes": b"\x31" + bytes(15)})),
    no("I", "a debug enclave", "QE report validation failed", Recipe(qe={"attributes": b"\x13" + bytes(15)})),
    no("I", "another misc select", "QE MISCSELECT mismatch", Recipe(qe={"miscselect": b"\x01" + bytes(3)})),
    no(
        "I",
        "identity of the SGX quoting enclave",
        "Unsupported QE Identity id",
        Recipe(qe_identity=info(id="QE")),
    ),
    no("I", "identity of an unknown version", "Unsupported QE Identity", Recipe(qe_identity=info(version=9))),
    no(
        "I",
        "identity of tomorrow",
        "QE Identity issue date",
        Recipe(qe_identity=info(issueDate=moment(NOW + DAY))),
    ),
    no(
        "I",
        "identity of the past",
        "QE Identity expired",
        Recipe(qe_identity=info(nextUpdate=moment(NOW - DAY))),
    ),
    no(
        "I",
        "identity signed by another key",
        "Signature is invalid for qe_identity",
        Recipe(keys={"qe_identity": "thief"}),
    ),
    no(
        "I",
        "identity that is no JSON",
        "Failed to decode QeIdentity",
        Recipe(after=swap("qe_identity", lambda _t: "{")),
    ),
    no(
        "I",
        "identity signed by a platform's own key",
        "signer of the QE identity is not the root's own",
        Recipe(certificates={"pck": {}}, qe_chain=("pck", "ca", "root"), keys={"qe_identity": "pck"}),
    ),
    no("I", "an enclave below every level", "QE ISVSVN 3 is below minimum", Recipe(qe={"svn": 3})),
    no("I", "a revoked level", "Revoked", Recipe(qe_identity=qe_level("Revoked"))),
    no("I", "a level out of date", "OutOfDate", Recipe(qe_identity=qe_level("OutOfDate")), POLICY),
    no("P", "the root alone", "Intel extension not found", Recipe(chain=("root",)), MALFORMED),
    no(
        "P",
        "without the CA",
        "PCK certificate: it names an issuer that is not in the chain",
        Recipe(chain=("pck", "root")),
    ),
    no(
        "P",
        "an expired PCK certificate",
        "PCK certificate: it has expired",
        Recipe(certificates={"pck": {"until": NOW - DAY}}),
    ),
    no(
        "P",
        "a PCK certificate of tomorrow",
        "PCK certificate: it is not valid yet",
        Recipe(certificates={"pck": {"since": NOW + DAY}}),
    ),
    no(
        "P",
        "an expired CA",
        "its issuer CN=CASES ca has expired",
        Recipe(certificates={"ca": {"until": NOW - DAY}}),
    ),
    no(
        "P",
        "a CA that is none",
        "PCK certificate: it is issued by what is no authority",
        Recipe(certificates={"ca": {"authority": False}}),
    ),
    no(
        "P",
        "a PCK certificate signed by another key",
        "PCK certificate: it is not signed by the issuer that it names",
        Recipe(certificates={"pck": {"signer": "thief"}}),
    ),
    no(
        "P",
        "a CA signed by another key",
        "its issuer CN=CASES ca is not signed by the issuer that it names",
        Recipe(certificates={"ca": {"signer": "thief"}}),
    ),
    no(
        "P",
        "a PCK certificate that names another issuer",
        "PCK certificate: it names an issuer that is not in the chain",
        Recipe(certificates={"pck": {"issuer": "tcb", "signer": "ca"}}),
    ),
    no(
        "P",
        "a CA of the CA's own making, which no list covers",
        "PCK certificate: it has an issuer without a revocation list",
        Recipe(
            certificates={"rogue-ca": {"issuer": "ca"}, "pck": {"issuer": "rogue-ca"}},
            chain=("pck", "rogue-ca", "ca", "root"),
        ),
    ),
    no("X", "no extension", "ntel", Recipe(extension=None), MALFORMED),
    no(
        "X",
        "an extension that is no DER",
        "Failed to decode DER object",
        Recipe(extension={"raw": b"\x30\x05\x00"}),
        MALFORMED,
    ),
    no("X", "another family than the TCB info's", "Fmspc mismatch", Recipe(extension={"fmspc": bytes(6)})),
    no(
        "R",
        "PCK certificate revoked",
        "PCK certificate: it is revoked",
        Recipe(lists={"ca": {"revoked": ("pck",)}}),
    ),
    no("R", "CA revoked", "its issuer CN=CASES ca is revoked", Recipe(lists={"root": {"revoked": ("ca",)}})),
    no(
        "R",
        "collateral's signer revoked",
        "signer of the TCB info: it is revoked",
        Recipe(lists={"root": {"revoked": ("tcb",)}}),
    ),
    no("R", "root revoked by itself", "CertRevoked", Recipe(lists={"root": {"revoked": ("root",)}})),
    ok("R", "another certificate revoked", Recipe(lists={"ca": {"revoked": ("rogue-ca",)}})),
    no("R", "the root's list expired", "CrlExpired", Recipe(lists={"root": {"until": NOW - DAY}})),
    no(
        "R",
        "the CA's list expired",
        "PCK certificate: it has an issuer whose revocation list has expired",
        Recipe(lists={"ca": {"until": NOW - DAY}}),
    ),
    no(
        "R",
        "the root's list signed by another key",
        "root CA CRL",
        Recipe(lists={"root": {"signer": "thief"}}),
    ),
    no(
        "R",
        "the CA's list signed by another key",
        "PCK certificate: it has an issuer whose revocation list is signed by another",
        Recipe(lists={"ca": {"signer": "thief"}}),
    ),
    no(
        "R",
        "the CA's list of another issuer",
        "PCK certificate: it has an issuer without a revocation list",
        Recipe(lists={"ca": {"named": "tcb"}}),
    ),
    no("R", "no list of the CA", "PCK CRL", Recipe(after=swap("pck_crl", lambda _t: ""))),
    no("R", "no list of the root", "root CA CRL", Recipe(after=swap("root_ca_crl", lambda _t: ""))),
    no(
        "R",
        "a list without number and key identifier",
        "Failed to parse PCK CRL",
        Recipe(lists={"ca": {"bare": True}}),
    ),
    no("T", "signed by another key", "Signature is invalid for tcb_info", Recipe(keys={"tcb_info": "thief"})),
    no(
        "T",
        "changed by a space",
        "Signature is invalid for tcb_info",
        Recipe(after=swap("tcb_info", lambda t: t + " ")),
    ),
    no(
        "T",
        "signed by the PCK's CA",
        "chain",
        Recipe(signer_chain=("ca", "root"), keys={"tcb_info": "ca", "qe_identity": "ca"}),
    ),
    no(
        "T",
        "signed by a platform's own key",
        "signer of the TCB info is not the root's own",
        Recipe(signer_chain=("pck", "ca", "root"), keys={"tcb_info": "pck", "qe_identity": "pck"}),
    ),
    no(
        "T",
        "signer expired",
        "signer of the TCB info: it has expired",
        Recipe(certificates={"tcb": {"until": NOW - DAY}}),
    ),
    no(
        "T",
        "no signer's chain",
        "too short for TCB Info",
        Recipe(after=swap("tcb_info_issuer_chain", lambda _t: "")),
    ),
    no(
        "T",
        "of tomorrow",
        "TCBInfo issue date is in the future",
        Recipe(tcb_info=info(issueDate=moment(NOW + DAY))),
    ),
    no("T", "of the past", "TCBInfo expired", Recipe(tcb_info=info(nextUpdate=moment(NOW - DAY)))),
    no("T", "asked before it was issued", "issue date is in the future", asked=at(-2 * DAY)),
    no("T", "asked after all has ended", "CrlExpired", asked=at(31 * DAY)),
    no("T", "of SGX", "non-TDX TCB info", Recipe(tcb_info=info(id="SGX"))),
    no("T", "of version 2", "non-TDX TCB info", Recipe(tcb_info=info(version=2))),
    no("T", "of another family", "Fmspc mismatch", Recipe(tcb_info=info(fmspc="00806F050001"))),
    no("T", "no JSON", "Failed to decode TcbInfo", Recipe(after=swap("tcb_info", lambda _t: "[]"))),
    no("T", "without a date", "Failed to decode TcbInfo", Recipe(tcb_info=info(nextUpdate=None))),
    no("L", "no level", "No matching TCB level", Recipe(tcb_info=levels())),
    no("L", "below every level", "No matching TCB level", Recipe(tcb_info=levels(level("UpToDate", sgx=6)))),
    no(
        "L",
        "PCE below every level",
        "No matching TCB level",
        Recipe(tcb_info=levels(level("UpToDate", pce=12))),
    ),
    no(
        "L",
        "TDX components below every level",
        "No matching TCB level",
        Recipe(tcb_info=levels(level("UpToDate", tdx=5))),
    ),
    no(
        "L",
        "levels of fifteen components",
        "component count",
        Recipe(
            tcb_info=levels(
                {
                    **level("UpToDate"),
                    "tcb": {**level("UpToDate")["tcb"], "sgxtcbcomponents": [{"svn": 1}] * 15},
                }
            )
        ),
    ),
    no(
        "L",
        "out of date",
        "OutOfDate",
        Recipe(tcb_info=levels(level("UpToDate", sgx=6), level("OutOfDate", sgx=1))),
        POLICY,
    ),
    no(
        "L",
        "to be configured",
        "ConfigurationNeeded",
        Recipe(tcb_info=levels(level("ConfigurationNeeded"))),
        POLICY,
    ),
    no(
        "L",
        "to be hardened",
        "SWHardeningNeeded",
        Recipe(tcb_info=levels(level("SWHardeningNeeded"))),
        POLICY,
    ),
    ok(
        "L",
        "to be hardened, which this reader allows",
        Recipe(tcb_info=levels(level("SWHardeningNeeded"))),
        "SWHardeningNeeded",
        policy(statuses=["UpToDate", "SWHardeningNeeded"]),
    ),
    no("L", "revoked", "Revoked", Recipe(tcb_info=levels(level("Revoked")))),
    no(
        "L",
        "revoked, which no policy can allow",
        "Revoked",
        Recipe(tcb_info=levels(level("Revoked"))),
        asked=policy(statuses=["UpToDate", "Revoked"]),
    ),
    no(
        "L",
        "a status that nobody knows",
        "Failed to decode TcbInfo",
        Recipe(tcb_info=levels(level("Splendid"))),
    ),
    no(
        "L",
        "an advisory that this reader refuses",
        "Advisory ID INTEL-SA-1 is rejected",
        Recipe(tcb_info=levels(level("UpToDate", advisoryIDs=["INTEL-SA-1"]))),
        POLICY,
        policy(rejected_advisories=["INTEL-SA-1"]),
    ),
    no(
        "L",
        "an evaluation older than this reader wants",
        "eval data number 17 is below minimum 18",
        Recipe(),
        POLICY,
        policy(min_evaluation_number=18),
    ),
    ok("L", "the evaluation that this reader wants", Recipe(), "UpToDate", policy(min_evaluation_number=17)),
    no(
        "L",
        "out of date at launch, mended since",
        "TDRelaunchAdvised",
        Recipe(version=5, td15=True, td={"tee_tcb_svn": bytes([3, 1] + [1] * 14)}),
        POLICY,
    ),
    no(
        "L",
        "its current TCB is below every level",
        "current TDX TCB",
        Recipe(version=5, td15=True, td={"tee_tcb_svn_2": bytes([3, 1] + [0] * 14)}),
    ),
    no("M", "another signer", "TDX module identity check", Recipe(td={"mrsignerseam": bytes(48)})),
    no(
        "M",
        "other attributes",
        "TDX module identity check",
        Recipe(td={"seamattributes": b"\x01" + bytes(7)}),
    ),
    no(
        "M",
        "of an unknown generation",
        "TDX module TCB level check",
        Recipe(td={"tee_tcb_svn": bytes([3, 2] + [4] * 14)}),
    ),
    no(
        "M",
        "below its lowest level",
        "TDX module TCB level check",
        Recipe(td={"tee_tcb_svn": bytes([2, 1] + [4] * 14)}),
    ),
    no("M", "out of date", "OutOfDate", Recipe(tcb_info=module("OutOfDate")), POLICY),
    no("M", "revoked", "Revoked", Recipe(tcb_info=module("Revoked"))),
    no(
        "M",
        "a status that a module cannot have",
        "TDX module TCB level check",
        Recipe(tcb_info=module("SWHardeningNeeded")),
    ),
    no("M", "not described", "TDX module identity check", Recipe(tcb_info=info(tdxModule=None))),
    no("D", "debug", "debug", Recipe(td={"td_attributes": _DEBUG}), "debug-td"),
    no(
        "D",
        "a reserved bit of the same group",
        "debug",
        Recipe(td={"td_attributes": struct.pack("<Q", 1 << 28 | 2)}),
        "debug-td",
    ),
    ok("B", "the report data asked for", Recipe(), "UpToDate", put(report_data=REPORT_DATA.hex())),
    no(
        "B",
        "other report data",
        "other report_data",
        Recipe(),
        "report-data",
        put(report_data=bytes(64).hex()),
    ),
    no(
        "B",
        "a prefix of the report data",
        "other report_data",
        Recipe(),
        "report-data",
        put(report_data=REPORT_DATA[:32].hex()),
    ),
    no(
        "B",
        "report data that go on",
        "other report_data",
        Recipe(),
        "report-data",
        put(report_data=REPORT_DATA.hex() + "00"),
    ),
    no(
        "B",
        "another measurement",
        "other measurement",
        Recipe(),
        "measurement",
        put(measurement=bytes(32).hex()),
    ),
    no("A", "no root", "does not end at a trusted root", Recipe(), ROOT, put(roots=[])),
    no(
        "A",
        "another root",
        "does not end at a trusted root",
        Recipe(certificates={"root": {"key": "root"}}),
        ROOT,
        lambda question: question.update(roots=[other_root().hex()]),
    ),
    no(
        "A",
        "a chain that ends below the root",
        "does not end at a trusted root",
        Recipe(chain=("pck", "ca")),
        ROOT,
    ),
    no(
        "A",
        "collateral under another root",
        "signer of the TCB info: it is not signed by the issuer that it names",
        Recipe(certificates={"tcb": {"signer": "thief"}}),
    ),
]


def numbered() -> dict[str, Case]:
    """By number: `TDX-001` and so on, in the table's order."""
    key("thief")
    return {f"TDX-{number:03}": case for number, case in enumerate(CASES, 1)}
