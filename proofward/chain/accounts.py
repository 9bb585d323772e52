"""Accounts: 32 raw bytes inside, SS58 (prefix 42) for people; keypairs from a file or a development URI."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from proofward.chain.errors import ChainError
from proofward.chain.extrinsic import Signer
from proofward.chain.keypair import Keypair, new_phrase, ss58_decode, ss58_encode
from proofward.chain.signer import SCHEME, SocketSigner
from proofward.files import write_new

_MAX_KEY_FILE: Final = 1024


class AccountError(ChainError):
    """An address or a key file that cannot be used."""

    code = "bad-account"


def ss58(account: bytes) -> str:
    """The address of an account (32 bytes) as people write it."""
    return ss58_encode(account)


def account(text: str | bytes) -> bytes:
    """The 32 bytes of an SS58 address (any prefix) or of 0x-hexadecimal. Raises AccountError."""
    if isinstance(text, bytes):
        raw = text
    else:
        try:
            raw = bytes.fromhex(text[2:]) if text.startswith("0x") else ss58_decode(text)
        except ValueError:
            # a phrase that was put in an address's place is nobody's to read
            given = repr(text) if len(text) <= 66 and " " not in text else "what was given"
            raise AccountError(f"{given} is neither an SS58 address nor 0x and 64 hex digits") from None
    if len(raw) != 32:
        raise AccountError(f"an account has 32 bytes, not {len(raw)}")
    return raw


def dev_keypair(uri: str) -> Keypair:
    """A well-known development key, such as `//Alice`: anyone can sign with it. sr25519."""
    try:
        if len(uri) > 64:
            raise ValueError
        return Keypair.of_dev(uri)
    except ValueError:
        raise AccountError(f"{uri!r} is no development key: write //Name") from None


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
            return Keypair.of_seed(bytes.fromhex(secret[2:]))
        return Keypair.of_phrase(secret)
    except ValueError:
        raise AccountError(f"the key file {path} holds neither a mnemonic phrase nor a 0x seed") from None


def new_key_file(path: str | Path) -> bytes:
    """Make a key file of a fresh phrase of twelve words, mode 0600; gives its account.

    Raises AccountError when the file exists or cannot be written; nothing half-written stays.
    """
    path = Path(path)
    phrase = new_phrase()
    try:
        write_new(path, f"{phrase}\n".encode())
    except FileExistsError:
        raise AccountError(f"{path} exists and is not replaced: give another name") from None
    except OSError as error:
        raise AccountError(f"the key file {path} cannot be written: {error.strerror}") from None
    return bytes(load_keypair(path).public_key)


def address(text: str) -> bytes:
    """The account of an SS58 address, of 0x and 64 hex digits, or of `//Name`. Raises AccountError."""
    return bytes(dev_keypair(text).public_key) if is_dev_source(text) else account(text)


def named(text: str) -> bytes:
    """The account that a text names: an SS58 address, 0x and 64 hex digits, `//Name`, a key file's path, or
    a signer's socket (`unix:PATH`). Raises AccountError.
    """
    if text.startswith(SCHEME):
        return keypair_of(text).public_key
    if not is_dev_source(text) and os.path.lexists(text):
        return bytes(load_keypair(text).public_key)
    try:
        return address(text)
    except AccountError:
        raise AccountError(
            f"{text!r} is neither an SS58 address, 0x and 64 hex digits, //Name, nor a key file"
        ) from None


def keypair_of(source: str) -> Signer:
    """A development URI (`//Alice`), the path of a key file, or `unix:` and the socket of a signer."""
    if source.startswith(SCHEME):
        return SocketSigner(source.removeprefix(SCHEME))
    keypair: Signer = dev_keypair(source) if source.startswith("//") else load_keypair(source)
    return keypair


def is_dev_source(source: str) -> bool:
    """Whether `source` names a key that everybody has."""
    return source.startswith("//")
