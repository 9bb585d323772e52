"""sr25519 keys and SS58 addresses, by the bindings that substrate-interface rests on.

That package itself is not imported: with its clients it took half a second at the start of every command.
Sources: sp_core::crypto (junctions, SS58), the SS58 registry's description of its two forms of prefix.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import ClassVar, Final

import base58
import bip39
import sr25519

from proofward.protocol.accounts import is_signed
from proofward.protocol.scale import compact

SS58_PREFIX: Final = 42
_ACCOUNT: Final = 32
_CHECKSUM: Final = 2
#: Characters of an address: 36 bytes at most have 50. Reading more takes the square of their number.
_LONGEST: Final = 64
_RESERVED: Final = (46, 47)
_DEV_PHRASE: Final = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"
"""Of sp_core::crypto, DEV_PHRASE: what `//Alice` is derived from, and known to everybody."""


@dataclass(frozen=True, slots=True)
class Keypair:
    """An sr25519 key, or with `private_key` None what checks its signatures.

    `public_key` has 32 bytes, `private_key` 64.
    """

    public_key: bytes
    private_key: bytes | None = field(default=None, repr=False)
    crypto_type: ClassVar[int] = 1
    """As in a MultiSignature."""

    def __post_init__(self) -> None:
        if len(self.public_key) != _ACCOUNT:
            raise ValueError(f"a public key has 32 bytes, not {len(self.public_key)}")

    @classmethod
    def of_seed(cls, seed: bytes) -> Keypair:
        """The key of 32 secret bytes. Raises ValueError."""
        if len(seed) != 32:
            raise ValueError(f"a seed has 32 bytes, not {len(seed)}")
        public, private = sr25519.pair_from_seed(seed)
        return cls(bytes(public), bytes(private))

    @classmethod
    def of_phrase(cls, phrase: str) -> Keypair:
        """The key of an English BIP 39 phrase, without a password. Raises ValueError."""
        if not bip39.bip39_validate(phrase, "en"):
            raise ValueError("no BIP 39 phrase")
        return cls.of_seed(bytes(bip39.bip39_to_mini_secret(phrase, "", "en")))

    @classmethod
    def of_dev(cls, path: str) -> Keypair:
        """A development key, `//Name` or `//Name//more`. Raises ValueError."""
        empty, *names = path.split("//")
        if empty or not names or not all(names) or any("/" in name for name in names):
            raise ValueError(f"{path!r} is no path of hard junctions")
        key = cls.of_phrase(_DEV_PHRASE)
        for name in names:
            chained = (_junction(name), key.public_key, key.private_key)
            _, public, private = sr25519.hard_derive_keypair(chained, b"")
            key = cls(bytes(public), bytes(private))
        return key

    @property
    def ss58_address(self) -> str:
        """As people write it, with prefix 42."""
        return ss58_encode(self.public_key)

    def sign(self, data: bytes) -> bytes:
        """64 bytes, other ones each time. Raises ValueError without the private key."""
        if self.private_key is None:
            raise ValueError("a key without its private half does not sign")
        return bytes(sr25519.sign((self.public_key, self.private_key), data))

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether this key has signed exactly `data`."""
        return is_signed(self.public_key, data, signature)


def new_phrase() -> str:
    """Twelve fresh words."""
    return str(bip39.bip39_generate(12, "en"))


def ss58_encode(account: bytes) -> str:
    """The address of 32 bytes, with prefix 42."""
    body = bytes([SS58_PREFIX]) + account
    return base58.b58encode(body + _checksum(body)).decode()


def ss58_decode(address: str) -> bytes:
    """The 32 bytes of an address with any prefix. Raises ValueError."""
    if len(address) > _LONGEST:
        raise ValueError("no SS58 address is as long")
    raw = base58.b58decode(address)
    prefix = 2 if raw and raw[0] & 0x40 else 1
    if len(raw) != prefix + _ACCOUNT + _CHECKSUM or raw[0] & 0x80 or (prefix == 1 and raw[0] in _RESERVED):
        raise ValueError("no SS58 address of an account")
    body = raw[:-_CHECKSUM]
    if _checksum(body) != raw[-_CHECKSUM:]:
        raise ValueError("the checksum of an SS58 address does not fit")
    return body[prefix:]


def _checksum(body: bytes) -> bytes:
    return blake2b(b"SS58PRE" + body).digest()[:_CHECKSUM]


def _junction(name: str) -> bytes:
    """A chain code: a number is its 64 bits, a name is SCALE text, hashed when it is long."""
    if name.isascii() and name.isdigit() and int(name) < 1 << 64:
        raw = int(name).to_bytes(8, "little")
    else:
        text = name.encode()
        raw = compact(len(text)) + text
    return (blake2b(raw, digest_size=32).digest() if len(raw) > 32 else raw).ljust(32, b"\0")
