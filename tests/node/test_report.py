"""A report of `worker why`: signed by the real enclave, and every forgery of it refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proofward.chain.pallets.workers import PastKey, PreviousEpoch
from proofward.protocol import (
    DEV_SETUP,
    Level,
    ProtocolError,
    Receipt,
    ReceiptKey,
    sha256,
    sign_statement,
    verify_possession,
    verify_receipt,
    verify_statement,
)
from proofward_node import report
from proofward_node.ports import Head
from proofward_node.reasons import Code
from proofward_node.report import Report, ReportRefused
from proofward_node.why import Finding
from tests.enclave.world import ACCOUNT as ENCLAVES_ACCOUNT
from tests.enclave.world import GENESIS as ENCLAVES_GENESIS
from tests.enclave.world import begin, enclave
from tests.node.world import ACCOUNT, GENESIS, WORKER

KEY = ReceiptKey.generate()
BODY = Report(
    GENESIS, ACCOUNT, Head(7, b"h" * 32, 7000), 1_700_000_000,
    (Finding(b"j" * 32, Code.PRICE, "9, worker.min_price is 10", block=6, hash=b"b" * 32),),
).encode()  # fmt: skip
RECORD = replace(WORKER, receipt_key=KEY.public)


def signed(key: ReceiptKey = KEY, body: dict[str, Any] = BODY, epoch: int = 3) -> dict[str, Any]:
    signature = sign_statement(
        genesis=GENESIS, account=ACCOUNT, epoch=epoch, digest=report.digest(body), key=key
    )
    mark = {"receipt_key": key.public.hex(), "epoch": epoch, "signature": signature.hex()}
    return copy.deepcopy({"report": body, "signature": mark})


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        replace(WORKER, previous=PreviousEpoch(1, KEY.public)),
        replace(WORKER, past_keys=(PastKey(KEY.public, 5),)),
    ],
)
def test_a_report_is_of_the_worker_whose_key_signed_it(record: Any) -> None:
    held = report.vouched(signed(), GENESIS, record)
    assert (held.account, held.epoch, held.findings) == (ACCOUNT, 3, 1)


def _set(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(found: dict[str, Any]) -> None:
        for name in path[:-1]:
            found = found[name]
        found[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("fault", "change", "code"),
    [
        ("a cause is replaced", _set("report", "findings", 0, "code", value="lapsed"), "bad-signature"),
        ("a line is dropped", _set("report", "findings", value=[]), "bad-signature"),
        ("it is dated later", _set("report", "made_at", value=1_800_000_000), "bad-signature"),
        ("of another epoch", _set("signature", "epoch", value=4), "bad-signature"),
        ("an epoch out of bounds", _set("signature", "epoch", value=1 << 40), "bad-signature"),
        ("of another chain", _set("report", "genesis", value="0x" + "77" * 32), "other-chain"),
        ("of another worker", _set("report", "worker", value="0x" + "77" * 32), "not-found"),
        ("not signed", _set("signature", value=None), "unsigned"),
        ("a short signature", _set("signature", "signature", value="00"), "bad-signature"),
        ("no hexadecimal", _set("signature", "signature", value="zz"), "bad-signature"),
        ("a worker that is a number", _set("report", "worker", value=7), "bad-signature"),
        ("a key that is a list", _set("signature", "receipt_key", value=["00"]), "bad-signature"),
        ("findings that are no list", _set("report", "findings", value=3), "bad-signature"),
        ("text that is not ASCII", _set("report", "findings", 0, "detail", value="\ud800"), "bad-signature"),
        ("not a report", _set("report", value=[]), "bad-report"),
    ],
)
def test_attack_report(fault: str, change: Callable[[dict[str, Any]], None], code: str) -> None:
    found = signed()
    change(found)
    with pytest.raises(ReportRefused) as caught:
        report.vouched(found, GENESIS, RECORD)
    assert caught.value.code == code, fault


def test_attack_report_a_key_that_no_enclave_registered() -> None:
    with pytest.raises(ReportRefused, match="no receipt key"):
        report.vouched(signed(ReceiptKey.generate()), GENESIS, RECORD)


def test_attack_report_the_file_is_bounded_and_read_as_json(tmp_path: Path) -> None:
    for content in (b"[" * 100_000, b"{", b"3", b"\xff", b'{"report": {"worker": 7}}'):
        (tmp_path / "r.json").write_bytes(content)
        with pytest.raises(ReportRefused):
            report.worker_of(report.read(tmp_path / "r.json"))
    with pytest.raises(ReportRefused, match="cannot be read"):
        report.read(tmp_path / "none.json")


def test_attack_receipt_no_statement_is_taken_for_a_receipt_or_a_possession() -> None:
    """The host chooses the digest; what the enclave signs has another domain than anything that pays."""
    hashes = {
        name: name.encode().ljust(32)
        for name in (
            "genesis", "job", "model", "worker", "weights_digest", "input_commitment", "output_commitment",
            "sealed_output_hash", "proof_hash",
        )
    }  # fmt: skip
    receipt = Receipt(**hashes, level=Level.SIMULATED, setup=DEV_SETUP, block=1)
    for digest in (sha256(receipt.message()), receipt.message()[20:52], b"\x00" * 32):
        signature = sign_statement(genesis=GENESIS, account=ACCOUNT, epoch=1, digest=digest, key=KEY)
        with pytest.raises(ProtocolError):
            verify_receipt(receipt, signature, KEY.public)
        with pytest.raises(ProtocolError):
            verify_possession((GENESIS + ACCOUNT)[:64], signature, KEY.public)


def test_the_enclave_signs_for_the_worker_that_it_has_keys_of_and_for_no_other(tmp_path: Path) -> None:
    with enclave(tmp_path) as (host, _):
        keys = begin(host)
        asked = {"genesis": ENCLAVES_GENESIS, "account": ENCLAVES_ACCOUNT, "digest": b"d" * 32}
        made = host.call("vouch", **asked)
        assert made["receipt_key"] == keys["receipt_key"]
        verify_statement(
            **asked, epoch=made["epoch"], signature=made["signature"], receipt_key=keys["receipt_key"]
        )
        for change in ({"account": b"a" * 32}, {"genesis": b"g" * 32}, {"digest": b"d" * 31}):
            with pytest.raises(Exception, match=r"holds no keys|32 bytes"):
                host.call("vouch", **(asked | change))
