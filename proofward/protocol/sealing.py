"""Sealing: a job's envelope for up to eight workers, and the output back to the client.

One random content key encrypts the payload once (ChaCha20-Poly1305, RFC 8439); HPKE wraps that key for each
recipient. The job's context is the associated data of the first and the `info` of the second, so that an
envelope opens for its own job only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from proofward.protocol import bounds, scale
from proofward.protocol.errors import Code, ProtocolError
from proofward.protocol.keys import HpkePrivateKey, hpke_seal, require_hpke_key
from proofward.protocol.padding import pad, unpad
from proofward.protocol.randomness import SYSTEM_RANDOM, RandomSource
from proofward.protocol.types import JobContext, OutputContext

ENVELOPE_VERSION = 1

_CONTENT = b"proofward/content/v1"
_SEAL = b"proofward/seal/v1"
_OUTPUT = b"proofward/output/v1"

_JOB_FIELDS = ("genesis", "job", "client", "model", "input_commitment")
_OUTPUT_FIELDS = ("genesis", "job", "model", "worker", "input_commitment", "output_commitment")

_CONTEXT = scale.Record("JobContext", dict.fromkeys(_JOB_FIELDS, scale.H256))
_RECIPIENT_CONTEXT = scale.Record(
    "RecipientContext",
    {**dict.fromkeys(_JOB_FIELDS, scale.H256), "recipient": scale.H256, "epoch": scale.U32},
)
_OUTPUT_CONTEXT = scale.Record("OutputContext", dict.fromkeys(_OUTPUT_FIELDS, scale.H256))

_RECIPIENT = scale.Record(
    "Recipient", {"account": scale.H256, "epoch": scale.U32, "wrapped": scale.byte_vec(bounds.MAX_WRAPPED)}
)
_ENVELOPE = scale.Record(
    "Envelope",
    {
        "version": scale.U8,
        "recipients": scale.vec(_RECIPIENT, bounds.MAX_RECIPIENTS),
        "nonce": scale.fixed(bounds.NONCE_LENGTH),
        "ciphertext": scale.byte_vec(bounds.MAX_ENVELOPE),
    },
    code=Code.MALFORMED_ENVELOPE,
)
_PAYLOAD = scale.Record(
    "JobPayload",
    {
        "records": scale.U32,
        "values": scale.i64_vec(bounds.MAX_VALUES),
        "input_salt": scale.fixed(bounds.SALT_LENGTH),
        "reply_key": scale.byte_vec(bounds.MAX_HPKE_KEY),
    },
    code=Code.MALFORMED_ENVELOPE,
)
_OUTPUT_PAYLOAD = scale.Record(
    "OutputPayload",
    {
        "records": scale.U32,
        "values": scale.i64_vec(bounds.MAX_VALUES),
        "output_salt": scale.fixed(bounds.SALT_LENGTH),
    },
)


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """A worker to seal to: its account (32 bytes), and the HPKE key and epoch of its record on the chain."""

    account: bytes
    epoch: int
    hpke_key: bytes


@dataclass(frozen=True, slots=True)
class Recipient:
    """One wrapped content key of an envelope."""

    account: bytes
    epoch: int
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A job's sealed bytes, taken apart."""

    recipients: tuple[Recipient, ...]
    nonce: bytes
    ciphertext: bytes

    def recipient(self, account: bytes) -> Recipient:
        """The entry of an account. Raises ProtocolError(not-a-recipient)."""
        for recipient in self.recipients:
            if recipient.account == account:
                return recipient
        raise ProtocolError("the envelope is not sealed to this worker", code=Code.NOT_A_RECIPIENT)


@dataclass(frozen=True, slots=True, repr=False)
class JobPayload:
    """What the client seals.

    `values`: batch x features quantised integers, flat, row by row, padding rows included; `records`: how
    many rows are real. `input_salt`: 32 bytes. `reply_key`: the HPKE public key that the output is sealed
    to.
    """

    records: int
    values: tuple[int, ...]
    input_salt: bytes
    reply_key: bytes


@dataclass(frozen=True, slots=True, repr=False)
class OutputPayload:
    """What the enclave seals: batch x outputs integers, flat, of which the first `records` rows are real."""

    records: int
    values: tuple[int, ...]
    output_salt: bytes


def _oversize(what: str, length: int) -> ProtocolError:
    return ProtocolError(
        f"the {what} takes {length} bytes, above the bound of {bounds.MAX_ENVELOPE}: send fewer records",
        code=Code.OVERSIZE,
    )


def _fields(context: JobContext | OutputContext, names: Sequence[str]) -> dict[str, bytes]:
    return {name: getattr(context, name) for name in names}


def _content_aad(context: JobContext) -> bytes:
    return _CONTENT + _CONTEXT.encode(_fields(context, _JOB_FIELDS))


def _seal_info(context: JobContext, account: bytes, epoch: int) -> bytes:
    return _SEAL + _RECIPIENT_CONTEXT.encode(
        {**_fields(context, _JOB_FIELDS), "recipient": account, "epoch": epoch}
    )


def _output_info(context: OutputContext) -> bytes:
    return _OUTPUT + _OUTPUT_CONTEXT.encode(_fields(context, _OUTPUT_FIELDS))


