"""Accounts: 32 raw bytes inside, SS58 (prefix 42) for people; keypairs from a file or a development URI."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from substrateinterface import Keypair, KeypairType

from proofward.chain.errors import ChainError

SS58_PREFIX: Final = 42
_MAX_KEY_FILE: Final = 1024


class AccountError(ChainError):
    """An address or a key file that cannot be used."""

    code = "bad-account"


def ss58(account: bytes) -> str:
    """The address of an account (32 bytes) as people write it."""
    return str(Keypair(public_key=account, ss58_format=SS58_PREFIX).ss58_address)


def account(text: str | bytes) -> bytes:
    """The 32 bytes of an SS58 address (any prefix) or of 0x-hexadecimal. Raises AccountError."""
    if isinstance(text, bytes):
        raw = text
    else:
        try:
            raw = bytes.fromhex(text[2:]) if text.startswith("0x") else Keypair(ss58_address=text).public_key
        except (ValueError, IndexError):
            raise AccountError(f"{text!r} is neither an SS58 address nor 0x and 64 hex digits") from None
    if len(raw) != 32:
        raise AccountError(f"an account has 32 bytes, not {len(raw)}")
    return raw


def dev_keypair(uri: str) -> Keypair:
    """A well-known development key, such as `//Alice`: anyone can sign with it. sr25519."""
    if not uri.startswith("//") or len(uri) > 64:
        raise AccountError(f"{uri!r} is no development key: write //Name")
    return Keypair.create_from_uri(uri, ss58_format=SS58_PREFIX, crypto_type=KeypairType.SR25519)


def load_keypair(path: str | Path) -> Keypair:
    """The sr25519 key in a file: a mnemonic phrase, or a seed as 0x and 64 hex digits, on its one line.

    Only its owner may read the file (mode 0600 or 0400). Raises AccountError; the message never quotes the
    file.
    """
    path = Path(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise AccountError(f"the key file {path} cannot be opened: {error.strerror}") from None
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o077:
            raise AccountError(f"the key file {path} can be read by others: chmod 600 {path}")
        secret = file.read(_MAX_KEY_FILE).strip()
    try:
        if secret.startswith("0x"):
            return Keypair.create_from_seed(secret, ss58_format=SS58_PREFIX, crypto_type=KeypairType.SR25519)
        if not Keypair.validate_mnemonic(secret):
            raise ValueError
        return Keypair.create_from_mnemonic(secret, ss58_format=SS58_PREFIX, crypto_type=KeypairType.SR25519)
    except (ValueError, TypeError):
        raise AccountError(f"the key file {path} holds neither a mnemonic phrase nor a 0x seed") from None


def keypair_of(source: str) -> Keypair:
    """A development URI (`//Alice`) or the path of a key file."""
    return dev_keypair(source) if source.startswith("//") else load_keypair(source)


def is_dev_source(source: str) -> bool:
    """Whether `source` names a key that everybody has."""
    return source.startswith("//")
