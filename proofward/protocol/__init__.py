"""The protocol: wire formats, sealing, receipts, ids. Pure: no clock, no network, no files.

docs/protocol.md is the normative text; tests/vectors/ holds known answers that this code made.
"""

from proofward.protocol.errors import Code, ProtocolError
from proofward.protocol.hashes import blake2_256, keccak256, sha256, sha384, sha512
from proofward.protocol.ids import (
    job_id,
    manifest_hash,
    model_id,
    reply_nonce,
    vk_hash,
    weights_digest,
)
from proofward.protocol.keys import HpkePrivateKey, HpkeSuite, ReceiptKey
from proofward.protocol.measurement import measurement
from proofward.protocol.possession import sign_possession, verify_possession
from proofward.protocol.randomness import SYSTEM_RANDOM, RandomSource
from proofward.protocol.receipt import Receipt, sign_receipt, verify_receipt
from proofward.protocol.report_data import (
    contribution_report_data,
    setup_report_data,
    worker_report_data,
)
from proofward.protocol.salts import record_salts
from proofward.protocol.sealing import (
    Envelope,
    JobPayload,
    OutputPayload,
    RecipientKey,
    decode_envelope,
    open_envelope,
    open_job,
    open_output,
    seal_job,
    seal_output,
)
from proofward.protocol.statement import sign_statement, verify_statement
from proofward.protocol.types import (
    DEV_SETUP,
    JobContext,
    Lane,
    Level,
    OutputContext,
    Setup,
    SetupKind,
)

__all__ = [
    "DEV_SETUP",
    "SYSTEM_RANDOM",
    "Code",
    "Envelope",
    "HpkePrivateKey",
    "HpkeSuite",
    "JobContext",
    "JobPayload",
    "Lane",
    "Level",
    "OutputContext",
    "OutputPayload",
    "ProtocolError",
    "RandomSource",
    "Receipt",
    "ReceiptKey",
    "RecipientKey",
    "Setup",
    "SetupKind",
    "blake2_256",
    "contribution_report_data",
    "decode_envelope",
    "job_id",
    "keccak256",
    "manifest_hash",
    "measurement",
    "model_id",
    "open_envelope",
    "open_job",
    "open_output",
    "record_salts",
    "reply_nonce",
    "seal_job",
    "seal_output",
    "setup_report_data",
    "sha256",
    "sha384",
    "sha512",
    "sign_possession",
    "sign_receipt",
    "sign_statement",
    "verify_possession",
    "verify_receipt",
    "verify_statement",
    "vk_hash",
    "weights_digest",
    "worker_report_data",
]
