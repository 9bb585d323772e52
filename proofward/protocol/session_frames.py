"""What goes over a session's connection: the sealed key, ordered frames, and the messages in them.

The client seals a secret of 32 bytes to the enclave's key once. From it come, by HKDF-SHA256 (RFC 5869), the
salts of the session's pages and, with a random word of each end, the keys of each connection:
ChaCha20-Poly1305 (RFC 8439), one key a direction, the frame's number as nonce. So a frame opens once, in its
place, on its connection.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from proofward.protocol.bounds import HASH_LENGTH, MAX_BATCH, MAX_VALUES, NONCE_LENGTH, SIGNATURE_LENGTH
from proofward.protocol.errors import Code, ProtocolError
from proofward.protocol.padding import pad, unpad
from proofward.protocol.types import require_length

SECRET_LENGTH: Final = 32
RANDOM_LENGTH: Final = 32
MAX_SESSION_FRAME: Final = 1 << 20
"""Bytes of one message on the connection."""
MAX_RECORDS: Final = 128
"""Records in one frame, if their integers are no more than `MAX_FRAME_VALUES`."""
MAX_FRAME_VALUES: Final = 8 * MAX_VALUES
MAX_REASON: Final = 64
MAX_REPLAY: Final = 64
"""Answers that one replay gives; who is to have more asks again from there on."""

_KEY, _CHANNEL = b"proofward/session-key/v1", b"proofward/session-channel/v1"
_SALT, _FRAME = b"proofward/session-salt/v1", b"proofward/session-frame/v1"
_RECORDS = struct.Struct("<QI")
_ANSWERS = struct.Struct("<QIB")
_PAGE = struct.Struct("<IQB32s32s64s")
_CHECKPOINT = struct.Struct("<I32sIQ64s")
_VOUCHER = struct.Struct("<I64s")
_STATE = struct.Struct("<QQII")


class Kind(IntEnum):
    """The first byte of a message."""

    RECORDS = 1
    VOUCHER = 2
    REPLAY = 3
    ANSWERS = 4
    CHECKPOINT = 5
    STATE = 6
    REFUSAL = 7


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What a session's key is bound to: hashes of 32 bytes, and the epoch of its keys."""

    genesis: bytes
    session: bytes
    client: bytes
    worker: bytes
    model: bytes
    epoch: int

    def info(self) -> bytes:
        """The `info` of the HPKE seal of the session's secret."""
        parts = self.genesis, self.session, self.client, self.worker, self.model
        for part in parts:
            require_length("a part of a session's context", part, HASH_LENGTH)
        return _KEY + b"".join(parts) + self.epoch.to_bytes(4, "little")


def page_salt(secret: bytes, session: bytes, side: str, page: int) -> bytes:
    """The salt of a page's commitment, `side` being "in" or "out": 32 bytes that both ends can make."""
    return _derive(secret, session, _SALT + side.encode() + page.to_bytes(4, "little"))


def running_salt(secret: bytes, session: bytes) -> bytes:
    """What makes the running hash say nothing about its records."""
    return _derive(secret, session, _SALT + b"running")


def _derive(secret: bytes, session: bytes, info: bytes) -> bytes:
    require_length("a session's secret", secret, SECRET_LENGTH)
    return HKDF(SHA256(), 32, session, info).derive(secret)


class Channel:
    """One end of one connection. `seal` and `open` number their frames; what is out of place stays shut."""

    def __init__(
        self, secret: bytes, session: bytes, client_random: bytes, enclave_random: bytes, *, enclave: bool
    ) -> None:
        require_length("a connection's random word", client_random, RANDOM_LENGTH)
        require_length("a connection's random word", enclave_random, RANDOM_LENGTH)
        info = _CHANNEL + client_random + enclave_random
        up, down = (_derive(secret, session, info + side) for side in (b"up", b"down"))
        self._mine, self._theirs = (ChaCha20Poly1305(key) for key in ((down, up) if enclave else (up, down)))
        self._sent = self._taken = 0

    def seal(self, message: bytes) -> bytes:
        """The next frame."""
        nonce, self._sent = self._sent.to_bytes(NONCE_LENGTH, "little"), self._sent + 1
        return self._mine.encrypt(nonce, pad(message), _FRAME)

    def open(self, frame: bytes) -> bytes:
        """The message in the other end's next frame. Raises ProtocolError: oversize, wrong-binding (altered,
        sent again, out of its order, of another connection), malformed-envelope.
        """
        if len(frame) > MAX_SESSION_FRAME:
            raise ProtocolError(f"a frame has {len(frame)} bytes, above the bound", code=Code.OVERSIZE)
        nonce = self._taken.to_bytes(NONCE_LENGTH, "little")
        try:
            message = self._theirs.decrypt(nonce, frame, _FRAME)
        except InvalidTag:
            raise ProtocolError(
                "the frame does not open: it was altered, sent again, or is out of its order",
                code=Code.WRONG_BINDING,
            ) from None
        self._taken += 1
        return unpad(message)


@dataclass(frozen=True, slots=True, repr=False)
class Records:
    """`values`: count x features integers, i64 LE; `first`: how many records of the session came before."""

    first: int
    count: int
    values: bytes

    def encode(self) -> bytes:
        """The message."""
        return bytes([Kind.RECORDS]) + _RECORDS.pack(self.first, self.count) + self.values


