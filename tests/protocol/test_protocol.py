"""The protocol: known answers, properties, and a table of what it refuses."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofward.protocol import (
    HpkePrivateKey,
    HpkeSuite,
    JobContext,
    JobPayload,
    Level,
    OutputContext,
    OutputPayload,
    ProtocolError,
    Receipt,
    ReceiptKey,
    RecipientKey,
    Setup,
    SetupKind,
    bounds,
    decode_envelope,
    open_job,
    open_output,
    seal_job,
    seal_output,
    sign_receipt,
    verify_receipt,
)
from proofward.protocol.keys import hpke_seal
from proofward.protocol.padding import pad, unpad
from tests.vectors import make

VECTORS = json.loads(make.PATH.read_text())
KEY = HpkePrivateKey.from_bytes(HpkeSuite.X25519, make.value("worker key"))
REPLY = HpkePrivateKey.from_bytes(HpkeSuite.X25519, make.value("reply key"))
ACCOUNT = make.value("worker")
EPOCH = 3
CONTEXT = JobContext(*(make.value(field.name) for field in fields(JobContext)))
OUTPUT_CONTEXT = OutputContext(*(make.value(field.name) for field in fields(OutputContext)))
PAYLOAD = JobPayload(1, (1, -2, 3), make.value("input_salt"), REPLY.public)
I64 = st.integers(-(2**63), 2**63 - 1)


def seal(payload: JobPayload = PAYLOAD, context: JobContext = CONTEXT) -> bytes:
    return seal_job(context, payload, [RecipientKey(ACCOUNT, EPOCH, KEY.public)])


def code_of(action: object, *args: object) -> str:
    with pytest.raises(ProtocolError) as caught:
        action(*args)  # type: ignore[operator]
    return caught.value.code


def test_fixed_vectors_are_what_the_code_makes() -> None:
    assert {name: VECTORS[name] for name in make.fixed_part()} == json.loads(json.dumps(make.fixed_part()))


def test_the_document_shows_the_same_vectors() -> None:
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    names = ["job_id", "reply_nonce", "model_id", "worker_report_data", "possession", "measurement"]
    names += ["setup_report_data", "contribution_report_data"]
    shown = [case["output"] for name in names for case in VECTORS[name]]
    shown += [VECTORS["record_salts"][0]["salts"][1], VECTORS["receipt"][0]["signature"]]
    assert not [value for value in shown if value not in text]


@pytest.mark.parametrize("case", VECTORS["sealing"], ids=lambda case: case["suite"])
def test_sealed_vectors_open(case: dict[str, object]) -> None:
    raw = {key: bytes.fromhex(item) for key, item in case.items() if isinstance(item, str) and key != "suite"}
    context = JobContext(**{field.name: raw[field.name] for field in fields(JobContext)})
    key = HpkePrivateKey.from_bytes(HpkeSuite.of_public_key(raw["public_key"]), raw["private_key"])
    assert key.public == raw["public_key"]
    payload = open_job(context, raw["sealed"], raw["account"], {7: key})
    assert payload == JobPayload(1, _integers(case["values"]), raw["input_salt"], raw["reply_key"])
    reply = HpkePrivateKey.from_bytes(HpkeSuite.X25519, raw["reply_private_key"])
    output_context = OutputContext(
        context.genesis,
        context.job,
        context.model,
        raw["account"],
        context.input_commitment,
        raw["output_commitment"],
    )
    output = open_output(output_context, raw["sealed_output"], reply)
    assert output == OutputPayload(1, _integers(case["output_values"]), raw["output_salt"])


def _integers(texts: object) -> tuple[int, ...]:
    assert isinstance(texts, list)
    assert all(isinstance(text, str) for text in texts)
    return tuple(map(int, texts))


@pytest.mark.parametrize("path", sorted(make.PATH.parent.glob("*.json")), ids=lambda path: path.name)
def test_vectors_have_no_number_that_a_reader_rounds(path: Path) -> None:
    def exact(text: str) -> int:
        assert abs(int(text)) <= 2**53, f"{text} has to be a string"
        return int(text)

    json.loads(path.read_text(), parse_int=exact)


@settings(max_examples=25)
@given(st.lists(I64, max_size=300), st.integers(0, 2**32 - 1), st.integers(1, 8), st.sampled_from(HpkeSuite))
def test_every_recipient_opens_what_was_sealed(
    values: list[int], records: int, count: int, suite: HpkeSuite
) -> None:
    payload = replace(PAYLOAD, values=tuple(values), records=records)
    keys = {make.value(f"account {index}"): HpkePrivateKey.generate(suite) for index in range(count)}
    sealed = seal_job(CONTEXT, payload, [RecipientKey(a, EPOCH, key.public) for a, key in keys.items()])
    assert all(open_job(CONTEXT, sealed, a, {EPOCH: key}) == payload for a, key in keys.items())


@pytest.mark.parametrize("field", [field.name for field in fields(JobContext)])
def test_an_envelope_opens_for_its_own_context_only(field: str) -> None:
    other = replace(CONTEXT, **{field: make.value("another")})
    assert code_of(open_job, other, seal(), ACCOUNT, {EPOCH: KEY}) == "wrong-binding"


@pytest.mark.parametrize("field", [field.name for field in fields(OutputContext)])
def test_an_output_opens_for_its_own_context_only(field: str) -> None:
    sealed = seal_output(OUTPUT_CONTEXT, OutputPayload(1, (4,), make.value("s")), REPLY.public)
    other = replace(OUTPUT_CONTEXT, **{field: make.value("another")})
    assert code_of(open_output, other, sealed, REPLY) == "wrong-binding"


def test_the_content_itself_is_bound_to_the_job() -> None:
    """A recipient who re-wraps a content key it knows for another job still gets nothing opened."""
    from proofward.protocol import sealing

    envelope = decode_envelope(seal())
    other = replace(CONTEXT, job=make.value("another"))
    key = KEY.open(envelope.recipients[0].wrapped, sealing._seal_info(CONTEXT, ACCOUNT, EPOCH))
    wrapped = hpke_seal(KEY.public, key, sealing._seal_info(other, ACCOUNT, EPOCH))
    forged = sealing._ENVELOPE.encode(
        {
            "version": 1,
            "recipients": [{"account": ACCOUNT, "epoch": EPOCH, "wrapped": wrapped}],
            "nonce": envelope.nonce,
            "ciphertext": envelope.ciphertext,
        }
    )
    assert code_of(open_job, other, forged, ACCOUNT, {EPOCH: KEY}) == "wrong-binding"


@settings(max_examples=200)
@given(st.data())
def test_no_altered_envelope_opens(data: st.DataObject) -> None:
    sealed = bytearray(seal())
    index = data.draw(st.integers(0, len(sealed) - 1))
    sealed[index] ^= data.draw(st.integers(1, 255))
    assert code_of(open_job, CONTEXT, bytes(sealed), ACCOUNT, {EPOCH: KEY}) in {
        "malformed-envelope",
        "wrong-binding",
        "not-a-recipient",
        "unknown-epoch",
    }


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_no_bytes_crash_the_decoder(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        open_job(CONTEXT, data, ACCOUNT, {EPOCH: KEY})


def test_refusals_of_an_envelope() -> None:
    sealed = seal()
    recipients = sealed[:1] + b"\xfe\xff\xff\xff" + sealed[2:]
    table = {
        "one byte more": (sealed + b"\0", "malformed-envelope"),
        "one byte less": (sealed[:-1], "malformed-envelope"),
        "empty": (b"", "malformed-envelope"),
        "version 2": (b"\x02" + sealed[1:], "malformed-envelope"),
        "a billion recipients": (recipients, "malformed-envelope"),
        "a length in a longer form": (sealed[:1] + b"\x05\0" + sealed[2:], "malformed-envelope"),
        "oversize": (bytes(bounds.MAX_ENVELOPE + 1), "oversize"),
    }
    found = {name: code_of(decode_envelope, data) for name, (data, _) in table.items()}
    assert found == {name: code for name, (_, code) in table.items()}
    assert code_of(open_job, CONTEXT, sealed, make.value("stranger"), {EPOCH: KEY}) == "not-a-recipient"
    assert code_of(open_job, CONTEXT, sealed, ACCOUNT, {EPOCH + 1: KEY}) == "unknown-epoch"
    assert code_of(open_job, CONTEXT, sealed, ACCOUNT, {EPOCH: REPLY}) == "wrong-binding"


def test_refusals_when_sealing() -> None:
    mine = RecipientKey(ACCOUNT, EPOCH, KEY.public)
    many = [RecipientKey(make.value(f"a{index}"), EPOCH, KEY.public) for index in range(9)]
    huge = replace(PAYLOAD, values=tuple(range(bounds.MAX_VALUES)))
    assert code_of(seal_job, CONTEXT, PAYLOAD, []) == "no-recipients"
    assert code_of(seal_job, CONTEXT, PAYLOAD, [mine, mine]) == "no-recipients"
    assert code_of(seal_job, CONTEXT, PAYLOAD, many) == "no-recipients"
    assert code_of(seal_job, CONTEXT, PAYLOAD, [replace(mine, hpke_key=b"short")]) == "bad-key"
    assert code_of(seal_job, CONTEXT, PAYLOAD, [replace(mine, hpke_key=bytes(32))]) == "bad-key"
    assert code_of(seal_job, CONTEXT, replace(PAYLOAD, values=(2**63,)), [mine]) == "malformed-envelope"
    assert code_of(seal_job, CONTEXT, huge, [mine]) == "oversize"


def test_an_erased_key_opens_nothing() -> None:
    key = HpkePrivateKey.generate()
    sealed = seal_job(CONTEXT, PAYLOAD, [RecipientKey(ACCOUNT, EPOCH, key.public)])
    key.erase()
    assert code_of(open_job, CONTEXT, sealed, ACCOUNT, {EPOCH: key}) == "unknown-epoch"


@given(st.binary(max_size=600))
def test_padding_round_trips_to_whole_blocks(data: bytes) -> None:
    padded = pad(data)
    assert len(padded) % bounds.PAYLOAD_BLOCK == 0
    assert unpad(padded) == data


@pytest.mark.parametrize(
    "bad", [b"", bytes(256), b"\x80" + bytes(256), b"\x80" + bytes(511), bytes(255) + b"\x01"]
)
def test_padding_refuses_what_it_cannot_have_made(bad: bytes) -> None:
    assert code_of(unpad, bad) == "malformed-envelope"


SETUPS = [Setup(SetupKind.DEV), Setup(SetupKind.CEREMONY), *(Setup(SetupKind.ATTESTED, lv) for lv in Level)]


@pytest.mark.parametrize("setup", SETUPS)
def test_setups_round_trip(setup: Setup) -> None:
    assert Setup.decode(setup.encode()) == setup


def test_a_setup_carries_a_level_when_attested_only() -> None:
    assert code_of(Setup, SetupKind.ATTESTED) == "malformed"
    assert code_of(Setup, SetupKind.DEV, Level.HARDWARE) == "malformed"
    assert code_of(Setup.decode, b"\x03") == "malformed"
    assert code_of(Setup.decode, b"\x01") == "malformed"


@pytest.mark.parametrize("field", [field.name for field in fields(Receipt)])
def test_a_receipt_covers_every_field(field: str) -> None:
    receipt = make.receipt(Level.HARDWARE, Setup(SetupKind.DEV))
    key = ReceiptKey(make.value("seed"))
    signature = sign_receipt(receipt, key)
    verify_receipt(receipt, signature, key.public)
    changed: dict[str, Any] = {"level": Level.SIMULATED, "setup": Setup(SetupKind.CEREMONY), "block": 5}
    other = replace(receipt, **{field: changed.get(field, make.value("another"))})
    assert code_of(verify_receipt, other, signature, key.public) == "bad-receipt"


def test_a_receipt_by_another_key_is_refused() -> None:
    receipt = make.receipt(Level.HARDWARE, Setup(SetupKind.DEV))
    signature = sign_receipt(receipt, ReceiptKey(make.value("seed")))
    assert code_of(verify_receipt, receipt, signature, ReceiptKey(make.value("x")).public) == "bad-receipt"
    assert (
        code_of(verify_receipt, receipt, signature[:-1], ReceiptKey(make.value("seed")).public)
        == "bad-receipt"
    )
    assert code_of(verify_receipt, receipt, signature, b"") == "bad-length"


def test_an_erased_receipt_key_is_overwritten() -> None:
    key = ReceiptKey.generate()
    assert key._key is not None
    seed, secret = key._key._seed, key._key._signing_key
    assert any(seed)
    assert any(secret)
    key.erase()
    assert (seed, secret) == (bytes(32), bytes(64))
    assert code_of(key.sign, b"message") == "unknown-epoch"


def test_erasing_a_receipt_key_leaves_the_caller_s_seed() -> None:
    seed = make.value("seed")
    ReceiptKey(seed).erase()
    assert seed == make.value("seed")