def seal_job(
    context: JobContext,
    payload: JobPayload,
    recipients: Sequence[RecipientKey],
    *,
    random: RandomSource = SYSTEM_RANDOM,
) -> bytes:
    """The envelope, at most 65,536 bytes.

    Raises ProtocolError: no-recipients (none, more than 8, or one twice), bad-key, malformed-envelope,
    oversize.
    """
    accounts = [recipient.account for recipient in recipients]
    if not 1 <= len(accounts) <= bounds.MAX_RECIPIENTS or len(set(accounts)) != len(accounts):
        raise ProtocolError(
            f"seal to 1 to {bounds.MAX_RECIPIENTS} different workers", code=Code.NO_RECIPIENTS
        )
    if len(payload.values) > bounds.MAX_VALUES:
        raise _oversize("payload", 8 * len(payload.values))
    plaintext = pad(
        _PAYLOAD.encode(
            {
                "records": payload.records,
                "values": payload.values,
                "input_salt": payload.input_salt,
                "reply_key": payload.reply_key,
            }
        )
    )
    key = random(bounds.CONTENT_KEY_LENGTH)
    nonce = random(bounds.NONCE_LENGTH)
    wrapped = [
        {
            "account": recipient.account,
            "epoch": recipient.epoch,
            "wrapped": hpke_seal(
                recipient.hpke_key, key, _seal_info(context, recipient.account, recipient.epoch)
            ),
        }
        for recipient in recipients
    ]
    ciphertext = ChaCha20Poly1305(key).encrypt(nonce, plaintext, _content_aad(context))
    if len(ciphertext) > bounds.MAX_ENVELOPE:
        raise _oversize("envelope", len(ciphertext))
    sealed = _ENVELOPE.encode(
        {"version": ENVELOPE_VERSION, "recipients": wrapped, "nonce": nonce, "ciphertext": ciphertext}
    )
    if len(sealed) > bounds.MAX_ENVELOPE:
        raise _oversize("envelope", len(sealed))
    return sealed


def decode_envelope(sealed: bytes) -> Envelope:
    """Take an envelope apart without a key. Raises ProtocolError: oversize, malformed-envelope."""
    if len(sealed) > bounds.MAX_ENVELOPE:
        raise _oversize("envelope", len(sealed))
    value = _ENVELOPE.decode(sealed)
    if value["version"] != ENVELOPE_VERSION:
        raise ProtocolError(f"envelope version {value['version']} is not known", code=Code.MALFORMED_ENVELOPE)
    recipients = tuple(Recipient(**recipient) for recipient in value["recipients"])
    if not recipients or len({recipient.account for recipient in recipients}) != len(recipients):
        raise ProtocolError("an envelope names each of its recipients once", code=Code.MALFORMED_ENVELOPE)
    return Envelope(recipients, value["nonce"], value["ciphertext"])


def open_job(
    context: JobContext, sealed: bytes, account: bytes, keys: Mapping[int, HpkePrivateKey]
) -> JobPayload:
    """Open an envelope as the worker `account`, with its private keys by epoch.

    Raises ProtocolError: oversize, malformed-envelope, not-a-recipient, unknown-epoch, wrong-binding
    (altered, or made for another job, client, model, commitment, chain or recipient).
    """
    return open_envelope(context, decode_envelope(sealed), account, keys)


def open_envelope(
    context: JobContext, envelope: Envelope, account: bytes, keys: Mapping[int, HpkePrivateKey]
) -> JobPayload:
    """`open_job` for an envelope that is taken apart already."""
    entry = envelope.recipient(account)
    private = keys.get(entry.epoch)
    if private is None:
        raise ProtocolError(
            f"the envelope is sealed to epoch {entry.epoch}, whose key this enclave does not hold",
            code=Code.UNKNOWN_EPOCH,
        )
    key = private.open(entry.wrapped, _seal_info(context, account, entry.epoch))
    if len(key) != bounds.CONTENT_KEY_LENGTH:
        raise ProtocolError("the wrapped content key has the wrong length", code=Code.MALFORMED_ENVELOPE)
    try:
        plaintext = ChaCha20Poly1305(key).decrypt(envelope.nonce, envelope.ciphertext, _content_aad(context))
    except InvalidTag:
        raise ProtocolError(
            "the content does not authenticate: it was altered, or belongs to another job",
            code=Code.WRONG_BINDING,
        ) from None
    payload = JobPayload(**_PAYLOAD.decode(unpad(plaintext)))
    require_hpke_key(payload.reply_key)
    return payload


def seal_output(context: OutputContext, payload: OutputPayload, reply_key: bytes) -> bytes:
    """HPKE to the client's reply key. Raises ProtocolError: bad-key, malformed, oversize."""
    plaintext = _OUTPUT_PAYLOAD.encode(
        {"records": payload.records, "values": payload.values, "output_salt": payload.output_salt}
    )
    sealed = hpke_seal(reply_key, plaintext, _output_info(context))
    if len(sealed) > bounds.MAX_SEALED_OUTPUT:
        raise _oversize("sealed output", len(sealed))
    return sealed


def open_output(context: OutputContext, sealed: bytes, reply_key: HpkePrivateKey) -> OutputPayload:
    """Open a sealed output. Raises ProtocolError: oversize, wrong-binding, malformed."""
    if len(sealed) > bounds.MAX_SEALED_OUTPUT:
        raise _oversize("sealed output", len(sealed))
    return OutputPayload(**_OUTPUT_PAYLOAD.decode(reply_key.open(sealed, _output_info(context))))
