"""Quotes: Intel's samples and the simulator's through one code path, and a table of what it refuses."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofward.attestation import (
    DEV_ROOT,
    DEVELOPMENT_ROOTS,
    INTEL_ROOT,
    PRODUCTION_ROOTS,
    AttestationError,
    Collateral,
    TcbPolicy,
    TrustRoot,
    WorkerClaim,
    parse_quote,
    verify_quote,
    verify_worker,
)
from proofward.check import Check
from proofward.protocol import Level, measurement, sha256, worker_report_data
from proofward_enclave.measure import code_digest
from proofward_enclave.providers import dev_pki
from proofward_enclave.providers.dev_platform import FMSPC, DevPlatform, TdIdentity
from tests.attestation.samples import sample
from tests.vectors.make import value

ROOTS = Path(__file__).parents[2] / "chain" / "roots"
DAY = dt.date(2026, 11, 24)
NOW = int(dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC).timestamp())
REPORT_DATA = value("report data", 64)
TD = TdIdentity(mrtd=code_digest())


@pytest.fixture(scope="module")
def platform() -> DevPlatform:
    return DevPlatform()


@pytest.fixture(scope="module")
def collateral(platform: DevPlatform) -> Collateral:
    return Collateral.from_json(json.dumps(platform.collateral(DAY)))


@pytest.fixture(scope="module")
def dev_quote(platform: DevPlatform) -> bytes:
    return platform.quote(REPORT_DATA, TD)


def refusal(quote: bytes, collateral: Collateral, **options: object) -> str:
    options = {"now": NOW, "roots": DEVELOPMENT_ROOTS} | options
    with pytest.raises(AttestationError) as caught:
        verify_quote(quote, collateral, **options)  # type: ignore[arg-type]
    return caught.value.code


def test_roots_are_those_of_the_chain() -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    assert bytes.fromhex((ROOTS / "dev_root.hex").read_text()) == DEV_ROOT.der
    assert dev_pki.development().root.certificate.public_bytes(Encoding.DER) == DEV_ROOT.der
    assert [root.level for root in DEVELOPMENT_ROOTS] == [Level.HARDWARE, Level.SIMULATED]
    assert bytes.fromhex((ROOTS / "intel_sgx_root.hex").read_text()) == INTEL_ROOT.der
    assert DEV_ROOT not in PRODUCTION_ROOTS


@pytest.mark.parametrize(("name", "version"), [("tdx_quote", 4), ("tdx_quote_td15ex", 5)])
def test_intel_samples_verify_at_their_date(name: str, version: int) -> None:
    quote, collateral, now = sample(name)
    verified = verify_quote(quote, collateral, now=now, roots=DEVELOPMENT_ROOTS)
    assert (verified.level, verified.root, verified.tcb_status) == (Level.HARDWARE, INTEL_ROOT, "UpToDate")
    assert verified.quote.version == version
    assert verified.expires_at > now


@pytest.mark.parametrize(
    ("name", "shift", "roots", "code"),
    [
        ("tdx_quote", -7200, PRODUCTION_ROOTS, "quote-rejected"),
        ("tdx_quote", 40 * 86_400, PRODUCTION_ROOTS, "quote-rejected"),
        ("tdx_quote", 0, (DEV_ROOT,), "unknown-root"),
        ("tdx_quote", 0, (), "unknown-root"),
        ("tdx_quote_outdated", 0, PRODUCTION_ROOTS, "quote-rejected"),
    ],
    ids=["before its collateral", "after its collateral", "foreign root", "no root", "no TCB level matches"],
)
def test_intel_samples_are_refused(name: str, shift: int, roots: tuple[TrustRoot, ...], code: str) -> None:
    quote, collateral, now = sample(name)
    assert refusal(quote, collateral, now=now + shift, roots=roots) == code


@pytest.mark.parametrize("name", ["tdx_quote", "tdx_quote_td15ex"])
def test_intel_collateral_survives_the_chain_encoding(name: str) -> None:
    _, collateral, _ = sample(name)
    assert Collateral.decode(collateral.encode()).to_json() == collateral.to_json()


@pytest.mark.parametrize(
    ("version", "td15"), [(4, False), (5, False), (5, True)], ids=["v4", "v5", "v5 TD report 1.5"]
)
def test_simulated_quotes_verify_under_the_dev_root_only(
    platform: DevPlatform, collateral: Collateral, version: int, td15: bool
) -> None:
    quote = platform.quote(REPORT_DATA, TD, version=version, td15=td15)
    verified = verify_quote(quote, collateral, now=NOW, roots=DEVELOPMENT_ROOTS)
    assert (verified.level, verified.root) == (Level.SIMULATED, DEV_ROOT)
    assert verified.quote.report_data == REPORT_DATA
    assert verified.quote.fmspc == FMSPC
    assert verified.quote.ca == "platform"
    assert verified.quote.measurement == measurement(
        mrtd=code_digest(),
        rtmrs=TD.rtmrs,
        mr_config_id=bytes(48),
        mr_owner=bytes(48),
        mr_owner_config=bytes(48),
    )
    assert refusal(quote, collateral, roots=PRODUCTION_ROOTS) == "unknown-root"


def test_refusals_of_simulated_quotes(
    platform: DevPlatform, collateral: Collateral, dev_quote: bytes
) -> None:
    outdated = Collateral.from_json(json.dumps(platform.collateral(DAY, tcb_status="OutOfDate")))
    debug = platform.quote(REPORT_DATA, replace(TD, td_attributes=b"\x01" + bytes(7)))
    sgx = bytearray(dev_quote)
    sgx[4] = 0
    table = {
        "TCB out of date": (refusal(dev_quote, outdated), "tcb-not-allowed"),
        "debug": (refusal(debug, collateral), "debug-td"),
        "collateral of the past": (refusal(dev_quote, collateral, now=NOW + 40 * 86_400), "quote-rejected"),
        "collateral of the future": (refusal(dev_quote, collateral, now=NOW - 40 * 86_400), "quote-rejected"),
        "another platform's collateral": (refusal(dev_quote, sample("tdx_quote")[1]), "quote-rejected"),
        "empty": (refusal(b"", collateral), "malformed-quote"),
        "cut": (refusal(dev_quote[:-1], collateral), "malformed-quote"),
        "SGX": (refusal(bytes(sgx), collateral), "malformed-quote"),
        "oversize": (refusal(dev_quote + bytes(16_384), collateral), "malformed-quote"),
    }
    assert {name: found for name, (found, _) in table.items()} == {
        name: expected for name, (_, expected) in table.items()
    }
    lenient = TcbPolicy(statuses=frozenset({"UpToDate", "OutOfDate"}))
    assert refusal(dev_quote, outdated, policy=lenient) == "tcb-not-allowed"  # no grace period: still too old


def test_a_root_of_the_same_name_is_a_foreign_root(dev_quote: bytes, collateral: Collateral) -> None:
    """A root that copies the dev root's subject but has a key of its own."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    original = dev_pki.development().root.certificate
    key = ec.generate_private_key(ec.SECP256R1())
    forged = (
        x509.CertificateBuilder()
        .subject_name(original.subject)
        .issuer_name(original.subject)
        .public_key(key.public_key())
        .serial_number(original.serial_number)
        .not_valid_before(original.not_valid_before_utc)
        .not_valid_after(original.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(True, 1), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    roots = (TrustRoot("forged", Level.HARDWARE, forged),)
    assert refusal(dev_quote, collateral, roots=roots) == "unknown-root"


@settings(max_examples=60)
@given(data=st.data())
@pytest.mark.parametrize("origin", ["simulator", "intel"])
def test_no_quote_with_a_flipped_bit_verifies_as_before(
    origin: str, dev_quote: bytes, collateral: Collateral, data: st.DataObject
) -> None:
    if origin == "intel":
        quote, collateral, now = sample("tdx_quote")
    else:
        quote, now = dev_quote, NOW
    bit = data.draw(st.integers(0, 8 * len(quote) - 1))
    flipped = bytearray(quote)
    flipped[bit // 8] ^= 1 << (bit % 8)
    try:
        verified = verify_quote(bytes(flipped), collateral, now=now, roots=DEVELOPMENT_ROOTS)
    except AttestationError:
        return
    # a few bits lie in nothing signed (PEM line ends, the spare root): what is read must not change
    assert verified.quote == parse_quote(quote)


def _why(quote: bytes, fields: dict[str, str], now: int = NOW) -> str:
    with pytest.raises(AttestationError) as caught:
        verify_quote(quote, Collateral.from_json(json.dumps(fields)), now=now, roots=DEVELOPMENT_ROOTS)
    return str(caught.value)


def _flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


_BODY = 48 + 584 + 4
"""Where a v4 quote's signature data begins: header, TD report, length."""
_QE = _BODY + 64 + 64 + 6
"""The QE report: behind signature, attestation key, and type and length of the certification data."""

#: Named after the cases of dcap-qvl's own suite (tests/test_suite.sh): what is flipped, and the reason.
QUOTE_FAULTS: list[tuple[str, int, str]] = [
    ("unsupported_version", 0, "malformed-quote: .*Unsupported body type"),
    ("invalid_key_type", 2, "Unsupported DCAP attestation key type"),
    ("invalid_qe_vendor", 14, "Unknown QE vendor ID"),
    ("mrtd_flipped", 48 + 136, "ISV enclave report signature is invalid"),
    ("report_data_flipped", 48 + 520, "ISV enclave report signature is invalid"),
    ("invalid_isv_signature", _BODY + 10, "ISV enclave report signature is invalid"),
    ("attestation_key_flipped", _BODY + 70, "QE report hash mismatch"),
    ("qe_report_flipped", _QE + 20, "Signature is invalid for qe_report"),
    ("invalid_qe_report_signature", _QE + 384 + 5, "Signature is invalid for qe_report"),
    ("qe_auth_data_flipped", _QE + 384 + 64 + 4, "QE report hash mismatch"),
]


@pytest.mark.parametrize(("case", "at", "reason"), QUOTE_FAULTS, ids=[fault[0] for fault in QUOTE_FAULTS])
def test_quote_faults(case: str, at: int, reason: str, platform: DevPlatform, dev_quote: bytes) -> None:
    assert re.search(reason, _why(_flipped(dev_quote, at), platform.collateral(DAY))), case


FIXTURES = Path(__file__).parents[2] / "chain" / "fixtures"
#: The table that the pallet's tests read too, with the pallet's name of each error.
FAULTS = json.loads((FIXTURES / "faults.json").read_text())
ERRORS = {
    "malformed-quote": "MalformedQuote",
    "unknown-root": "UnknownRoot",
    "quote-rejected": "QuoteRejected",
}


def fixture(name: str) -> tuple[bytes, Collateral, int]:
    """A quote that library and pallet verify alike, its collateral and its time."""
    if name != "alice":
        return sample(name)
    made = json.loads((FIXTURES / "quotes.json").read_text())
    collateral = Collateral.decode(bytes.fromhex(made["collateral"]["up_to_date"]))
    return bytes.fromhex(made["quotes"][name]), collateral, made["now"]


@pytest.mark.parametrize("fault", FAULTS["quotes"], ids=lambda fault: fault["case"])
def test_library_and_pallet_refuse_a_fault_for_one_reason(fault: dict[str, Any]) -> None:
    quote, collateral, now = fixture(fault["quote"])
    with pytest.raises(AttestationError) as caught:
        verify_quote(_flipped(quote, fault["at"]), collateral, now=now, roots=DEVELOPMENT_ROOTS)
    assert ERRORS[caught.value.code] == fault["error"]
    assert fault["reason"] in str(caught.value)


@pytest.mark.parametrize("name", FAULTS["certificates"])
def test_library_and_pallet_refuse_each_flipped_certificate_for_one_reason(name: str) -> None:
    quote, collateral, now = fixture(name)
    verify_quote(quote, collateral, now=now, roots=DEVELOPMENT_ROOTS)
    start = quote.index(b"-----BEGIN CERTIFICATE-----")
    for error, offsets in FAULTS["certificates"][name].items():
        for at in (start + offset for offset in offsets):
            changed = quote[:at] + (b"A" if quote[at : at + 1] != b"A" else b"B") + quote[at + 1 :]
            with pytest.raises(AttestationError) as caught:
                verify_quote(changed, collateral, now=now, roots=DEVELOPMENT_ROOTS)
            # the chain looks for the collateral of another platform, and has none
            expected = "QuoteRejected" if error == "NoCollateral" else error
            assert ERRORS[caught.value.code] == expected, at - start


def spoiled(fault: dict[str, Any], collateral: Collateral) -> Collateral:
    """The collateral with a fault of the table."""
    if (name := fault.get("collateral")) is not None:
        made = json.loads((FIXTURES / "quotes.json").read_text())
        return Collateral.decode(bytes.fromhex(made["collateral"][name]))
    fields = json.loads(collateral.to_json())
    if (name := fault.get("empty")) is not None:
        fields[name] = ""
    elif (name := fault.get("space")) is not None:
        fields[name] = fields[name].replace('"version":', '"version": ', 1)
    elif (place := fault.get("flip")) is not None:
        fields[place[0]] = _flipped(bytes.fromhex(fields[place[0]]), place[1]).hex()
    return Collateral.from_json(json.dumps(fields))


@pytest.mark.parametrize("fault", FAULTS["collateral"], ids=lambda fault: fault["case"])
def test_library_and_pallet_refuse_faulty_collateral_for_one_reason(fault: dict[str, Any]) -> None:
    quote, collateral, now = fixture("alice")
    with pytest.raises(AttestationError) as caught:
        verify_quote(
            quote,
            spoiled(fault, collateral),
            now=now + fault.get("seconds", 0),
            roots=DEVELOPMENT_ROOTS,
        )
    assert ERRORS[caught.value.code] == fault.get("library", fault["error"])
    assert fault["reason"] in str(caught.value)


COLLATERAL_FAULTS: list[tuple[str, str, str]] = [
    ("invalid_tcb_info_signature", "tcb_info_signature", "Signature is invalid for tcb_info"),
    ("invalid_qe_identity_signature", "qe_identity_signature", "Signature is invalid for qe_identity"),
    ("root_ca_crl_flipped", "root_ca_crl", "root CA CRL"),
    ("pck_crl_flipped", "pck_crl", "PCK CRL"),
    ("tcb_info_flipped", "tcb_info", "Signature is invalid for tcb_info"),
    ("qe_identity_flipped", "qe_identity", "Signature is invalid for qe_identity"),
    ("tcb_info_invalid_format", "tcb_info:", "Failed to decode TcbInfo"),
    ("qe_identity_invalid_format", "qe_identity:", "Failed to decode QeIdentity"),
    ("short_tcb_chain", "tcb_info_issuer_chain:", "chain is too short for TCB Info"),
    ("short_qe_chain", "qe_identity_issuer_chain:", "chain is too short for QE Identity"),
]


@pytest.mark.parametrize(
    ("case", "field", "reason"), COLLATERAL_FAULTS, ids=[f[0] for f in COLLATERAL_FAULTS]
)
def test_collateral_faults(
    case: str, field: str, reason: str, platform: DevPlatform, dev_quote: bytes
) -> None:
    fields = platform.collateral(DAY)
    name = field.removesuffix(":")
    if field != name:
        fields[name] = ""
    elif name in ("tcb_info", "qe_identity"):
        fields[name] = fields[name].replace('"version":', '"version": ', 1)
    else:
        fields[name] = _flipped(bytes.fromhex(fields[name]), 5).hex()
    assert re.search(f"quote-rejected: .*{reason}", _why(dev_quote, fields)), case


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("tcb_revoked", "quote-rejected: .*TCB status is invalid: Revoked"),
        ("tcb_out_of_date", "tcb-not-allowed: .*OutOfDate is not acceptable"),
        ("crl_expired", "quote-rejected: .*CrlExpired"),
        ("tcb_info_from_future", "quote-rejected: .*issue date is in the future"),
        ("fmspc_mismatch", "quote-rejected: "),
        ("no_matching_tcb_level", "quote-rejected: .*No matching TCB level found"),
    ],
)
def test_dates_statuses_and_platforms(
    case: str, reason: str, platform: DevPlatform, dev_quote: bytes
) -> None:
    quote, fields, now = dev_quote, platform.collateral(DAY), NOW
    if case == "tcb_revoked":
        fields = platform.collateral(DAY, tcb_status="Revoked")
    elif case == "tcb_out_of_date":
        fields = platform.collateral(DAY, tcb_status="OutOfDate")
    elif case == "crl_expired":
        now += 40 * 86_400
    elif case == "tcb_info_from_future":
        now -= 40 * 86_400
    elif case == "fmspc_mismatch":
        fields = json.loads(sample("tdx_quote")[1].to_json())
    else:
        quote, outdated, now = sample("tdx_quote_outdated")
        fields = json.loads(outdated.to_json())
    assert re.search(reason, _why(quote, fields, now)), case


@pytest.mark.parametrize("origin", ["simulator", "tdx_quote", "tdx_quote_td15ex"])
def test_collateral_brings_no_certificate_chain_that_replaces_the_quotes(
    origin: str, platform: DevPlatform, dev_quote: bytes
) -> None:
    """With a chain of its own in the collateral, dcap-qvl verifies that one: flips in the quote's passed."""
    if origin == "simulator":
        quote, fields, now = dev_quote, platform.collateral(DAY), NOW
    else:
        quote, given, now = sample(origin)
        fields = json.loads(given.to_json())
    start = quote.index(b"-----BEGIN CERTIFICATE-----")
    end = quote.index(b"-----END CERTIFICATE-----", start)
    chain = quote[start : quote.rindex(b"-----END CERTIFICATE-----") + 25].decode() + "\n"
    collateral = Collateral.from_json(json.dumps({**fields, "pck_certificate_chain": chain}))
    assert Collateral.decode(collateral.encode()).to_json() == collateral.to_json()
    assert "pck_certificate_chain" not in collateral.to_json()
    assert verify_quote(quote, collateral, now=now, roots=DEVELOPMENT_ROOTS)
    passed = []
    for at in range(start + 28, end - 1, 9):
        if quote[at : at + 1].isspace():
            continue
        changed = quote[:at] + (b"A" if quote[at : at + 1] != b"A" else b"B") + quote[at + 1 :]
        try:
            verify_quote(changed, collateral, now=now, roots=DEVELOPMENT_ROOTS)
        except AttestationError:
            continue
        passed.append(at - start)
    assert passed == []


def test_collateral_of_one_day_is_the_same_on_every_machine() -> None:
    assert DevPlatform().collateral(DAY) == DevPlatform().collateral(DAY)


@pytest.mark.parametrize("text", ["", "{}", '{"tcb_info": 3}', "[]"])
def test_malformed_collateral_is_refused(text: str) -> None:
    with pytest.raises(AttestationError, match="malformed-collateral"):
        Collateral.from_json(text)


def test_malformed_scale_collateral_is_refused(collateral: Collateral) -> None:
    for data in (b"", collateral.encode()[:-1], collateral.encode() + b"\0", b"\xff" * 40):
        with pytest.raises(AttestationError, match="malformed-collateral"):
            Collateral.decode(data)


def registration(platform: DevPlatform) -> tuple[WorkerClaim, bytes]:
    """A worker's record and the quote of its registration."""
    keys = {"account": value("account"), "hpke_key": value("hpke"), "receipt_key": value("receipt")}
    binding = worker_report_data(genesis=value("genesis"), epoch=4, block_hash=value("block"), **keys)
    quote = platform.quote(binding, TD)
    record = WorkerClaim(
        level=Level.SIMULATED,
        measurement=parse_quote(quote).measurement,
        epoch=4,
        quote_hash=sha256(quote),
        **keys,
    )
    return record, quote


def failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.ok]


