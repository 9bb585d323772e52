"""Make tests/vectors/protocol.json: known answers of proofward.protocol, for Python, Rust and
docs/protocol.md.

Run: python -m tests.vectors.make Every value is hex, except small integers, names, and 64-bit integers, which
are decimal strings: a JSON number beyond 2^53 is rounded by many readers. Inputs are
sha256(label), so that nobody chose them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proofward.protocol import (
    HpkePrivateKey,
    HpkeSuite,
    JobContext,
    JobPayload,
    Lane,
    Level,
    OutputContext,
    OutputPayload,
    Receipt,
    ReceiptKey,
    RecipientKey,
    Setup,
    SetupKind,
    contribution_report_data,
    job_id,
    measurement,
    model_id,
    record_salts,
    reply_nonce,
    seal_job,
    seal_output,
    setup_report_data,
    sha256,
    sha384,
    sign_possession,
    sign_receipt,
    worker_report_data,
)

PATH = Path(__file__).parent / "protocol.json"


def value(label: str, length: int = 32) -> bytes:
    """The input of a label: sha256(label || counter u8), repeated to `length` bytes."""
    blocks = (sha256(label.encode() + bytes([index])) for index in range((length + 31) // 32))
    return b"".join(blocks)[:length]


def _hex(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: item.hex() if isinstance(item, bytes) else item for key, item in fields.items()}


def _case(output: bytes, **inputs: Any) -> dict[str, Any]:
    return {**_hex(inputs), "output": output.hex()}


def receipt(level: Level, setup: Setup) -> Receipt:
    """The receipt that the vectors use."""
    hashes = {
        name: value(name) for name in Receipt.__dataclass_fields__ if name not in ("level", "setup", "block")
    }
    return Receipt(**hashes, level=level, setup=setup, block=123_456)


def fixed_part() -> dict[str, Any]:
    """Everything that has one answer only."""
    worker: dict[str, Any] = {
        "genesis": value("genesis"),
        "account": value("account"),
        "receipt_key": value("receipt_key"),
        "epoch": 7,
        "block_hash": value("block_hash"),
    }
    keys = {32: value("hpke_key"), 1216: value("hpke_key", 1216)}
    model = {
        name: value(name) for name in ("publisher", "weights_digest", "manifest_hash", "vk_hash", "key_hash")
    }
    registers = {
        "mrtd": sha384(b"mrtd"),
        "mr_config_id": sha384(b"mr_config_id"),
        "mr_owner": sha384(b"mr_owner"),
        "mr_owner_config": sha384(b"mr_owner_config"),
    }
    rtmrs = [sha384(f"rtmr{index}".encode()) for index in range(4)]
    setup_names = ("genesis", "publisher", "manifest_hash", "circuit_digest", "vk_hash", "block_hash")
    made = {name: value(name) for name in setup_names}
    signer = ReceiptKey(value("receipt seed"))
    setups = [
        (Level.SIMULATED, Setup(SetupKind.DEV)),
        (Level.HARDWARE, Setup(SetupKind.ATTESTED, Level.SIMULATED)),
        (Level.HARDWARE, Setup(SetupKind.ATTESTED, Level.HARDWARE)),
        (Level.HARDWARE, Setup(SetupKind.CEREMONY)),
    ]
    shared = {name: value(name) for name in ("circuit_digest", "phase1", "contribution")}
    receipts = []
    for level, setup in setups:
        record = receipt(level, setup)
        receipts.append(
            {
                **_hex({name: getattr(record, name) for name in Receipt.__dataclass_fields__}),
                "level": level.label,
                "setup": setup.encode().hex(),
                "receipt_key": signer.public.hex(),
                "message": record.message().hex(),
                "signature": sign_receipt(record, signer).hex(),
            }
        )
    return {
        "job_id": [
            _case(job_id(value("client"), value("nonce")), client=value("client"), nonce=value("nonce"))
        ],
        "reply_nonce": [
            _case(reply_nonce(key), reply_key=key) for key in (value("reply_key"), value("reply_key", 1216))
        ],
        "model_id": [_case(model_id(lane=lane, **model), lane=lane.label, **model) for lane in Lane],
        "worker_report_data": [
            _case(worker_report_data(hpke_key=key, **worker), hpke_key=key, **worker) for key in keys.values()
        ],
        "possession": [
            _case(
                sign_possession(value("report_data", 64), signer),
                report_data=value("report_data", 64),
                receipt_key=signer.public,
            )
        ],
        "setup_report_data": [_case(setup_report_data(**made), **made)],
        "contribution_report_data": [_case(contribution_report_data(**shared), **shared)],
        "measurement": [
            _case(
                measurement(rtmrs=rtmrs, **registers),
                **registers,
                **{f"rtmr{index}": rtmr for index, rtmr in enumerate(rtmrs)},
            )
        ],
        "record_salts": [
            {
                "salt": value("salt").hex(),
                "batch": 3,
                "salts": [salt.hex() for salt in record_salts(value("salt"), 3)],
            }
        ],
        "receipt": receipts,
    }


def sealed_part() -> dict[str, Any]:
    """Sealed messages: the KEM is randomised, so these are to be opened, not made again."""
    fields = ("genesis", "job", "client", "model", "input_commitment")
    context = JobContext(**{name: value(name) for name in fields})
    output_context = OutputContext(
        genesis=value("genesis"),
        job=value("job"),
        model=value("model"),
        worker=value("worker"),
        input_commitment=value("input_commitment"),
        output_commitment=value("output_commitment"),
    )
    cases = []
    for suite in HpkeSuite:
        secret = value(f"{suite.name} secret", suite.private_length)
        key = HpkePrivateKey.from_bytes(suite, secret)
        reply_secret = value("reply secret")
        reply = HpkePrivateKey.from_bytes(HpkeSuite.X25519, reply_secret)
        payload = JobPayload(1, (0, -1, 2**40, -(2**63), 2**63 - 1), value("input_salt"), reply.public)
        output = OutputPayload(1, (-7,), value("output_salt"))
        cases.append(
            {
                "suite": suite.name.lower(),
                **_hex({name: value(name) for name in fields}),
                "account": value("worker").hex(),
                "epoch": 7,
                "private_key": secret.hex(),
                "public_key": key.public.hex(),
                "reply_private_key": reply_secret.hex(),
                "reply_key": reply.public.hex(),
                "records": payload.records,
                "values": [str(one) for one in payload.values],
                "input_salt": payload.input_salt.hex(),
                "sealed": seal_job(context, payload, [RecipientKey(value("worker"), 7, key.public)]).hex(),
                "output_commitment": value("output_commitment").hex(),
                "output_values": [str(one) for one in output.values],
                "output_salt": output.output_salt.hex(),
                "sealed_output": seal_output(output_context, output, reply.public).hex(),
            }
        )
    return {"sealing": cases}


def main() -> None:
    """Write the file."""
    PATH.write_text(json.dumps(fixed_part() | sealed_part(), indent=1) + "\n")


if __name__ == "__main__":
    main()
