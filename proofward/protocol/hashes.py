"""The hash functions of the protocol, under one name each, so that no other room picks its own.

SHA-256 for files, proofs, sealed bytes and quotes; BLAKE2b-256 for ids; Keccak-256 for contract code;
SHA-512 for report_data (FIPS 180-4, RFC 7693, the Ethereum yellow paper).
"""

from __future__ import annotations

import hashlib


def sha256(data: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


def sha384(data: bytes) -> bytes:
    """SHA-384, 48 bytes: the size of a TDX measurement register."""
    return hashlib.sha384(data).digest()


def sha512(data: bytes) -> bytes:
    """SHA-512, 64 bytes."""
    return hashlib.sha512(data).digest()


def blake2_256(data: bytes) -> bytes:
    """BLAKE2b with a 32-byte digest, as Substrate's `blake2_256`."""
    return hashlib.blake2b(data, digest_size=32).digest()


def keccak256(data: bytes) -> bytes:
    """Keccak-256 with the original padding, as Ethereum uses it (not SHA3-256)."""
    # Most commands hash no contract, and its loading of C takes an eighth of their start.
    from Crypto.Hash import keccak

    return keccak.new(digest_bits=256, data=data).digest()
