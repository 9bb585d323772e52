"""HPKE and receipt keys. A private key that is made here by the system's randomness never becomes Python
bytes.
"""

from __future__ import annotations

import ctypes
from enum import Enum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from proofward.protocol.bounds import RECEIPT_KEY_LENGTH
from proofward.protocol.errors import Code, ProtocolError
from proofward.protocol.randomness import SYSTEM_RANDOM
from proofward.protocol.types import require_length

_MLKEM768_KEY: Final = 1_184
_MLKEM768_SEED: Final = 64
_X25519_KEY: Final = 32


class HpkeSuite(Enum):
    """The two HPKE suites; a public key's length tells which.

    X25519: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305 (RFC 9180). HYBRID: MLKEM768-X25519,
    SHAKE256, ChaCha20-Poly1305 (draft-ietf-hpke-pq): holds while either of the two problems does.
    """

    X25519 = (KEM.X25519, KDF.HKDF_SHA256, _X25519_KEY, _X25519_KEY)
    HYBRID = (KEM.MLKEM768_X25519, KDF.SHAKE256, _MLKEM768_KEY + _X25519_KEY, _MLKEM768_SEED + _X25519_KEY)

    @property
    def public_length(self) -> int:
        """Bytes of a public key: 32 or 1,216."""
        return self.value[2]

    @property
    def private_length(self) -> int:
        """Bytes of a private key: 32, or 64 (ML-KEM seed) + 32."""
        return self.value[3]

    def cipher(self) -> Suite:
        """The suite of the `cryptography` library."""
        return Suite(self.value[0], self.value[1], AEAD.CHACHA20_POLY1305)

    @classmethod
    def of_public_key(cls, key: bytes) -> HpkeSuite:
        """The suite of a public key. Raises ProtocolError when its length is neither."""
        for suite in cls:
            if len(key) == suite.public_length:
                return suite
        raise ProtocolError(f"an HPKE public key has 32 or 1,216 bytes, not {len(key)}", code=Code.BAD_KEY)


class HpkePrivateKey:
    """A private key of one suite. It has no accessor for the secret."""

    __slots__ = ("_key", "public", "suite")

    def __init__(self, suite: HpkeSuite, mlkem: MLKEM768PrivateKey | None, x25519: X25519PrivateKey) -> None:
        self.suite = suite
        public = x25519.public_key().public_bytes_raw()
        if mlkem is None:
            self._key: X25519PrivateKey | MLKEM768X25519PrivateKey | None = x25519
            self.public = public
        else:
            self._key = MLKEM768X25519PrivateKey(mlkem, x25519)
            self.public = mlkem.public_key().public_bytes_raw() + public

    @classmethod
    def generate(cls, suite: HpkeSuite = HpkeSuite.X25519) -> HpkePrivateKey:
        """A fresh key from the library's own generator."""
        mlkem = MLKEM768PrivateKey.generate() if suite is HpkeSuite.HYBRID else None
        return cls(suite, mlkem, X25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, suite: HpkeSuite, secret: bytes) -> HpkePrivateKey:
        """The key of a secret: 32 bytes, or the 64-byte ML-KEM seed and 32. Raises ProtocolError."""
        require_length("an HPKE private key", secret, suite.private_length)
        if suite is HpkeSuite.X25519:
            return cls(suite, None, X25519PrivateKey.from_private_bytes(secret))
        mlkem = MLKEM768PrivateKey.from_seed_bytes(secret[:_MLKEM768_SEED])
        return cls(suite, mlkem, X25519PrivateKey.from_private_bytes(secret[_MLKEM768_SEED:]))

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """HPKE single-shot open, base mode. Raises ProtocolError(wrong-binding) when it does not
        authenticate.
        """
        if self._key is None:
            raise ProtocolError("this key was erased", code=Code.UNKNOWN_EPOCH)
        try:
            return self.suite.cipher().decrypt(sealed, self._key, info=info)
        except (InvalidTag, ValueError):
            raise ProtocolError(
                "it does not open: it was altered, or sealed for another key or context",
                code=Code.WRONG_BINDING,
            ) from None

    def erase(self) -> None:
        """Let go of the secret; OpenSSL clears the memory when the last reference is gone."""
        self._key = None


def hpke_seal(public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """HPKE single-shot seal, base mode: encapsulated key || ciphertext. Raises ProtocolError on a bad key."""
    suite = HpkeSuite.of_public_key(public)
    try:
        x25519 = X25519PublicKey.from_public_bytes(public[-_X25519_KEY:])
        if suite is HpkeSuite.X25519:
            return suite.cipher().encrypt(plaintext, x25519, info=info)
        mlkem = MLKEM768PublicKey.from_public_bytes(public[:_MLKEM768_KEY])
        return suite.cipher().encrypt(plaintext, MLKEM768X25519PublicKey(mlkem, x25519), info=info)
    except ValueError as error:
        raise ProtocolError(f"the recipient's HPKE key is no valid key: {error}", code=Code.BAD_KEY) from None


def require_hpke_key(key: bytes) -> None:
    """Raises ProtocolError unless `key` has the length of one of the suites' public keys."""
    HpkeSuite.of_public_key(key)


class ReceiptKey:
    """An Ed25519 signing key (RFC 8032), by PyNaCl."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        require_length("a receipt key's seed", seed, 32)
        # a copy of its own, since `erase` overwrites it
        self._key: SigningKey | None = SigningKey(bytes(bytearray(seed)))
        self.public = bytes(self._key.verify_key)

    @classmethod
    def generate(cls) -> ReceiptKey:
        """A fresh key from the system's randomness; the seed it came from is overwritten."""
        seed = SYSTEM_RANDOM(32)
        key = cls(seed)
        wipe(seed)
        return key

    def sign(self, message: bytes) -> bytes:
        """64 bytes. Raises ProtocolError once erased."""
        if self._key is None:
            raise ProtocolError("this key was erased", code=Code.UNKNOWN_EPOCH)
        return self._key.sign(message).signature

    def erase(self) -> None:
        """Overwrite the secret and let go of it.

        One copy is out of reach: libsodium's binding frees a buffer of its own uncleared when a key is made.
        """
        if self._key is not None:
            wipe(self._key._signing_key)
            wipe(self._key._seed)
            self._key = None


def wipe(secret: bytes) -> None:
    """Overwrite the content of a bytes object that nobody else holds: CPython neither clears it nor lets
    one write.

    Only for secrets made at run time: constants and one-byte strings are shared.
    """
    if len(secret) > 1:
        ctypes.memset(id(secret) + bytes.__basicsize__ - 1, 0, len(secret))


def verify_signature(public: bytes, message: bytes, signature: bytes) -> None:
    """Raises ProtocolError(bad-receipt) unless `signature` is Ed25519 over `message` by `public`."""
    require_length("receipt_key", public, RECEIPT_KEY_LENGTH)
    try:
        VerifyKey(public).verify(message, signature)
    except (BadSignatureError, ValueError):
        raise ProtocolError(
            "the signature is not by this receipt key over this record", code=Code.BAD_RECEIPT
        ) from None