def test_a_worker_re_verifies(platform: DevPlatform, collateral: Collateral) -> None:
    record, quote = registration(platform)
    where = {"genesis": value("genesis"), "block_hash": value("block"), "now": NOW}
    options = {**where, "roots": DEVELOPMENT_ROOTS}

    def check(record: WorkerClaim = record, quote: bytes = quote, **changed: object) -> list[str]:
        return failed(verify_worker(record, quote, collateral, **(options | changed)))  # type: ignore[arg-type]

    binding = ["report_data (chain, account, keys, epoch, block)"]
    assert check(measurements={record.measurement}) == []
    table = {
        "another chain": (check(genesis=value("x")), binding),
        "another block": (check(block_hash=value("x")), binding),
        "another account": (check(replace(record, account=value("x"))), binding),
        "another HPKE key": (check(replace(record, hpke_key=value("x"))), binding),
        "another receipt key": (check(replace(record, receipt_key=value("x"))), binding),
        "another epoch": (check(replace(record, epoch=5)), binding),
        "a level that the root does not give": (check(replace(record, level=Level.HARDWARE)), ["level"]),
        "another measurement": (check(replace(record, measurement=value("x"))), ["measurement"]),
        "not on the reader's list": (check(measurements={value("x")}), ["measurement allowed"]),
        "production roots": (check(roots=PRODUCTION_ROOTS), ["quote"]),
        "another quote": (check(quote=quote[:-1] + b"\x01"), ["quote hash"]),
    }
    for name, (found, expected) in table.items():
        assert found[: len(expected)] == expected, name
