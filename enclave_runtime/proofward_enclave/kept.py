"""Epochs' keys, sealed to the TEE in a file, by the operator's choice: the same measurement that starts again
goes on with the same keys, and what was sealed to them can still be worked.

The file is the host's to keep, to lose and to roll back. It holds keys and nothing that counts: an older one
brings older keys back, to which clients seal nothing any more. What it costs is said in docs/threat-model.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from proofward.files import TooLong, read_whole, write_whole
from proofward.protocol import SYSTEM_RANDOM, HpkeSuite, bounds
from proofward.protocol.enclave import EnclaveError
from proofward.protocol.keys import wipe

MAGIC: Final = b"proofward/kept-keys/v1\n"
MAX_FILE: Final = 4096
SEED_LENGTH: Final = 32
_SALT, _NONCE, _TAG = 32, 12, 16
_NO_FILE: Final = "is no file of kept keys"
_LENGTHS: Final = {
    "genesis": bounds.HASH_LENGTH,
    "account": bounds.HASH_LENGTH,
    "receipt": SEED_LENGTH,
    "salts": SEED_LENGTH,
}


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What makes an epoch: its number, whose it is, and the secrets that its keys and salts come from.

    `hpke`: a private key of `suite`; `receipt`, `salts`: 32 bytes each.
    """

    genesis: bytes
    account: bytes
    number: int
    suite: HpkeSuite
    hpke: bytes
    receipt: bytes
    salts: bytes

    @classmethod
    def draw(cls, genesis: bytes, account: bytes, number: int, suite: HpkeSuite) -> Secrets:
        """Fresh ones."""
        hpke = SYSTEM_RANDOM(suite.private_length)
        return cls(
            genesis, account, number, suite, hpke, SYSTEM_RANDOM(SEED_LENGTH), SYSTEM_RANDOM(SEED_LENGTH)
        )

    def erase(self) -> None:
        """Overwrite them."""
        for secret in (self.hpke, self.receipt, self.salts):
            wipe(secret)


class KeptKeys:
    """The file of one enclave. `sealing_key`: 32 bytes that only this measurement on this platform gets."""

    def __init__(self, path: Path, sealing_key: bytes) -> None:
        self._path, self._sealing_key = path, sealing_key

    def write(self, epochs: Sequence[Secrets]) -> None:
        """Put these in place of what the file holds, and wait until they are on the disk. Raises
        EnclaveError(keys-not-kept): nothing may be registered then that a restart would lose.
        """
        plain = cbor2.dumps([_encoded(epoch) for epoch in epochs])
        salt, nonce = SYSTEM_RANDOM(_SALT), SYSTEM_RANDOM(_NONCE)
        sealed = AESGCM(self._key(salt)).encrypt(nonce, plain, MAGIC)
        wipe(plain)
        try:
            write_whole(self._path, MAGIC + salt + nonce + sealed)
        except OSError as error:
            raise EnclaveError(
                f"the keys cannot be kept in {self._path} ({error.strerror}): free space or mend its "
                "permissions, or start without --keep-keys",
                code="keys-not-kept",
            ) from None

    def read(self) -> list[Secrets]:
        """The epochs in the file, oldest first; none when there is no file.

        Raises EnclaveError(kept-keys-refused): it was written by another measurement or on another platform,
        was altered, or cannot be read.
        """
        try:
            content = read_whole(self._path, MAX_FILE)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._refused(f"cannot be read ({error.strerror})") from None
        except TooLong:
            raise self._refused(_NO_FILE) from None
        head = len(MAGIC) + _SALT + _NONCE
        if len(content) <= head + _TAG or not content.startswith(MAGIC):
            raise self._refused(_NO_FILE)
        salt, nonce = content[len(MAGIC) : head - _NONCE], content[head - _NONCE : head]
        try:
            plain = AESGCM(self._key(salt)).decrypt(nonce, content[head:], MAGIC)
        except InvalidTag:
            raise self._refused("was altered, or sealed by another measurement or platform") from None
        return [_decoded(one) for one in cbor2.loads(plain)]

    def _refused(self, why: str) -> EnclaveError:
        return EnclaveError(
            f"{self._path} {why}: new keys are made, and what was sealed to the old ones is declined",
            code="kept-keys-refused",
        )

    def _key(self, salt: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt, MAGIC).derive(self._sealing_key)


def _encoded(epoch: Secrets) -> dict[str, Any]:
    return {
        "genesis": epoch.genesis,
        "account": epoch.account,
        "number": epoch.number,
        "suite": epoch.suite.name,
        "hpke": epoch.hpke,
        "receipt": epoch.receipt,
        "salts": epoch.salts,
    }


def _decoded(fields: dict[str, Any]) -> Secrets:
    """Only this program seals with that key, so what opens has the form; it is checked all the same."""
    suite = HpkeSuite[fields["suite"]]
    lengths = _LENGTHS | {"hpke": suite.private_length}
    if any(len(fields[name]) != length for name, length in lengths.items()):
        raise EnclaveError("the kept keys have not their lengths", code="kept-keys-refused")
    return Secrets(**fields | {"suite": suite})
