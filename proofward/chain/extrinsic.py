"""Extrinsics, version 4: what is signed, how it is laid out, how long it may live.

Source: sp_runtime::generic (UncheckedExtrinsic, Era) and the transaction extensions' own encodings.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from proofward.chain.errors import MetadataError
from proofward.chain.metadata import Extension, Reader
from proofward.chain.values import Call, Values
from proofward.protocol.scale import compact

ERA_PERIOD: Final = 64
"""Blocks that an extrinsic may wait, by default: about a minute."""
_SIGNED: Final = 0x84
_BARE: Final = (0x04, 0x05)


class Signer(Protocol):
    """A key that signs for an account: `proofward.chain.keypair.Keypair` is one."""

    @property
    def public_key(self) -> bytes:
        """32 bytes."""

    @property
    def crypto_type(self) -> int:
        """0 for ed25519, 1 for sr25519."""

    def sign(self, data: bytes) -> bytes:
        """Sign `data`: 64 bytes, by the key's own scheme."""


@runtime_checkable
class PayloadSigner(Protocol):
    """A key that wants to read what it signs."""

    def sign_payload(self, payload: bytes) -> bytes:
        """Sign an extrinsic's payload, which is given whole."""


@dataclass(frozen=True, slots=True)
class SignedExtrinsic:
    """Ready to be sent, any number of times: it can be included once, in blocks first_block..last_block."""

    data: bytes
    hash: bytes
    signer: bytes
    nonce: int
    first_block: int
    last_block: int


@dataclass(frozen=True, slots=True)
class Extrinsic:
    """One of a block's body. `signer` is None for one that nobody signed, `call` None for a format we
    cannot read.
    """

    index: int
    hash: bytes
    signer: bytes | None
    nonce: int | None
    call: Call | None


@dataclass(frozen=True, slots=True)
class Chain:
    """What a signature is bound to."""

    genesis: bytes
    spec_version: int
    transaction_version: int


def extrinsic_hash(data: bytes) -> bytes:
    """BLAKE2b-256 of the whole extrinsic: how nodes name it."""
    return hashlib.blake2b(data, digest_size=32).digest()


def mortal_era(birth: int, period: int = ERA_PERIOD) -> bytes:
    """The two bytes of an era that begins at block `birth`; `period` is a power of two from 4 to 65,536."""
    if period & (period - 1) or not 4 <= period <= 65_536:
        raise ValueError(f"an era's period is a power of two from 4 to 65536, not {period}")
    quantum = max(period >> 12, 1)
    phase = birth % period // quantum
    return (min(15, max(1, period.bit_length() - 2)) | phase << 4).to_bytes(2, "little")


def _extensions(
    values: Values, extensions: tuple[Extension, ...], known: dict[str, tuple[bytes, bytes]]
) -> tuple[bytes, bytes]:
    extra, additional = bytearray(), bytearray()
    for extension in extensions:
        if extension.name in known:
            first, second = known[extension.name]
        elif values.is_empty(extension.extra) and values.is_empty(extension.additional):
            continue
        else:
            raise MetadataError(
                f"the chain wants {extension.name} in every extrinsic, which this client cannot fill"
            )
        extra += first
        additional += second
    return bytes(extra), bytes(additional)


def sign_extrinsic(
    call: bytes,
    signer: Signer,
    *,
    values: Values,
    extensions: tuple[Extension, ...],
    chain: Chain,
    nonce: int,
    tip: int,
    birth: int,
    birth_hash: bytes,
    period: int = ERA_PERIOD,
) -> SignedExtrinsic:
    """Sign an encoded call, good in the `period` blocks behind block `birth`."""
    era = mortal_era(birth, period)
    known = {
        "CheckMortality": (era, birth_hash),
        "CheckEra": (era, birth_hash),
        "CheckNonce": (compact(nonce), b""),
        "ChargeTransactionPayment": (compact(tip), b""),
        "CheckSpecVersion": (b"", chain.spec_version.to_bytes(4, "little")),
        "CheckTxVersion": (b"", chain.transaction_version.to_bytes(4, "little")),
        "CheckGenesis": (b"", chain.genesis),
        "CheckMetadataHash": (b"\x00", b"\x00"),
    }
    extra, additional = _extensions(values, extensions, known)
    signature = signature_of(signer, call + extra + additional)
    account = bytes(signer.public_key)
    body = bytes([_SIGNED, 0]) + account + bytes([signer.crypto_type]) + signature + extra + call
    data = compact(len(body)) + body
    quantum = max(period >> 12, 1)
    first = birth - birth % quantum
    return SignedExtrinsic(data, extrinsic_hash(data), account, nonce, first, first + period - 1)


def signature_of(signer: Signer, payload: bytes) -> bytes:
    """Of an extrinsic's payload: call, extensions, and what they sign besides. Of a long one its hash is
    signed; a key that is elsewhere sees it whole and judges it.
    """
    if isinstance(signer, PayloadSigner):
        return signer.sign_payload(payload)
    if len(payload) > 256:
        payload = hashlib.blake2b(payload, digest_size=32).digest()
    return signer.sign(payload)


def bare_extrinsic(call: bytes) -> bytes:
    """An encoded call as an extrinsic that nobody signs."""
    body = bytes([_BARE[0]]) + call
    return compact(len(body)) + body


def read_extrinsic(
    data: bytes, index: int, *, values: Values, extensions: tuple[Extension, ...], address: int, call: int
) -> Extrinsic:
    """Take an extrinsic apart. `address` and `call` are the types of addresses and calls."""
    name = extrinsic_hash(data)
    reader = Reader(data)
    try:
        if reader.compact() != reader.left():
            raise MetadataError("an extrinsic's length is not its own")
        version = reader.u8()
        signer, nonce = None, None
        if version == _SIGNED:
            signer = _account(values.read(address, reader))
            reader.take(65 if reader.u8() == 2 else 64)  # ECDSA signatures carry a recovery byte
            for extension in extensions:
                value = _read_extension(values, extension, reader)
                nonce = value if extension.name == "CheckNonce" else nonce
        elif version not in _BARE:
            return Extrinsic(index, name, None, None, None)
        return Extrinsic(index, name, signer, nonce, values.read(call, reader))
    except MetadataError:
        return Extrinsic(index, name, None, None, None)


def _read_extension(values: Values, extension: Extension, reader: Reader) -> Any:
    if extension.name in ("CheckMortality", "CheckEra"):
        # 256 variants in the metadata for what is one byte (immortal) or two
        return None if reader.u8() == 0 else reader.take(1)
    return values.read(extension.extra, reader)


def _account(address: Any) -> bytes | None:
    content = address.get("Id") if isinstance(address, dict) else address
    return content if isinstance(content, bytes) and len(content) == 32 else None