@dataclass(frozen=True, slots=True)
class PageReceipt:
    """A page that is full: records `first` to `first + records` of the session, the rest of it padding."""

    page: int
    first: int
    records: int
    input_commitment: bytes
    output_commitment: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Answers:
    """`values`: count x outputs integers, i64 LE. `running` and `signature`: the receipt of all so far."""

    first: int
    count: int
    values: bytes
    running: bytes
    signature: bytes
    pages: tuple[PageReceipt, ...]

    def encode(self) -> bytes:
        """The message."""
        head = bytes([Kind.ANSWERS]) + _ANSWERS.pack(self.first, self.count, len(self.pages))
        return head + self.running + self.signature + _pages(self.pages) + self.values


@dataclass(frozen=True, slots=True)
class Proposal:
    """A checkpoint that the enclave signed, and the pages that were not told of before."""

    number: int
    root: bytes
    total_pages: int
    records: int
    signature: bytes
    pages: tuple[PageReceipt, ...]

    def encode(self) -> bytes:
        """The message."""
        fields = (self.number, self.root, self.total_pages, self.records, self.signature)
        return (
            bytes([Kind.CHECKPOINT])
            + _CHECKPOINT.pack(*fields)
            + bytes([len(self.pages)])
            + _pages(self.pages)
        )


@dataclass(frozen=True, slots=True)
class State:
    """The first message of a connection, and the answer to a voucher: records received; records and pages
    vouched for; the next checkpoint.
    """

    records: int
    vouched: int
    pages: int
    next: int

    def encode(self) -> bytes:
        """The message."""
        return bytes([Kind.STATE]) + _STATE.pack(self.records, self.vouched, self.pages, self.next)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Records from `first` on were not taken; `reason` is a code."""

    first: int
    reason: str

    def encode(self) -> bytes:
        """The message."""
        return (
            bytes([Kind.REFUSAL])
            + self.first.to_bytes(8, "little")
            + self.reason.encode("ascii")[:MAX_REASON]
        )


@dataclass(frozen=True, slots=True)
class Voucher:
    """The client's signature over checkpoint `number`."""

    number: int
    signature: bytes

    def encode(self) -> bytes:
        """The message."""
        return bytes([Kind.VOUCHER]) + _VOUCHER.pack(self.number, self.signature)


@dataclass(frozen=True, slots=True)
class Replay:
    """The client has lost the answers from record `first` on."""

    first: int

    def encode(self) -> bytes:
        """The message."""
        return bytes([Kind.REPLAY]) + self.first.to_bytes(8, "little")


Message = Records | Voucher | Replay | Answers | Proposal | State | Refusal


def parse_message(message: bytes) -> Message:
    """Raises ProtocolError(malformed-envelope) for what no end sends."""
    try:
        return _parse(message)
    except (struct.error, ValueError, UnicodeDecodeError, IndexError):
        raise ProtocolError("the frame holds no message of a session", code=Code.MALFORMED_ENVELOPE) from None


def _parse(message: bytes) -> Message:
    kind, body = Kind(message[0]), message[1:]
    if kind is Kind.RECORDS:
        first, count = _RECORDS.unpack_from(body)
        values = body[_RECORDS.size :]
        if not 1 <= count <= MAX_RECORDS or len(values) % (8 * count) or len(values) > 8 * MAX_FRAME_VALUES:
            raise ValueError("records out of bounds")
        return Records(first, count, values)
    if kind is Kind.VOUCHER:
        return Voucher(*_VOUCHER.unpack(body))
    if kind is Kind.REPLAY:
        return Replay(_u64(body))
    if kind is Kind.STATE:
        return State(*_STATE.unpack(body))
    if kind is Kind.REFUSAL:
        if len(body) > 8 + MAX_REASON:
            raise ValueError("too long")
        return Refusal(_u64(body[:8]), body[8:].decode("ascii"))
    if kind is Kind.ANSWERS:
        first, count, pages = _ANSWERS.unpack_from(body)
        at = _ANSWERS.size
        running, signature = body[at : at + HASH_LENGTH], body[at + HASH_LENGTH : at + 96]
        at += HASH_LENGTH + SIGNATURE_LENGTH
        end = at + pages * _PAGE.size
        values = body[end:]
        if len(signature) != SIGNATURE_LENGTH or not 1 <= count <= MAX_RECORDS or len(values) % (8 * count):
            raise ValueError("answers out of bounds")
        return Answers(first, count, values, running, signature, _read_pages(body[at:end], pages))
    number, root, total, records, signature = _CHECKPOINT.unpack_from(body)
    at = _CHECKPOINT.size
    return Proposal(number, root, total, records, signature, _read_pages(body[at + 1 :], body[at]))


def _u64(data: bytes) -> int:
    if len(data) != 8:
        raise ValueError("eight bytes are needed")
    return int.from_bytes(data, "little")


def _pages(pages: tuple[PageReceipt, ...]) -> bytes:
    return b"".join(
        _PAGE.pack(p.page, p.first, p.records, p.input_commitment, p.output_commitment, p.signature)
        for p in pages
    )


def _read_pages(data: bytes, count: int) -> tuple[PageReceipt, ...]:
    if len(data) != count * _PAGE.size:
        raise ValueError("pages are missing")
    pages = tuple(PageReceipt(*fields) for fields in _PAGE.iter_unpack(data))
    if not all(1 <= page.records <= MAX_BATCH for page in pages):
        raise ValueError("a page of no records")
    return pages
